/* What the Δt explorer computes when something changes: rollouts of A and B, their fields, limits of the axes, errors. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});

  /** Add update() and fixedLimits() to an explorer; what did not change is kept in app.cache. */
  td.addUpdates = function (app) {
    var ask = td.newestWins(function (request) { return app.backend.run(request.env, request.jobs); });
    app.update = update;
    app.fixedLimits = fixedLimits;

    /** Read the file of a seed that was chosen, then show it. */
    function readSeed(env, seed) {
      app.element.setAttribute("aria-busy", "true");
      var failed = null;
      app.backend.more(env, seed).then(null, function (error) { failed = error; }).then(function () { return app.backend.open(env); }).then(function (found) {
        if (app.gone || app.state.env !== env) return;
        app.element.removeAttribute("aria-busy");
        app.entries = td.withDerived(found);
        app.cache = {};
        app.problem(failed ? "Seed " + seed + " cannot be shown: " + failed.message + "." : "");
        ["a", "b"].forEach(function (side) { if (app.state[side]) app.state[side] = td.wanted(app.entryOf(side)); });
        app.changed();
      });
    }
    function update() {
      var waiting = ["a", "b"].map(app.entryOf).filter(function (entry) { return entry && entry.waiting; })[0];
      if (waiting) return readSeed(app.state.env, waiting.seed);
      var began = performance.now(), system = app.engine.systems[app.state.env], snapshot = app.getState();
      var plan = td.plan(snapshot, system), arms = [], jobs = [];
      var truth = [snapshot.start.slice()].concat(system.truth(snapshot.start, plan.fineActions, plan.fineDeltaTs));
      var truthSteps = [];
      for (var k = 1; k <= plan.steps; k++) truthSteps.push(truth[k * plan.parts]);
      var met = system.touched ? system.touched(snapshot.start, plan.fineActions, plan.fineDeltaTs) : [];
      var touched = plan.fineTimes.slice(1).filter(function (_, k) { return met[k]; });
      var grid = fieldGrid(snapshot, system, plan);
      ["a", "b"].forEach(function (side) {
        var entry = app.entryOf(side);
        if (!entry) return;
        var arm = { side: side, entry: entry, solver: td.solverOf(entry, snapshot), substeps: td.substepsOf(entry, snapshot) };
        var identity = [side, snapshot.env, entry.id, entry.method, entry.run, arm.solver, arm.substeps].join("|");
        arm.key = [identity, snapshot.start, plan.actions, plan.deltaT].join("|");
        arm.gridKey = [identity, grid.key, plan.deltaT].join("|");
        if (!app.cache[side] || app.cache[side].key !== arm.key) arm.job = jobs.push(job(arm, "rollout", [snapshot.start], plan.actions, plan.deltaT)) - 1;
        else arm.states = app.cache[side].states;
        if (!app.cache[side] || app.cache[side].gridKey !== arm.gridKey) arm.gridJob = jobs.push(job(arm, "steps", grid.points, grid.actions, plan.deltaT)) - 1;
        else arm.field = app.cache[side].field;
        arms.push(arm);
      });
      var next = { env: snapshot.env, state: snapshot, system: system, plan: plan, truth: truth, truthSteps: truthSteps, touched: touched, arms: arms, field: grid };
      function done(results) {
        arms.forEach(function (arm) {
          if (arm.job !== undefined) arm.states = results[arm.job];
          if (arm.gridJob !== undefined) arm.field = rates(results[arm.gridJob], grid, plan.deltaT);
          app.cache[arm.side] = { key: arm.key, states: arm.states, gridKey: arm.gridKey, field: arm.field };
        });
        finish(next, began);
      }
      var answer = null;
      if (!jobs.length) return done([]);
      if (!app.backend.asynchronous) {
        try { answer = app.backend.run(snapshot.env, jobs); } catch (error) { return app.problem(error.message); }
        return done(answer);
      }
      ask({ env: snapshot.env, jobs: jobs }, function (results) {
        if (!app.gone && next.env === app.state.env) done(results);
      }, function (error) { app.problem(error.message); });
    }
    function job(arm, kind, states, actions, deltaT) {
      return { entry: arm.entry, solver: arm.solver, substeps: arm.substeps, kind: kind, states: states, actions: actions, deltaT: deltaT };
    }
    function fieldGrid(snapshot, system, plan) {
      var pair = td.phasePair(system, snapshot.dim), range = td.environment(snapshot.env).windows[pair[0]], narrow = app.ui.phase.box.clientWidth < 330;
      var columns = narrow ? 8 : 11, rows = 7, points = [], actions = [];
      var key = [snapshot.env, pair, columns, plan.actions[0], snapshot.start.length === 2 ? "" : snapshot.start].join("|");
      for (var i = 0; i < columns; i++) for (var j = 0; j < rows; j++) {
        var point = snapshot.start.slice();
        point[pair[0]] = range[0][0] + ((i + 0.5) / columns) * (range[0][1] - range[0][0]);
        point[pair[1]] = range[1][0] + ((j + 0.5) / rows) * (range[1][1] - range[1][0]);
        points.push(point);
        actions.push(plan.actions[0]);
      }
      var grid = { key: key, pair: pair, points: points, actions: actions, range: range, scale: 1 };
      var truthKey = key + plan.deltaT;
      if (!app.cache.truth || app.cache.truth.key !== truthKey) {
        var ends = points.map(function (point) { return system.flow(point, plan.actions[0], plan.deltaT); });
        app.cache.truth = { key: truthKey, rates: rates(ends, grid, plan.deltaT) };
      }
      grid.truth = app.cache.truth.rates;
      // one scale per window: the true rates at 50 Hz fill a cell
      if (!app.cache.scale || app.cache.scale.key !== key) {
        var fine = rates(points.map(function (point) { return system.flow(point, plan.actions[0], 0.02); }), grid, 0.02), lengths = fine.map(function (r) {
          return Math.hypot(r[0] * columns, r[1] * rows);
        }).sort(function (x, y) { return x - y; });
        app.cache.scale = { key: key, value: 0.6 / Math.max(lengths[Math.floor(0.9 * lengths.length)], 1e-9) };
      }
      grid.scale = app.cache.scale.value;
      return grid;
    }
    /** Mean rate of change over one step in units of the window: (P, 2) [1/s]. */
    function rates(ends, grid, deltaT) {
      return grid.points.map(function (point, i) {
        return grid.pair.map(function (d, axis) { return (ends[i][d] - point[d]) / deltaT / (grid.range[axis][1] - grid.range[axis][0]); });
      });
    }
    function fixedLimits() {
      var key = JSON.stringify([app.state.env, app.state.start, app.state.inputs]);
      if (app.frozen && app.cache.limits && app.cache.limits.env === app.state.env) return app.cache.limits;
      if (app.cache.limits && app.cache.limits.key === key) return app.cache.limits;
      var system = app.engine.systems[app.state.env], fine = td.plan({ rate: 100, inputs: app.state.inputs }, system);
      var states = [app.state.start].concat(system.truth(app.state.start, fine.fineActions, fine.fineDeltaTs));
      var limits = app.state.start.map(function (_, d) {
        return widened(states.map(function (s) { return s[d]; }), 0.7, td.environment(app.state.env).least_margins[d]);
      });
      var energy = system.energy ? widened(states.map(system.energy), 0.8, td.environment(app.state.env).least_energy) : null;
      var left = system.power ? td.unexplained(system, states, fine.fineActions, fine.fineDeltaTs).map(Math.abs) : [0]; // by impacts
      var most = energy ? Number(Math.max(0.25 * (energy[1] - energy[0]), 1.2 * Math.max.apply(null, left)).toPrecision(2)) : null;
      return (app.cache.limits = { key: key, env: app.state.env, limits: limits, energy: energy, unexplained: most });
    }
    function widened(values, share, least) {
      var low = Math.min.apply(null, values), high = Math.max.apply(null, values), margin = Math.max(share * (high - low), least);
      var ticks = td.niceTicks(low - margin, high + margin, 5), step = ticks[1] - ticks[0];
      return [Math.floor((low - margin) / step) * step, Math.ceil((high + margin) / step) * step];
    }
    function finish(next, began) {
      var limits = app.fixedLimits(), theme = app.readTheme();
      next.theme = theme;
      next.limits = limits.limits;
      next.energyLimits = limits.energy;
      next.unexplainedLimit = limits.unexplained;
      next.strobe = app.clock.strobe;
      next.arms.forEach(function (arm) {
        arm.errors = td.relativeErrors(next.system, next.state.start, next.truthSteps, arm.states);
        var limit = td.limitOf(arm.entry, next.system, arm.solver, arm.substeps);
        if (limit) {
          var states = td.followLimit(limit, next.state.start, next.plan);
          arm.limit = { text: limit.text, states: states, errors: td.relativeErrors(next.system, next.state.start, next.truthSteps, states) };
        }
      });
      app.view = next;
      app.paintArms();
      app.draw();
      app.controls();
      app.explorer.lastUpdateMs = performance.now() - began;
      app.explorer.updates += 1;
      app.describeLater();
    }
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
