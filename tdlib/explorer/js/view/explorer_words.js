/* The words of the Δt explorer and the choices of its controls, brought up to date after every change. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var h = td.dom.h, setText = td.dom.setText, fill = td.dom.fill;

  /** Add layoutEnvironment() and controls() to an explorer. */
  td.addWords = function (app) {
    var ui;
    app.layoutEnvironment = function () { ui = app.ui; layoutEnvironment(); };
    app.controls = function () { ui = app.ui; controls(); };

    function layoutEnvironment() {
      var system = app.engine.systems[app.state.env];
      ui.environments.forEach(function (input) { input.checked = input.value === app.state.env; });
      fill(ui.dim, system.stateNames.map(function (_, d) { return { value: String(d), text: td.axisLabel(system, d) }; }), String(app.state.dim));
      ui.start.textContent = "";
      ui.startInputs = system.stateNames.map(function (_, d) {
        var input = h("input", { type: "number", step: 0.05, onchange: function () {
          app.tryTo(function () {
            var start = app.state.start.slice();
            start[d] = input.value.trim() === "" ? NaN : Number(input.value);
            app.state.start = td.checkStart(app.state.env, start);
            app.changed();
          });
        } });
        ui.start.append(ui.field(td.axisLabel(system, d), input));
        return input;
      });
      ui.energy.figure.hidden = !system.energy;
      ui.unexplained.box.hidden = !system.power;
      app.layoutPush();
      ui.root.setAttribute("data-env", app.state.env);
    }
    function controls() {
      rateWords();
      rangeWords();
      modelChoices();
      rareControls();
      resultWords();
    }
    function rateWords() {
      var deltaT = td.deltaTOf(app.state.rate);
      ui.environments.forEach(function (input) { input.checked = input.value === app.state.env; });
      if (document.activeElement !== ui.slider || Number(ui.slider.value) !== td.positionOf(app.state.rate)) ui.slider.value = td.positionOf(app.state.rate);
      var milliseconds = td.number(1000 * deltaT), hertz = td.number(app.state.rate);
      ui.slider.setAttribute("aria-valuetext", milliseconds + " milliseconds, " + hertz + " hertz");
      if (ui.readout.dataset.text !== milliseconds + hertz) {
        ui.readout.dataset.text = milliseconds + hertz;
        ui.readout.textContent = "";
        ui.readout.append(h("strong", { text: milliseconds + " ms" }), h("span", { text: hertz + " Hz" }));
      }
    }
    function rangeWords() {
      var entryA = app.entryOf("a"), support = td.support(entryA);
      var trained = td.isTrained(entryA), ranged = trained && support.high > 1.001 * support.low; // one rate has no inside
      ui.shadeLow.style.width = ranged ? td.placeOf(support.low) : "0";
      ui.shadeHigh.style.left = ranged ? td.placeOf(support.high) : "100%";
      var dots = [];
      ["a", "b"].forEach(function (side) {
        var entry = app.entryOf(side);
        if (entry && td.isTrained(entry)) td.support(entry).rates.forEach(function (rate) { dots.push([side, rate]); });
      });
      var wantedDots = JSON.stringify(dots);
      if (ui.trained.dataset.dots !== wantedDots) {
        ui.trained.dataset.dots = wantedDots;
        ui.trained.textContent = "";
        dots.forEach(function (dot) { ui.trained.append(h("i", { "data-side": dot[0], style: "left:" + td.placeOf(dot[1]) })); });
      }
      var outside = app.state.rate < support.low * 0.999 || app.state.rate > support.high * 1.001;
      setText(ui.range, !trained ? "A was not trained."
        : "A was trained at " + (support.rates.length ? entryA.rateLabel : "every Δt from " + td.number(1000 / support.high) + " to " + td.number(1000 / support.low) + " ms") +
          (support.rates.indexOf(app.state.rate) >= 0 ? ": you are at a rate that it knows." : !ranged ? " only: you ask for another." : outside ? "; the hatched part, where you are, is outside." : "; you are between rates that it knows.") + (app.touched ? "" : " Move the slider."));
    }
    function modelChoices() {
      ["a", "b"].forEach(function (side) {
        var arm = ui.arms[side], entry = app.entryOf(side);
        arm.box.hidden = arm.rare.hidden = !entry;
        if (!entry) return;
        var wanted = td.wanted(entry);
        function options(key, before, text) {
          fill(arm.selects[key], td.options(app.entries, wanted, key, before).map(function (o) { return { value: o.value, text: text(o.entry) }; }), wanted[key]);
        }
        options("model", [], function (e) { return e.modelLabel; });
        options("how", ["model"], function (e) { return e.howLabel; });
        options("train_frequency", ["model", "how"], function (e) { return e.rateLabel; });
        options("seed", ["model", "how", "train_frequency"], function (e) { return "seed " + e.seed; });
        options("run", ["model", "how", "train_frequency", "seed"], function (e) { return e.run || "–"; });
        arm.selects.seed.parentNode.hidden = arm.selects.seed.options.length < 2;
        arm.selects.run.parentNode.hidden = arm.selects.run.options.length < 2;
      });
      ui.add.hidden = Boolean(app.state.b);
      var several = ["a", "b"].some(function (side) { return ui.arms[side].selects.seed.options.length > 1 || ui.arms[side].selects.run.options.length > 1; });
      ui.seeds.hidden = !several;
    }
    function rareControls() {
      var deltaT = td.deltaTOf(app.state.rate);
      ui.deltaT.value = td.number(1000 * deltaT, 4);
      ui.startInputs.forEach(function (input, d) { if (document.activeElement !== input) input.value = Number(app.state.start[d].toFixed(4)); });
      ui.dim.value = String(app.state.dim);
      var fields = ["a", "b"].map(app.entryOf).filter(function (entry) { return entry && td.isField(entry); });
      ui.solverGroup.hidden = !fields.length;
      fill(ui.solver, [{ value: "", text: fields.some(td.isTruth) ? "as trained; true field by Euler" : "as trained" }].concat(td.solverNames().map(function (name) { return { value: name, text: name }; })), app.state.solver);
      ui.substeps.value = app.state.substeps;
      inputControls(app.engine.systems[app.state.env]);
      var source = app.backend.label + (app.backend.rounded ? ", so that its numbers differ from those of the checkpoints by about one part in a thousand." : ".");
      var missing = app.backend.missing ? app.backend.missing(app.state.env) : [];
      if (missing.length) source += " Shown in JupyterLab only: " + missing.map(function (m) { return m.id + " (" + m.why + ")"; }).join("; ") + ".";
      setText(ui.source, "Models: " + source);
    }
    function resultWords() {
      app.hands.placeHandle();
      if (!app.view) return;
      ui.legend.children[1].hidden = app.view.arms.length < 2;
      app.view.arms.forEach(function (arm, i) {
        var parts = ui.legend.children[i].children;
        setText(parts[1], arm.side.toUpperCase() + "  " + arm.entry.label);
        setText(parts[2], "misses " + td.errorText(arm.errors[0]));
      });
      app.view.arms.forEach(function (arm) {
        var box = ui.arms[arm.side];
        setText(box.value, td.errorText(arm.errors[0]));
        var words = "over 1 s " + td.errorText(arm.errors[arm.errors.length - 1]);
        if (arm.limit) words += " · limit of one step " + td.errorText(arm.limit.errors[0]);
        var ratio = Math.abs(1 - arm.entry.fixedStep / app.view.plan.deltaT);
        if (arm.entry.fixedStep) words += "\n|1 − h/Δ| " + td.errorText(ratio); // a line of its own: no width makes it jump
        setText(box.first, words);
      });
      var limits = app.view.arms.filter(function (arm) { return arm.limit; });
      setText(ui.errorNote, "RMS error over RMS true change, all steps so far; 1 is what “nothing moves” scores. " + (limits.length ? "Wide and dotted, the limits: " + limits.map(function (arm) {
        return arm.side.toUpperCase() + ", " + arm.limit.text;
      }).join("; ") + "." : "For these models no limit is defined.") +
        (app.view.system.kink && limits.some(function (arm) { return td.isField(arm.entry); }) ? " Fields know of no " + app.view.system.kink + "." : ""));
      ui.kinkNote.hidden = !app.view.system.kink;
      setText(ui.kinkNote, kinkWords(app.view));
      if (!ui.code.hidden) setText(ui.code.firstChild, app.pythonText());
      ui.map.update();
    }
    function kinkWords(view) {
      var what = view.system.kink;
      if (!view.touched.length) return "No " + what + " within this second.";
      return "▲ " + what + ", first at " + view.touched[0].toFixed(2) + " s: the flow has a kink there, and laws of a smooth one end.";
    }
    function inputControls(system) {
      var state = app.state, signal = state.inputs[state.channel], input = system.inputs[state.channel];
      var key = [signal.kind, state.channel, state.env].join("|");
      ui.channelField.hidden = system.inputs.length < 2;
      fill(ui.channel, system.inputs.map(function (one, i) { return { value: String(i), text: one.name + " [" + one.unit + "]" }; }), String(state.channel));
      ui.kind.value = signal.kind;
      ui.input.canvas.classList.toggle("td-x-drawable", true);
      if (ui.inputFields.dataset.key !== key) {
        ui.inputFields.dataset.key = key;
        ui.inputFields.textContent = "";
        var parts = {
          pulse: [["value", input.name + " [" + input.unit + "]", input.low, input.high, (input.high - input.low) / 40],
            ["begin", "From [s]", 0, td.HORIZON, 0.05], ["end", "To [s]", 0, td.HORIZON, 0.05]],
          constant: [["value", input.name + " [" + input.unit + "]", input.low, input.high, (input.high - input.low) / 40]],
          random: [["seed", "Random seed", 0, 9999, 1]],
          sine: [["amplitude", "Amplitude [" + input.unit + "]", 0, input.high, input.high / 20], ["frequency", "Frequency [Hz]", 0, 100, 0.1]],
          drawn: [],
        }[signal.kind];
        parts.forEach(function (p) {
          var control = h("input", { type: "number", min: p[2], max: p[3], step: p[4], "data-part": p[0], onchange: function () {
            var own = app.state.inputs[app.state.channel];
            app.tryTo(function () {
              var value = Number(control.value);
              if (control.value.trim() === "" || !(value >= p[2] && value <= p[3])) throw new RangeError(p[1] + " must lie between " + p[2] + " and " + p[3] + ", got " + (control.value || "nothing"));
              own[p[0]] = p[0] === "seed" ? Math.round(value) : value;
              app.changed();
            }, function () { control.value = own[p[0]]; });
          } });
          ui.inputFields.append(ui.field(p[1], control));
        });
        if (signal.kind === "drawn") ui.inputFields.append(h("p", { class: "td-x-note", text: "Draw in the small chart under the motion, or focus it: left and right choose a time, up and down change the input there." }));
      }
      ui.inputFields.querySelectorAll("input").forEach(function (control) {
        if (document.activeElement !== control) control.value = signal[control.dataset.part];
      });
      app.updatePush();
      app.hands.drawnAccess();
    }
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
