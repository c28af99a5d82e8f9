/* The Δt explorer on a published page: models from weight files beside the page, run by tdEngine, without kernel. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});

  var loading = {};
  function loadScript(address) {
    if (!loading[address])
      loading[address] = new Promise(function (resolve, reject) {
        var script = td.dom.h("script", { src: address });
        script.onload = function () { resolve(); };
        script.onerror = function () { delete loading[address]; reject(new Error("the file " + address.split("/").pop() + " is missing")); };
        document.head.append(script);
      });
    return loading[address];
  }
  /** Models of the page's own weight files, run by tdEngine; nothing but files beside the page is read.
      environments: those that there are weights of; all that the engine knows if a page does not say.
      seeds: by environment; the models of others than the first are on offer before their file is read.
      folders: where the checkpoints lie, for Python lines: the study's, and those of chapters. */
  td.pageBackend = function (engine, weights, environments, seeds, folders) {
    function file(env, seed) { return weights + "weights-" + engine.systems[env].folder + (seed === undefined ? "" : "-seed" + seed) + ".js"; }
    function further(env) { return ((seeds || {})[env] || []).slice(1); }
    return {
      more: function (env, seed) {
        seeds[env] = seeds[env].filter(function (other) { return other !== seed; }); // read once, or not at all
        return loadScript(file(env, seed));
      },
      label: "weights of this page, rounded to 16 bit",
      rounded: true,
      environments: environments || Object.keys(engine.systems),
      open: function (env) {
        var ready = engine.models(env).length ? Promise.resolve() : loadScript(file(env));
        return ready.then(function () {
          var entries = engine.models(env);
          if (!entries.length) throw new Error("the weight file of " + env + " holds no models");
          var first = entries.filter(function (entry) { return entry.seed === entries[0].seed; });
          further(env).forEach(function (seed) {
            first.forEach(function (entry) { entries.push(Object.assign({}, entry, { seed: seed, id: entry.id + "/seed" + seed, waiting: true })); });
          });
          return entries.map(function (entry) {
            entry.path = (folders || ["book/published/models"])[entry.root || 0] + "/" + engine.systems[env].folder + "/" + entry.id.replace(/\/seed\d+$/, "") + "/seed" + entry.seed;
            return entry;
          });
        });
      },
      missing: engine.missing,
      run: function (env, jobs) { return jobs.map(function (job) { return td.runJob(engine, env, job); }); },
    };
  };
  /** Answer one job with the engine: states after each action of a rollout, or after one step from each state; or the
      learned energy of each state. */
  td.runJob = function (engine, env, job) {
    if (td.isTruth(job.entry)) return td.trueSteps(engine.systems[env], job);
    if (job.kind === "energy") return job.states.map(function (state) { return [engine.energy(env, job.entry.id, state)]; });
    var asked = { actions: job.actions, deltaTs: job.deltaT, derive: job.entry.derive, solver: job.solver || undefined };
    if (td.isField(job.entry)) asked.substeps = job.substeps;
    if (job.kind === "rollout") { asked.state = job.states[0]; return engine.predict(env, job.entry.id, asked); }
    asked.states = job.states;
    return engine.steps(env, job.entry.id, asked);
  };

  /** Turn every element made for it into an explorer; without the engine the static figures stay. */
  td.mountAll = function (folder) {
    document.querySelectorAll(".td-explorer").forEach(function (element, i) {
      if (element.tdExplorer) return;
      var known = root.tdExplorerPage || {};
      if (!root.tdEngine) return;
      var linked = i === 0 && location.hash.indexOf("#dt-explorer") === 0;
      td.mount(element, {
        backend: td.pageBackend(root.tdEngine, element.dataset.weights || folder + "weights/", known.environments, known.seeds, known.models), env: element.dataset.env,
        config: { heatmap: known.heatmap, heatmapNote: known.heatmapNote },
        view: linked ? location.hash : element.dataset.view || "", keepLink: i > 0,
      });
    });
  };
  if (typeof document !== "undefined" && !root.tdExplorerWidget) {
    var own = document.currentScript && document.currentScript.src, folder = own ? own.replace(/[^/]*$/, "") : "_static/";
    var go = function () { td.mountAll(folder); };
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", go); else go();
  }
})(typeof globalThis !== "undefined" ? globalThis : this);
