/* Buttons that push the system of the Δt explorer: one for each action of its table, held all along or as a pulse. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var h = td.dom.h, signed = td.dom.signed, ARROWS = "→↗↑↖←↙↓↘";

  /** The inputs on offer: those of discrete actions; of a single input its ends and none; else there are no buttons. */
  td.pushes = function (system) {
    if (system.actionTable) return system.actionTable;
    if (system.inputs.length > 1) return [];
    var input = system.inputs[0];
    return [[input.low], [Math.min(input.high, Math.max(input.low, 0))], [input.high]];
  };
  /** Which of them the signals push with, -1 for none; all must be constant, or all a pulse. */
  td.pushedBy = function (system, signals) {
    var kind = signals[0].kind;
    if ((kind !== "constant" && kind !== "pulse") || signals.some(function (signal) { return signal.kind !== kind; })) return -1;
    var held = td.inputsOf(system, td.actionAt(system, signals, kind === "pulse" ? signals[0].begin : 0));
    return td.pushes(system).findIndex(function (row) {
      return row.every(function (u, i) { return Math.abs(u - held[i]) < 1e-9; });
    });
  };
  /** Signals that hold some inputs, all along or as a pulse. */
  td.pushWith = function (row, pulse) {
    return row.map(function (u) {
      return pulse ? { kind: "pulse", value: u, begin: td.HOLD, end: 2 * td.HOLD } : { kind: "constant", value: u };
    });
  };
  /** Two inputs are a direction: column and line in a square of nine; null where two actions would share a place. */
  td.pushPlaces = function (rows) {
    if (!rows.length || rows[0].length !== 2) return null;
    var taken = {}, places = rows.map(function (row) {
      var place = row.map(function (u, i) { return Math.abs(u) < 1e-9 ? 2 : (u > 0) === (i === 0) ? 3 : 1; });
      taken[place] = true;
      return place;
    });
    return Object.keys(taken).length === rows.length ? places : null;
  };

  /** Add layoutPush() and updatePush() to an explorer. */
  td.addPush = function (app) {
    var buttons = [], rows = [];
    app.layoutPush = function () {
      var system = app.engine.systems[app.state.env], places = td.pushPlaces(rows = td.pushes(system));
      app.ui.push.hidden = !rows.length;
      app.ui.pushPad.textContent = "";
      app.ui.pushPad.classList.toggle("td-x-compass", Boolean(places));
      buttons = rows.map(function (row, k) {
        var words = row.map(function (u, i) { return system.inputs[i].name + " " + signed(Number(u.toFixed(2)), 2) + unit(system.inputs[i]); }).join(", ");
        var button = h("button", { type: "button", "aria-pressed": "false", "aria-label": words, title: words, text: places ? arrow(row) : text(row, system),
          style: places ? "grid-column:" + places[k][0] + ";grid-row:" + places[k][1] : null, onclick: function () { push(k, isPulse()); } });
        app.ui.pushPad.append(button);
        return button;
      });
    };
    app.updatePush = function () {
      var pushed = td.pushedBy(app.engine.systems[app.state.env], app.state.inputs);
      buttons.forEach(function (button, k) { button.setAttribute("aria-pressed", String(k === pushed)); });
      app.ui.pulse.checked = isPulse();
    };
    app.setPulse = function (on) {
      var system = app.engine.systems[app.state.env], pushed = td.pushedBy(system, app.state.inputs);
      push(pushed < 0 ? rows.length - 1 : pushed, on);
    };
    function isPulse() { return app.state.inputs.every(function (signal) { return signal.kind === "pulse"; }); }
    function push(k, pulse) {
      var most = 0; // the chart shows the input that is pushed most
      rows[k].forEach(function (u, i) { if (Math.abs(u) > Math.abs(rows[k][most]) + 1e-9) most = i; });
      app.state.inputs = td.pushWith(rows[k], pulse);
      app.state.channel = most;
      app.changed();
    }
    function unit(input) { return input.unit === "1" ? "" : " " + input.unit; }
    function arrow(row) {
      return row[0] || row[1] ? ARROWS[(Math.round(Math.atan2(row[1], row[0]) / (Math.PI / 4)) + 8) % 8] : "·";
    }
    function text(row, system) {
      return row.map(function (u, i) { return u ? (u > 0 ? "+" : "−") + td.number(Math.abs(u)) + unit(system.inputs[i]) : "none"; }).join(", ");
    }
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
