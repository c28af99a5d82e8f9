/* tdFound, explorers of what torch finds out: a Δt slider and a few choices; what belongs to them is asked of a backend, a file
   beside a page (`pageBackend`) or torch in JupyterLab, by messages. A backend has header(), which says what there is to
   choose, and ask(choices), both promises.
   A kind of explorer has name, of its element's class and files, and key, its global name; label; state, its choices but the
   rate; asks, those of them that a backend answers; fields(header), lists of choices [key, label, texts, whether wide];
   build(it), which adds figures; view(header, found, choices); and draw(it), the view to the figures. */
(function (root) {
  "use strict";
  var td = (root.tdFound = root.tdFound || {}), page = root.tdExplorer, h = page.dom.h, count = 0;

  function number(value) { return String(Number(value.toPrecision(3))).replace("-", "−"); }
  td.number = number;

  /** Build an explorer inside an element. */
  td.mount = function (element, backend, kind) {
    var id = "td-" + kind.name + ++count, asked = 0, gone = false, ui = {}, state = Object.assign({ rate: null }, kind.state);
    var it = { ui: ui, id: id, state: state, header: null, view: null, set: set, draw: draw, figure: figure };
    ui.problem = h("p", { class: "td-x-problem", role: "alert", hidden: true });
    ui.root = h("section", { class: "td-x", "aria-label": kind.label, "aria-busy": "true" }, [ui.problem]);
    element.append(ui.root);
    var stops = [observe(root.ResizeObserver, ui.root), observe(root.MutationObserver, document.documentElement, { attributes: true, attributeFilter: ["data-theme", "data-mode"] }),
      observe(root.MutationObserver, document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] })];
    var explorer = (element[kind.key] = {
      state: state, view: function () { return it.view; },
      destroy: function () { gone = true; stops.forEach(function (stop) { stop(); }); ui.root.remove(); if (kind.stop) kind.stop(it); },
    });
    explorer.ready = backend.header().then(function (found) {
      it.header = found;
      Object.assign(state, found.first);
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
    function select(key, label, options, wide) {
      var control = h("select", { id: id + "-" + key, onchange: function () { set(key, Number(control.value)); } });
      page.dom.fill(control, options.map(function (text, i) { return { value: String(i), text: text }; }), String(state[key]));
      return h("div", { class: "td-x-field" + (wide ? " td-b-wide" : "") }, [h("label", { for: control.id, text: label }), control]);
    }
    function figure(title, look) {
      var drawn = h("canvas", { role: "img", "aria-label": title });
      return { canvas: drawn, figure: h("figure", {}, [h("figcaption", {}, [h("span", { class: "td-x-title", text: title })]), h("div", { class: "td-x-canvas" + look }, [drawn])]) };
    }
    function place(k) { return "calc(var(--x-thumb) / 2 + " + (k / Math.max(1, it.header.rates.length - 1)).toFixed(5) + " * (100% - var(--x-thumb)))"; }
    function build() {
      var rates = it.header.rates, last = rates.length - 1;
      ui.slider = h("input", { type: "range", min: 0, max: last, step: 1, id: id + "-dt", oninput: function () { set("rate", rates[Number(ui.slider.value)]); } });
      ui.readout = h("output", { class: "td-x-readout", for: id + "-dt" }, [h("strong", {}), h("span", {})]);
      var ticks = rates.map(function (rate, k) {
        var end = k === 0 ? "first" : k === last ? "last" : null;
        return h("button", { type: "button", text: rate + (end ? " Hz" : ""), "aria-label": rate + " Hz", "data-end": end, style: "left:" + place(k), onclick: function () { set("rate", rate); } });
      });
      ui.words = h("p", { class: "td-x-note", role: "status", "aria-live": "polite" });
      ui.root.append(h("div", { class: "td-x-slider" }, [
        h("div", { class: "td-x-slider-head" }, [h("label", { for: id + "-dt", text: "Δt, the length of one step" }), ui.readout]),
        h("div", { class: "td-x-track" }, [ui.slider]), h("div", { class: "td-x-ticks", role: "group", "aria-label": "rates" }, ticks),
      ]), h("div", { class: "td-x-fields" }, kind.fields(it.header).map(function (field) { return select.apply(null, field); })));
      kind.build(it);
      ui.root.append(ui.words);
    }
    function set(key, value) {
      state[key] = value;
      if (key === "rate" || kind.asks.indexOf(key) >= 0) update(); else draw();
    }
    function update() {
      var own = ++asked, wanted = { rate: state.rate };
      kind.asks.forEach(function (key) { wanted[key] = state[key]; });
      ui.root.setAttribute("aria-busy", "true");
      ui.slider.value = it.header.rates.indexOf(state.rate);
      page.dom.setText(ui.readout.children[0], number(1000 / state.rate) + " ms");
      page.dom.setText(ui.readout.children[1], state.rate + " Hz");
      ui.slider.setAttribute("aria-valuetext", number(1000 / state.rate) + " milliseconds, " + state.rate + " Hz");
      return backend.ask(wanted).then(function (found) { return kind.view(it.header, found, wanted); }).then(function (view) {
        if (gone || own !== asked) return; // another choice came after it
        it.view = view;
        view.wanted = wanted;
        ui.problem.hidden = true;
        ui.root.removeAttribute("aria-busy");
        draw();
      }).then(null, function (error) { if (own === asked) fail(error); });
    }
    function draw() {
      if (!gone && it.view) kind.draw(it);
    }
  };

  /** What torch found, in a file beside the page that is read once somebody looks; `loaded` gets its content by system. */
  td.pageBackend = function (kind, env, folder) {
    var loaded = root[kind.key].loaded, name = env + "-" + kind.name + ".js";
    function content() {
      if (loaded[env]) return Promise.resolve(loaded[env]);
      return new Promise(function (resolve, reject) {
        var script = h("script", { src: folder + kind.name + "/" + name });
        script.onload = function () { if (loaded[env]) resolve(loaded[env]); else reject(new Error("the file of " + env + " holds no " + kind.name)); };
        script.onerror = function () { reject(new Error("the file " + name + " is missing")); };
        document.head.append(script);
      });
    }
    return {
      header: content,
      ask: function (wanted) { return content().then(function (found) { return kind.found(found, wanted); }); },
    };
  };

  /** Turn an element into the explorer once it is looked at; its table stays until then, and without scripts. */
  td.mountSeen = function (element, folder, kind) {
    function start() {
      if (element[kind.key]) return;
      td.mount(element, td.pageBackend(kind, element.dataset.env, folder), kind).ready.then(function () {
        var table = element.querySelector(".td-explorer-fallback");
        if (table && element[kind.key].view()) table.hidden = true;
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

  /** Serve the elements of a kind on a page; in JupyterLab a widget mounts its own. */
  td.serve = function (kind) {
    root[kind.key].kind = kind;
    if (typeof document === "undefined" || root.tdFoundWidget) return;
    var own = document.currentScript && document.currentScript.src, folder = own ? own.replace(/[^/]*$/, "") : "_static/";
    function go() { document.querySelectorAll(".td-" + kind.name).forEach(function (element) { td.mountSeen(element, folder, kind); }); }
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", go); else go();
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
