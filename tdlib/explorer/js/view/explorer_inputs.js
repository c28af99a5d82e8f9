/* The held inputs of the Δt explorer: signals, the steps that hold them, and the finer grid of the truth. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var TRUTH_STEP = 0.01; // [s]; the truth is drawn at least this fine

  function noise(seed, k) { // uniform in [0, 1), a small integer hash: the same on every machine
    var h = (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(k + 1, 0x85ebca77)) >>> 0;
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d) >>> 0;
    h = Math.imul(h ^ (h >>> 12), 0x297a2d39) >>> 0;
    return ((h ^ (h >>> 15)) >>> 0) / 4294967296;
  }
  /** A signal's value at a time [s], before limits. */
  function signalAt(signal, time, input) {
    var clock = time * (1 + 1e-9) + 1e-12; // a step that begins where a new value does takes the new one
    if (signal.kind === "constant") return signal.value;
    if (signal.kind === "pulse") return clock >= signal.begin && clock < signal.end ? signal.value : 0;
    if (signal.kind === "random") return input.low + (input.high - input.low) * noise(signal.seed, Math.floor(clock / td.HOLD));
    if (signal.kind === "sine") return signal.amplitude * Math.sin(2 * Math.PI * signal.frequency * time);
    return signal.values[Math.min(td.DRAWN - 1, Math.floor((clock / td.HORIZON) * td.DRAWN))];
  }
  function clamped(u, input) { return Math.min(input.high, Math.max(input.low, u)); }
  /** The discrete action whose inputs are nearest, in units of their ranges; the later one of two that are equally near. */
  function nearest(system, values) {
    var best = 0, least = Infinity;
    system.actionTable.forEach(function (row, k) {
      var distance = row.reduce(function (sum, held, i) {
        return sum + Math.pow((values[i] - held) / (system.inputs[i].high - system.inputs[i].low), 2);
      }, 0);
      if (distance <= least) { best = k; least = distance; }
    });
    return best;
  }
  /** What models and truth are given for physical inputs: an index where actions are discrete, a number for one input. */
  td.actionOf = function (system, values) {
    if (system.actionTable) return nearest(system, values);
    return values.length === 1 ? values[0] : values;
  };
  /** The physical inputs that an action holds. */
  td.inputsOf = function (system, action) {
    return system.actionTable ? system.actionTable[action] : [].concat(action);
  };
  /** Action at a time [s], within the limits of the inputs, rounded so that Python lines can repeat it exactly. */
  td.actionAt = function (system, signals, time) {
    return td.actionOf(system, system.inputs.map(function (input, i) {
      var u = clamped(signalAt(signals[i], time, input), input);
      return system.actionTable ? u : Math.round(u * 1e4) / 1e4;
    }));
  };
  /** A signal of another kind for one input, near what its signals give now. */
  td.signalOf = function (kind, system, signals, channel) {
    var input = system.inputs[channel];
    var push = system.actionTable ? input.high : 0.5 * input.high;
    if (kind === "constant") return { kind: kind, value: push };
    if (kind === "pulse") return { kind: kind, value: push, begin: td.HOLD, end: 2 * td.HOLD };
    if (kind === "random") return { kind: kind, seed: 3 + channel };
    if (kind === "sine") return { kind: kind, amplitude: input.high, frequency: 2 };
    var values = [];
    for (var k = 0; k < td.DRAWN; k++) {
      var action = td.actionAt(system, signals, ((k + 0.5) / td.DRAWN) * td.HORIZON);
      values.push(td.inputsOf(system, action)[channel]);
    }
    return { kind: kind, values: values };
  };

  /** Steps of one rollout and the finer grid of its truth. */
  td.plan = function (state, system) {
    var deltaT = td.deltaTOf(state.rate), steps = td.stepsWithin(td.HORIZON, deltaT);
    var parts = Math.max(1, Math.ceil((deltaT / TRUTH_STEP) * (1 - 1e-9)));
    var plan = { deltaT: deltaT, steps: steps, parts: parts, times: [0], actions: [], inputs: [], fineTimes: [0], fineActions: [], fineDeltaTs: [] };
    for (var k = 0; k < steps; k++) {
      var action = td.actionAt(system, state.inputs, k * deltaT);
      plan.times.push((k + 1) * deltaT);
      plan.inputs.push(td.inputsOf(system, action));
      plan.actions.push(action);
      for (var j = 1; j <= parts; j++) {
        plan.fineTimes.push(k * deltaT + (j * deltaT) / parts);
        plan.fineActions.push(action);
        plan.fineDeltaTs.push(deltaT / parts);
      }
    }
    return plan;
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
