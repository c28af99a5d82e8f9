/* The train × test heat map of the Δt explorer: a table of buttons, each of which selects its pair. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var h = td.dom.h, setText = td.dom.setText, FIXED = 24;

  /** A small fixed sample of states and inputs, spread evenly by irrational steps. */
  td.fixedStarts = function (system) {
    var size = system.stateNames.length, states = [], actions = [];
    // fractional parts of k·g^-1, k·g^-2, ... with g^(n+1) = g + 1 fill n dimensions evenly
    function steps(n) {
      for (var g = 2, k = 0; k < 60; k++) g = Math.pow(1 + g, 1 / (n + 1));
      return Array.from({ length: n }, function (_, d) { return Math.pow(g, -1 - d); });
    }
    var own = steps(size), held = steps(system.inputs.length);
    for (var k = 1; k <= FIXED; k++) {
      states.push(own.map(function (step, d) { return system.view.box[d] * (2 * ((k * step) % 1) - 1); }));
      actions.push(td.actionOf(system, system.inputs.map(function (input, i) {
        return input.low + (input.high - input.low) * ((k * held[i]) % 1);
      })));
    }
    return { states: states, actions: actions };
  };
  /** Relative one-step error of predicted ends: root mean square over dimensions of RMS error / RMS true change. */
  td.oneStepError = function (system, fixed, ends, deltaT) {
    var dims = fixed.states[0].length, errors = new Array(dims).fill(0), changes = new Array(dims).fill(0);
    fixed.states.forEach(function (state, i) {
      var truth = system.flow(state, fixed.actions[i], deltaT);
      for (var d = 0; d < dims; d++) {
        var error = ends[i][d] - truth[d];
        if (system.angleDims.indexOf(d) >= 0) error = td.wrap(error);
        errors[d] += error * error;
        changes[d] += Math.pow(truth[d] - state[d], 2);
      }
    });
    return Math.sqrt(errors.reduce(function (sum, e, d) { return sum + e / changes[d]; }, 0) / dims);
  };

  var HEAT = [[0.001, [240, 247, 252]], [0.01, [206, 228, 241]], [0.05, [169, 207, 229]], [0.2, [255, 226, 178]], [1, [224, 110, 40]], [5, [120, 34, 12]]];
  td.heatColors = function (value) {
    if (!(value >= 0)) return { back: "transparent", front: "inherit" };
    var v = Math.log(Math.max(HEAT[0][0], Math.min(5, value))), k = 0;
    while (k < HEAT.length - 2 && v > Math.log(HEAT[k + 1][0])) k++;
    var share = (v - Math.log(HEAT[k][0])) / (Math.log(HEAT[k + 1][0]) - Math.log(HEAT[k][0]));
    var rgb = HEAT[k][1].map(function (x, i) { return Math.round(x + share * (HEAT[k + 1][1][i] - x)); });
    var linear = rgb.map(function (x) { return x <= 10 ? x / 3294.6 : Math.pow((x / 255 + 0.055) / 1.055, 2.4); });
    // at this luminance black and white text have equal contrast, 4.58 to 1
    var light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179;
    return { back: "rgb(" + rgb.join(",") + ")", front: light ? "#000000" : "#ffffff" };
  };

  /** Build the map. owner: {engine, config, state(), entries(), entry(), send(request, done), pick(entry, rate)}. */
  td.heatMap = function (owner) {
    var figure = h("figure", { class: "td-x-map" }), cells = [];
    var title = h("span", { class: "td-x-title", text: "Trained × asked: choose a pair" }), note = h("p", { class: "td-x-note" });
    var scroll = h("div", { class: "td-x-scroll", tabindex: 0, role: "region", "aria-label": "heat map of one-step errors" });
    figure.append(h("figcaption", {}, [title]), scroll, note);

    function rows() { // one entry per training rate of A's model and method
      var entries = owner.entries(), wanted = td.wanted(owner.entry());
      return td.options(entries, wanted, "train_frequency", ["model", "how"]).map(function (o) {
        return td.choose(entries, { model: wanted.model, how: wanted.how, train_frequency: o.value, seed: wanted.seed, run: wanted.run });
      });
    }
    function stored(entry) { // the run's own table where it has this row
      return ((owner.config.heatmap || {})[owner.state().env] || []).filter(function (row) {
        return row.model === entry.model && row.method === entry.method && row.form === entry.form &&
          (row.data === entry.data || td.isNothing(entry)) && row.train_frequency === entry.train_frequency;
      })[0];
    }
    function update() {
      var state = owner.state(), entry = owner.entry(), found = rows(), system = owner.engine.systems[state.env];
      var key = [state.env, entry.model, td.how(entry), entry.seed, entry.run, state.solver, state.substeps].join("|");
      if (figure.dataset.key === key) { computeLater(); return mark(); }
      figure.dataset.key = key;
      var saved = found.map(stored), asTrained = !td.isField(entry) || (!state.solver && state.substeps === 1);
      if (asTrained && saved.every(Boolean)) {
        asked = null;
        var seeds = saved.map(function (row) { return row.seeds; }), few = Math.min.apply(null, seeds), most = Math.max.apply(null, seeds);
        return show(found, saved.map(function (row) { return row.values; }), "One step: RMS error / RMS true change, mean of " +
          (few === most ? few : few + "–" + most) + (most === 1 ? " seed" : " seeds") + " (" + owner.config.heatmapNote + ").");
      }
      var text = "One step: RMS error / RMS true change, computed here for this one model from " + FIXED + " fixed states.";
      show(found, found.map(function () { return []; }), text); // empty at first, so that what is below it stays where it is
      asked = function () { compute(key, found, state, system, text); };
      computeLater();
    }
    var asked = null, computeLater = td.dom.quiet(function () { var run = asked; asked = null; if (run) run(); }, 350);
    function compute(key, found, state, system, text) {
      var fixed = td.fixedStarts(system), jobs = [];
      found.forEach(function (row) {
        td.TEST_RATES.forEach(function (rate) {
          jobs.push({ entry: row, solver: td.solverOf(row, state), substeps: td.substepsOf(row, state), kind: "steps",
            states: fixed.states, actions: fixed.actions, deltaT: td.deltaTOf(rate) });
        });
      });
      owner.send({ env: state.env, jobs: jobs }, function (results) {
        if (figure.dataset.key !== key) return;
        var values = found.map(function (_, i) {
          return td.TEST_RATES.map(function (rate, j) { return td.oneStepError(system, fixed, results[i * td.TEST_RATES.length + j], td.deltaTOf(rate)); });
        });
        show(found, values, text);
      });
    }
    function show(found, values, text) {
      cells = [];
      var head = h("tr", {}, [h("th", { scope: "col", class: "td-x-corner", text: "trained \\ asked [Hz]" })].concat(td.TEST_RATES.map(function (rate) {
        return h("th", { scope: "col", text: String(rate) });
      })));
      var body = found.map(function (row, i) {
        return h("tr", {}, [h("th", { scope: "row", text: row.rateShort })].concat(td.TEST_RATES.map(function (rate, j) {
          var value = values[i][j], look = td.heatColors(value);
          var cell = h("button", { type: "button", tabindex: -1, text: short(value), style: "background:" + look.back + ";color:" + look.front,
            "data-row": i, "data-column": j, "data-train": row.train_frequency, "data-rate": rate,
            "aria-label": "trained at " + row.rateLabel + ", asked at " + rate + " Hz: error " + td.errorText(value),
            onclick: function () { owner.pick(row, rate); }, onkeydown: function (event) { move(event, i, j); } });
          cells.push(cell);
          return h("td", {}, [cell]);
        })));
      });
      scroll.textContent = "";
      scroll.append(h("table", { "aria-label": "one-step error by training rate and asked rate" }, [h("thead", {}, [head]), h("tbody", {}, body)]));
      setText(note, text);
      mark();
    }
    function move(event, i, j) {
      var step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
      if (!step) return;
      event.preventDefault();
      cells.forEach(function (cell) {
        if (Number(cell.dataset.row) === i + step[0] && Number(cell.dataset.column) === j + step[1]) { tabStop(cell); cell.focus(); }
      });
    }
    function short(value) { return value >= 1000 ? ">999" : value < 0.0095 ? "<.01" : value >= 0.0095 && value < 0.995 ? value.toFixed(2) : td.errorText(value); }
    function tabStop(cell) { cells.forEach(function (other) { other.tabIndex = other === cell ? 0 : -1; }); }
    function mark() {
      if (!cells.length) return;
      var train = owner.entry().train_frequency, rate = owner.state().rate, current = null;
      cells.forEach(function (cell) {
        if (cell.dataset.train === train && Number(cell.dataset.rate) === rate) { cell.setAttribute("aria-current", "true"); current = cell; }
        else cell.removeAttribute("aria-current");
      });
      if (!figure.contains(document.activeElement)) tabStop(current || cells[0]);
    }
    return { figure: figure, update: update, mark: mark };
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
