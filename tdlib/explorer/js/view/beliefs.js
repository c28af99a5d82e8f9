/* The explorer of beliefs: a model's mean and band against the truth, its windows, and what each level knows, at the Δt of a
   slider. The same object stands on a page (a file beside it, `pageBackend`) and in JupyterLab (torch, by messages).
   A backend has header(), which says what there is to choose, and ask({arm, start, rate}), both promises. */
(function (root) {
  "use strict";
  var td = root.tdBeliefs, page = root.tdExplorer, h = page.dom.h, canvas = page.canvas, count = 0;

  /** Build an explorer inside an element. */
  td.mount = function (element, backend) {
    var id = "td-b" + ++count, ui = {}, header = null, view = null, asked = 0, gone = false;
    var state = { arm: 0, start: 0, rate: null, dim: 0 };
    ui.problem = h("p", { class: "td-x-problem", role: "alert", hidden: true });
    ui.root = h("section", { class: "td-x", "aria-label": "explorer of beliefs", "aria-busy": "true" }, [ui.problem]);
    element.append(ui.root);
    var stops = [observe(root.ResizeObserver, ui.root), observe(root.MutationObserver, document.documentElement, { attributes: true, attributeFilter: ["data-theme", "data-mode"] }),
      observe(root.MutationObserver, document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] })];
    var explorer = (element.tdBeliefs = {
      state: state, view: function () { return view; },
      destroy: function () { gone = true; stops.forEach(function (stop) { stop(); }); ui.root.remove(); },
    });
    explorer.ready = backend.header().then(function (found) {
      header = found;
      state.arm = header.first.arm;
      state.rate = header.first.rate;
      build();
      return update();
    }).then(null, fail);
    return explorer;

    function observe(Observer, target, options) {
      if (!Observer) return function () {};
      var observer = new Observer(function () { root.requestAnimationFrame(draw); });
      observer.observe(target, options);
      return function () { observer.disconnect(); };
    }
    function fail(error) {
      page.dom.setText(ui.problem, error.message);
      ui.problem.hidden = false;
      ui.root.removeAttribute("aria-busy");
    }
    function select(key, label, options) {
      var control = h("select", { id: id + "-" + key, onchange: function () { set(key, Number(control.value)); } });
      page.dom.fill(control, options.map(function (text, i) { return { value: String(i), text: text }; }), String(state[key]));
      return h("div", { class: "td-x-field" + (key === "arm" ? " td-b-wide" : "") }, [h("label", { for: control.id, text: label }), control]);
    }
    function figure(title, kind) {
      var drawn = h("canvas", { role: "img", "aria-label": title });
      return { canvas: drawn, figure: h("figure", {}, [h("figcaption", {}, [h("span", { class: "td-x-title", text: title })]), h("div", { class: "td-x-canvas" + kind }, [drawn])]) };
    }
    function place(k) { return "calc(var(--x-thumb) / 2 + " + (k / Math.max(1, header.rates.length - 1)).toFixed(5) + " * (100% - var(--x-thumb)))"; }
    function build() {
      ui.slider = h("input", { type: "range", min: 0, max: header.rates.length - 1, step: 1, id: id + "-dt", oninput: function () { set("rate", header.rates[Number(ui.slider.value)]); } });
      ui.readout = h("output", { class: "td-x-readout", for: id + "-dt" }, [h("strong", {}), h("span", {})]);
      var ticks = header.rates.map(function (rate, k) {
        var last = header.rates.length - 1, end = k === 0 ? "first" : k === last ? "last" : null;
        return h("button", { type: "button", text: rate + (end ? " Hz" : ""), "aria-label": rate + " Hz", "data-end": end, style: "left:" + place(k), onclick: function () { set("rate", rate); } });
      });
      ui.path = figure("Mean and band of two standard deviations, and the truth; gray: what is seen", " td-b-path");
      ui.known = figure("What each level knows", " td-b-level");
      ui.size = figure("Size of each level's mean", " td-b-level");
      ui.legend = h("p", { class: "td-x-note td-b-legend", "aria-hidden": "true" });
      ui.words = h("p", { class: "td-x-note", role: "status", "aria-live": "polite" });
      ui.root.append(h("div", { class: "td-x-slider" }, [
        h("div", { class: "td-x-slider-head" }, [h("label", { for: id + "-dt", text: "Δt, the length of one step" }), ui.readout]),
        h("div", { class: "td-x-track" }, [ui.slider]), h("div", { class: "td-x-ticks", role: "group", "aria-label": "rates" }, ticks),
      ]), h("div", { class: "td-x-fields" }, [
        select("arm", "Model", header.arms), select("start", "Start", header.starts.map(function (start) { return "start " + start; })), select("dim", "State shown", header.states),
      ]), ui.legend, h("div", { class: "td-b-figures" }, [ui.path.figure, ui.known.figure, ui.size.figure]), ui.words);
    }
    function set(key, value) {
      state[key] = value;
      if (key === "dim") draw(); else update();
    }
    function update() {
      var own = ++asked, wanted = { arm: state.arm, start: state.start, rate: state.rate };
      ui.root.setAttribute("aria-busy", "true");
      ui.slider.value = header.rates.indexOf(state.rate);
      page.dom.setText(ui.readout.children[0], td.number(1000 / state.rate) + " ms");
      page.dom.setText(ui.readout.children[1], state.rate + " Hz");
      ui.slider.setAttribute("aria-valuetext", td.number(1000 / state.rate) + " milliseconds, " + state.rate + " Hz");
      return backend.ask(wanted).then(function (found) {
        if (gone || own !== asked) return; // another choice came after it
        view = td.view(header, found, wanted.rate);
        view.wanted = wanted;
        ui.problem.hidden = true;
        ui.root.removeAttribute("aria-busy");
        draw();
      }).then(null, function (error) { if (own === asked) fail(error); });
    }
    function draw() {
      if (gone || !view) return;
      var theme = canvas.themeOf(ui.root), colors = view.levels.map(function (_, i) { return theme.method(["multi_resolution", "baseline", "ode"][i % 3]); });
      drawPath(ui.path.canvas, theme, colors);
      drawLevels(ui.known.canvas, theme, colors, "known", "information [bits per pair]");
      drawLevels(ui.size.canvas, theme, colors, "size", "mean, root mean square");
      ui.legend.textContent = "";
      entry("truth", theme.truth, false);
      view.levels.forEach(function (level, i) {
        var windows = td.windowWords(level), name = td.levelName(i, view.levels.length);
        entry(i === 0 ? name + ", prediction" : windows ? name + ", " + windows : name, colors[i], i > 0);
      });
      var words = td.words(header, view, state.dim);
      page.dom.setText(ui.words, words);
      ui.path.canvas.setAttribute("aria-label", words);
    }
    function entry(text, color, slow) { ui.legend.append(h("span", { style: "--b-color:" + color, "data-slow": slow }, [h("i", {}), h("span", { text: text })])); }
    function span() { return [view.times[0], view.times[view.times.length - 1]]; }
    /** Shade what is known, and rule a line where a window of a slow level begins. */
    function ground(f, theme, colors) {
      f.c.globalAlpha = 0.6;
      f.c.fillStyle = theme.grid;
      f.c.fillRect(f.left, f.top, f.x(0) - f.left, f.bottom - f.top);
      f.c.globalAlpha = 1;
      view.levels.forEach(function (level, i) {
        level.windows.forEach(function (time) { canvas.line(f, [time, time], [f.valueY(f.bottom), f.valueY(f.top)], { color: colors[i], width: 1, dash: [2, 4] }); });
      });
    }
    function drawPath(target, theme, colors) {
      var d = state.dim, f = canvas.axes(target, theme, { x: span(), y: header.limits[state.start][d], xLabel: "time [s]", yLabel: header.states[d] });
      var ahead = view.times.slice(view.before + 1), mean = view.mean[d], spread = view.spread[d], c = f.c;
      canvas.clip(f, function () {
        ground(f, theme, colors);
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
    function drawLevels(target, theme, colors, key, label) {
      var values = view.levels.reduce(function (all, level) { return all.concat(level[key]); }, [0]);
      var low = Math.min.apply(null, values), high = Math.max.apply(null, values), grain = key === "known" ? 2 : 1;
      var f = canvas.axes(target, theme, { x: span(), y: [grain * Math.floor(low / grain), grain * Math.max(1, Math.ceil(high / grain))], yLabel: label });
      canvas.clip(f, function () {
        ground(f, theme, colors);
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
  };

  /** What torch found, in a file beside the page that is read once somebody looks. */
  td.pageBackend = function (env, folder) {
    function content() {
      if (td.loaded[env]) return Promise.resolve(td.loaded[env]);
      return new Promise(function (resolve, reject) {
        var script = h("script", { src: folder + "beliefs/" + env + "-beliefs.js" });
        script.onload = function () { if (td.loaded[env]) resolve(td.loaded[env]); else reject(new Error("the file of " + env + " holds no beliefs")); };
        script.onerror = function () { reject(new Error("the file " + env + "-beliefs.js is missing")); };
        document.head.append(script);
      });
    }
    return {
      header: content,
      ask: function (wanted) {
        return content().then(function (found) {
          var place = wanted.start + "|" + wanted.rate;
          return { path: found.paths[wanted.arm + "|" + place], truth: found.truth[place] };
        });
      },
    };
  };

  /** Turn an element into the explorer once it is looked at; its table stays until then, and without scripts. */
  td.mountSeen = function (element, folder) {
    function start() {
      if (element.tdBeliefs) return;
      td.mount(element, td.pageBackend(element.dataset.env, folder)).ready.then(function () {
        var table = element.querySelector(".td-explorer-fallback");
        if (table && element.tdBeliefs.view()) table.hidden = true;
      });
    }
    if (!root.IntersectionObserver) return start();
    var observer = new root.IntersectionObserver(function (seen) {
      if (!seen.some(function (each) { return each.isIntersecting; })) return;
      observer.disconnect();
      start();
    });
    observer.observe(element);
  };
  if (typeof document !== "undefined" && !root.tdBeliefsWidget) {
    var own = document.currentScript && document.currentScript.src, folder = own ? own.replace(/[^/]*$/, "") : "_static/";
    var go = function () { document.querySelectorAll(".td-beliefs").forEach(function (element) { td.mountSeen(element, folder); }); };
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", go); else go();
  }
})(typeof globalThis !== "undefined" ? globalThis : this);
