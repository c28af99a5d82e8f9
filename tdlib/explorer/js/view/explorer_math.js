/* What the Δt explorer computes without a page: held inputs, the steps of a rollout, errors, and the analytic limits of
   tdlib.study.limits followed along the rollout. Everything is a function of plain values, so that tests run it. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var TRUTH_STEP = 0.01; // [s]; the truth is drawn at least this fine

  /* --- inputs ---------------------------------------------------------------------------------------------------- */
  function noise(seed, k) { // uniform in [0, 1), a small integer hash: the same on every machine
    var h = (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(k + 1, 0x85ebca77)) >>> 0;
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d) >>> 0;
    h = Math.imul(h ^ (h >>> 12), 0x297a2d39) >>> 0;
    return ((h ^ (h >>> 15)) >>> 0) / 4294967296;
  }
  /** The first input of a system: its name, unit and limits, and the values that discrete actions give it. */
  td.actuator = function (system) {
    var table = system.actionTable;
    return Object.assign({ kind: table ? "discrete" : "continuous", values: table && table.map(function (row) { return row[0]; }) }, system.inputs[0]);
  };
  function nearest(values, u) { // the later one of two that are equally near
    return values.reduce(function (best, value, k) { return Math.abs(value - u) <= Math.abs(values[best] - u) ? k : best; }, 0);
  }
  /** Physical input at a time [s], within the actuator's range, rounded so that Python lines can repeat it exactly. */
  td.inputAt = function (input, time, action) {
    var u, clock = time * (1 + 1e-9) + 1e-12;
    if (input.kind === "constant") u = input.value;
    else if (input.kind === "random") u = action.low + (action.high - action.low) * noise(input.seed, Math.floor(clock / td.HOLD));
    else if (input.kind === "sine") u = input.amplitude * Math.sin(2 * Math.PI * input.frequency * time);
    else u = input.values[Math.min(td.DRAWN - 1, Math.floor((clock / td.HORIZON) * td.DRAWN))];
    u = Math.min(action.high, Math.max(action.low, u));
    if (action.kind === "discrete") return action.values[nearest(action.values, u)];
    return Math.round(u * 1e4) / 1e4;
  };
  /** What models and truth are given: an index where the actuator is discrete. */
  td.actionOf = function (physical, action) {
    return action.kind === "discrete" ? nearest(action.values, physical) : physical;
  };

  /** Steps of one rollout and the finer grid of its truth. */
  td.plan = function (state, system) {
    var deltaT = td.deltaTOf(state.rate), steps = td.stepsWithin(td.HORIZON, deltaT);
    var parts = Math.max(1, Math.ceil((deltaT / TRUTH_STEP) * (1 - 1e-9)));
    var plan = { deltaT: deltaT, steps: steps, parts: parts, times: [0], actions: [], inputs: [], fineTimes: [0], fineActions: [], fineDeltaTs: [] };
    for (var k = 0; k < steps; k++) {
      var input = td.inputAt(state.input, k * deltaT, td.actuator(system)), action = td.actionOf(input, td.actuator(system));
      plan.times.push((k + 1) * deltaT);
      plan.inputs.push(input);
      plan.actions.push(action);
      for (var j = 1; j <= parts; j++) {
        plan.fineTimes.push(k * deltaT + (j * deltaT) / parts);
        plan.fineActions.push(action);
        plan.fineDeltaTs.push(deltaT / parts);
      }
    }
    return plan;
  };

  /* --- errors and limits ----------------------------------------------------------------------------------------- */
  td.wrap = function (angle) { return angle - 2 * Math.PI * Math.ceil((angle - Math.PI) / (2 * Math.PI)); };
  /** Error up to each step: RMS error / RMS true change since the start, root mean square over moving dimensions.
      1 is what predicting no change scores; states are those after each step. */
  td.relativeErrors = function (system, start, truth, predicted) {
    var dims = start.length, errors = new Float64Array(dims), changes = new Float64Array(dims), result = [];
    for (var k = 0; k < predicted.length; k++) {
      var total = 0, moving = 0;
      for (var d = 0; d < dims; d++) {
        var error = predicted[k][d] - truth[k][d], change = truth[k][d] - start[d];
        if (system.angleDims.indexOf(d) >= 0) error = td.wrap(error);
        errors[d] += error * error;
        changes[d] += change * change;
        if (changes[d] > 1e-18) { total += errors[d] / changes[d]; moving += 1; }
      }
      var value = moving ? Math.sqrt(total / moving) : NaN;
      result.push(isFinite(value) ? value : NaN);
    }
    return result;
  };

  /** One step of a perfect learner of the same kind: exact at the rates it was trained at, its form in between.
      Returns {step(state, action, deltaT), text} or null where the study defines no limit. */
  td.limitOf = function (entry, system, solver, substeps) {
    if (!entry || entry.train_frequency === "loguniform" || entry.method === "persistence") return null;
    function increment(state, action, deltaT) {
      var next = system.flow(state, action, deltaT);
      return Array.from(next, function (x, i) { return x - state[i]; });
    }
    var nodes = td.support(entry).rates.map(td.deltaTOf), h = nodes[0], method = entry.method, form = entry.form || "none";
    if (td.isField(entry)) {
      if (solver === "euler" && entry.form === "euler" && entry.model !== "first_order_ode") return null;
      if (solver === "euler" && entry.form === "euler")
        return { text: "Euler with the field that its training step makes exact",
          step: function (state, action, deltaT) {
            for (var k = 0; k < substeps; k++) {
              var change = increment(state, action, h);
              state = state.map(function (x, i) { return x + (deltaT / substeps / h) * change[i]; });
            }
            return state;
          } };
      if (entry.model === "velocity" || !system.field || entry.form !== "rk4") return null;
      return { text: "the true field in this solver", step: function (state, action, deltaT) {
        for (var k = 0; k < substeps; k++) state = solve(system, solver, state, action, deltaT / substeps);
        return state;
      } };
    }
    if (method === "recurrent_rollout")
      return { text: "the exact map of " + td.number(1000 * h) + " ms, composed", step: function (state, action, deltaT) {
        var count = Math.floor((deltaT / h) * (1 + 1e-5)), rest = deltaT / h - count;
        for (var k = 0; k < count; k++) state = Array.from(system.flow(state, action, h));
        if (rest <= 1e-5 * (count + 1)) return state;
        var change = increment(state, action, h);
        return state.map(function (x, i) { return x + rest * change[i]; });
      } };
    if (method === "rescaled" || form === "none") {
      return { text: method === "rescaled" ? "the exact map of " + td.number(1000 * h) + " ms, rescaled" : "the exact map of " + td.number(1000 * h) + " ms",
        step: function (state, action, deltaT) {
          var factor = method === "rescaled" ? deltaT / h : 1, change = increment(state, action, h);
          return state.map(function (x, i) { return x + factor * change[i]; });
        } };
    }
    var factor = { concat: one, scaled: identity, scaled_concat: identity, log_tau: logTau }[form];
    if (!factor) return null;
    return { text: "exact at " + (nodes.length > 1 ? "its training rates" : td.number(1000 * h) + " ms") + ", " + form + " between",
      step: function (state, action, deltaT) {
        var weights = nodes.map(function (node, i) {
          var weight = form === "scaled" ? 1 / nodes.length : 1;
          if (form !== "scaled") nodes.forEach(function (other, j) { if (j !== i) weight *= (deltaT - other) / (node - other); });
          return (weight * factor(deltaT)) / factor(node);
        });
        var changes = nodes.map(function (node) { return increment(state, action, node); });
        return state.map(function (x, i) {
          return changes.reduce(function (sum, change, n) { return sum + weights[n] * change[i]; }, x);
        });
      } };
  };
  function one() { return 1; }
  function identity(deltaT) { return deltaT; }
  function logTau(deltaT) { return Math.log(deltaT) / Math.LN10 + 5; }
  function solve(system, solver, state, action, h) {
    function at(x, k, factor) { return x.map(function (v, i) { return v + factor * k[i]; }); }
    var k1 = system.field(state, action);
    if (solver === "euler") return at(state, k1, h);
    var k2 = system.field(at(state, k1, h / 2), action);
    if (solver === "midpoint") return at(state, k2, h);
    var k3 = system.field(at(state, k2, h / 2), action), k4 = system.field(at(state, k3, h), action);
    return state.map(function (v, i) { return v + (h / 6) * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]); });
  }
  td.followLimit = function (limit, start, plan) {
    var state = start.slice(), states = [];
    for (var k = 0; k < plan.steps; k++) { state = limit.step(state, plan.actions[k], plan.deltaT); states.push(state); }
    return states;
  };
  td.solverOf = function (entry, state) { return state.solver || (td.isField(entry) ? entry.form : ""); };

  /** Send one request at a time; while one is on its way only the newest of the others is kept. */
  td.newestWins = function (send) {
    var busy = false, next = null;
    function start(job) {
      busy = true;
      Promise.resolve().then(function () { return send(job.request); }).then(job.done, job.failed).then(function () {
        busy = false;
        var waiting = next;
        next = null;
        if (waiting) start(waiting);
      });
    }
    return function (request, done, failed) {
      var job = { request: request, done: done, failed: failed };
      if (busy) next = job; else start(job);
    };
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
