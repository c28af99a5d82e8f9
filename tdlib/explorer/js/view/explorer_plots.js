/* The pictures of the Δt explorer on canvas: trajectory, input, phase portrait, error, energy and the moving system.
   Axes depend on what stays fixed while Δt moves, so nothing jumps under the slider. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});

  /* --- frame ----------------------------------------------------------------------------------------------------- */
  /** Clear a canvas at the screen's resolution; returns its context and size in CSS pixels. */
  function start(canvas, theme) {
    var scale = root.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    var c = canvas.getContext("2d");
    c.setTransform(scale, 0, 0, scale, 0, 0);
    c.clearRect(0, 0, width, height);
    c.font = theme.font;
    c.lineJoin = "round";
    return { c: c, width: width, height: height };
  }
  /** Axes with ticks and labels. spec: {x: [low, high], y: [low, high], xTicks, yTicks, xLabel, yLabel, log}. */
  function axes(canvas, theme, spec) {
    var f = start(canvas, theme), c = f.c, small = f.width < 330;
    var left = spec.left || 46, right = f.width - 12, top = 24, bottom = f.height - (spec.xLabel ? 36 : 20);
    var yLow = spec.log ? Math.log(spec.y[0]) : spec.y[0], yHigh = spec.log ? Math.log(spec.y[1]) : spec.y[1];
    f.x = function (v) { return left + ((right - left) * (v - spec.x[0])) / (spec.x[1] - spec.x[0]); };
    f.y = function (v) {
      if (spec.log) v = Math.log(Math.max(v, spec.y[0] / 10));
      return bottom - ((bottom - top) * (v - yLow)) / (yHigh - yLow);
    };
    f.left = left; f.right = right; f.top = top; f.bottom = bottom;
    f.valueX = function (px) { return spec.x[0] + ((px - left) / (right - left)) * (spec.x[1] - spec.x[0]); };
    f.valueY = function (py) { return spec.y[0] + ((bottom - py) / (bottom - top)) * (spec.y[1] - spec.y[0]); };
    c.lineWidth = 1;
    c.strokeStyle = theme.grid;
    c.fillStyle = theme.muted;
    c.textBaseline = "middle";
    c.textAlign = "right";
    (spec.yTicks || nice(spec.y[0], spec.y[1], 5)).forEach(function (v) {
      var y = Math.round(f.y(v)) + 0.5;
      segment(c, left, y, right, y);
      c.fillText(spec.yText ? spec.yText(v) : tick(v), left - 6, y);
    });
    c.textAlign = "center";
    c.textBaseline = "top";
    (spec.xTicks || nice(spec.x[0], spec.x[1], small ? 4 : 6)).forEach(function (v) {
      var x = Math.round(f.x(v)) + 0.5;
      segment(c, x, top, x, bottom);
      c.fillText(spec.xText ? spec.xText(v) : tick(v), x, bottom + 5);
    });
    c.fillStyle = theme.text;
    if (spec.xLabel) c.fillText(spec.xLabel, (left + right) / 2, bottom + 20);
    c.textAlign = "left";
    c.textBaseline = "alphabetic";
    if (spec.yLabel) c.fillText(spec.yLabel, 4, 11);
    return f;
  }
  function segment(c, x0, y0, x1, y1) { c.beginPath(); c.moveTo(x0, y0); c.lineTo(x1, y1); c.stroke(); }
  function tick(v) { return String(Number(v.toPrecision(6))).replace("-", "−"); }
  function nice(low, high, count) {
    var raw = (high - low) / count, power = Math.pow(10, Math.floor(Math.log(raw) / Math.LN10)), unit = raw / power;
    var step = power * (unit < 1.5 ? 1 : unit < 3.5 ? 2 : unit < 7.5 ? 5 : 10), ticks = [];
    for (var v = Math.ceil(low / step - 1e-9) * step; v <= high + 1e-9 * step; v += step) ticks.push(Math.abs(v) < 1e-9 * step ? 0 : v);
    return ticks;
  }
  td.niceTicks = nice;
  function clip(f, draw) {
    f.c.save();
    f.c.beginPath();
    f.c.rect(f.left, f.top - 1, f.right - f.left + 2, f.bottom - f.top + 2);
    f.c.clip();
    draw();
    f.c.restore();
  }
  var FAR = 1e5; // a diverged value leaves the picture instead of breaking the path
  function bounded(v) { return v !== v ? FAR : Math.max(-FAR, Math.min(FAR, v)); }
  /** A polyline; `gap(i)` breaks it before point i. */
  function line(f, xs, ys, look, gap) {
    var c = f.c;
    c.strokeStyle = look.color;
    c.lineWidth = look.width || 2;
    c.setLineDash(look.dash || []);
    c.beginPath();
    for (var i = 0; i < xs.length; i++) {
      var x = bounded(f.x(xs[i])), y = bounded(f.y(ys[i]));
      if (i === 0 || (gap && gap(i))) c.moveTo(x, y); else c.lineTo(x, y);
    }
    c.stroke();
    c.setLineDash([]);
  }
  /** Filled circles for A, hollow squares for B; thinned where they would touch. */
  function marks(f, xs, ys, look, background, radius) {
    var c = f.c, size = radius || (look.side === "b" ? 3.2 : 3.4), last = -FAR, lastY = -FAR;
    c.fillStyle = look.side === "b" ? background : look.color;
    c.strokeStyle = look.color;
    c.lineWidth = 1.6;
    for (var i = 0; i < xs.length; i++) {
      var x = bounded(f.x(xs[i])), y = bounded(f.y(ys[i]));
      if (Math.abs(x - last) + Math.abs(y - lastY) < 7 || Math.abs(y) >= FAR) continue;
      last = x; lastY = y;
      c.beginPath();
      if (look.side === "b") { c.rect(x - size, y - size, 2 * size, 2 * size); c.fill(); c.stroke(); }
      else { c.arc(x, y, size, 0, 2 * Math.PI); c.fill(); }
    }
  }
  function column(states, d) {
    var out = new Array(states.length);
    for (var i = 0; i < states.length; i++) out[i] = states[i][d];
    return out;
  }
  function withStart(view, states, d) { return [view.state.start[d]].concat(column(states, d)); }

  /* --- views ----------------------------------------------------------------------------------------------------- */
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
    return f;
  };

  td.drawInput = function (canvas, view) {
    var action = td.actuator(view.system), pad = 0.12 * (action.high - action.low), theme = view.theme, plan = view.plan;
    var f = axes(canvas, theme, {
      x: [0, td.HORIZON], y: [action.low - pad, action.high + pad], yTicks: [action.low, 0, action.high],
      yLabel: action.name + " [" + action.unit + "]",
    });
    var times = [], values = [], held = [], heldTimes = [];
    for (var i = 0; i <= 200; i++) {
      times.push(i / 200);
      values.push(td.inputAt(view.state.input, Math.min(i / 200, 0.9999), action));
    }
    for (var k = 0; k < plan.steps; k++) {
      heldTimes.push(plan.times[k], plan.times[k + 1]);
      held.push(plan.inputs[k], plan.inputs[k]);
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
  function wrapped(view, d) {
    return view.state.env === "Pendulum-v1" && d === 0 ? td.wrap : function (v) { return v; };
  }

  td.drawPhase = function (canvas, view) {
    var pair = td.phasePair(view.system, view.state.dim), range = td.phaseWindow(view), theme = view.theme, pi = Math.PI;
    var circle = view.state.env === "Pendulum-v1";
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
      var shift = wrapped(view, pair[0]);
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
    if (under.length) {
      f.c.fillStyle = theme.text;
      f.c.fillText("↓ limit of " + under.join(" and ") + ": below the axis", f.left + 6, f.bottom - 7);
    }
    return f;
  };

  td.drawEnergy = function (canvas, view) {
    var f = axes(canvas, view.theme, { x: [0, td.HORIZON], y: view.energyLimits, xLabel: "time [s]", yLabel: "energy [J]" });
    clip(f, function () {
      line(f, view.plan.fineTimes, view.truth.map(view.system.energy), { color: view.theme.truth, width: 4 });
      view.arms.forEach(function (arm) {
        if (!arm.states) return;
        var values = [view.state.start].concat(arm.states).map(view.system.energy);
        line(f, view.plan.times, values, { color: arm.color, width: 1.8, dash: arm.side === "b" ? [6, 4] : [] });
        marks(f, view.plan.times, values, arm, view.theme.background);
      });
    });
    return f;
  };

  td.axisLabel = function (system, d) {
    return (td.NAMES[system.stateNames[d]] || system.stateNames[d]) + " [" + system.stateUnits[d] + "]";
  };

  /* --- the moving system ----------------------------------------------------------------------------------------- */
  /** State at a time, straight between samples. */
  td.stateAt = function (start, times, states, time) {
    var k = 0;
    while (k < states.length && times[k + 1] < time - 1e-12) k++;
    if (k >= states.length) return states.length ? states[states.length - 1] : start;
    var before = k === 0 ? start : states[k - 1], share = (time - times[k]) / (times[k + 1] - times[k]);
    return Array.from(before, function (x, i) { return x + share * (states[k][i] - x); });
  };
  td.drawScene = function (canvas, view, time) {
    var f = start(canvas, view.theme), pendulum = view.state.env === "Pendulum-v1", strobe = view.strobe ? [0, 0.25, 0.5, 0.75, 1] : [time];
    strobe.forEach(function (t, i) {
      f.c.globalAlpha = strobe.length > 1 ? 0.25 + 0.15 * i : 1;
      var truth = td.stateAt(view.state.start, view.plan.fineTimes, view.truth.slice(1), Math.min(t, view.plan.fineTimes[view.plan.fineTimes.length - 1]));
      pose(f, view, truth, view.theme.truth, true, pendulum);
      view.arms.forEach(function (arm) {
        if (!arm.states) return;
        var state = td.stateAt(view.state.start, view.plan.times, arm.states, Math.min(t, view.plan.times[view.plan.steps]));
        if (state.every(isFinite)) pose(f, view, state, arm.color, false, pendulum, arm.side);
      });
    });
    f.c.globalAlpha = 1;
  };
  function pose(f, view, state, color, solid, pendulum, side) {
    var c = f.c, unit = Math.min(f.width, f.height);
    c.strokeStyle = color;
    c.fillStyle = color;
    c.lineCap = "round";
    if (pendulum) {
      var length = 0.36 * unit, x = f.width / 2, y = f.height / 2;
      // θ = 0 points up and grows counterclockwise, as in Gymnasium's picture
      var bobX = x - length * Math.sin(state[0]), bobY = y - length * Math.cos(state[0]);
      rod(c, x, y, bobX, bobY, solid, unit, side);
      c.beginPath();
      c.arc(bobX, bobY, (solid ? 0.055 : 0.04) * unit, 0, 2 * Math.PI);
      if (side === "b") { c.lineWidth = 3; c.fillStyle = view.theme.background; c.fill(); c.stroke(); } else c.fill();
      c.fillStyle = view.theme.text;
      c.beginPath();
      c.arc(x, y, 3.5, 0, 2 * Math.PI);
      c.fill();
    } else {
      var scale = (f.width - 60) / 4.8, rail = f.height * 0.72, pole = Math.min(f.height * 0.6, 150);
      var cx = f.width / 2 + scale * Math.max(-2.4, Math.min(2.4, state[0])), w = 44, h = 20;
      c.save();
      c.strokeStyle = view.theme.grid;
      c.lineWidth = 2;
      segment(c, 8, rail + h / 2 + 1, f.width - 8, rail + h / 2 + 1);
      c.restore();
      c.lineWidth = 2.5;
      if (solid) c.fillRect(cx - w / 2, rail - h / 2, w, h);
      else { c.setLineDash(side === "b" ? [5, 4] : []); c.strokeRect(cx - w / 2 - 3, rail - h / 2 - 3, w + 6, h + 6); c.setLineDash([]); }
      rod(c, cx, rail - h / 2, cx + pole * Math.sin(state[2]), rail - h / 2 - pole * Math.cos(state[2]), solid, unit, side);
    }
  }
  function rod(c, x0, y0, x1, y1, solid, unit, side) {
    c.lineWidth = solid ? Math.max(5, 0.035 * unit) : Math.max(3, 0.018 * unit);
    c.setLineDash(side === "b" ? [8, 6] : []);
    segment(c, x0, y0, x1, y1);
    c.setLineDash([]);
  }
})(typeof globalThis !== "undefined" ? globalThis : this);
