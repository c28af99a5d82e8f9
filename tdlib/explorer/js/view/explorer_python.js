/* The Python lines that reproduce a view of the Δt explorer with tdlib; tests run them and compare the numbers. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});

  /** Lines that reproduce the view with tdlib: predictions of A and B, the truth, and the errors shown. */
  td.pythonLines = function (state, entries, plan, rounded) {
    var wrappers = {}, own = [], body = [], shown = [], system = root.tdEngine.systems[state.env];
    ["a", "b"].forEach(function (side) {
      var entry = entries[side];
      if (!entry) return;
      var name = "model_" + side, path = entry.path;
      if (td.isTruth(entry)) { own.push("from tdlib.explorer.python.true_field import TrueField"); body.push(name + " = TrueField(system)"); }
      else if (td.isNothing(entry)) { wrappers.Persistence = true; body.push(name + " = Persistence(system.spec)"); }
      else if (rounded) body.push(name + " = packed_model(load_checkpoint(" + JSON.stringify(path) + "))");
      else body.push(name + " = load_checkpoint(" + JSON.stringify(path) + ").double()");
      if (entry.wrapper) { // such as RescaledIncrement(model, 0.05)
        wrappers[entry.wrapper[0]] = true;
        body.push(name + " = " + entry.wrapper[0] + "(" + [name].concat(entry.wrapper.slice(1).map(String)).join(", ") + ")");
      }
      if (td.isField(entry) && (td.solverOf(entry, state) !== entry.solver || state.substeps !== 1))
        body.push(name + " = " + name + ".with_solver(" + JSON.stringify(td.solverOf(entry, state)) + ", substeps=" + state.substeps + ")");
      shown.push(side);
    });
    var loads = body.some(function (line) { return line.indexOf("load_checkpoint(") >= 0; }), names = Object.keys(wrappers).sort();
    var lines = ["import torch", "", "from tdlib.envs import SYSTEMS"];
    if (names.length) lines.push("from tdlib.models import " + names.join(", "));
    if (loads && rounded) own.unshift("from tdlib.explorer.python.pack import packed_model  # the page's weights have 16 bits");
    lines.splice.apply(lines, [3, 0].concat(own.filter(function (line, k) { return own.indexOf(line) === k; })));
    lines.push("from tdlib.core.specs import state_difference");
    if (loads) lines.push("from tdlib.training import load_checkpoint");
    lines.push("", "system = SYSTEMS[" + JSON.stringify(state.env) + "]", "delta_t = " + python(plan.deltaT) + "  # [s]",
      "start = torch.tensor(" + JSON.stringify(state.start) + ", dtype=torch.float64)",
      "actions = torch.tensor(" + listText(plan.actions) + ", dtype=torch.float64)" +
        (Array.isArray(plan.actions[0]) ? "" : ".unsqueeze(-1)") + (system.actionTable ? "  # indices" : ""));
    lines = lines.concat(body);
    lines.push("", "truth = [start]", "for action in actions:", "    truth.append(system.flow(truth[-1], action, delta_t))",
      "truth = torch.stack(truth[1:])  # after each step, (" + plan.steps + ", " + state.start.length + ")",
      "changes = ((truth - start) ** 2).cumsum(dim=0)");
    shown.forEach(function (side) {
      lines.push("with torch.inference_mode():", "    predicted_" + side + " = model_" + side + ".predict_sequence(start, actions, delta_t)",
        "squared = (state_difference(predicted_" + side + ", truth, system.spec) ** 2).cumsum(dim=0)",
        "errors = torch.where(changes > 1e-18, squared / changes, torch.nan).nanmean(dim=-1).sqrt()  # after each step",
        "first_" + side + ", error_" + side + " = float(errors[0]), float(errors[-1])  # relative to the true motion");
    });
    lines.push("print(" + shown.map(function (side) { return "first_" + side + ", error_" + side; }).join(", ") + ")");
    return lines.join("\n") + "\n";
  };
  function python(x) { return Number.isInteger(x) ? x.toFixed(1) : String(x); }
  function listText(values) {
    var texts = values.map(function (v) { return Array.isArray(v) ? "[" + v.map(python).join(", ") + "]" : python(v); });
    var same = texts.every(function (text) { return text === texts[0]; });
    return same ? "[" + texts[0] + "] * " + values.length : "[" + texts.join(", ") + "]";
  }
})(typeof globalThis !== "undefined" ? globalThis : this);
