/* tdEngine, truth: a system's flow under a zero-order hold, as in tdlib/systems. What the systems are comes from Python:
   generate/systems.py calls `tdEngine.define` with names, limits and the right-hand side generated from the equation. */
(function (root) {
  "use strict";
  const td = (root.tdEngine = root.tdEngine || {});
  const { at } = td.numbers, { makeSolver } = td.solvers;

  td.systems = {};

  /** An action as an array of numbers; a single number stands for an array of one. */
  function vector(action) { return typeof action === "number" ? [action] : action; }

  /** Complete a description by what all systems share: flow, truth, field, energy, physical inputs. */
  td.define = function (description, functions) {
    const size = description.stateNames.length, limits = description.limits, table = description.actionTable;
    const low = description.inputs.map(function (input) { return input.low; });
    const high = description.inputs.map(function (input) { return input.high; });
    const equation = functions.rate({}, td.numbers), event = functions.event && functions.event({}, td.numbers);
    const energy = functions.energy && functions.energy({}, td.numbers);
    const step = makeSolver(equation.run, size), one = new Float64Array(1);
    let state = new Float64Array(size), next = new Float64Array(size);
    /** The held inputs of an action: a row of the table, or the action within its limits. */
    function physical(action) {
      if (table) return table[vector(action)[0]];
      return Array.from(vector(action), function (u, i) { return Math.min(Math.max(u, low[i]), high[i]); });
    }
    /** n = ceil(|Δt| / longest substep) equal substeps, limits and events after each; ROUNDING keeps ceil(.03 / .01) at 3. */
    function advance(action, deltaT) {
      const wanted = (Math.abs(deltaT) / description.maxSubstep) * (1 - description.rounding);
      const count = Math.max(1, Math.ceil(wanted)), h = deltaT / count, tableau = td.tableaux[description.solver];
      equation.hold(physical(action));
      for (let k = 0; k < count; k++) {
        step(tableau, state, h, next);
        if (limits) for (let i = 0; i < size; i++) next[i] = Math.min(Math.max(next[i], limits[i][0]), limits[i][1]);
        [state, next] = [next, state];
        if (event) {
          event.run(state, next);
          [state, next] = [next, state];
        }
      }
    }
    td.systems[description.name] = Object.assign({}, description, {
      physical: physical,
      flow(start, action, deltaT) {
        state.set(start);
        advance(action, deltaT);
        return Array.from(state);
      },
      truth(start, actions, deltaTs) {
        state.set(start);
        return actions.map(function (action, k) {
          advance(action, at(deltaTs, k));
          return Array.from(state);
        });
      },
      field(start, action) {
        equation.hold(physical(action));
        equation.run(start, next);
        return Array.from(next);
      },
      energy: energy ? function (x) { energy.run(x, one); return one[0]; } : null,
    });
  };
  td.vector = vector;
})(globalThis);
