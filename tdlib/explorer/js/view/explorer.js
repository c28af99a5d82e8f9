/* The Δt explorer as one element: controls, linked views, link and Python lines. The same object runs on a published page
   (weights in the page's folder, `pageBackend`) and in JupyterLab (torch models, a backend of messages). */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var count = 0, h = td.dom.h, setText = td.dom.setText, fill = td.dom.fill, quiet = td.dom.quiet, signed = td.dom.signed;

  /* --- the explorer ---------------------------------------------------------------------------------------------- */
  /** Build an explorer inside an element. options: {backend, engine, config, view, onView, keepLink}. */
  td.mount = function (element, options) {
    var backend = options.backend, engine = options.engine || root.tdEngine, config = options.config || {};
    var id = "td-x" + ++count, environments = backend.environments.filter(td.environment);
    var state = null, entries = [], view = null, gone = false, cache = {}, frozen = null, pending = false, touched = false;
    var reduced = root.matchMedia && root.matchMedia("(prefers-reduced-motion: reduce)").matches;
    var clock = { playing: !reduced, time: 0, last: null, strobe: reduced };
    var explorer = { lastUpdateMs: null, updates: 0, getState: getState, setState: setState, destroy: destroy, python: pythonText,
      link: function () { return td.toFragment(state); }, view: function () { return view; } };
    var ui = td.buildControls(id, environments, actions());
    element.append(ui.root);
    var hands = td.hands(ui, {
      engine: engine, state: function () { return state; }, view: function () { return view; }, changed: changed, setInput: setInput,
      freeze: function (on) { frozen = on; }, // axes keep still under the hand
    });
    var ask = td.newestWins(function (request) { return backend.run(request.env, request.jobs); });

    /** What the controls do. */
    function actions() {
      var askMap = td.newestWins(function (request) { return backend.run(request.env, request.jobs); });
      return {
        openEnvironment: openEnvironment, setRate: setRate, setInput: setInput, pick: pick, toggleCode: toggleCode, copyLink: copyLink,
        change: function (part) { Object.assign(state, part); changed(); },
        compare: function (on) { setArm("b", on ? td.defaultState(state.env).b : null); },
        startOver: function () { use(td.defaultState(state.env)); },
        toggleMotion: function () { play(!clock.playing); },
        seek: function (time) { play(false); seek(time); },
        setDeltaT: function (text) { tryTo(function () { setRate(td.checkRate(text.trim() === "" ? "nothing" : 1000 / Number(text))); }); },
        setSubsteps: function (text) { tryTo(function () { state.substeps = td.checkSubsteps(text); changed(); }); },
        map: {
          engine: engine, config: config, state: function () { return state; }, entries: function () { return entries; }, entry: function () { return entryOf("a"); },
          send: function (request, done) { askMap(request, function (results) { if (!gone) done(results); }, function (error) { problem(error.message); }); },
          pick: function (entry, rate) { state.a = td.wanted(entry); setRate(rate); },
        },
      };
    }

    /* --- changing the state ---------------------------------------------------------------------------------------- */
    function problem(text) {
      ui.problem.hidden = !text;
      setText(ui.problem, text || "");
    }
    function tryTo(act, undo) {
      try { act(); problem(""); }
      catch (error) { problem(error.message + ". Nothing was changed."); if (undo) undo(); else controls(); }
    }
    function setRate(rate) { state.rate = rate; touched = true; changed(); }
    function pick(side, key, value) {
      var wanted = td.wanted(entryOf(side)), order = ["model", "how", "train_frequency", "seed", "run"];
      wanted[key] = value;
      // what was chosen now counts first, then what decides most
      if (key === "train_frequency") order = ["model", "how", "train_frequency", "seed", "run"];
      else order = [key].concat(order.filter(function (name) { return name !== key; }));
      setArm(side, td.wanted(td.choose(entries, wanted, order)));
    }
    function setArm(side, wanted) { state[side] = wanted; changed(); }
    function entryOf(side) { return state[side] ? td.choose(entries, state[side]) : null; }
    function setInput(kind) {
      var action = td.actuator(engine.systems[state.env]), now = state.input;
      if (kind === "constant") state.input = { kind: kind, value: action.kind === "discrete" ? action.high : 0.5 * action.high };
      else if (kind === "random") state.input = { kind: kind, seed: 3 };
      else if (kind === "sine") state.input = { kind: kind, amplitude: action.high, frequency: 2 };
      else {
        var values = [];
        for (var k = 0; k < td.DRAWN; k++) values.push(td.inputAt(now, ((k + 0.5) / td.DRAWN) * td.HORIZON, action));
        state.input = { kind: kind, values: values };
      }
      changed();
    }
    function use(next) { state = next; changed(); }
    function changed() {
      if (!state) return;
      if (!pending) {
        pending = true;
        (root.requestAnimationFrame || setTimeout)(function () { pending = false; if (!gone && state) update(); });
      }
    }
    function getState() { return JSON.parse(JSON.stringify(state)); }
    /** Restore a state or a link's text. Broken parts of a link are named and keep their defaults; a broken state changes nothing. */
    function setState(next) {
      if (typeof next === "string") {
        var read = td.fromFragment(next, environments);
        if (!read) return problem("This link is not one of the explorer. Nothing was changed.");
        openEnvironment(read.state.env, read.state, read.problems);
      } else tryTo(function () { openEnvironment(next && next.env, td.checkState(next, environments), []); }, function () {});
    }
    function openEnvironment(env, next, problems) {
      element.setAttribute("aria-busy", "true");
      return Promise.resolve().then(function () { return backend.open(env); }).then(function (found) {
        if (gone) return;
        entries = td.withDerived(found);
        cache = {};
        var texts = (problems || []).slice(), kept = state;
        state = next || td.defaultState(env);
        if (!next && kept) { state.rate = kept.rate; state.a = kept.a; state.b = kept.b; }
        ["a", "b"].forEach(function (side) {
          var wanted = state[side], entry = wanted && entryOf(side);
          if (!entry || !next) return;
          if (["model", "how", "train_frequency"].some(function (key) { return wanted[key] !== undefined && wanted[key] !== td.wanted(entry)[key]; }))
            texts.push("the model " + [wanted.model, wanted.how, wanted.train_frequency].join(" ") + " is not here; showing " + td.label(entry));
        });
        problem(texts.length ? "This link could not be restored in full: " + texts.join("; ") + "." : "");
        element.removeAttribute("aria-busy");
        element.querySelectorAll(".td-explorer-fallback").forEach(function (fallback) { fallback.hidden = true; });
        ui.root.hidden = false;
        element.classList.add("td-explorer-live");
        layoutEnvironment();
        update();
      }, function (error) {
        element.removeAttribute("aria-busy");
        fail(env, error);
      });
    }
    function fail(env, error) {
      var text = "The models of " + env + " cannot be run here: " + error.message + ".";
      if (!state) { // nothing is running yet: the static figure and its numbers stay
        ui.root.hidden = true;
        var note = element.querySelector(".td-explorer-problem") || h("p", { class: "td-x-problem td-explorer-problem", role: "alert" });
        setText(note, text + " Below are a static figure and the same numbers.");
        element.prepend(note);
      } else {
        problem(text + " Still showing " + state.env + ".");
        controls();
      }
    }

    /* --- computing ------------------------------------------------------------------------------------------------- */
    function update() {
      var began = performance.now(), system = engine.systems[state.env], snapshot = getState();
      var plan = td.plan(snapshot, system), arms = [], jobs = [];
      var truth = [snapshot.start.slice()].concat(system.truth(snapshot.start, plan.fineActions, plan.fineDeltaTs));
      var truthSteps = [];
      for (var k = 1; k <= plan.steps; k++) truthSteps.push(truth[k * plan.parts]);
      var grid = fieldGrid(snapshot, system, plan);
      ["a", "b"].forEach(function (side) {
        var entry = entryOf(side);
        if (!entry) return;
        var arm = { side: side, entry: entry, solver: td.isField(entry) ? td.solverOf(entry, snapshot) : "", substeps: td.isField(entry) ? snapshot.substeps : 1 };
        var identity = [side, snapshot.env, entry.id, entry.method, entry.run, arm.solver, arm.substeps].join("|");
        arm.key = [identity, snapshot.start, plan.actions, plan.deltaT].join("|");
        arm.gridKey = [identity, grid.key, plan.deltaT].join("|");
        if (!cache[side] || cache[side].key !== arm.key) arm.job = jobs.push(job(arm, "rollout", [snapshot.start], plan.actions, plan.deltaT)) - 1;
        else arm.states = cache[side].states;
        if (!cache[side] || cache[side].gridKey !== arm.gridKey) arm.gridJob = jobs.push(job(arm, "steps", grid.points, grid.actions, plan.deltaT)) - 1;
        else arm.field = cache[side].field;
        arms.push(arm);
      });
      var next = { env: snapshot.env, state: snapshot, system: system, plan: plan, truth: truth, truthSteps: truthSteps, arms: arms, field: grid };
      function done(results) {
        arms.forEach(function (arm) {
          if (arm.job !== undefined) arm.states = results[arm.job];
          if (arm.gridJob !== undefined) arm.field = rates(results[arm.gridJob], grid, plan.deltaT);
          cache[arm.side] = { key: arm.key, states: arm.states, gridKey: arm.gridKey, field: arm.field };
        });
        finish(next, began);
      }
      var answer = null;
      if (!jobs.length) return done([]);
      if (!backend.asynchronous) {
        try { answer = backend.run(snapshot.env, jobs); } catch (error) { return problem(error.message); }
        return done(answer);
      }
      ask({ env: snapshot.env, jobs: jobs }, function (results) {
        if (!gone && next.env === state.env) done(results);
      }, function (error) { problem(error.message); });
    }
    function job(arm, kind, states, actions, deltaT) {
      return { entry: arm.entry, solver: arm.solver, substeps: arm.substeps, kind: kind, states: states, actions: actions, deltaT: deltaT };
    }
    function fieldGrid(snapshot, system, plan) {
      var pair = td.phasePair(system, snapshot.dim), range = td.environment(snapshot.env).windows[pair[0]], narrow = ui.phase.box.clientWidth < 330;
      var columns = narrow ? 8 : 11, rows = 7, points = [], actions = [];
      var key = [snapshot.env, pair, columns, plan.actions[0], snapshot.env === "Pendulum-v1" ? "" : snapshot.start].join("|");
      for (var i = 0; i < columns; i++) for (var j = 0; j < rows; j++) {
        var point = snapshot.start.slice();
        point[pair[0]] = range[0][0] + ((i + 0.5) / columns) * (range[0][1] - range[0][0]);
        point[pair[1]] = range[1][0] + ((j + 0.5) / rows) * (range[1][1] - range[1][0]);
        points.push(point);
        actions.push(plan.actions[0]);
      }
      var grid = { key: key, pair: pair, points: points, actions: actions, range: range, scale: 1 };
      var truthKey = key + plan.deltaT;
      if (!cache.truth || cache.truth.key !== truthKey) {
        var ends = points.map(function (point) { return system.flow(point, plan.actions[0], plan.deltaT); });
        cache.truth = { key: truthKey, rates: rates(ends, grid, plan.deltaT) };
      }
      grid.truth = cache.truth.rates;
      // one scale per window: the true rates at 50 Hz fill a cell
      if (!cache.scale || cache.scale.key !== key) {
        var fine = rates(points.map(function (point) { return system.flow(point, plan.actions[0], 0.02); }), grid, 0.02), lengths = fine.map(function (r) {
          return Math.hypot(r[0] * columns, r[1] * rows);
        }).sort(function (x, y) { return x - y; });
        cache.scale = { key: key, value: 0.6 / Math.max(lengths[Math.floor(0.9 * lengths.length)], 1e-9) };
      }
      grid.scale = cache.scale.value;
      return grid;
    }
    /** Mean rate of change over one step in units of the window: (P, 2) [1/s]. */
    function rates(ends, grid, deltaT) {
      return grid.points.map(function (point, i) {
        return grid.pair.map(function (d, axis) { return (ends[i][d] - point[d]) / deltaT / (grid.range[axis][1] - grid.range[axis][0]); });
      });
    }
    function fixedLimits() {
      var key = JSON.stringify([state.env, state.start, state.input]);
      if (frozen && cache.limits && cache.limits.env === state.env) return cache.limits;
      if (cache.limits && cache.limits.key === key) return cache.limits;
      var system = engine.systems[state.env], fine = td.plan({ rate: 100, input: state.input }, system);
      var states = [state.start].concat(system.truth(state.start, fine.fineActions, fine.fineDeltaTs));
      var limits = state.start.map(function (_, d) {
        return widened(states.map(function (s) { return s[d]; }), 0.7, td.environment(state.env).least_margins[d]);
      });
      var energy = system.energy ? widened(states.map(system.energy), 0.8, td.environment(state.env).least_energy) : null;
      return (cache.limits = { key: key, env: state.env, limits: limits, energy: energy });
    }
    function widened(values, share, least) {
      var low = Math.min.apply(null, values), high = Math.max.apply(null, values), margin = Math.max(share * (high - low), least);
      var ticks = td.niceTicks(low - margin, high + margin, 5), step = ticks[1] - ticks[0];
      return [Math.floor((low - margin) / step) * step, Math.ceil((high + margin) / step) * step];
    }
    function finish(next, began) {
      var limits = fixedLimits(), theme = readTheme();
      next.theme = theme;
      next.limits = limits.limits;
      next.energyLimits = limits.energy;
      next.strobe = clock.strobe;
      next.arms.forEach(function (arm) {
        arm.errors = td.relativeErrors(next.system, next.state.start, next.truthSteps, arm.states);
        var limit = td.limitOf(arm.entry, next.system, arm.solver, arm.substeps);
        if (limit) {
          var states = td.followLimit(limit, next.state.start, next.plan);
          arm.limit = { text: limit.text, states: states, errors: td.relativeErrors(next.system, next.state.start, next.truthSteps, states) };
        }
      });
      view = next;
      paintArms();
      draw();
      controls();
      explorer.lastUpdateMs = performance.now() - began;
      explorer.updates += 1;
      later();
    }
    /** Color by method; where A and B share one, B takes it mixed with the text's. */
    function paintArms() {
      view.arms.forEach(function (arm) {
        var color = view.theme.methods[arm.entry.method] || view.theme.text, other = view.arms[0];
        arm.color = arm.side === "b" && other.entry.method === arm.entry.method ? td.mix(color, view.theme.text) : color;
        ui.arms[arm.side].box.style.setProperty("--x-arm", arm.color);
        [ui.trained, ui.legend].forEach(function (part) { part.style.setProperty("--x-arm-" + arm.side, arm.color); });
      });
    }
    function draw() {
      ui.trajectory.frame = td.drawTrajectory(ui.trajectory.canvas, view);
      ui.input.frame = td.drawInput(ui.input.canvas, view);
      ui.phase.frame = td.drawPhase(ui.phase.canvas, view);
      ui.error.frame = td.drawError(ui.error.canvas, view);
      if (view.energyLimits) td.drawEnergy(ui.energy.canvas, view);
      drawTime();
    }
    function drawTime() {
      if (!view) return;
      td.drawScene(ui.scene.canvas, view, clock.time);
      [ui.trajectory, ui.error].forEach(function (figure) {
        if (figure.frame) figure.cursor.style.transform = "translateX(" + figure.frame.x(clock.time).toFixed(1) + "px)";
        figure.cursor.style.top = "24px";
        figure.cursor.style.bottom = "36px";
        figure.cursor.hidden = clock.strobe;
      });
    }
    var themeCache = null;
    function readTheme() {
      if (themeCache) return themeCache;
      var css = getComputedStyle(ui.root), methods = {};
      function v(name) { return css.getPropertyValue("--x-" + name).trim(); }
      Object.keys(td.METHODS).forEach(function (method) { methods[method] = v(method.replace(/_/g, "-")); });
      return (themeCache = { font: v("font-size") + " " + css.fontFamily, text: v("text"), muted: v("muted"), soft: v("soft"), grid: v("grid"), truth: v("truth"),
        accent: v("accent"), background: v("background"), methods: methods });
    }

    /* --- words and controls ------------------------------------------------------------------------------------------ */
    function layoutEnvironment() {
      var system = engine.systems[state.env];
      ui.environments.forEach(function (input) { input.checked = input.value === state.env; });
      fill(ui.dim, system.stateNames.map(function (_, d) { return { value: String(d), text: td.axisLabel(system, d) }; }), String(state.dim));
      ui.start.textContent = "";
      ui.startInputs = system.stateNames.map(function (_, d) {
        var input = h("input", { type: "number", step: 0.05, onchange: function () {
          tryTo(function () {
            var start = state.start.slice();
            start[d] = input.value.trim() === "" ? NaN : Number(input.value);
            state.start = td.checkStart(state.env, start);
            changed();
          });
        } });
        ui.start.append(ui.field(td.axisLabel(system, d), input));
        return input;
      });
      ui.energy.figure.hidden = !fixedLimits().energy;
      ui.root.setAttribute("data-env", state.env);
    }
    function controls() {
      var system = engine.systems[state.env], deltaT = td.deltaTOf(state.rate), entryA = entryOf("a"), support = td.support(entryA);
      ui.environments.forEach(function (input) { input.checked = input.value === state.env; });
      if (document.activeElement !== ui.slider || Number(ui.slider.value) !== td.positionOf(state.rate)) ui.slider.value = td.positionOf(state.rate);
      var milliseconds = td.number(1000 * deltaT), hertz = td.number(state.rate);
      ui.slider.setAttribute("aria-valuetext", milliseconds + " milliseconds, " + hertz + " hertz");
      if (ui.readout.dataset.text !== milliseconds + hertz) {
        ui.readout.dataset.text = milliseconds + hertz;
        ui.readout.textContent = "";
        ui.readout.append(h("strong", { text: milliseconds + " ms" }), h("span", { text: hertz + " Hz" }));
      }
      // trained rates and extrapolation
      ui.shadeLow.style.width = entryA.method === "persistence" ? "0" : td.placeOf(support.low);
      ui.shadeHigh.style.left = entryA.method === "persistence" ? "100%" : td.placeOf(support.high);
      var dots = [];
      ["a", "b"].forEach(function (side) {
        var entry = entryOf(side);
        if (entry) td.support(entry).rates.forEach(function (rate) { dots.push([side, rate]); });
      });
      var wantedDots = JSON.stringify(dots);
      if (ui.trained.dataset.dots !== wantedDots) {
        ui.trained.dataset.dots = wantedDots;
        ui.trained.textContent = "";
        dots.forEach(function (dot) { ui.trained.append(h("i", { "data-side": dot[0], style: "left:" + td.placeOf(dot[1]) })); });
      }
      var outside = state.rate < support.low * 0.999 || state.rate > support.high * 1.001;
      setText(ui.range, entryA.method === "persistence" ? "Nothing was trained."
        : "A was trained at " + td.rateLabel(entryA.train_frequency).replace("Δt log-uniform", "every Δt from " + td.number(1000 / support.high) + " to " + td.number(1000 / support.low) + " ms") +
          (outside ? "; the hatched part, where you are, is outside." : support.rates.indexOf(state.rate) >= 0 ? ": you are at a rate that it knows." : "; you are between rates that it knows.") + (touched ? "" : " Move the slider."));
      // models
      ["a", "b"].forEach(function (side) {
        var arm = ui.arms[side], entry = entryOf(side);
        arm.box.hidden = arm.rare.hidden = !entry;
        if (!entry) return;
        var wanted = td.wanted(entry);
        function options(key, before, text) {
          fill(arm.selects[key], td.options(entries, wanted, key, before).map(function (o) { return { value: o.value, text: text(o.entry) }; }), wanted[key]);
        }
        options("model", [], function (e) { return td.MODELS[e.model] || e.model; });
        options("how", ["model"], td.howLabel);
        options("train_frequency", ["model", "how"], function (e) { return td.rateLabel(e.train_frequency); });
        options("seed", ["model", "how", "train_frequency"], function (e) { return "seed " + e.seed; });
        options("run", ["model", "how", "train_frequency", "seed"], function (e) { return e.run || "–"; });
        arm.selects.seed.parentNode.hidden = arm.selects.seed.options.length < 2;
        arm.selects.run.parentNode.hidden = arm.selects.run.options.length < 2;
      });
      ui.add.hidden = Boolean(state.b);
      var several = ["a", "b"].some(function (side) { return ui.arms[side].selects.seed.options.length > 1 || ui.arms[side].selects.run.options.length > 1; });
      ui.seeds.hidden = !several;
      // rare controls
      ui.deltaT.value = td.number(1000 * deltaT, 4);
      ui.startInputs.forEach(function (input, d) { if (document.activeElement !== input) input.value = Number(state.start[d].toFixed(4)); });
      ui.dim.value = String(state.dim);
      var fields = ["a", "b"].map(entryOf).filter(function (entry) { return entry && td.isField(entry); });
      ui.solverGroup.hidden = !fields.length;
      fill(ui.solver, [{ value: "", text: "as trained" }].concat(td.SOLVERS.map(function (name) { return { value: name, text: name === "rk4" ? "RK4" : name }; })), state.solver);
      ui.substeps.value = state.substeps;
      inputControls(system);
      var source = backend.label + (backend.rounded ? ", so that its numbers differ from those of the checkpoints by about one part in a thousand." : ".");
      setText(ui.source, "Models: " + source);
      hands.placeHandle();
      if (!view) return;
      ui.legend.children[1].hidden = view.arms.length < 2;
      view.arms.forEach(function (arm, i) {
        var parts = ui.legend.children[i].children;
        setText(parts[1], arm.side.toUpperCase() + "  " + td.label(arm.entry));
        setText(parts[2], "error " + td.errorText(arm.errors[arm.errors.length - 1]));
      });
      view.arms.forEach(function (arm) {
        var box = ui.arms[arm.side], last = arm.errors[arm.errors.length - 1];
        setText(box.value, td.errorText(last));
        var words = "first step " + td.errorText(arm.errors[0]);
        if (arm.limit) words += " · perfect learning " + td.errorText(arm.limit.errors[0]);
        var ratio = Math.abs(1 - Number(arm.entry.train_frequency ? td.deltaTOf(Number(arm.entry.train_frequency)) : NaN) / view.plan.deltaT);
        if (arm.entry.method === "baseline" && isFinite(ratio)) words += "\n|1 − h/Δ| " + td.errorText(ratio); // a line of its own: no width makes it jump
        setText(box.first, words);
      });
      var limits = view.arms.filter(function (arm) { return arm.limit; });
      setText(ui.errorNote, "RMS error over RMS true change, all steps so far; 1 is what “nothing moves” scores. " + (limits.length ? "Wide and dotted, the limits: " + limits.map(function (arm) {
        return arm.side.toUpperCase() + ", " + arm.limit.text;
      }).join("; ") + "." : "For these models no limit is defined."));
      if (!ui.code.hidden) setText(ui.code.firstChild, pythonText());
      ui.map.update();
    }
    function inputControls(system) {
      var input = state.input, key = input.kind + state.env;
      ui.kind.value = input.kind;
      ui.input.canvas.classList.toggle("td-x-drawable", true);
      if (ui.inputFields.dataset.key !== key) {
        ui.inputFields.dataset.key = key;
        ui.inputFields.textContent = "";
        var action = td.actuator(system), parts = {
          constant: [["value", action.name + " [" + action.unit + "]", action.low, action.high, (action.high - action.low) / 40]],
          random: [["seed", "Random seed", 0, 9999, 1]],
          sine: [["amplitude", "Amplitude [" + action.unit + "]", 0, action.high, action.high / 20], ["frequency", "Frequency [Hz]", 0, 100, 0.1]],
          drawn: [],
        }[input.kind];
        parts.forEach(function (p) {
          var control = h("input", { type: "number", min: p[2], max: p[3], step: p[4], "data-part": p[0], onchange: function () {
            tryTo(function () {
              var value = Number(control.value);
              if (control.value.trim() === "" || !(value >= p[2] && value <= p[3])) throw new RangeError(p[1] + " must lie between " + p[2] + " and " + p[3] + ", got " + (control.value || "nothing"));
              state.input[p[0]] = p[0] === "seed" ? Math.round(value) : value;
              changed();
            }, function () { control.value = state.input[p[0]]; });
          } });
          ui.inputFields.append(ui.field(p[1], control));
        });
        if (input.kind === "drawn") ui.inputFields.append(h("p", { class: "td-x-note", text: "Draw in the small chart under the motion, or focus it: left and right choose a time, up and down change the input there." }));
      }
      ui.inputFields.querySelectorAll("input").forEach(function (control) {
        if (document.activeElement !== control) control.value = input[control.dataset.part];
      });
      hands.drawnAccess();
    }

    /* --- what is said to those who do not see -------------------------------------------------------------------------- */
    var later = quiet(function () {
      if (gone || !view) return;
      var words = "Δt " + td.number(1000 * view.plan.deltaT) + " milliseconds. " + view.arms.map(function (arm) {
        return arm.side.toUpperCase() + ", " + td.label(arm.entry) + ": error over one second " + td.errorText(arm.errors[arm.errors.length - 1]) + " of the true motion";
      }).join("; ") + ".";
      setText(ui.live, words);
      var d = view.state.dim, name = td.axisLabel(view.system, d), end = view.truthSteps[view.truthSteps.length - 1] || view.state.start;
      function describe(canvas, text) { canvas.setAttribute("aria-label", text); }
      var ends = view.arms.map(function (arm) { return arm.side.toUpperCase() + " " + signed((arm.states[arm.states.length - 1] || view.state.start)[d], 2); }).join(", ");
      describe(ui.trajectory.canvas, name + " over one second: true " + signed(view.state.start[d], 2) + " to " + signed(end[d], 2) + "; predicted at the end: " + ends + ".");
      describe(ui.phase.canvas, "Phase portrait from the start with the true path, the predicted paths and the fields. " + words);
      describe(ui.error.canvas, "Error relative to the true motion against time. " + view.arms.map(function (arm) {
        return arm.side.toUpperCase() + " after the first step " + td.errorText(arm.errors[0]) + ", after one second " + td.errorText(arm.errors[arm.errors.length - 1]) +
          (arm.limit ? ", limit at the first step " + td.errorText(arm.limit.errors[0]) : "");
      }).join("; ") + ".");
      describe(ui.scene.canvas, "The " + (view.state.env === "Pendulum-v1" ? "pendulum" : "cart with its pole") + " in truth and the predictions as ghosts over it.");
      if (view.energyLimits) describe(ui.energy.canvas, "Energy over one second: true " + signed(view.system.energy(view.state.start), 2) + " to " + signed(view.system.energy(end), 2) + " joule.");
      if (view.state.input.kind !== "drawn") describe(ui.input.canvas, "Input over one second, " + view.state.input.kind + ", held over " + view.plan.steps + " steps.");
      if (options.onView) options.onView(td.toFragment(state));
    }, 350);

    /* --- motion ---------------------------------------------------------------------------------------------------------- */
    var onScreen = true, REST = 0.5; // [s] of standing still before the second starts again
    function play(on) {
      clock.playing = on;
      clock.strobe = clock.strobe && !on && reduced;
      if (view) view.strobe = clock.strobe;
      clock.last = null;
      setText(ui.play, on ? "Pause" : "Play");
      if (on) root.requestAnimationFrame(tickClock);
      drawTime();
    }
    function seek(time) {
      clock.time = Math.max(0, Math.min(td.HORIZON, time));
      clock.strobe = false;
      if (view) view.strobe = false;
      drawTime();
    }
    function tickClock(now) {
      if (gone || !clock.playing) return;
      root.requestAnimationFrame(tickClock);
      if (!onScreen || !view || ui.root.hidden) { clock.last = null; return; }
      if (clock.last !== null) {
        clock.run = ((clock.run || 0) + Math.min(0.1, (now - clock.last) / 1000)) % (td.HORIZON + REST);
        clock.time = Math.min(td.HORIZON, clock.run);
        ui.time.value = clock.time;
        ui.time.setAttribute("aria-valuetext", clock.time.toFixed(2) + " seconds");
        drawTime();
      }
      clock.last = now;
    }
    [ui.trajectory, ui.error].forEach(function (figure) {
      figure.canvas.addEventListener("pointermove", function (event) {
        if (event.pointerType !== "mouse" || clock.playing || !figure.frame) return;
        seek(figure.frame.valueX(event.clientX - figure.canvas.getBoundingClientRect().left));
        ui.time.value = clock.time;
      });
    });

    /* --- link and Python lines ----------------------------------------------------------------------------------------------- */
    function pythonText() {
      var system = engine.systems[state.env];
      return td.pythonLines(state, { a: entryOf("a"), b: entryOf("b"), discrete: td.actuator(system).kind === "discrete" }, td.plan(state, system), config.modelsFolder || backend.modelsFolder || "", backend.rounded);
    }
    function toggleCode() {
      ui.code.hidden = !ui.code.hidden;
      ui.codeButton.setAttribute("aria-expanded", String(!ui.code.hidden));
      setText(ui.codeButton, ui.code.hidden ? "Show the Python lines" : "Hide the Python lines");
      if (!ui.code.hidden) setText(ui.code.firstChild, pythonText());
    }
    function copyLink() {
      var fragment = td.toFragment(state), text = options.keepLink ? fragment : location.href.replace(/#.*$/, "") + "#" + fragment;
      if (!options.keepLink) history.replaceState(null, "", "#" + fragment);
      ui.linkText.value = text;
      function shown() { ui.linkText.hidden = false; ui.linkText.select(); setText(ui.done, "Copy it from the field below."); }
      if (!navigator.clipboard) return shown();
      navigator.clipboard.writeText(text).then(function () {
        setText(ui.done, "Copied.");
        setTimeout(function () { setText(ui.done, ""); }, 4000);
      }, shown);
    }
    function followLink() {
      if (location.hash.indexOf("#dt-explorer") === 0) { setState(location.hash); element.scrollIntoView({ block: "start" }); }
    }

    /* --- life ------------------------------------------------------------------------------------------------------------------ */
    function redraw() {
      themeCache = null;
      if (!view || ui.root.hidden) return;
      view.theme = readTheme();
      paintArms();
      draw();
      controls();
    }
    var watchers = [], sizes = root.ResizeObserver ? new ResizeObserver(function () { root.requestAnimationFrame(redraw); }) : null;
    if (sizes) [ui.scene, ui.trajectory, ui.phase, ui.error, ui.energy].forEach(function (figure) { sizes.observe(figure.box); });
    var themes = new MutationObserver(redraw);
    themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "data-mode"] });
    themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
    if (root.matchMedia) {
      var dark = root.matchMedia("(prefers-color-scheme: dark)");
      dark.addEventListener("change", redraw);
      watchers.push(function () { dark.removeEventListener("change", redraw); });
    }
    if (root.IntersectionObserver) {
      var seen = new IntersectionObserver(function (found) { onScreen = found[0].isIntersecting; });
      seen.observe(ui.scene.box);
      watchers.push(function () { seen.disconnect(); });
    }
    if (!options.keepLink) {
      root.addEventListener("hashchange", followLink);
      watchers.push(function () { root.removeEventListener("hashchange", followLink); });
    }
    function destroy() {
      gone = true;
      if (sizes) sizes.disconnect();
      themes.disconnect();
      watchers.forEach(function (stop) { stop(); });
      ui.root.remove();
    }
    setText(ui.play, clock.playing ? "Pause" : "Play");
    if (clock.playing) root.requestAnimationFrame(tickClock);
    var first = options.view || "", env = environments.indexOf(options.env) >= 0 ? options.env : environments[0];
    if (!environments.length) fail("this page", new Error("the engine knows no system"));
    else {
      var read = first ? td.fromFragment(first, environments) : null;
      if (read) explorer.ready = openEnvironment(read.state.env, read.state, read.problems);
      else explorer.ready = openEnvironment(env, null, []);
    }
    element.tdExplorer = explorer;
    return explorer;
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
