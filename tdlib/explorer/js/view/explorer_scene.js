/* The moving system of the Δt explorer, drawn from the points that its sketch gives (tdlib/systems). */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var start = td.canvas.start, segment = td.canvas.segment;

  /** State at a time, straight between samples. */
  td.stateAt = function (start, times, states, time) {
    var k = 0;
    while (k < states.length && times[k + 1] < time - 1e-12) k++;
    if (k >= states.length) return states.length ? states[states.length - 1] : start;
    var before = k === 0 ? start : states[k - 1], share = (time - times[k]) / (times[k + 1] - times[k]);
    return Array.from(before, function (x, i) { return x + share * (states[k][i] - x); });
  };
  td.drawScene = function (canvas, view, time) {
    var f = start(canvas, view.theme), strobe = view.strobe ? [0, 0.25, 0.5, 0.75, 1] : [time];
    var pose = view.system.sketch ? sketched : ruled;
    strobe.forEach(function (t, i) {
      f.c.globalAlpha = strobe.length > 1 ? 0.25 + 0.15 * i : 1;
      var truth = td.stateAt(view.state.start, view.plan.fineTimes, view.truth.slice(1), Math.min(t, view.plan.fineTimes[view.plan.fineTimes.length - 1]));
      pose(f, view, truth, view.theme.truth, true);
      view.arms.forEach(function (arm) {
        if (!arm.states) return;
        var state = td.stateAt(view.state.start, view.plan.times, arm.states, Math.min(t, view.plan.times[view.plan.steps]));
        if (state.every(isFinite)) pose(f, view, state, arm.color, false, arm.side);
      });
    });
    f.c.globalAlpha = 1;
  };
  /** Rods, discs and boxes between the points of the system's sketch. */
  function sketched(f, view, state, color, solid, side) {
    var c = f.c, sketch = view.system.sketch, unit = Math.min(f.width, f.height), points = sketch.points(state);
    var scale = Math.min((f.width - 60) / (2 * sketch.reach[0]), f.height / (2 * sketch.reach[1]));
    function x(i) { return f.width / 2 + scale * Math.max(-sketch.reach[0], Math.min(sketch.reach[0], points[2 * i])); }
    function y(i) { return f.height / 2 - scale * (points[2 * i + 1] - sketch.middle); }
    c.strokeStyle = color;
    c.fillStyle = color;
    c.lineCap = "round";
    if (sketch.ground !== null) {
      c.save();
      c.strokeStyle = view.theme.grid;
      c.lineWidth = 2;
      var level = f.height / 2 - scale * (sketch.ground - sketch.middle);
      segment(c, 8, level, f.width - 8, level);
      c.restore();
    }
    sketch.boxes.forEach(function (box) {
      var w = Math.max(2 * scale * box[1], 24), h = Math.max(2 * scale * box[2], 12);
      c.lineWidth = 2.5;
      if (solid) c.fillRect(x(box[0]) - w / 2, y(box[0]) - h / 2, w, h);
      else {
        c.setLineDash(side === "b" ? [5, 4] : []);
        c.strokeRect(x(box[0]) - w / 2 - 3, y(box[0]) - h / 2 - 3, w + 6, h + 6);
        c.setLineDash([]);
      }
    });
    sketch.rods.forEach(function (rod) {
      c.lineWidth = solid ? Math.max(5, 0.035 * unit) : Math.max(3, 0.018 * unit);
      c.setLineDash(side === "b" ? [8, 6] : []);
      segment(c, x(rod[0]), y(rod[0]), x(rod[1]), y(rod[1]));
      c.setLineDash([]);
    });
    sketch.discs.forEach(function (i) {
      c.beginPath();
      c.arc(x(i), y(i), (solid ? 0.055 : 0.04) * unit, 0, 2 * Math.PI);
      if (side === "b") { c.lineWidth = 3; c.fillStyle = view.theme.background; c.fill(); c.stroke(); c.fillStyle = color; } else c.fill();
    });
    c.fillStyle = view.theme.text;
    sketch.pivots.forEach(function (i) {
      c.beginPath();
      c.arc(x(i), y(i), 3.5, 0, 2 * Math.PI);
      c.fill();
    });
  }
  /** A system without a sketch: one ruler per dimension of the state, with a mark where it is. */
  function ruled(f, view, state, color, solid, side) {
    var c = f.c, rows = state.length;
    c.textBaseline = "middle";
    state.forEach(function (value, d) {
      var limits = view.limits[d], y = (f.height * (d + 0.5)) / rows, left = 70, right = f.width - 16;
      var x = left + ((right - left) * (Math.max(limits[0], Math.min(limits[1], value)) - limits[0])) / (limits[1] - limits[0]);
      if (solid) {
        c.strokeStyle = view.theme.grid;
        c.lineWidth = 2;
        segment(c, left, y, right, y);
        c.fillStyle = view.theme.text;
        c.fillText(view.system.stateLabels[d], 8, y);
      }
      c.strokeStyle = c.fillStyle = color;
      c.beginPath();
      c.arc(x, y, solid ? 8 : 5, 0, 2 * Math.PI);
      if (side === "b") { c.lineWidth = 2; c.stroke(); } else c.fill();
    });
  }
})(typeof globalThis !== "undefined" ? globalThis : this);
