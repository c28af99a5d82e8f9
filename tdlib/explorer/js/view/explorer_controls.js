/* The controls and frames of the Δt explorer: what is on the page, and which action each control calls. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var h = td.dom.h, fill = td.dom.fill;

  /** Place of a rate on the slider's track. */
  td.placeOf = function (rate) {
    var share = td.shareOf(rate);
    return "calc(var(--x-thumb) / 2 + " + share.toFixed(5) + " * (100% - var(--x-thumb)))";
  };

  /** Build everything, hidden; `act` holds the actions, `ui.root` the whole. */
  td.buildControls = function (id, environments, act) {
    function field(label, control, hint) {
      control.id = control.id || id + "-" + label.replace(/\W+/g, "-").toLowerCase() + Math.random().toString(36).slice(2, 6);
      return h("div", { class: "td-x-field" }, [h("label", { for: control.id, text: label }), control, hint || null]);
    }
    function canvasFigure(name, title, extra) {
      var canvas = h("canvas", { role: "img", "aria-label": title });
      var cursor = h("div", { class: "td-x-cursor", "aria-hidden": "true" });
      var box = h("div", { class: "td-x-canvas td-x-" + name }, [canvas, cursor]);
      var caption = h("figcaption", {}, [h("span", { class: "td-x-title", text: title })].concat(extra || []));
      return { canvas: canvas, box: box, cursor: cursor, caption: caption, figure: h("figure", {}, [caption, box]) };
    }
    function build() {
      var ui = { arms: {}, field: field };
      ui.problem = h("p", { class: "td-x-problem", role: "alert", hidden: true });
      ui.live = h("p", { class: "td-x-hidden", "aria-live": "polite", role: "status" });
      ui.guide = h("nav", { class: "td-x-guide", "aria-label": "guided questions" });
      // system
      ui.environments = environments.map(function (env) {
        return h("input", { type: "radio", name: id + "-env", value: env, id: id + "-" + env, onchange: function () { act.openEnvironment(env); } });
      });
      ui.system = h("fieldset", { class: "td-x-segments" }, [h("legend", { class: "td-x-hidden", text: "System" })].concat(
        ui.environments.map(function (input) { return h("span", {}, [input, h("label", { for: input.id, text: td.environment(input.value).label })]); })));
      // Δt
      ui.slider = h("input", { type: "range", min: 0, max: td.SLIDER_STEPS, step: 1, id: id + "-dt", oninput: function () { act.setRate(td.rateAt(Number(ui.slider.value))); } });
      ui.readout = h("output", { class: "td-x-readout", for: id + "-dt" });
      ui.shadeLow = h("div", { class: "td-x-shade td-x-shade-low" });
      ui.shadeHigh = h("div", { class: "td-x-shade td-x-shade-high" });
      ui.trained = h("div", { class: "td-x-trained", "aria-hidden": "true" });
      ui.ticks = h("div", { class: "td-x-ticks", role: "group", "aria-label": "rates of the study" }, td.TEST_RATES.map(function (rate) {
        var end = rate === td.SLOWEST ? "first" : rate === td.FASTEST ? "last" : null;
        return h("button", { type: "button", text: rate + (end ? " Hz" : ""), "aria-label": rate + " Hz", "data-minor": [16, 25, 33.3].indexOf(rate) >= 0, "data-end": end,
          style: "left:" + td.placeOf(rate), onclick: function () { act.setRate(rate); } });
      }));
      ui.range = h("p", { class: "td-x-range" });
      var slider = h("div", { class: "td-x-slider" }, [
        h("div", { class: "td-x-slider-head" }, [h("label", { for: id + "-dt", text: "Δt, the length of one step" }), ui.readout]),
        ui.legend = h("div", { class: "td-x-legend", "aria-hidden": "true" }, ["a", "b"].map(function (side) {
          return h("span", { "data-side": side }, [h("i", {}), h("span", {}), h("b", {})]);
        })),
        h("div", { class: "td-x-track" }, [ui.shadeLow, ui.shadeHigh, ui.trained, ui.slider]), ui.ticks,
      ]);
      ui.strip = canvasFigure("strip", "Error of the first step at every rate");
      // models
      ["a", "b"].forEach(function (side) { ui.arms[side] = buildArm(side, ui); });
      ui.add = h("button", { type: "button", class: "td-x-add", text: "+ compare with a second model", onclick: function () { act.compare(true); ui.arms.b.box.hidden = false; ui.arms.b.selects.how.focus(); } });
      // views
      ui.scene = canvasFigure("scene", "What happens");
      ui.play = h("button", { type: "button", class: "td-x-play", onclick: act.toggleMotion });
      ui.time = h("input", { type: "range", min: 0, max: 1, step: 0.01, "aria-label": "time shown", oninput: function () { act.seek(Number(ui.time.value)); } });
      ui.scene.figure.append(h("div", { class: "td-x-transport" }, [ui.play, ui.time]));
      ui.pushPad = h("div", { class: "td-x-pad", role: "group", "aria-label": "action that is held" });
      ui.pulse = h("input", { type: "checkbox", id: id + "-pulse", onchange: function () { act.setPulse(ui.pulse.checked); } });
      ui.push = h("div", { class: "td-x-push" }, [h("b", { text: "Push" }), ui.pushPad, h("span", {}, [ui.pulse, h("label", { for: id + "-pulse", text: "for 0.2 s only" })])]);
      ui.scene.figure.append(ui.push);
      ui.dim = h("select", { "aria-label": "dimension shown", onchange: function () { act.change({ dim: Number(ui.dim.value) }); } });
      ui.trajectory = canvasFigure("trajectory", "Motion over 1 s", [ui.dim]);
      ui.input = canvasFigure("input", "What is pushed: the signal, and what each step holds");
      ui.kinkNote = h("p", { class: "td-x-note" });
      ui.trajectory.figure.append(ui.input.box, ui.kinkNote);
      ui.phase = canvasFigure("phase", "Phase portrait");
      ui.handle = h("div", { class: "td-x-handle", tabindex: 0, role: "slider", "aria-label": "start state; arrow keys move it" });
      ui.phase.box.append(ui.handle);
      ui.phaseNote = h("p", { class: "td-x-note", text: "Drag the ring to start elsewhere. Short lines: mean rate of change over one step, gray true, colored learned." });
      ui.phase.figure.append(ui.phaseNote);
      ui.error = canvasFigure("error", "Error, and its limit");
      ui.errorNote = h("p", { class: "td-x-note" });
      ui.error.figure.append(ui.errorNote);
      ui.map = td.heatMap(act.map);
      ui.energy = canvasFigure("energy", "Energy");
      ui.unexplained = canvasFigure("unexplained", "Change of the energy that neither inputs nor losses explain");
      ui.energyNote = h("p", { class: "td-x-note" });
      ui.energy.figure.append(ui.unexplained.box, ui.energyNote);
      ui.motion = h("div", { class: "td-x-views td-x-motion" }, [ui.scene.figure, ui.trajectory.figure]);
      ui.views = h("div", { class: "td-x-views" }, [ui.phase.figure, ui.error.figure, ui.map.figure, ui.energy.figure]);
      // more
      ui.deltaT = h("input", { type: "number", min: 5, max: 200, step: "any", onchange: function () { act.setDeltaT(ui.deltaT.value); } });
      ui.start = h("div", { class: "td-x-fields", role: "group", "aria-label": "start state" });
      ui.channel = h("select", { onchange: function () { act.change({ channel: Number(ui.channel.value) }); } });
      ui.kind = h("select", { onchange: function () { act.setInput(ui.kind.value); } });
      fill(ui.kind, [["constant", "held constant"], ["pulse", "a pulse"], ["random", "random, new every 0.2 s"], ["sine", "sine"], ["drawn", "drawn by you"]].map(function (o) {
        return { value: o[0], text: o[1] };
      }), "constant");
      ui.inputFields = h("div", { class: "td-x-fields" });
      ui.solver = h("select", { onchange: function () { act.change({ solver: ui.solver.value }); } });
      ui.substeps = h("input", { type: "number", min: 1, max: td.MAX_SUBSTEPS, step: 1, onchange: function () { act.setSubsteps(ui.substeps.value); } });
      ui.solverGroup = h("div", { class: "td-x-fields" }, [field("Solver of fields", ui.solver), field("Substeps", ui.substeps)]);
      ui.more = h("details", { class: "td-x-more" }, [h("summary", { text: "More: start, input, solver, seed" }),
        h("div", { class: "td-x-fields" }, [field("Δt [ms]", ui.deltaT)]),
        h("p", { class: "td-x-heading", text: "Start" }), ui.start, h("p", { class: "td-x-heading", text: "Input" }), h("div", { class: "td-x-fields" }, [ui.channelField = field("Input shown", ui.channel), field("Signal", ui.kind), ui.inputFields]),
        ui.solverGroup, ui.seeds = h("div", { class: "td-x-fields" }, [ui.arms.a.rare, ui.arms.b.rare])]);
      // foot
      ui.code = h("pre", { class: "td-x-code", tabindex: 0, hidden: true, "aria-label": "Python lines that reproduce this view" }, [h("code", {})]);
      ui.codeButton = h("button", { type: "button", "aria-expanded": "false", text: "Show the Python lines", onclick: act.toggleCode });
      ui.linkButton = h("button", { type: "button", text: "Copy a link to this view", onclick: act.copyLink });
      ui.reset = h("button", { type: "button", text: "Start over", onclick: act.startOver });
      ui.linkText = h("input", { type: "text", readonly: true, hidden: true, class: "td-x-link", "aria-label": "link to this view" });
      ui.done = h("span", { class: "td-x-done", role: "status" });
      ui.source = h("p", { class: "td-x-note" });
      ui.root = h("section", { class: "td-x", "aria-label": "Δt explorer", hidden: true }, [
        ui.live, ui.problem, ui.guide, ui.system, slider, ui.strip.box, ui.range, ui.motion, h("div", { class: "td-x-arms" }, [ui.arms.a.box, ui.arms.b.box, ui.add]), ui.views, ui.more,
        h("div", { class: "td-x-foot" }, [ui.linkButton, ui.codeButton, ui.reset, ui.done]), ui.linkText, ui.code, ui.source]);
      return ui;
    }
    function buildArm(side, ui) {
      var arm = { selects: {} }, letter = side.toUpperCase();
      function select(key, label) {
        arm.selects[key] = h("select", { onchange: function () { act.pick(side, key, arm.selects[key].value); } });
        return field(label, arm.selects[key]);
      }
      arm.value = h("strong", { class: "td-x-value" });
      arm.first = h("p", { class: "td-x-first" });
      arm.remove = side === "b" ? h("button", { type: "button", class: "td-x-remove", "aria-label": "remove model B", text: "×", onclick: function () { act.compare(false); ui.add.hidden = false; ui.add.focus(); } }) : null;
      arm.box = h("div", { class: "td-x-arm", "data-side": side, role: "group", "aria-label": "model " + letter }, [
        h("div", { class: "td-x-arm-head" }, [h("span", { class: "td-x-swatch", "aria-hidden": "true" }), h("b", { text: letter }), arm.value,
          h("span", { class: "td-x-unit", text: "error of one step" }), arm.remove]),
        arm.first,
        h("div", { class: "td-x-selects" }, [select("how", "Method and form of " + letter), select("model", "Model " + letter), select("train_frequency", letter + " trained at")])]);
      arm.rare = h("div", { class: "td-x-fields" }, [select("seed", "Seed of " + letter), select("run", "Run of " + letter)]);
      return arm;
    }
    return build();
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
