/* The explorer of pictures: true and predicted frames side by side, their difference, all frames of the motion, and errors, at the
   Δt of a slider; a kind of tdFound. */
(function (root) {
  "use strict";
  var td = root.tdPictures, page = root.tdExplorer, h = page.dom.h, canvas = page.canvas, number = root.tdFound.number;
  var LINES = [["model", "model", "solid"], ["copy_last", "copy of the last frame", "dotted"], ["mean_image", "mean image", "dashed"]];
  var DASHES = { solid: [], dotted: [2, 3], dashed: [7, 4] }, DECADES = 4, GAP = 2;

  function fields(header) {
    return [["arm", "Model", header.arms, true], ["start", "Motion", header.starts.map(function (start) { return "motion " + start; })], ["test", "Test", header.tests, true]];
  }
  function build(it) {
    var ui = it.ui;
    ui.time = h("input", { type: "range", min: 1, max: 1, step: 1, id: it.id + "-time", oninput: function () { show(it, Number(ui.time.value) - 1); } });
    ui.play = h("button", { type: "button", text: "Play", onclick: function () { if (it.timer) stop(it); else play(it); } });
    ui.truth = it.figure("True", " td-p-picture");
    ui.predicted = it.figure("Predicted", " td-p-picture");
    ui.difference = it.figure("Difference", " td-p-picture");
    ui.strip = it.figure("All frames: what is true above, what is predicted below; the model has seen those up to 0 s", " td-p-strip");
    ui.errors = it.figure("Squared error per value", " td-p-errors");
    ui.legend = h("p", { class: "td-x-note td-b-legend", "aria-hidden": "true" });
    ui.root.append(
      h("div", { class: "td-p-pictures" }, [ui.truth.figure, ui.predicted.figure, ui.difference.figure]),
      h("div", { class: "td-p-time" }, [h("label", { for: ui.time.id, text: "Time" }), ui.time, ui.play]),
      h("div", { class: "td-b-figures" }, [ui.strip.figure, ui.errors.figure]), ui.legend);
  }
  function show(it, k) { it.set("time", it.view.times[it.view.known + 1 + k]); }
  function play(it) {
    var rate = it.state.rate;
    page.dom.setText(it.ui.play, "Stop");
    it.timer = root.setInterval(function () {
      show(it, (td.nearest(it.view, it.state.time) + 1) % it.view.ball.length);
      if (it.state.rate !== rate) { stop(it); play(it); } // Δt was moved
    }, 1000 / rate);
  }
  function stop(it) {
    if (!it.timer) return;
    root.clearInterval(it.timer);
    it.timer = null;
    page.dom.setText(it.ui.play, "Play");
  }

  /** Read the sheets of a choice; the view then has them as pictures. */
  function view(header, found, wanted) {
    var own = td.view(header, found, wanted);
    return Promise.all([picture(found.truth), picture(found.predicted)]).then(function (sheets) {
      own.sheets = sheets;
      return own;
    });
  }
  var kept = {};
  function picture(data) {
    if (kept[data]) return kept[data];
    return (kept[data] = new Promise(function (resolve, reject) {
      var image = document.createElement("img");
      image.onload = function () { resolve(image); };
      image.onerror = function () { reject(new Error("a sheet of pictures cannot be read")); };
      image.src = "data:image/webp;base64," + data;
    }));
  }
  /** Draw one frame of a sheet, 0 of true and 1 of predicted ones, its pixels as squares. */
  function frame(c, view, which, k, x, y, size) {
    var sheet = view.sheets[which], side = sheet.naturalHeight;
    c.imageSmoothingEnabled = false;
    c.drawImage(sheet, (view.begins[which] + k) * side, 0, side, side, x, y, size, size);
  }
  function pixels(view, which, k) {
    var side = view.sheets[which].naturalHeight, own = h("canvas", { width: side, height: side }), c = own.getContext("2d");
    frame(c, view, which, k, 0, 0, side);
    return c.getImageData(0, 0, side, side);
  }

  function draw(it) {
    var ui = it.ui, view = it.view, k = td.nearest(view, it.state.time), at = view.known + 1 + k, theme = canvas.themeOf(ui.root);
    ui.time.max = view.ball.length;
    ui.time.value = k + 1;
    ui.time.setAttribute("aria-valuetext", number(view.times[at]) + " seconds");
    single(ui.truth.canvas, theme, view, 0, at);
    single(ui.predicted.canvas, theme, view, 1, k);
    apart(ui.difference.canvas, theme, view, at, k);
    strip(ui.strip.canvas, theme, view, at);
    errors(ui.errors.canvas, theme, view, at);
    ui.legend.textContent = "";
    LINES.forEach(function (line) {
      ui.legend.append(h("span", { style: "--b-color:" + color(theme, line) + ";--b-line:" + line[2] }, [h("i", {}), h("span", { text: line[1] })]));
    });
    var words = td.words(view, k, number);
    page.dom.setText(ui.words, words);
    ui.predicted.canvas.setAttribute("aria-label", words);
  }
  function color(theme, line) { return line[0] === "model" ? theme.method("baseline") : line[0] === "copy_last" ? theme.text : theme.muted; }
  function single(target, theme, view, which, k) {
    var f = canvas.start(target, theme), side = Math.min(f.width, f.height);
    frame(f.c, view, which, k, 0, 0, side);
  }
  function apart(target, theme, view, at, k) {
    var f = canvas.start(target, theme), one = pixels(view, 0, at), other = pixels(view, 1, k), own = h("canvas", { width: one.width, height: one.height });
    for (var i = 0; i < one.data.length; i++) if (i % 4 !== 3) one.data[i] = Math.abs(one.data[i] - other.data[i]);
    own.getContext("2d").putImageData(one, 0, 0);
    f.c.imageSmoothingEnabled = false;
    f.c.drawImage(own, 0, 0, Math.min(f.width, f.height), Math.min(f.width, f.height));
  }
  function span(view) {
    var last = view.times[view.times.length - 1];
    return [view.times[0] - 0.06 * last, 1.06 * last];
  }
  function strip(target, theme, view, at) {
    var f = canvas.axes(target, theme, { x: span(view), y: [0, 2], yTicks: [], left: 12, xLabel: "time [s]" });
    var apart = f.x(1 / view.rate) - f.x(0), row = (f.bottom - f.top) / 2, size = Math.max(6, Math.min(row - 6, apart - 1));
    view.times.forEach(function (time, k) {
      var x = f.x(time) - size / 2, middle = f.top + row;
      frame(f.c, view, 0, k, x, middle - size - GAP, size);
      if (k > view.known) frame(f.c, view, 1, k - view.known - 1, x, middle + GAP, size);
      if (k !== at) return;
      f.c.strokeStyle = theme.accent;
      f.c.lineWidth = 2;
      f.c.strokeRect(x - 1, middle - size - GAP - 1, size + 2, 2 * (size + GAP) + 2);
    });
  }
  function errors(target, theme, view, at) {
    var all = LINES.reduce(function (values, line) { return values.concat(view.errors[line[0]]); }, []).filter(function (value) { return value > 0; });
    var low = Math.floor(Math.log(Math.min.apply(null, all)) / Math.LN10), high = Math.ceil(Math.log(Math.max.apply(null, all)) / Math.LN10), ticks = [];
    low = Math.max(low, high - DECADES);
    for (var power = low; power <= high; power++) ticks.push(Math.pow(10, power));
    var limits = [Math.pow(10, low), Math.pow(10, Math.max(high, low + 1))];
    var f = canvas.axes(target, theme, { x: span(view), y: limits, yTicks: ticks, log: true, left: 62, xLabel: "time [s]", yText: function (value) { return String(Number(value.toPrecision(1))); } });
    canvas.clip(f, function () {
      var times = view.times.slice(view.known + 1), now = view.times[at];
      canvas.line(f, [now, now], limits, { color: theme.accent, width: 2 });
      LINES.slice().reverse().forEach(function (line) {
        var look = { color: color(theme, line), width: line[0] === "model" ? 2 : 1.5, dash: DASHES[line[2]] };
        canvas.line(f, times, view.errors[line[0]], look);
        if (line[0] === "model") canvas.marks(f, times, view.errors[line[0]], look, theme.background);
      });
    });
  }

  root.tdFound.serve({
    name: "pictures", key: "tdPictures", label: "explorer of pictures", state: { arm: 0, start: 0, test: 0, time: 0.5 }, asks: ["arm", "start", "test"],
    fields: fields, build: build, draw: draw, view: view, found: td.found, stop: stop,
  });
})(typeof globalThis !== "undefined" ? globalThis : this);
