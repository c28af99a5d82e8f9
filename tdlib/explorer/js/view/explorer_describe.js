/* What the Δt explorer says to those who do not see it, once things have been still for a while. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var setText = td.dom.setText, signed = td.dom.signed;

  /** Add describeLater() to an explorer. */
  td.addDescriptions = function (app) {
    app.describeLater = td.dom.quiet(function () {
      if (app.gone || !app.view) return;
      var words = "Δt " + td.number(1000 * app.view.plan.deltaT) + " milliseconds. " + app.view.arms.map(function (arm) {
        return arm.side.toUpperCase() + ", " + arm.entry.label + ": the first step misses " + td.errorText(arm.errors[0]) + " of the true motion, one second " + td.errorText(arm.errors[arm.errors.length - 1]);
      }).join("; ") + ".";
      setText(app.ui.live, words);
      var d = app.view.state.dim, name = td.axisLabel(app.view.system, d), end = app.view.truthSteps[app.view.truthSteps.length - 1] || app.view.state.start;
      function describe(canvas, text) { canvas.setAttribute("aria-label", text); }
      var ends = app.view.arms.map(function (arm) { return arm.side.toUpperCase() + " " + signed((arm.states[arm.states.length - 1] || app.view.state.start)[d], 2); }).join(", ");
      describe(app.ui.trajectory.canvas, name + " over one second: true " + signed(app.view.state.start[d], 2) + " to " + signed(end[d], 2) + "; predicted at the end: " + ends + ".");
      describe(app.ui.phase.canvas, "Phase portrait from the start with the true path, the predicted paths and the fields. " + words);
      describe(app.ui.error.canvas, "Error relative to the true motion against time. " + app.view.arms.map(function (arm) {
        return arm.side.toUpperCase() + " after the first step " + td.errorText(arm.errors[0]) + ", after one second " + td.errorText(arm.errors[arm.errors.length - 1]) +
          (arm.limit ? ", limit at the first step " + td.errorText(arm.limit.errors[0]) : "");
      }).join("; ") + ".");
      describe(app.ui.strip.canvas, "Error of the first step at every rate from 5 to 200 hertz; where you are, " + app.view.arms.map(function (arm) {
        return arm.side.toUpperCase() + " " + td.errorText(arm.errors[0]);
      }).join(" and ") + ".");
      describe(app.ui.scene.canvas, "The " + app.view.system.view.picture + " in truth and the predictions as ghosts over it.");
      if (app.view.energyLimits) {
        var energy = app.view.system.energy, last = app.view.arms.map(function (arm) {
          return arm.side.toUpperCase() + " " + signed(energy(arm.states[arm.states.length - 1] || app.view.state.start), 2);
        });
        describe(app.ui.energy.canvas, "Energy over one second: true " + signed(energy(app.view.state.start), 2) + " to " + signed(energy(end), 2) + " joule; predicted at the end: " + last.join(", ") + ".");
      }
      var signal = app.view.state.inputs[app.view.state.channel];
      if (signal.kind !== "drawn") describe(app.ui.input.canvas, "Input over one second, " + signal.kind + ", held over " + app.view.plan.steps + " steps.");
      if (app.options.onView) app.options.onView(td.toFragment(app.state));
    }, 350);
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
