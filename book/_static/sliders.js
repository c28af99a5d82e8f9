/* Sliders of the book: plain JavaScript, no library, no request; works from file://.
   Physics as in tdlib: Pendulum-v1, angle 0 upright, theta'' = 15 sin(theta) + 3 u, RK4 with substeps of at most 10 ms. */
(function () {
  "use strict";

  // ---------------------------------------------------------------- physics
  var MAX_SUBSTEP = 0.01; // [s]
  function derivative(s) { return [s[1], 15 * Math.sin(s[0])]; }
  function rk4(s, h) {
    var k1 = derivative(s);
    var k2 = derivative([s[0] + h / 2 * k1[0], s[1] + h / 2 * k1[1]]);
    var k3 = derivative([s[0] + h / 2 * k2[0], s[1] + h / 2 * k2[1]]);
    var k4 = derivative([s[0] + h * k3[0], s[1] + h * k3[1]]);
    return [s[0] + h / 6 * (k1[0] + 2 * k2[0] + 2 * k3[0] + k4[0]), s[1] + h / 6 * (k1[1] + 2 * k2[1] + 2 * k3[1] + k4[1])];
  }
  function flow(s, deltaT) {
    var n = Math.max(1, Math.ceil(deltaT / MAX_SUBSTEP * (1 - 1e-9)));
    for (var i = 0; i < n; i++) s = rk4(s, deltaT / n);
    return s;
  }
  function mismatch(h, deltaT) { return Math.abs(1 - h / deltaT); }
  // one application at deltaT of the exact map of step h
  function rawStep(s, h) { return flow(s, h); }
  function rescaledStep(s, h, deltaT) {
    var e = flow(s, h), r = deltaT / h;
    return [s[0] + r * (e[0] - s[0]), s[1] + r * (e[1] - s[1])];
  }
  // relative error of the rescaled map: RMS error over RMS true change, each dimension in units of its own rate of change
  var GRID = (function () {
    var g = [];
    for (var i = 0; i < 12; i++) for (var j = 0; j < 9; j++) g.push([-Math.PI + 2 * Math.PI * (i + 0.5) / 12, -6 + 12 * (j + 0.5) / 9]);
    return g;
  })();
  var SCALE = [Math.sqrt(GRID.reduce(function (a, s) { return a + s[1] * s[1]; }, 0) / GRID.length),
    Math.sqrt(GRID.reduce(function (a, s) { var d = derivative(s)[1]; return a + d * d; }, 0) / GRID.length)];
  function rescaledLimit(h, deltaT) {
    var up = 0, down = 0;
    GRID.forEach(function (s) {
      var t = flow(s, deltaT), p = rescaledStep(s, h, deltaT);
      for (var d = 0; d < 2; d++) { up += Math.pow((p[d] - t[d]) / SCALE[d], 2); down += Math.pow((t[d] - s[d]) / SCALE[d], 2); }
    });
    return Math.sqrt(up / down);
  }
  // the same pendulum at rest, positions alone: raw |1 - (h/Delta)^2| and rescaled |1 - h/Delta| to first order
  var REST = GRID.filter(function (s, i) { return i % 9 === 0; }).map(function (s) { return [s[0], 0]; });
  function restLimit(h, deltaT, rescale) {
    var up = 0, down = 0;
    REST.forEach(function (s) {
      var t = flow(s, deltaT)[0], p = (rescale ? rescaledStep(s, h, deltaT) : rawStep(s, h))[0];
      up += (p - t) * (p - t); down += (t - s[0]) * (t - s[0]);
    });
    return Math.sqrt(up / down);
  }
  function eulerField(h) { // eigenvalue of the field that Euler training returns at the pendulum's bottom
    var w = Math.sqrt(15);
    return { decay: (Math.cos(w * h) - 1) / h, frequency: Math.sin(w * h) / h, omega: w };
  }

  // ---------------------------------------------------------------- page parts
  var SVG = "http://www.w3.org/2000/svg", COUNT = 0;
  function add(parent, tag, attributes, text) {
    var node = parent.namespaceURI === SVG || tag === "svg" ? document.createElementNS(SVG, tag) : document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (k) { node.setAttribute(k, attributes[k]); });
    if (text !== undefined) node.textContent = text;
    parent.appendChild(node);
    return node;
  }
  function number(x, digits) { return x.toFixed(digits).replace("-", "\u2212"); }
  function rateText(deltaT) { var r = 1 / deltaT; return Math.abs(deltaT - 0.03) < 1e-9 ? "33.3" : String(+r.toPrecision(3)); }

  // a slider over the control interval, even in log(delta_t); it snaps to the rates of the study
  var RATES = [5, 10, 16, 20, 25, 33.3, 50, 100, 200], POSITIONS = 148;
  function intervalOf(rate) { return rate === 33.3 ? 0.03 : 1 / rate; }
  function interval(position, low, high) {
    var deltaT = low * Math.pow(high / low, position / POSITIONS);
    RATES.forEach(function (r) { if (Math.abs(Math.log(deltaT / intervalOf(r))) < 0.013) deltaT = intervalOf(r); });
    return deltaT;
  }
  function position(deltaT, low, high) { return Math.round(POSITIONS * Math.log(deltaT / low) / Math.log(high / low)); }

  function rateSlider(box, label, rates, start, onChange) {
    var low = intervalOf(rates[0]), high = intervalOf(rates[rates.length - 1]), id = "td-range-" + (++COUNT);
    var row = add(box, "div", { "class": "td-control" });
    add(row, "label", { "for": id }, label);
    var track = add(row, "div", { "class": "td-track" });
    var input = add(track, "input", { id: id, type: "range", min: 0, max: POSITIONS, step: 1, value: position(start, low, high) });
    var ticks = add(track, "div", { "class": "td-ticks" });
    rates.forEach(function (r) {
      var at = position(intervalOf(r), low, high) / POSITIONS;
      var b = add(ticks, "button", { type: "button", style: "left:calc(0.5rem + (100% - 1rem) * " + at + ")", "aria-label": r + " hertz" }, String(r));
      b.addEventListener("click", function () { input.value = position(intervalOf(r), low, high); update(); });
    });
    function update() {
      var deltaT = interval(+input.value, low, high);
      input.setAttribute("aria-valuetext", rateText(deltaT) + " hertz, " + number(1000 * deltaT, deltaT < 0.01 ? 1 : 0) + " milliseconds");
      onChange(deltaT);
    }
    input.addEventListener("input", update);
    return update;
  }

  // a small line chart with linear or logarithmic axes
  function chart(parent, o) {
    var W = 520, H = o.height || 230, L = 64, R = 20, T = 12, B = 40;
    var svg = add(parent, "svg", { viewBox: "0 0 " + W + " " + H, role: "img", "aria-label": o.alt, "class": "td-chart" });
    function axis(range, log, a, b) {
      return function (v) { var f = log ? Math.log(v / range[0]) / Math.log(range[1] / range[0]) : (v - range[0]) / (range[1] - range[0]); return a + f * (b - a); };
    }
    var x = axis(o.x, o.logX, L, W - R), y = axis(o.y, o.logY, H - B, T);
    o.xTicks.forEach(function (v) {
      add(svg, "line", { x1: x(v), x2: x(v), y1: T, y2: H - B, "class": "td-grid" });
      add(svg, "text", { x: x(v), y: H - B + 16, "text-anchor": "middle" }, String(v));
    });
    o.yTicks.forEach(function (v) {
      add(svg, "line", { x1: L, x2: W - R, y1: y(v), y2: y(v), "class": "td-grid" });
      add(svg, "text", { x: L - 6, y: y(v) + 4, "text-anchor": "end" }, String(v).replace("-", "\u2212"));
    });
    add(svg, "text", { x: (L + W - R) / 2, y: H - 6, "text-anchor": "middle", "class": "td-axis" }, o.xLabel);
    add(svg, "text", { transform: "translate(13," + (T + H - B) / 2 + ") rotate(-90)", "text-anchor": "middle", "class": "td-axis" }, o.yLabel);
    var id = "td-clip-" + (++COUNT), clip = add(add(svg, "defs", {}), "clipPath", { id: id });
    add(clip, "rect", { x: L, y: T, width: W - L - R, height: H - T - B });
    var layer = add(svg, "g", { "clip-path": "url(#" + id + ")" });
    function path(points) { return points.map(function (p, i) { return (i ? "L" : "M") + x(p[0]).toFixed(1) + " " + y(p[1]).toFixed(1); }).join(""); }
    return {
      x: x, y: y, svg: svg,
      line: function (kind) { var node = add(layer, "path", { "class": "td-line " + kind, d: "" }); return function (points) { node.setAttribute("d", path(points)); }; },
      dots: function (kind) {
        var group = add(layer, "g", { "class": kind });
        return function (points) {
          while (group.firstChild) group.removeChild(group.firstChild);
          points.forEach(function (p) { add(group, "circle", { cx: x(p[0]).toFixed(1), cy: y(p[1]).toFixed(1), r: 3.2 }); });
        };
      },
      mark: function () { var node = add(layer, "line", { "class": "td-mark", y1: T, y2: H - B }); return function (v) { node.setAttribute("x1", x(v)); node.setAttribute("x2", x(v)); }; }
    };
  }
  function legend(box, items) {
    var list = add(box, "ul", { "class": "td-legend" });
    items.forEach(function (i) { var li = add(list, "li", {}); add(li, "span", { "class": "td-key " + i[0], "aria-hidden": "true" }); add(li, "span", {}, i[1]); });
  }

  // ---------------------------------------------------------------- 1. the pendulum of the first screen
  function pendulum(box) {
    var h = 0.05, horizon = 2, start = [Math.PI - 1.2, 0], deltaT = 0.02, rescale = false, time = horizon, playing = false, last = 0, truth = [], steps = [];
    var update = rateSlider(box, "Ask the 20 Hz model at [Hz]", [5, 10, 20, 50, 100, 200], deltaT, function (v) { deltaT = v; compute(); draw(); });
    var readout = add(box, "p", { "class": "td-readout", "aria-live": "polite" });
    var gauge = add(box, "div", { "class": "td-gauge", "aria-hidden": "true" }), bar = add(gauge, "span", { "class": "td-bar" });
    add(gauge, "span", { "class": "td-one" });
    var scale = add(box, "div", { "class": "td-gauge-scale", "aria-hidden": "true" });
    ["0: exact", "error of one step: 1 is predicting no change", "2 or more"].forEach(function (words) { add(scale, "span", {}, words); });
    var views = add(box, "div", { "class": "td-views" });
    var scene = add(views, "svg", { viewBox: "-120 -95 240 215", role: "img", "class": "td-scene", "aria-label": "A swinging pendulum and its prediction as a ghost" });
    var ghost = add(scene, "g", { "class": "td-predicted" }), real = add(scene, "g", { "class": "td-truth" });
    [ghost, real].forEach(function (g) { add(g, "line", { x1: 0, y1: 0, x2: 0, y2: 92 }); add(g, "circle", { cx: 0, cy: 92, r: 11 }); });
    add(scene, "circle", { cx: 0, cy: 0, r: 4, "class": "td-pivot" });
    var plot = chart(views, { alt: "Angle over time: truth and prediction", x: [0, horizon], y: [-100, 100], xTicks: [0, 0.5, 1, 1.5, 2], yTicks: [-90, -45, 0, 45, 90], xLabel: "time [s]", yLabel: "angle from hanging [\u00b0]" });
    var drawTruth = plot.line("td-truth"), drawPrediction = plot.line("td-predicted"), drawDots = plot.dots("td-predicted"), drawMark = plot.mark();
    legend(box, [["td-truth", "truth"], ["td-predicted", "prediction: the exact 20 Hz step, applied every \u0394t"]]);
    var row = add(box, "div", { "class": "td-buttons" });
    var play = add(row, "button", { type: "button" }, "Play");
    var wrap = add(row, "label", { "class": "td-check" }), check = add(wrap, "input", { type: "checkbox" });
    add(wrap, "span", {}, " rescale the increment by \u0394t/h");

    function degrees(s) { return (Math.PI - s[0]) * -180 / Math.PI; }
    function compute() {
      truth = []; steps = [];
      for (var i = 0, s = start; i <= 200; i++) { truth.push([i * horizon / 200, degrees(s)]); s = flow(s, horizon / 200); }
      for (var k = 0, p = start; k * deltaT <= horizon + deltaT; k++) { steps.push([k * deltaT, degrees(p)]); p = rescale ? rescaledStep(p, h, deltaT) : rawStep(p, h); }
      drawTruth(truth); drawPrediction(steps); drawDots(steps);
      var raw = mismatch(h, deltaT), error = rescale ? rescaledLimit(h, deltaT) : raw;
      while (readout.firstChild) readout.removeChild(readout.firstChild);
      add(readout, "span", {}, "\u0394t = " + number(1000 * deltaT, deltaT < 0.01 ? 1 : 0) + " ms (" + rateText(deltaT) + " Hz)");
      add(readout, "strong", {}, rescale ? "error after rescaling " + number(error, 2) : "|1 \u2212 h/\u0394t| = " + number(raw, 2));
      add(readout, "span", { "class": error > 1.0001 ? "td-bad" : "" }, error < 1e-9 ? "its own rate: no mismatch" : error > 1.0001 ? "worse than predicting no change" : Math.abs(error - 1) < 1e-3 ? "as bad as predicting no change" : "of the true change is missed in one step");
      bar.style.width = Math.min(100, 50 * error) + "%";
      bar.className = "td-bar" + (error > 1.0001 ? " td-over" : "");
    }
    function at(points, t) {
      for (var i = 1; i < points.length; i++) if (points[i][0] >= t) { var a = points[i - 1], b = points[i]; return a[1] + (b[1] - a[1]) * (t - a[0]) / (b[0] - a[0]); }
      return points[points.length - 1][1];
    }
    function draw() {
      real.setAttribute("transform", "rotate(" + (-at(truth, time)).toFixed(2) + ")");
      ghost.setAttribute("transform", "rotate(" + (-at(steps, time)).toFixed(2) + ")");
      drawMark(time);
    }
    function frame(now) {
      if (!playing) return;
      var elapsed = last ? Math.min(0.1, (now - last) / 1000) : 0;
      last = now; time += elapsed;
      if (time > horizon + 0.7) time = 0; // a pause at the end, then again
      var shown = time; time = Math.min(time, horizon); draw(); time = shown;
      window.requestAnimationFrame(frame);
    }
    function setPlaying(on) {
      playing = on; last = 0; play.textContent = on ? "Pause" : "Play"; play.setAttribute("aria-pressed", String(on));
      if (on) window.requestAnimationFrame(frame); else { time = Math.min(time, horizon); draw(); }
    }
    play.addEventListener("click", function () { setPlaying(!playing); });
    check.addEventListener("change", function () { rescale = check.checked; compute(); draw(); });
    update();
    if (!window.matchMedia || !window.matchMedia("(prefers-reduced-motion: reduce)").matches) setPlaying(true); else { time = 1; draw(); }
  }

  // ---------------------------------------------------------------- 2. mismatch and rescaling over all rates
  function mismatchCurves(box) {
    var tests = [];
    for (var i = 0; i <= 80; i++) tests.push(5 * Math.pow(40, i / 80));
    var update = rateSlider(box, "Training rate of the model [Hz]", [5, 10, 20, 50, 100], 0.05, show);
    var label = add(box, "label", { "class": "td-check" }), rest = add(label, "input", { type: "checkbox" }), step = 0.05;
    add(label, "span", {}, " start at rest, and look at positions alone");
    rest.addEventListener("change", function () { show(step); });
    var plot = chart(box, { alt: "Relative one-step error against the test rate, raw and rescaled", height: 270, logX: true, logY: true, x: [5, 200], y: [0.005, 100], xTicks: [5, 10, 20, 50, 100, 200], yTicks: [0.01, 0.1, 1, 10, 100], xLabel: "test rate 1/\u0394 [Hz]", yLabel: "relative error" });
    var one = plot.line("td-persistence"), raw = plot.line("td-predicted"), rescaled = plot.line("td-rescaled"), mark = plot.mark();
    one([[5, 1], [200, 1]]);
    legend(box, [["td-predicted", "raw map: |1 \u2212 h/\u0394|; of positions from rest |1 \u2212 (h/\u0394)\u00b2|"], ["td-rescaled", "rescaled: exact limit on the pendulum"], ["td-persistence", "predicting no change: 1"]]);
    var readout = add(box, "p", { "class": "td-readout", "aria-live": "polite" });
    function show(h) {
      var still = rest.checked;
      function rawError(deltaT) { return still ? restLimit(h, deltaT, false) : mismatch(h, deltaT); }
      function rescaledError(deltaT) { return still ? restLimit(h, deltaT, true) : rescaledLimit(h, deltaT); }
      step = h;
      raw(tests.map(function (r) { return [r, Math.max(1e-4, rawError(1 / r))]; }));
      rescaled(tests.map(function (r) { return [r, Math.max(1e-4, rescaledError(1 / r))]; }));
      mark(1 / h);
      readout.textContent = "Trained at " + rateText(h) + " Hz" + (still ? ", positions from rest" : "") + ". At 50 Hz: raw " + number(rawError(0.02), 2) + ", rescaled " + number(rescaledError(0.02), 2) + ". At 10 Hz: raw " + number(rawError(0.1), 2) + ", rescaled " + number(rescaledError(0.1), 2) + "." + (still ? "" : " Worse than no change above " + rateText(h / 2) + " Hz.");
    }
    update();
  }

  // ---------------------------------------------------------------- 3. Euler's spurious damping
  function euler(box) {
    var update = rateSlider(box, "Rate at which the field is trained through Euler [Hz]", [5, 10, 20, 50, 100], 0.05, show);
    var plot = chart(box, { alt: "Small swings of the true pendulum and of the field learned through Euler", x: [0, 4], y: [-1.1, 1.1], xTicks: [0, 1, 2, 3, 4], yTicks: [-1, -0.5, 0, 0.5, 1], xLabel: "time [s]", yLabel: "swing / first swing" });
    var truth = plot.line("td-truth"), learned = plot.line("td-predicted");
    legend(box, [["td-truth", "truth"], ["td-predicted", "the field that Euler training returns, solved exactly"]]);
    var readout = add(box, "p", { "class": "td-readout", "aria-live": "polite" });
    function curve(decay, frequency) { var p = []; for (var i = 0; i <= 240; i++) { var t = i / 60; p.push([t, Math.exp(decay * t) * Math.cos(frequency * t)]); } return p; }
    function show(h) {
      var field = eulerField(h);
      truth(curve(0, field.omega)); learned(curve(field.decay, field.frequency));
      readout.textContent = "Trained at " + rateText(h) + " Hz: damping " + number(field.decay, 3) + " per second where there is none, frequency " + number(100 * (field.frequency / field.omega - 1), 1) + " %. Swing left after one second: " + number(Math.exp(field.decay), 2) + ".";
    }
    update();
  }

  // ---------------------------------------------------------------- start
  function start(builders) {
    function go() {
      Object.keys(builders).forEach(function (name) {
        document.querySelectorAll(".td-slider-" + name).forEach(function (box) {
          var live = add(box, "div", { "class": "td-live", role: "group", "aria-label": "Interactive figure" });
          try {
            builders[name](live);
            var fallback = box.querySelector(".td-fallback");
            if (fallback) fallback.hidden = true;
          } catch (error) { box.removeChild(live); throw error; } // the fallback with the same numbers stays
        });
      });
    }
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", go); else go();
  }
  window.tdSliders = { flow: flow, mismatch: mismatch, rescaledStep: rescaledStep, rescaledLimit: rescaledLimit, restLimit: restLimit, eulerField: eulerField, grid: GRID, scale: SCALE, rest: REST,
    parts: { add: add, number: number, rateText: rateText, rateSlider: rateSlider, chart: chart, legend: legend, start: start } };
  if (typeof document !== "undefined") start({ pendulum: pendulum, mismatch: mismatchCurves, euler: euler });
})();
