/* The strip under the slider of the Δt explorer: the error of the first step at every rate, on the slider's own axis. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var POINTS = 48, LOW = 1e-3, HIGH = 30, TICKS = [0.01, 0.1, 1, 10];

  /** Rates of the curve [Hz]: even on the slider, and all rates of the study. */
  td.stripRates = function () {
    var rates = td.TEST_RATES.slice();
    for (var k = 0; k <= POINTS; k++) rates.push(td.rateAt(Math.round((k * td.SLIDER_STEPS) / POINTS)));
    return rates.sort(function (a, b) { return a - b; }).filter(function (rate, k, all) { return rate !== all[k - 1]; });
  };
  /** Jobs of one step from the start at some rates, and the errors of their answers: {jobs, errors(results)}. */
  td.firstSteps = function (state, system, entry, rates) {
    var action = td.actionAt(system, state.inputs, 0);
    return {
      jobs: rates.map(function (rate) {
        return { entry: entry, solver: td.solverOf(entry, state), substeps: td.substepsOf(entry, state), kind: "steps",
          states: [state.start], actions: [action], deltaT: td.deltaTOf(rate) };
      }),
      errors: function (results) {
        return rates.map(function (rate, k) {
          var truth = system.flow(state.start, action, td.deltaTOf(rate));
          return td.relativeErrors(system, state.start, [truth], results[k])[0];
        });
      },
    };
  };

  td.drawStrip = function (canvas, strip, theme) {
    var f = td.canvas.start(canvas, theme), c = f.c, margin = strip.margin, top = 20, bottom = f.height - 4;
    f.left = margin; f.right = f.width - margin; f.top = top; f.bottom = bottom;
    f.x = function (rate) { return margin + (f.width - 2 * margin) * td.shareOf(rate); };
    f.y = function (error) { return bottom - ((bottom - top) * Math.log(Math.max(error, LOW / 10) / LOW)) / Math.log(HIGH / LOW); };
    c.lineWidth = 1;
    c.strokeStyle = theme.grid;
    td.TEST_RATES.forEach(function (rate) { td.canvas.segment(c, f.x(rate), top, f.x(rate), bottom); });
    TICKS.forEach(function (error) { td.canvas.segment(c, f.left, f.y(error), f.right, f.y(error)); });
    td.canvas.clip(f, function () {
      td.canvas.line(f, [td.SLOWEST, td.FASTEST], [1, 1], { color: theme.text, width: 1.2, dash: [2, 3] });
      strip.arms.forEach(function (arm) {
        if (arm.errors) td.canvas.line(f, strip.rates, arm.errors, { color: arm.color, width: 2.2, dash: arm.side === "b" ? [6, 4] : [] });
      });
    });
    c.textBaseline = "middle";
    c.textAlign = "left";
    TICKS.forEach(function (error) { // on a patch of the background, since curves run below
      var text = String(error), width = c.measureText(text).width;
      c.fillStyle = theme.background;
      c.fillRect(f.left + 1, f.y(error) - 7, width + 4, 14);
      c.fillStyle = theme.muted;
      c.fillText(text, f.left + 3, f.y(error));
    });
    c.fillStyle = theme.text;
    c.textBaseline = "alphabetic";
    c.fillText(f.width < 480 ? "first step: error ÷ true motion" : "error of the first step ÷ true motion; 1 is what “nothing moves” scores", f.left, 12);
    return f;
  };

  /** Add updateStrip() and drawStrip() to an explorer; the curves change with start, input and models, not with Δt. */
  td.addStrip = function (app) {
    var rates = td.stripRates(), known = {}, ask = td.newestWins(function (request) { return app.backend.run(request.env, request.jobs); });
    app.updateStrip = updateStrip;
    app.drawStrip = drawStrip;
    var later = td.dom.quiet(function () { if (!app.gone && app.view) send(); }, 150);

    function keyOf(arm) {
      var state = app.view.state;
      return [state.env, arm.entry.id, arm.entry.method, arm.entry.run, arm.entry.seed, arm.solver, arm.substeps, state.start, app.view.plan.actions[0]].join("|");
    }
    function updateStrip() {
      if (app.view.arms.every(function (arm) { return known[arm.side] && known[arm.side].key === keyOf(arm); })) return drawStrip();
      if (app.backend.asynchronous) { drawStrip(); later(); } else send();
    }
    function send() {
      var state = app.view.state, system = app.view.system, wanted = app.view.arms.map(function (arm) {
        return { side: arm.side, key: keyOf(arm), asked: td.firstSteps(state, system, arm.entry, rates) };
      });
      var jobs = wanted.reduce(function (all, one) { return all.concat(one.asked.jobs); }, []);
      function done(results) {
        wanted.forEach(function (one, i) {
          known[one.side] = { key: one.key, errors: one.asked.errors(results.slice(i * rates.length, (i + 1) * rates.length)) };
        });
        drawStrip();
      }
      if (!app.backend.asynchronous) return done(app.backend.run(state.env, jobs));
      ask({ env: state.env, jobs: jobs }, function (results) { if (!app.gone) done(results); }, function (error) { app.problem(error.message); });
    }
    function drawStrip() {
      var frame = td.drawStrip(app.ui.strip.canvas, {
        rates: rates, margin: 14,
        arms: app.view.arms.map(function (arm) {
          var own = known[arm.side];
          return { side: arm.side, color: arm.color, errors: own && own.key === keyOf(arm) ? own.errors : null };
        }),
      }, app.view.theme);
      app.ui.strip.cursor.style.transform = "translateX(" + frame.x(app.view.state.rate).toFixed(1) + "px)";
    }
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
