/* More sliders of the book, built from the parts of sliders.js: interpolation between training rates, aliasing, the hold.
   Formulas as in tdlib/study/limits.py; the tests compare both. */
(function () {
  "use strict";
  var td = window.tdSliders, parts = td.parts, number = parts.number, rateText = parts.rateText;

  // ---------------------------------------------------------------- what a smooth fit between training rates can reach
  var FORMS = { // factor in front of the polynomial, and the polynomial's coordinate; null: the mean, which does not see it
    concat: { factor: function () { return 1; }, coordinate: function (d) { return d; } },
    scaled: { factor: function (d) { return d; }, coordinate: null },
    scaled_concat: { factor: function (d) { return d; }, coordinate: function (d) { return d; } },
    log_tau: { factor: function (d) { return Math.log(d) / Math.LN10 + 5; }, coordinate: function (d) { return d; } }
  };
  var CHANGES = {}; // true changes of the grid's states by interval, which never change
  function changes(deltaT) {
    if (!CHANGES[deltaT]) CHANGES[deltaT] = td.grid.map(function (s) { var e = td.flow(s, deltaT); return [e[0] - s[0], e[1] - s[1]]; });
    return CHANGES[deltaT];
  }
  function weights(nodes, deltaT, form) {
    var f = FORMS[form];
    return nodes.map(function (node, i) {
      var w = f.factor(deltaT) / f.factor(node);
      if (!f.coordinate) return w / nodes.length;
      nodes.forEach(function (other, j) { if (j !== i) w *= (f.coordinate(deltaT) - f.coordinate(other)) / (f.coordinate(node) - f.coordinate(other)); });
      return w;
    });
  }
  function interpolationLimit(nodes, deltaT, form) {
    var w = weights(nodes, deltaT, form), truth = changes(deltaT), known = nodes.map(changes), up = 0, down = 0;
    truth.forEach(function (t, n) {
      for (var d = 0; d < 2; d++) {
        var p = 0;
        for (var i = 0; i < nodes.length; i++) p += w[i] * known[i][n][d];
        up += Math.pow((p - t[d]) / td.scale[d], 2); down += Math.pow(t[d] / td.scale[d], 2);
      }
    });
    return Math.sqrt(up / down);
  }
  function interpolation(box) {
    var trained = { 5: false, 10: true, 20: true, 50: true, 100: false }, asked = 0.01;
    var update = parts.rateSlider(box, "Rate asked for [Hz]", [5, 10, 20, 50, 100, 200], asked, function (v) { asked = v; say(); });
    var set = parts.add(box, "fieldset", { "class": "td-choices" });
    parts.add(set, "legend", {}, "Training rates [Hz]");
    Object.keys(trained).forEach(function (rate) {
      var label = parts.add(set, "label", { "class": "td-check" }), input = parts.add(label, "input", { type: "checkbox" });
      input.checked = trained[rate];
      parts.add(label, "span", {}, " " + rate);
      input.addEventListener("change", function () {
        trained[rate] = input.checked;
        if (!nodes().length) { trained[rate] = true; input.checked = true; } // one rate at least
        draw(); say();
      });
    });
    var plot = parts.chart(box, { alt: "Least relative error of four forms against the rate asked for", height: 270, logX: true, logY: true, x: [5, 200], y: [0.0005, 5], xTicks: [5, 10, 20, 50, 100, 200], yTicks: [0.001, 0.01, 0.1, 1], xLabel: "test rate 1/\u0394 [Hz]", yLabel: "least relative error" });
    var looks = { concat: "td-form-concat", scaled: "td-form-scaled", scaled_concat: "td-form-both", log_tau: "td-form-tau" };
    var lines = {}, tests = [];
    for (var i = 0; i <= 60; i++) tests.push(5 * Math.pow(40, i / 60));
    Object.keys(looks).forEach(function (form) { lines[form] = plot.line(looks[form]); });
    var mark = plot.mark();
    parts.legend(box, Object.keys(looks).map(function (form) { return [looks[form], form]; }));
    var readout = parts.add(box, "p", { "class": "td-readout", "aria-live": "polite" });
    function nodes() { return Object.keys(trained).filter(function (r) { return trained[r]; }).map(function (r) { return 1 / r; }); }
    function draw() {
      var at = nodes();
      Object.keys(lines).forEach(function (form) { lines[form](tests.map(function (r) { return [r, Math.max(1e-5, interpolationLimit(at, 1 / r, form))]; })); });
    }
    function say() {
      var at = nodes();
      mark(1 / asked);
      readout.textContent = "Asked at " + rateText(asked) + " Hz: " + Object.keys(looks).map(function (form) { return form + " " + number(interpolationLimit(at, asked, form), 4); }).join(", ") + ".";
    }
    draw(); update();
  }

  // ---------------------------------------------------------------- what samples show of a fast motion
  var MOTION = 9; // [Hz]
  function aliasFrequency(frequency, rate) { return Math.abs(frequency - rate * Math.round(frequency / rate)); }
  function alias(box) {
    var update = parts.rateSlider(box, "Rate at which one looks [Hz]", [5, 10, 20, 50, 100, 200], 0.1, show);
    var plot = parts.chart(box, { alt: "A motion of 9 Hz, its samples, and the slowest motion that fits them", x: [0, 1], y: [-1.15, 1.15], xTicks: [0, 0.2, 0.4, 0.6, 0.8, 1], yTicks: [-1, 0, 1], xLabel: "time [s]", yLabel: "position" });
    var real = plot.line("td-persistence"), seen = plot.line("td-predicted"), dots = plot.dots("td-truth");
    parts.legend(box, [["td-persistence", "motion of 9 Hz"], ["td-predicted", "slowest motion through the samples"]]);
    var readout = parts.add(box, "p", { "class": "td-readout", "aria-live": "polite" });
    function wave(frequency) { var p = []; for (var i = 0; i <= 300; i++) p.push([i / 300, Math.cos(2 * Math.PI * frequency * i / 300)]); return p; }
    function show(deltaT) {
      var rate = 1 / deltaT, found = aliasFrequency(MOTION, rate), samples = [];
      for (var k = 0; k * deltaT <= 1 + 1e-9; k++) samples.push([k * deltaT, Math.cos(2 * Math.PI * MOTION * k * deltaT)]);
      real(wave(MOTION)); seen(wave(found)); dots(samples);
      readout.textContent = "At " + rateText(deltaT) + " Hz a motion of 9 Hz looks like one of " + number(found, 1) + " Hz. " + (rate > 2 * MOTION ? "It is seen as it is." : "These samples alone do not tell the two apart.");
    }
    update();
  }

  // ---------------------------------------------------------------- what holding an input does to it
  var WISH = 1; // [Hz]
  function holdGain(frequency, deltaT) { var x = Math.PI * frequency * deltaT; return Math.sin(x) / x; }
  function hold(box) {
    var update = parts.rateSlider(box, "Rate of decisions [Hz]", [5, 10, 20, 50, 100, 200], 0.1, show);
    var plot = parts.chart(box, { alt: "A wished input of 1 Hz, held between decisions, and its part at 1 Hz", x: [0, 2], y: [-1.15, 1.15], xTicks: [0, 0.5, 1, 1.5, 2], yTicks: [-1, 0, 1], xLabel: "time [s]", yLabel: "input" });
    var wish = plot.line("td-truth"), held = plot.line("td-persistence"), basic = plot.line("td-predicted");
    parts.legend(box, [["td-truth", "wished"], ["td-persistence", "held"], ["td-predicted", "part of the held input at 1 Hz: smaller and late"]]);
    var readout = parts.add(box, "p", { "class": "td-readout", "aria-live": "polite" });
    function show(deltaT) {
      var smooth = [], steps = [], first = [], gain = holdGain(WISH, deltaT);
      for (var i = 0; i <= 200; i++) { smooth.push([i / 100, Math.sin(2 * Math.PI * WISH * i / 100)]); first.push([i / 100, gain * Math.sin(2 * Math.PI * WISH * (i / 100 - deltaT / 2))]); }
      for (var k = 0; k * deltaT < 2 - 1e-9; k++) { var u = Math.sin(2 * Math.PI * WISH * k * deltaT); steps.push([k * deltaT, u], [(k + 1) * deltaT, u]); }
      wish(smooth); held(steps); basic(first);
      readout.textContent = "At " + rateText(deltaT) + " Hz the input arrives " + number(500 * deltaT, 1) + " ms late on average, at " + number(100 * gain, 1) + " % of its size.";
    }
    update();
  }

  td.interpolationLimit = interpolationLimit; td.aliasFrequency = aliasFrequency; td.holdGain = holdGain;
  if (typeof document !== "undefined") parts.start({ interpolation: interpolation, alias: alias, hold: hold });
})();
