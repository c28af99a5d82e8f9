/* Frames, lines and marks on canvas, for the pictures of the Δt explorer. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});

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
    var f = start(canvas, theme), c = f.c, small = f.width < 380;
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
  /** Triangles on the foot of the frame at some times. */
  function triangles(f, xs, color) {
    f.c.fillStyle = color;
    f.c.beginPath();
    xs.forEach(function (v) {
      var x = f.x(v);
      f.c.moveTo(x - 4, f.bottom);
      f.c.lineTo(x + 4, f.bottom);
      f.c.lineTo(x, f.bottom - 8);
    });
    f.c.fill();
  }
  function column(states, d) {
    var out = new Array(states.length);
    for (var i = 0; i < states.length; i++) out[i] = states[i][d];
    return out;
  }
  function withStart(view, states, d) { return [view.state.start[d]].concat(column(states, d)); }

  /** Colors and font of an element, those of the page's theme. */
  function themeOf(element) {
    var css = getComputedStyle(element);
    function v(name) { return css.getPropertyValue("--x-" + name).trim(); }
    return { font: v("font-size") + " " + css.fontFamily, text: v("text"), muted: v("muted"), soft: v("soft"), grid: v("grid"), truth: v("truth"),
      accent: v("accent"), background: v("background"), method: function (name) { return v(name.replace(/_/g, "-")) || v("text"); } };
  }

  td.canvas = {
    themeOf: themeOf, start: start, axes: axes, segment: segment, clip: clip, line: line, marks: marks, triangles: triangles, column: column, withStart: withStart,
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
