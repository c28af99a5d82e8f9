/* The energy view of the Δt explorer: energies over the second, and below them what neither inputs nor losses explain. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var axes = td.canvas.axes, clip = td.canvas.clip, line = td.canvas.line, marks = td.canvas.marks;

  td.drawEnergy = function (canvas, view) {
    var system = view.system, f = axes(canvas, view.theme, { x: [0, td.HORIZON], y: view.energyLimits, xLabel: "time [s]", yLabel: "energy [J]" });
    clip(f, function () {
      line(f, view.plan.fineTimes, view.truth.map(system.energy), { color: view.theme.truth, width: 4 });
      view.arms.forEach(function (arm) {
        if (!arm.states) return;
        if (arm.learned) line(f, view.plan.times, arm.learned.values, { color: arm.color, width: 2.2, dash: [1.5, 4] });
        curve(f, view, arm, pathOf(view, arm).map(system.energy));
      });
    });
    td.canvas.triangles(f, view.touched, view.theme.accent);
    return f;
  };
  td.drawUnexplained = function (canvas, view) {
    var system = view.system, plan = view.plan, most = view.unexplainedLimit;
    var f = axes(canvas, view.theme, { x: [0, td.HORIZON], y: [-most, most], yTicks: [-most, 0, most], yLabel: "unexplained [J]" });
    clip(f, function () {
      line(f, plan.fineTimes, td.unexplained(system, view.truth, plan.fineActions, plan.fineDeltaTs), { color: view.theme.truth, width: 4 });
      view.arms.forEach(function (arm) {
        if (arm.states) curve(f, view, arm, td.unexplained(system, pathOf(view, arm), plan.actions, plan.deltaT));
      });
    });
    return f;
  };
  function pathOf(view, arm) { return [view.state.start].concat(arm.states); }
  function curve(f, view, arm, values) {
    line(f, view.plan.times, values, { color: arm.color, width: 1.8, dash: arm.side === "b" ? [6, 4] : [] });
    marks(f, view.plan.times, values, arm, view.theme.background);
  }

  /** What the chart shows, in words. */
  td.energyWords = function (view) {
    var learned = view.arms.filter(function (arm) { return arm.learned; }).map(function (arm) {
      return arm.side.toUpperCase() + " (it explains " + Math.round(100 * arm.learned.explained) + " % of the true one’s variance)";
    });
    return "Thick, the truth; thin, the energy of the predicted states." +
      (learned.length ? " Dotted, the energy that a model has learned, from the same start, its scale fitted over fixed states: " + learned.join(", ") + "." : "") +
      (view.system.power ? " Below, what neither inputs nor losses put in or took along the same path; the truth’s is zero" + (view.system.kink ? " but for each " + view.system.kink : "") + "." : "");
  };

  /** Add updateEnergy() to an explorer; learned energies are asked for once there are predictions. */
  td.addEnergy = function (app) {
    var known = {}, fixed = {}, ask = td.newestWins(function (request) { return app.backend.run(request.env, request.jobs); });
    app.updateEnergy = function () {
      if (!app.view.energyLimits) return;
      var missing = app.view.arms.filter(function (arm) {
        arm.learned = known[arm.side] && known[arm.side].key === arm.key ? known[arm.side] : null;
        return arm.entry.energy && arm.states && !arm.learned;
      });
      if (missing.length) request(app.view, missing);
      draw();
    };
    function draw() {
      td.drawEnergy(app.ui.energy.canvas, app.view);
      if (app.view.system.power) td.drawUnexplained(app.ui.unexplained.canvas, app.view);
      td.dom.setText(app.ui.energyNote, td.energyWords(app.view));
    }
    function request(view, arms) {
      var states = fixed[view.env] || (fixed[view.env] = td.fixedStarts(view.system).states);
      var jobs = arms.map(function (arm) {
        return { entry: arm.entry, solver: arm.solver, substeps: arm.substeps, kind: "energy", states: states.concat(pathOf(view, arm)) };
      });
      function done(results) {
        if (app.gone) return;
        arms.forEach(function (arm, i) {
          var values = results[i].map(function (row) { return row[0]; }), own = values.slice(states.length);
          var fit = td.energyScale(values.slice(0, states.length), states.map(view.system.energy)), first = view.system.energy(view.state.start);
          known[arm.side] = arm.learned = { key: arm.key, explained: fit.explained, values: own.map(function (h) { return first + fit.scale * (h - own[0]); }) };
        });
      }
      if (!app.backend.asynchronous) return done(app.backend.run(view.env, jobs));
      ask({ env: view.env, jobs: jobs }, function (results) { done(results); if (!app.gone && app.view === view) draw(); }, function (error) { app.problem(error.message); });
    }
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
