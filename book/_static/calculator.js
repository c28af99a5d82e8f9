/* The calculator of recommendations: a reader's two rates, the nearest ones of the tables, and their cells as they were
   written when the book was built (book/_ext/td_calculator.py). Plain JavaScript, no request; works from file://. */
(function (root) {
  "use strict";
  var FIRST = { train: 20, test: 50 }; // [Hz]

  /** The pair of rates nearest to a reader's, both on a logarithmic scale. */
  function nearest(rates, wanted) {
    return rates.reduce(function (best, rate) {
      return Math.abs(Math.log(+rate / wanted)) < Math.abs(Math.log(+best / wanted)) ? rate : best;
    });
  }
  function cell(remedy, system, train, test) {
    var found = remedy.cells[system + "|" + train + "|" + test];
    return found === undefined ? remedy.cells[system + "||" + test] : found;
  }
  root.tdCalculator = { nearest: nearest, cell: cell };
  if (typeof document === "undefined") return;

  function add(parent, tag, attributes, text) {
    var node = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (name) { node.setAttribute(name, attributes[name]); });
    if (text !== undefined) node.textContent = text;
    parent.appendChild(node);
    return node;
  }
  function build(box, place) {
    var data = JSON.parse(box.getAttribute("data-cells"));
    var live = add(box, "div", { "class": "td-live", role: "group", "aria-label": "Calculator" });
    var row = add(live, "div", { "class": "td-fields" });
    function field(words, name) {
      var id = "td-calculator-" + place + "-" + name;
      var label = add(row, "label", { "for": id });
      add(label, "span", {}, words);
      return add(label, "input", { id: id, type: "number", min: "0.001", step: "any", inputmode: "decimal", value: String(FIRST[name]) });
    }
    var train = field("Model trained at [Hz]", "train"), test = field("Asked at [Hz]", "test");
    var readout = add(live, "p", { "class": "td-readout", "aria-live": "polite" });
    var scroll = add(live, "div", { "class": "td-scroll td-results td-few" }), table = add(scroll, "table", {});
    var head = add(add(table, "thead"), "tr");
    ["error left"].concat(data.systems).forEach(function (name) { add(head, "th", {}, name.replace(/-v\d+$/, "").replace("Continuous", ", continuous")); });
    var body = add(table, "tbody");
    add(live, "p", { "class": "td-source" }, "Relative one-step error; 1 is predicting no change. " + data.source + " Cells are those of the tables, nothing is interpolated; \u2013: not in them.");
    function show() {
      var h = +train.value, rate = +test.value;
      body.textContent = readout.textContent = "";
      if (!(h > 0 && rate > 0 && isFinite(h) && isFinite(rate))) {
        add(readout, "span", { "class": "td-bad" }, "Both rates must be positive numbers [Hz].");
        return;
      }
      var near = [nearest(data.train, h), nearest(data.test, rate)], error = Math.abs(1 - rate / h);
      add(readout, "strong", {}, "|1 \u2212 h/\u0394| = " + error.toPrecision(3));
      var same = +near[0] === h && +near[1] === rate;
      add(readout, "span", {}, (same ? "In the tables: " : "Nearest in the tables: ") + "trained at " + near[0] + " Hz, asked at " + near[1] + " Hz.");
      if (!same && Math.abs(Math.log((+near[1] / +near[0]) / (rate / h))) > 0.25) {
        add(readout, "span", { "class": "td-bad" }, "Their ratio is another than yours: read the formula, not the cells.");
      }
      data.remedies.forEach(function (remedy) {
        var line = add(body, "tr");
        add(line, "th", { scope: "row" }, remedy.label);
        data.systems.forEach(function (system) {
          var text = cell(remedy, system, near[0], near[1]), td = add(line, "td"), parts = (text || "\u2013").split(" [");
          add(td, "span", { "class": "td-number" }, parts[0]);
          if (parts[1]) { add(td, "br"); add(td, "span", { "class": "td-interval" }, "[" + parts[1]); }
        });
      });
    }
    [train, test].forEach(function (input) { input.addEventListener("input", show); });
    show();
  }
  function start() { Array.prototype.forEach.call(document.querySelectorAll(".td-calculator"), build); }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})(typeof window === "undefined" ? globalThis : window);
