/* Guided scenes of the Δt explorer: a question, a guess, then the view that answers it with a number computed from its models.
   The scenes are data from Python (explorer/python/scenes.py); a link with scene=<name> opens one. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var h = td.dom.h, setText = td.dom.setText;

  /** What a scene's texts may name. views: {before, after}, each {rate, a, b, rule}; of after the rate alone will do. */
  td.sceneValues = function (scene, views) {
    var values = {};
    Object.keys(views).forEach(function (when) {
      Object.keys(views[when]).forEach(function (name) { values[when + "." + name] = views[when][name]; });
    });
    if (views.after.a !== undefined) values.value = values[scene.measure[0]] / (scene.measure.length > 1 ? values[scene.measure[1]] : 1);
    return values;
  };
  /** Which answer is right. */
  td.answerOf = function (scene, value) { return scene.bounds.filter(function (bound) { return value >= bound; }).length; };
  /** A text with its numbers in place. */
  td.sceneText = function (text, values) {
    return text.replace(/\{([\w.]+)\}/g, function (_, name) {
      return name.slice(-5) === ".rate" ? td.number(values[name]) : td.errorText(values[name]);
    });
  };
  /** The state of a scene's view. */
  td.sceneState = function (link, environments) { return td.fromFragment(link, environments).state; };
  /** Jobs of a view's first steps, and what they say: {jobs, values(results)}; null where a model is not here. */
  td.sceneSteps = function (state, system, entries) {
    var asked = {}, jobs = [], sides = ["a", "b"].filter(function (side) { return state[side]; });
    var missing = sides.some(function (side) {
      var entry = td.choose(entries, state[side]), found = entry && td.wanted(entry);
      asked[side] = entry && { entry: entry, step: td.firstSteps(state, system, entry, [state.rate]) };
      return !entry || ["model", "how", "train_frequency"].some(function (key) { return found[key] !== state[side][key]; });
    });
    if (missing) return null;
    sides.forEach(function (side) { jobs = jobs.concat(asked[side].step.jobs); });
    return {
      jobs: jobs,
      values: function (results) {
        var values = { rate: state.rate, rule: Math.abs(1 - (asked.a.entry.fixedStep || 0) / td.deltaTOf(state.rate)) };
        sides.forEach(function (side, i) { values[side] = asked[side].step.errors([results[i]])[0]; });
        return values;
      },
    };
  };

  /** Add openScene(name) to an explorer and the questions to its page. */
  td.addGuide = function (app) {
    var scenes = td.SCENES.filter(function (scene) { return app.environments.indexOf(td.sceneState(scene.before, app.environments).env) >= 0; });
    var now = null, known = {}, asked = 0;
    var buttons = scenes.map(function (scene, i) {
      return h("button", { type: "button", "aria-pressed": "false", "aria-label": i + 1 + ". " + scene.title, onclick: function () { open(scene, true); } },
        [h("span", { text: i + 1 + "." }), h("span", { class: "td-x-guide-title", text: " " + scene.title })]);
    });
    var question = h("p", { class: "td-x-question", tabindex: -1 }), answers = h("div", { class: "td-x-answers", role: "group", "aria-label": "answers" });
    var reveal = h("p", { class: "td-x-reveal", role: "status" });
    var link = h("a", { text: "Link to this question" }), next = h("button", { type: "button", text: "Next question", onclick: function () {
      open(scenes[(scenes.indexOf(now) + 1) % scenes.length], true);
    } });
    var close = h("button", { type: "button", text: "Close", onclick: function () { shut(); buttons[0].focus(); } });
    var card = h("div", { class: "td-x-card", role: "group", "aria-label": "question", hidden: true },
      [question, answers, reveal, h("div", { class: "td-x-card-foot" }, [next, link, close])]);
    app.ui.guide.append(h("p", { class: "td-x-guide-head", text: "Guess first, then see:" }), h("div", { class: "td-x-guide-list" }, buttons), card);
    app.ui.guide.hidden = !scenes.length;
    app.openScene = function (name) {
      scenes.forEach(function (scene) { if (scene.name === name) open(scene, false); });
    };

    /** Go to a view of the scene and compute what it says. */
    function visit(scene, when, done) {
      var state = td.sceneState(scene[when], app.environments), turn = ++asked;
      return app.openEnvironment(state.env, state, []).then(function () {
        var steps = td.sceneSteps(state, app.engine.systems[state.env], app.entries);
        if (!steps) throw new Error("its models are not here");
        return Promise.resolve(app.backend.run(state.env, steps.jobs)).then(function (results) {
          if (app.gone || turn !== asked) return; // another question was opened meanwhile
          known[when] = steps.values(results);
          done(td.sceneValues(scene, known));
        });
      }).then(null, function (error) { shut(); app.problem("This question cannot be asked here: " + error.message + "."); });
    }
    /** Until a guess is made, the chart of all rates and the map would tell the answer. */
    function hide(untold) { app.ui.root.classList.toggle("td-x-guessing", untold); }
    function shut() {
      now = null;
      hide(false);
      card.hidden = true;
      app.ui.guide.classList.remove("td-x-open");
      buttons.forEach(function (button) { button.setAttribute("aria-pressed", "false"); });
    }
    function open(scene, focus) {
      now = scene;
      known = { after: { rate: td.sceneState(scene.after, app.environments).rate } }; // the rest is not told yet
      setText(reveal, "");
      answers.textContent = "";
      buttons.forEach(function (button, i) { button.setAttribute("aria-pressed", String(scenes[i] === scene)); });
      link.setAttribute("href", "#dt-explorer&scene=" + scene.name);
      link.hidden = Boolean(app.options.keepLink); // a notebook has no address of its own
      if (focus && !app.options.keepLink) history.replaceState(null, "", "#dt-explorer&scene=" + scene.name);
      visit(scene, "before", function (values) {
        setText(question, td.sceneText(scene.question, values));
        answers.textContent = "";
        scene.answers.forEach(function (text, i) {
          answers.append(h("button", { type: "button", "aria-pressed": "false", text: text, onclick: function () { guess(scene, i); } }));
        });
        card.hidden = false;
        hide(true);
        app.ui.guide.classList.add("td-x-open");
        if (focus) question.focus({ preventScroll: true });
      });
    }
    function guess(scene, chosen) {
      visit(scene, "after", function (values) {
        hide(false);
        var right = td.answerOf(scene, values.value), because = right === scene.expected ? " " + scene.because : "";
        Array.from(answers.children).forEach(function (button, i) {
          button.setAttribute("aria-pressed", String(i === chosen));
          button.dataset.right = String(i === right);
          setText(button, (i === right ? "✓ " : "") + scene.answers[i]);
        });
        setText(reveal, (chosen === right ? "Right. " : "Not quite. ") + td.sceneText(scene.says + because, values));
      });
    }
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
