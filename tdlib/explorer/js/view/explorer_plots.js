/* The pictures of the Δt explorer on canvas: trajectory, input, phase portrait and error.
   Axes depend on what stays fixed while Δt moves, so nothing jumps under the slider. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var axes = td.canvas.axes, clip = td.canvas.clip, line = td.canvas.line, marks = td.canvas.marks;
  var column = td.canvas.column, withStart = td.canvas.withStart;

  td.drawTrajectory = function (canvas, view) {
    var d = view.state.dim, f = axes(canvas, view.theme, {
      x: [0, td.HORIZON], y: view.limits[d], xLabel: "time [s]", yLabel: td.axisLabel(view.system, d),
    });
    clip(f, function () {
      line(f, view.plan.fineTimes, column(view.truth, d), { color: view.theme.truth, width: 4 });
      view.arms.forEach(function (arm) {
        if (!arm.states) return;
        var values = withStart(view, arm.states, d);
        line(f, view.plan.times, values, { color: arm.color, width: 1.8, dash: arm.side === "b" ? [6, 4] : [] });
        marks(f, view.plan.times, values, arm, view.theme.background);
      });
    });
    td.canvas.triangles(f, view.touched, view.theme.accent);
    return f;
  };

  td.drawInput = function (canvas, view) {
    var system = view.system, channel = view.state.channel, input = system.inputs[channel], theme = view.theme, plan = view.plan;
    var pad = 0.12 * (input.high - input.low), middle = input.low < 0 && input.high > 0 ? [0] : [];
    var f = axes(canvas, theme, {
      x: [0, td.HORIZON], y: [input.low - pad, input.high + pad], yTicks: [input.low].concat(middle, [input.high]),
      yLabel: input.name + " [" + input.unit + "]",
    });
    var times = [], values = [], held = [], heldTimes = [];
    for (var i = 0; i <= 200; i++) {
      times.push(i / 200);
      values.push(td.inputsOf(system, td.actionAt(system, view.state.inputs, Math.min(i / 200, 0.9999)))[channel]);
    }
    for (var k = 0; k < plan.steps; k++) {
      heldTimes.push(plan.times[k], plan.times[k + 1]);
      held.push(plan.inputs[k][channel], plan.inputs[k][channel]);
    }
    clip(f, function () {
      line(f, times, values, { color: theme.muted, width: 1.5, dash: [2, 3] });
      line(f, heldTimes, held, { color: theme.accent, width: 2 });
    });
    return f;
  };

  td.phasePair = function (system, dim) {
    for (var i = 0; i < system.velocityDims.length; i++)
      if (dim === system.velocityDims[i] || dim === system.positionDims[i]) return [system.positionDims[i], system.velocityDims[i]];
    return [0, 1];
  };
  td.phaseWindow = function (view) {
    var pair = td.phasePair(view.system, view.state.dim);
    return td.environment(view.state.env).windows[pair[0]];
  };
  /** Whether the first axis of the phase portrait is a whole turn of an angle. */
  td.isCircle = function (system, pair) {
    var range = system.view.windows[pair[0]][0];
    return system.angleDims.indexOf(pair[0]) >= 0 && range[1] - range[0] > 2 * Math.PI - 1e-6;
  };

  td.drawPhase = function (canvas, view) {
    var pair = td.phasePair(view.system, view.state.dim), range = td.phaseWindow(view), theme = view.theme, pi = Math.PI;
    var circle = td.isCircle(view.system, pair);
    var f = axes(canvas, theme, {
      x: range[0], y: range[1], xLabel: td.axisLabel(view.system, pair[0]), yLabel: td.axisLabel(view.system, pair[1]),
      xTicks: circle ? [-pi, -pi / 2, 0, pi / 2, pi] : undefined,
      xText: circle ? function (v) { return v === 0 ? "0" : (v < 0 ? "−" : "") + (Math.abs(v) > 2 ? "π" : "π/2"); } : undefined,
    });
    clip(f, function () {
      if (view.field) {
        arrows(f, view.field.points, view.field.truth, view.field, theme.soft, 3.2);
        view.arms.forEach(function (arm) {
          if (arm.field) arrows(f, view.field.points, arm.field, view.field, arm.color, 1.3);
        });
      }
      var shift = circle ? td.wrap : function (v) { return v; };
      function path(states, look, mark) {
        var xs = withStart(view, states, pair[0]).map(shift), ys = withStart(view, states, pair[1]);
        function gap(i) { return circle && Math.abs(xs[i] - xs[i - 1]) > pi; }
        line(f, xs, ys, look, gap);
        if (mark) marks(f, xs, ys, mark, theme.background);
      }
      path(view.truth.slice(1), { color: theme.truth, width: 4 });
      view.arms.forEach(function (arm) {
        if (arm.states) path(arm.states, { color: arm.color, width: 1.6, dash: arm.side === "b" ? [6, 4] : [] }, arm);
      });
    });
    return f;
  };
  function arrows(f, points, rates, field, color, width) {
    var c = f.c;
    c.strokeStyle = color;
    c.fillStyle = color;
    c.lineWidth = width;
    c.beginPath();
    for (var i = 0; i < points.length; i++) {
      var x = f.x(points[i][field.pair[0]]), y = f.y(points[i][field.pair[1]]);
      var dx = rates[i][0] * field.scale * (f.right - f.left), dy = -rates[i][1] * field.scale * (f.bottom - f.top);
      var length = Math.sqrt(dx * dx + dy * dy);
      if (!isFinite(length)) continue;
      if (length > 60) { dx *= 60 / length; dy *= 60 / length; }
      c.moveTo(x, y);
      c.lineTo(x + dx, y + dy);
    }
    c.stroke();
    c.beginPath();
    for (i = 0; i < points.length; i++) {
      x = f.x(points[i][field.pair[0]]);
      y = f.y(points[i][field.pair[1]]);
      c.rect(x - 1, y - 1, 2, 2);
    }
    c.fill();
  }

  td.drawError = function (canvas, view) {
    var theme = view.theme, low = 2e-5, f = axes(canvas, theme, {
      x: [0, td.HORIZON], y: [low, 20], log: true, yTicks: [0.0001, 0.001, 0.01, 0.1, 1, 10], xLabel: "time [s]",
      yLabel: "error / true motion, so far", left: 54,
    }), under = [];
    clip(f, function () {
      line(f, [0, td.HORIZON], [1, 1], { color: theme.text, width: 1.2, dash: [2, 3] });
      var times = view.plan.times.slice(1);
      view.arms.forEach(function (arm) { // limits are wide and lie below, so that they show where a model reaches its own
        if (!arm.limit) return;
        f.c.globalAlpha = 0.5;
        line(f, times, arm.limit.errors, { color: arm.color, width: 10, dash: [2, 3] });
        f.c.globalAlpha = 1;
        if (arm.limit.errors.every(function (error) { return !(error >= low); })) under.push(arm.side.toUpperCase());
      });
      view.arms.forEach(function (arm) {
        if (!arm.errors) return;
        line(f, times, arm.errors, { color: arm.color, width: 1.8, dash: arm.side === "b" ? [6, 4] : [] });
        marks(f, times, arm.errors, arm, theme.background, 2.4);
      });
    });
    td.canvas.triangles(f, view.touched, theme.accent);
    if (under.length) {
      f.c.fillStyle = theme.text;
      f.c.fillText("↓ limit of " + under.join(" and ") + ": below the axis", f.left + 6, f.bottom - 7);
    }
    return f;
  };

  td.axisLabel = function (system, d) {
    return system.stateLabels[d] + " [" + system.stateUnits[d] + "]";
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
