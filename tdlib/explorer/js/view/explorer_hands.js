/* What hands do on the canvases of the Δt explorer: drag the start state, draw the input; arrow keys do both as well. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var signed = td.dom.signed;

  /** Listen on the canvases. owner: {engine, state(), view(), changed(), setInput(kind), freeze(on)}. */
  td.hands = function (ui, owner) {
    function placeHandle() {
      if (!owner.view() || !ui.phase.frame) return;
      var pair = td.phasePair(owner.view().system, owner.state().dim), f = ui.phase.frame, first = owner.state().start[pair[0]];
      if (td.isCircle(owner.view().system, pair)) first = td.wrap(first);
      var x = Math.max(f.left, Math.min(f.right, f.x(first))), y = Math.max(f.top, Math.min(f.bottom, f.y(owner.state().start[pair[1]])));
      ui.handle.style.transform = "translate(" + x.toFixed(1) + "px," + y.toFixed(1) + "px)";
      var range = td.environment(owner.state().env).windows[pair[0]][0], system = owner.view().system;
      ui.handle.setAttribute("aria-valuemin", range[0].toFixed(2));
      ui.handle.setAttribute("aria-valuemax", range[1].toFixed(2));
      ui.handle.setAttribute("aria-valuenow", first.toFixed(2));
      ui.handle.setAttribute("aria-valuetext", pair.map(function (d) { return system.stateLabels[d] + " " + signed(owner.state().start[d], 2) + " " + system.stateUnits[d]; }).join(", "));
    }
    function moveStart(position, velocity) {
      var pair = td.phasePair(owner.view().system, owner.state().dim), limits = td.environment(owner.state().env).start_limits, start = owner.state().start.slice();
      start[pair[0]] = Math.max(-limits[pair[0]], Math.min(limits[pair[0]], Number(position.toFixed(3))));
      start[pair[1]] = Math.max(-limits[pair[1]], Math.min(limits[pair[1]], Number(velocity.toFixed(3))));
      owner.state().start = start;
      owner.changed();
    }
    function pointAt(event, figure) {
      var box = figure.canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    }
    function drag(target, figure, allowed, move, end) {
      target.addEventListener("pointerdown", function (event) {
        if (event.button !== 0 || !allowed(event)) return;
        event.preventDefault();
        target.setPointerCapture(event.pointerId);
        function onMove(e) { move(pointAt(e, figure)); }
        function onEnd() {
          target.removeEventListener("pointermove", onMove);
          target.removeEventListener("pointerup", onEnd);
          target.removeEventListener("pointercancel", onEnd);
          end();
        }
        target.addEventListener("pointermove", onMove);
        target.addEventListener("pointerup", onEnd);
        target.addEventListener("pointercancel", onEnd);
        onMove(event);
      });
    }
    function dragStart(point) {
      owner.freeze(true); // axes keep still under the hand
      moveStart(ui.phase.frame.valueX(point[0]), ui.phase.frame.valueY(point[1]));
    }
    function endDrag() { owner.freeze(false); owner.changed(); }
    drag(ui.handle, ui.phase, function () { ui.handle.focus(); return true; }, dragStart, endDrag);
    drag(ui.phase.canvas, ui.phase, function (event) { return event.pointerType === "mouse"; }, dragStart, endDrag);
    ui.handle.addEventListener("keydown", function (event) {
      var step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!step) return;
      event.preventDefault();
      var pair = td.phasePair(owner.view().system, owner.state().dim), range = td.environment(owner.state().env).windows[pair[0]], size = event.shiftKey ? 0.05 : 0.01;
      moveStart(owner.state().start[pair[0]] + step[0] * size * (range[0][1] - range[0][0]), owner.state().start[pair[1]] + step[1] * size * (range[1][1] - range[1][0]));
    });
    var lastBin = null, cursorBin = 0;
    function system() { return owner.engine.systems[owner.state().env]; }
    function input() { return system().inputs[owner.state().channel]; }
    function signal() { return owner.state().inputs[owner.state().channel]; }
    function paint(point) {
      var limits = input(), f = ui.input.frame;
      if (signal().kind !== "drawn") owner.setInput("drawn");
      var bin = Math.max(0, Math.min(td.DRAWN - 1, Math.floor((f.valueX(point[0]) / td.HORIZON) * td.DRAWN)));
      var value = Number(Math.max(limits.low, Math.min(limits.high, f.valueY(point[1]))).toFixed(3)), from = lastBin === null ? bin : lastBin;
      for (var k = Math.min(from, bin); k <= Math.max(from, bin); k++) signal().values[k] = value;
      lastBin = cursorBin = bin;
      owner.changed();
    }
    drag(ui.input.canvas, ui.input, function (event) { return event.pointerType === "mouse" || signal().kind === "drawn"; }, paint, function () { lastBin = null; });
    function drawnAccess() {
      var canvas = ui.input.canvas, drawn = signal().kind === "drawn", limits = input();
      canvas.style.touchAction = drawn ? "none" : "auto";
      if (!drawn) {
        canvas.removeAttribute("tabindex");
        ["aria-valuemin", "aria-valuemax", "aria-valuenow", "aria-valuetext"].forEach(function (name) { canvas.removeAttribute(name); });
        canvas.setAttribute("role", "img");
        return;
      }
      canvas.tabIndex = 0;
      canvas.setAttribute("role", "slider");
      canvas.setAttribute("aria-label", "drawn input; left and right choose a time, up and down change the input there");
      canvas.setAttribute("aria-valuemin", limits.low);
      canvas.setAttribute("aria-valuemax", limits.high);
      canvas.setAttribute("aria-valuenow", signal().values[cursorBin]);
      canvas.setAttribute("aria-valuetext", "at " + (cursorBin / td.DRAWN).toFixed(2) + " seconds: " + signed(signal().values[cursorBin], 2) + " " + limits.unit);
    }
    ui.input.canvas.addEventListener("keydown", function (event) {
      if (signal().kind !== "drawn") return;
      var limits = input(), step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!step) return;
      event.preventDefault();
      cursorBin = Math.max(0, Math.min(td.DRAWN - 1, cursorBin + step[0]));
      var values = signal().values, value = values[cursorBin] + (step[1] * (limits.high - limits.low)) / 20;
      if (system().actionTable && step[1]) value = neighbor(values[cursorBin], step[1]);
      values[cursorBin] = Number(Math.max(limits.low, Math.min(limits.high, value)).toFixed(3));
      owner.changed();
    });
    /** The next value that discrete actions give this input, up or down. */
    function neighbor(value, direction) {
      var beyond = system().actionTable.map(function (row) { return row[owner.state().channel]; }).filter(function (u) { return direction * (u - value) > 1e-9; });
      return beyond.length ? direction * Math.min.apply(null, beyond.map(function (u) { return direction * u; })) : value;
    }
    return { placeHandle: placeHandle, drawnAccess: drawnAccess };
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
