/* tdEngine, truth: a system's flow under a zero-order hold, as in tdlib/systems. What the systems are comes from Python:
   generate/systems.py calls `tdEngine.define` with names and with functions generated from the equation. */
(function (root) {
  "use strict";
  const td = (root.tdEngine = root.tdEngine || {});
  const { at } = td.numbers;

  td.systems = {};

  /** An action as an array of numbers; a single number stands for an array of one. */
  function vector(action) { return typeof action === "number" ? [action] : action; }

  /** Complete a description by what all systems share: flow, truth, what it meets, field, energy, power, physical inputs. */
  td.define = function (description, functions) {
    const size = description.stateNames.length, table = description.actionTable, sketch = description.sketch;
    const low = description.inputs.map(function (input) { return input.low; });
    const high = description.inputs.map(function (input) { return input.high; });
    const pieces = {}, one = new Float64Array(1), interval = new Float64Array(1);
    for (const name in functions) pieces[name] = functions[name]({}, td.numbers);
    let state = new Float64Array(size), next = new Float64Array(size);
    const inputs = new Float64Array(low.length);
    /** The held inputs of an action: a row of the table, or the action within its limits. */
    function held(action) {
      const values = table ? table[typeof action === "number" ? action : action[0]] : action;
      for (let i = 0; i < inputs.length; i++) {
        const u = typeof values === "number" ? values : values[i];
        inputs[i] = Math.min(Math.max(u, low[i]), high[i]);
      }
      return inputs;
    }
    /** n = ceil(|Δt| / longest substep) equal substeps; the rounding keeps ceil(0.03 / 0.01) at 3.
        Returns whether one of them met a limit or an event, if that is watched. */
    function advance(action, deltaT, watched) {
      const wanted = (Math.abs(deltaT) / description.maxSubstep) * (1 - description.rounding);
      const count = Math.max(1, Math.ceil(wanted));
      interval[0] = deltaT / count;
      let met = false;
      pieces.substep.hold(held(action), interval);
      if (watched) pieces.touch.hold(inputs, interval);
      for (let k = 0; k < count; k++) {
        if (watched) pieces.touch.run(state, one);
        met = met || (watched && one[0] > 0);
        pieces.substep.run(state, next);
        [state, next] = [next, state];
      }
      return met;
    }
    td.systems[description.name] = Object.assign({}, description, {
      physical(action) { return Array.from(held(action)); },
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
      touched: pieces.touch ? function (start, actions, deltaTs) {
        state.set(start);
        return actions.map(function (action, k) { return advance(action, at(deltaTs, k), true); });
      } : null,
      field(start, action) {
        pieces.rate.hold(held(action));
        pieces.rate.run(start, next);
        return Array.from(next);
      },
      power: pieces.power ? function (x, action) {
        pieces.power.hold(held(action));
        pieces.power.run(x, one);
        return one[0];
      } : null,
      energy: pieces.energy ? function (x) { pieces.energy.run(x, one); return one[0]; } : null,
      sketch: sketch && Object.assign({}, sketch, {
        points(x) {
          const found = new Float64Array(2 * sketch.count);
          pieces.points.run(x, found);
          return found;
        },
      }),
    });
  };
  td.vector = vector;
})(globalThis);
