/* How the state of the Δt explorer changes: by controls, by links, by another system; and what is said when it cannot. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var h = td.dom.h, setText = td.dom.setText;

  /** Add the ways to change its state to an explorer. */
  td.addChanges = function (app) {
    var pending = false;
    Object.assign(app, {
      problem: problem, tryTo: tryTo, setRate: setRate, pick: pick, setArm: setArm, entryOf: entryOf, setInput: setInput,
      use: use, changed: changed, getState: getState, setState: setState, openEnvironment: openEnvironment, fail: fail,
    });

    function problem(text) {
      app.ui.problem.hidden = !text;
      setText(app.ui.problem, text || "");
    }
    function tryTo(act, undo) {
      try { act(); app.problem(""); }
      catch (error) { app.problem(error.message + ". Nothing was changed."); if (undo) undo(); else app.controls(); }
    }
    function setRate(rate) { app.state.rate = rate; app.touched = true; app.changed(); }
    function pick(side, key, value) {
      var wanted = td.wanted(app.entryOf(side)), order = ["model", "how", "train_frequency", "seed", "run"];
      wanted[key] = value;
      // what was chosen now counts first, then what decides most
      if (key === "train_frequency") order = ["model", "how", "train_frequency", "seed", "run"];
      else order = [key].concat(order.filter(function (name) { return name !== key; }));
      setArm(side, td.wanted(td.choose(app.entries, wanted, order)));
    }
    function setArm(side, wanted) { app.state[side] = wanted; app.changed(); }
    function entryOf(side) { return app.state[side] ? td.choose(app.entries, app.state[side]) : null; }
    function setInput(kind) {
      var state = app.state, system = app.engine.systems[state.env];
      state.inputs[state.channel] = td.signalOf(kind, system, state.inputs, state.channel);
      changed();
    }
    function use(next) { app.state = next; app.changed(); }
    function changed() {
      if (!app.state) return;
      if (!pending) {
        pending = true;
        (root.requestAnimationFrame || setTimeout)(function () { pending = false; if (!app.gone && app.state) app.update(); });
      }
    }
    function getState() { return JSON.parse(JSON.stringify(app.state)); }
    /** Restore a state or a link's text. Broken parts of a link are named and keep their defaults; a broken state changes nothing. */
    function setState(next) {
      if (typeof next === "string") {
        var read = td.fromFragment(next, app.environments);
        if (!read) return app.problem("This link is not one of the explorer. Nothing was changed.");
        if (read.scene) return app.openScene(read.scene);
        app.openEnvironment(read.state.env, read.state, read.problems);
      } else app.tryTo(function () { app.openEnvironment(next && next.env, td.checkState(next, app.environments), []); }, function () {});
    }
    function openEnvironment(env, next, problems) {
      app.element.setAttribute("aria-busy", "true");
      return Promise.resolve().then(function () { return app.backend.open(env); }).then(function (found) {
        if (app.gone) return;
        app.entries = td.withDerived(found);
        app.cache = {};
        var texts = (problems || []).slice(), kept = app.state;
        app.state = next || td.defaultState(env);
        if (!next && kept) { app.state.rate = kept.rate; app.state.a = kept.a; app.state.b = kept.b; }
        ["a", "b"].forEach(function (side) {
          var wanted = app.state[side], entry = wanted && app.entryOf(side);
          if (!entry || !next) return;
          if (["model", "how", "train_frequency"].some(function (key) { return wanted[key] !== undefined && wanted[key] !== td.wanted(entry)[key]; }))
            texts.push("the model " + [wanted.model, wanted.how, wanted.train_frequency].join(" ") + " is not here; showing " + entry.label);
        });
        app.problem(texts.length ? "This link could not be restored in full: " + texts.join("; ") + "." : "");
        app.element.removeAttribute("aria-busy");
        app.element.querySelectorAll(".td-explorer-fallback").forEach(function (fallback) { fallback.hidden = true; });
        app.ui.root.hidden = false;
        app.element.classList.add("td-explorer-live");
        app.layoutEnvironment();
        app.update();
      }, function (error) {
        app.element.removeAttribute("aria-busy");
        app.fail(env, error);
      });
    }
    function fail(env, error) {
      var text = "The models of " + env + " cannot be run here: " + error.message + ".";
      if (!app.state) { // nothing is running yet: the static figure and its numbers stay
        app.ui.root.hidden = true;
        var note = app.element.querySelector(".td-explorer-problem") || h("p", { class: "td-x-problem td-explorer-problem", role: "alert" });
        setText(note, text + " Below are a static figure and the same numbers.");
        app.element.prepend(note);
      } else {
        app.problem(text + " Still showing " + app.state.env + ".");
        app.controls();
      }
    }
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
