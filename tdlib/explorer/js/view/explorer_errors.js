/* Errors of the Δt explorer, and the analytic limits of tdlib.study.limits followed along a rollout. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});

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

  /** One step of a perfect learner of the same kind, as the entry's limit describes it (explorer/python/entries.py):
      map          exact at its training steps; between them s(Δ) = constant + linear·Δ + log·(log10 Δ + 5) in front
      series       Newton's series in iterates of the exact map of its training step, to an order
      composed     the exact map of its training step, composed; the rest is its increment, rescaled
      true_field   the true field in the solver at hand
      euler_field  Euler with the field that its training step makes exact
      Returns {step(state, action, deltaT), text} or null where the study defines no limit. */
  td.limitOf = function (entry, system, solver, substeps) {
    var limit = entry && entry.limit;
    if (!limit || (limit.kind === "euler_field" && solver !== "euler")) return null;
    return { text: limit.text, step: LIMITS[limit.kind](limit, system, solver, substeps) };
  };
  function increment(system, state, action, deltaT) {
    var next = system.flow(state, action, deltaT);
    return Array.from(next, function (x, i) { return x - state[i]; });
  }
  function moved(state, change, factor) { return state.map(function (x, i) { return x + factor * change[i]; }); }
  function differenceTo(before) { return function (after, j) { return after.map(function (x, i) { return x - before[j][i]; }); }; }
  var LIMITS = {
    map: function (limit, system) {
      function factor(deltaT) {
        return limit.step[0] + limit.step[1] * deltaT + limit.step[2] * (Math.log(deltaT) / Math.LN10 + 5);
      }
      function weightOf(node, deltaT) { // of a polynomial through the training steps where Δt is seen, else of their mean
        if (!limit.sees) return 1 / limit.nodes.length;
        return limit.nodes.reduce(function (product, other) {
          return other === node ? product : (product * (deltaT - other)) / (node - other);
        }, 1);
      }
      return function (state, action, deltaT) {
        return limit.nodes.reduce(function (next, node) {
          return moved(next, increment(system, state, action, node), (weightOf(node, deltaT) * factor(deltaT)) / factor(node));
        }, state);
      };
    },
    composed: function (limit, system) {
      var h = limit.nodes[0];
      return function (state, action, deltaT) {
        var count = Math.floor((deltaT / h) * (1 + 1e-5)), rest = deltaT / h - count;
        for (var k = 0; k < count; k++) state = Array.from(system.flow(state, action, h));
        return rest <= 1e-5 * (count + 1) ? state : moved(state, increment(system, state, action, h), rest);
      };
    },
    series: function (limit, system) {
      var h = limit.nodes[0];
      return function (state, action, deltaT) {
        var iterates = [state], binomial = 1, next = state;
        for (var k = 1; k <= limit.order; k++) {
          iterates.push(Array.from(system.flow(iterates[k - 1], action, h)));
        }
        for (k = 1; k <= limit.order; k++) {
          iterates = iterates.slice(1).map(differenceTo(iterates));
          binomial *= (deltaT / h - (k - 1)) / k;
          next = moved(next, iterates[0], binomial);
        }
        return next;
      };
    },
    euler_field: function (limit, system, solver, substeps) {
      return function (state, action, deltaT) {
        for (var k = 0; k < substeps; k++)
          state = moved(state, increment(system, state, action, limit.nodes[0]), deltaT / substeps / limit.nodes[0]);
        return state;
      };
    },
    true_field: function (limit, system, solver, substeps) {
      var held = null, engine = root.tdEngine, next = new Float64Array(system.stateNames.length);
      var solve = engine.solvers.makeSolver(function (x, dx) { dx.set(system.field(x, held)); }, next.length, system.velocityDims);
      return function (state, action, deltaT) {
        held = action;
        for (var k = 0; k < substeps; k++) {
          solve(engine.tableaux[solver], state, deltaT / substeps, next);
          state = Array.from(next);
        }
        return state;
      };
    },
  };
  /** Answer one job with the true field in a solver. */
  td.trueSteps = function (system, job) {
    var step = LIMITS.true_field(null, system, job.solver || job.entry.solver, job.substeps || 1);
    if (job.kind !== "rollout") return job.states.map(function (state, k) { return step(Array.from(state), job.actions[k], job.deltaT); });
    var state = Array.from(job.states[0]);
    return job.actions.map(function (action) { return (state = step(state, action, job.deltaT)); });
  };
  td.followLimit = function (limit, start, plan) {
    var state = start.slice(), states = [];
    for (var k = 0; k < plan.steps; k++) { state = limit.step(state, plan.actions[k], plan.deltaT); states.push(state); }
    return states;
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
