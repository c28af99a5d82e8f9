/* The explorer of beliefs: a model's mean and band against the truth, its windows, and what each level knows, at the Δt of a
   slider; a kind of tdFound. */
(function (root) {
  "use strict";
  var td = root.tdBeliefs, page = root.tdExplorer, h = page.dom.h, canvas = page.canvas;

  function fields(header) {
    return [["arm", "Model", header.arms, true], ["start", "Start", header.starts.map(function (start) { return "start " + start; })], ["dim", "State shown", header.states]];
  }
  function build(it) {
    var ui = it.ui;
    ui.path = it.figure("Mean and band of two standard deviations, and the truth; gray: what is seen", " td-b-path");
    ui.known = it.figure("What each level knows", " td-b-level");
    ui.size = it.figure("Size of each level's mean", " td-b-level");
    ui.legend = h("p", { class: "td-x-note td-b-legend", "aria-hidden": "true" });
    ui.root.append(ui.legend, h("div", { class: "td-b-figures" }, [ui.path.figure, ui.known.figure, ui.size.figure]));
  }
  function draw(it) {
    var ui = it.ui, header = it.header, view = it.view, theme = canvas.themeOf(ui.root);
    var colors = view.levels.map(function (_, i) { return theme.method(["multi_resolution", "baseline", "ode"][i % 3]); });
    drawPath(it, ui.path.canvas, theme, colors);
    drawLevels(view, ui.known.canvas, theme, colors, "known", "information [bits per pair]");
    drawLevels(view, ui.size.canvas, theme, colors, "size", "mean, root mean square");
    ui.legend.textContent = "";
    entry(ui, "truth", theme.truth, false);
    view.levels.forEach(function (level, i) {
      var windows = td.windowWords(level), name = td.levelName(i, view.levels.length);
      entry(ui, i === 0 ? name + ", prediction" : windows ? name + ", " + windows : name, colors[i], i > 0);
    });
    var words = td.words(header, view, it.state.dim);
    page.dom.setText(ui.words, words);
    ui.path.canvas.setAttribute("aria-label", words);
  }
  function entry(ui, text, color, slow) { ui.legend.append(h("span", { style: "--b-color:" + color, "data-slow": slow }, [h("i", {}), h("span", { text: text })])); }
  function span(view) { return [view.times[0], view.times[view.times.length - 1]]; }
  /** Shade what is known, and rule a line where a window of a slow level begins. */
  function ground(f, view, theme, colors) {
    f.c.globalAlpha = 0.6;
    f.c.fillStyle = theme.grid;
    f.c.fillRect(f.left, f.top, f.x(0) - f.left, f.bottom - f.top);
    f.c.globalAlpha = 1;
    view.levels.forEach(function (level, i) {
      level.windows.forEach(function (time) { canvas.line(f, [time, time], [f.valueY(f.bottom), f.valueY(f.top)], { color: colors[i], width: 1, dash: [2, 4] }); });
    });
  }
  function drawPath(it, target, theme, colors) {
    var header = it.header, view = it.view, d = it.state.dim, f = canvas.axes(target, theme, { x: span(view), y: header.limits[it.state.start][d], xLabel: "time [s]", yLabel: header.states[d] });
    var ahead = view.times.slice(view.before + 1), mean = view.mean[d], spread = view.spread[d], c = f.c;
    canvas.clip(f, function () {
      ground(f, view, theme, colors);
      c.globalAlpha = 0.25;
      c.fillStyle = colors[0];
      c.beginPath();
      ahead.forEach(function (time, k) { c.lineTo(f.x(time), f.y(mean[k] + td.SPREAD * spread[k])); });
      for (var k = ahead.length - 1; k >= 0; k--) c.lineTo(f.x(ahead[k]), f.y(mean[k] - td.SPREAD * spread[k]));
      c.fill();
      c.globalAlpha = 1;
      canvas.line(f, view.times, view.truth[d], { color: theme.truth, width: 3 }, function (k) {
        return header.angles.indexOf(d) >= 0 && Math.abs(view.truth[d][k] - view.truth[d][k - 1]) > Math.PI; // to another turn
      });
      canvas.line(f, ahead, mean, { color: colors[0], width: 1.8 });
    });
  }
  function drawLevels(view, target, theme, colors, key, label) {
    var values = view.levels.reduce(function (all, level) { return all.concat(level[key]); }, [0]);
    var low = Math.min.apply(null, values), high = Math.max.apply(null, values), grain = key === "known" ? 2 : 1;
    var f = canvas.axes(target, theme, { x: span(view), y: [grain * Math.floor(low / grain), grain * Math.max(1, Math.ceil(high / grain))], yLabel: label });
    canvas.clip(f, function () {
      ground(f, view, theme, colors);
      view.levels.forEach(function (level, i) {
        if (!level.windows.length) return canvas.line(f, view.times.slice(1), level[key], { color: colors[i], width: 1.8 });
        var times = [], steps = []; // held while each step lasts
        level[key].forEach(function (value, k) {
          times.push(view.times[k], view.times[k + 1]);
          steps.push(value, value);
        });
        canvas.line(f, times, steps, { color: colors[i], width: 2.2, dash: [7, 4] });
      });
    });
  }

  root.tdFound.serve({
    name: "beliefs", key: "tdBeliefs", label: "explorer of beliefs", state: { arm: 0, start: 0, dim: 0 }, asks: ["arm", "start"],
    fields: fields, build: build, draw: draw,
    view: function (header, found, wanted) { return td.view(header, found, wanted.rate); },
    found: function (content, wanted) {
      var place = wanted.start + "|" + wanted.rate;
      return { path: content.paths[wanted.arm + "|" + place], truth: content.truth[place] };
    },
  });
})(typeof globalThis !== "undefined" ? globalThis : this);
