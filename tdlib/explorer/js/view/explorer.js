/* The Δt explorer as one element: controls, linked views, link and Python lines. The same object runs on a published page
   (weights in the page's folder, `pageBackend`) and in JupyterLab (torch models, a backend of messages).
   One object `app` holds what its parts share: state (what a link restores), entries (models on offer), view (what was
   computed for the state), ui (elements), cache, clock. Each part adds its own functions to it. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {}), count = 0;

  /** Build an explorer inside an element. options: {backend, engine, config, view, env, onView, keepLink}. */
  td.mount = function (element, options) {
    var reduced = Boolean(root.matchMedia && root.matchMedia("(prefers-reduced-motion: reduce)").matches);
    var app = {
      element: element, options: options, backend: options.backend, engine: options.engine || root.tdEngine, config: options.config || {},
      environments: options.backend.environments.filter(td.environment), state: null, entries: [], view: null, cache: {},
      frozen: false, gone: false, touched: false, onScreen: true,
      clock: { playing: !reduced, time: 0, last: null, strobe: reduced, reduced: reduced },
    };
    [td.addChanges, td.addUpdates, td.addLook, td.addWords, td.addDescriptions, td.addSharing, td.addStrip, td.addEnergy, td.addPush].forEach(function (add) { add(app); });
    app.ui = td.buildControls("td-x" + ++count, app.environments, actions(app));
    element.append(app.ui.root);
    td.addMotion(app);
    td.addGuide(app);
    app.hands = td.hands(app.ui, {
      engine: app.engine, state: function () { return app.state; }, view: function () { return app.view; }, changed: app.changed,
      setInput: app.setInput, freeze: function (on) { app.frozen = on; }, // axes keep still under the hand
    });
    var stop = watch(app);
    app.explorer = {
      lastUpdateMs: null, updates: 0, getState: app.getState, setState: app.setState, python: app.pythonText,
      link: function () { return td.toFragment(app.state); }, view: function () { return app.view; },
      destroy: function () {
        app.gone = true;
        stop();
        app.ui.root.remove();
      },
    };
    app.play(app.clock.playing);
    begin(app);
    element.tdExplorer = app.explorer;
    return app.explorer;
  };

  /** Open the first view: that of a link, or of the environment asked for. */
  function begin(app) {
    var options = app.options, first = options.view ? td.fromFragment(options.view, app.environments) : null;
    if (!app.environments.length) return app.fail("this page", new Error("the engine knows no system"));
    var env = app.environments.indexOf(options.env) >= 0 ? options.env : app.environments[0];
    app.explorer.ready = first ? app.openEnvironment(first.state.env, first.state, first.problems) : app.openEnvironment(env, null, []);
    if (first && first.scene) app.explorer.ready.then(function () { app.openScene(first.scene); });
  }

  /** What the controls do. */
  function actions(app) {
    var askMap = td.newestWins(function (request) { return app.backend.run(request.env, request.jobs); });
    return {
      openEnvironment: app.openEnvironment, setRate: app.setRate, setInput: app.setInput, setPulse: app.setPulse, pick: app.pick,
      toggleCode: app.toggleCode, copyLink: app.copyLink,
      change: function (part) { Object.assign(app.state, part); app.changed(); },
      compare: function (on) { app.setArm("b", on ? td.defaultState(app.state.env).b : null); },
      startOver: function () { app.use(td.defaultState(app.state.env)); },
      toggleMotion: function () { app.play(!app.clock.playing); },
      seek: function (time) { app.play(false); app.seek(time); },
      setDeltaT: function (text) {
        app.tryTo(function () { app.setRate(td.checkRate(text.trim() === "" ? "nothing" : 1000 / Number(text))); });
      },
      setSubsteps: function (text) {
        app.tryTo(function () { app.state.substeps = td.checkSubsteps(text); app.changed(); });
      },
      map: {
        engine: app.engine, config: app.config, state: function () { return app.state; },
        entries: function () { return app.entries; }, entry: function () { return app.entryOf("a"); },
        send: function (request, done) {
          askMap(request, function (results) { if (!app.gone) done(results); }, function (error) { app.problem(error.message); });
        },
        pick: function (entry, rate) { app.state.a = td.wanted(entry); app.setRate(rate); },
      },
    };
  }

  /** Follow sizes, colors, the reader's place on the page and its link; returns what stops that. */
  function watch(app) {
    var ui = app.ui, stops = [];
    function redraw() {
      app.forgetTheme();
      if (!app.view || ui.root.hidden) return;
      app.view.theme = app.readTheme();
      app.paintArms();
      app.draw();
      app.controls();
    }
    function listen(target, name, run) {
      target.addEventListener(name, run);
      stops.push(function () { target.removeEventListener(name, run); });
    }
    function observe(Observer, run, start) {
      if (!Observer) return;
      var observer = new Observer(run);
      start(observer);
      stops.push(function () { observer.disconnect(); });
    }
    observe(root.ResizeObserver, function () { root.requestAnimationFrame(redraw); }, function (observer) {
      [ui.strip, ui.scene, ui.trajectory, ui.phase, ui.error, ui.energy].forEach(function (figure) { observer.observe(figure.box); });
    });
    observe(root.MutationObserver, redraw, function (observer) {
      observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "data-mode"] });
      observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
    });
    observe(root.IntersectionObserver, function (found) { app.onScreen = found[0].isIntersecting; }, function (observer) {
      observer.observe(ui.scene.box);
    });
    if (root.matchMedia) listen(root.matchMedia("(prefers-color-scheme: dark)"), "change", redraw);
    if (!app.options.keepLink) listen(root, "hashchange", app.followLink);
    return function () { stops.forEach(function (stop) { stop(); }); };
  }
})(typeof globalThis !== "undefined" ? globalThis : this);
