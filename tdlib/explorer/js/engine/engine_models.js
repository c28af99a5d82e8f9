/* tdEngine, models: how the generated pieces of a model become its prediction, as in tdlib/models/{contract,ode,derived}.py.
   A structure (generate/pieces.py) says which it is:
     map    next state from state, action, Δt                        pieces: map
     cell   next state and next memory from memory, state, ...       pieces: initial, cell, and start for a first step that
                                                                     is told its state
     field  ds/dt, integrated over the interval                      pieces: rate, and energy where there is one
   A model has reset(), and step(x, action, Δt, y, solver, substeps) that writes the next state into y, which is not x. */
(function (root) {
  "use strict";
  const td = (root.tdEngine = root.tdEngine || {});
  const { makeSolver, holder } = td.solvers;

  function mapModel(structure, weights, sizes) {
    const piece = structure.map(weights, td.numbers), hold = holder(piece, sizes.action);
    const spread = structure.spread ? new Float64Array(sizes.state) : null;
    return {
      reset() {},
      step(x, action, deltaT, y) {
        hold(action, deltaT);
        if (spread) piece.run(x, y, spread); else piece.run(x, y);
      },
      spread: spread,
    };
  }

  /** The memory is made from the first state; it lies in two sets of arrays, one read and one written. */
  function cellModel(structure, weights, sizes) {
    const initial = structure.initial(weights, td.numbers), later = made(structure.cell);
    const first = structure.start ? made(structure.start) : later, [read, written] = [0, 1].map(function () {
      return structure.carry.map(function (size) { return new Float64Array(size); });
    });
    let now = read, next = written, fresh = true;
    return {
      reset() { fresh = true; },
      step(x, action, deltaT, y) {
        const step = fresh ? first : later;
        if (fresh) initial.run(x, ...now);
        fresh = false;
        step.hold(action, deltaT);
        step.run(...now, x, y, ...next);
        [now, next] = [next, now];
      },
    };
    function made(write) {
      const piece = write(weights, td.numbers);
      return { run: piece.run, hold: holder(piece, sizes.action) };
    }
  }

  function fieldModel(structure, weights, sizes, entry) {
    const piece = structure.rate(weights, td.numbers), hold = holder(piece, sizes.action);
    const solve = makeSolver(piece.run, sizes.state, sizes.velocityDims), middle = new Float64Array(sizes.state), one = new Float64Array(1);
    const energy = structure.energy && structure.energy(weights, td.numbers);
    return {
      reset() {},
      step(x, action, deltaT, y, solver, substeps) {
        const tableau = td.tableaux[solver || entry.solver], count = substeps || entry.substeps, h = deltaT / count;
        hold(action);
        solve(tableau, x, h, y);
        for (let k = 1; k < count; k++) {
          middle.set(y);
          solve(tableau, middle, h, y);
        }
      },
      rate(x, action, dx) {
        hold(action);
        piece.run(x, dx);
      },
      energy: energy && function (x) { energy.run(x, one); return one[0]; },
    };
  }
  const KINDS = { map: mapModel, cell: cellModel, field: fieldModel };

  const TOLERANCE = 1e-5; // relative; the count of whole steps in an interval, as in tdlib

  /** x' = x + (Δ/h)·(Φ_h(x, a) − x). */
  function rescaled(model, h, size) {
    const end = new Float64Array(size);
    return {
      reset() {},
      step(x, action, deltaT, y, solver, substeps) {
        model.reset();
        model.step(x, action, h, end, solver, substeps);
        for (let i = 0; i < size; i++) y[i] = x[i] + (deltaT / h) * (end[i] - x[i]);
      },
    };
  }
  /** Φ_h composed floor(Δ/h) times, then its increment rescaled to what remains of Δ. */
  function recurrentRollout(model, h, size) {
    const rest = rescaled(model, h, size), middle = new Float64Array(size);
    return {
      reset() {},
      step(x, action, deltaT, y, solver, substeps) {
        const ratio = (deltaT / h) * (1 + TOLERANCE), count = Math.floor(ratio);
        const remainder = Math.max(0, deltaT / h - count);
        y.set(x);
        for (let k = 0; k < count; k++) {
          middle.set(y);
          model.reset();
          model.step(middle, action, h, y, solver, substeps);
        }
        if (remainder <= TOLERANCE * ratio) return;
        middle.set(y);
        rest.step(middle, action, remainder * h, y, solver, substeps);
      },
    };
  }
  /** x' = x + Σ_k C(Δ/h, k)·δᵏ, δᵏ the k-th forward difference of x, Φ_h(x), Φ_h(Φ_h(x)), ...; k = 1 … order. */
  function newton(order) {
    return function (model, h, size) {
      const iterates = Array.from({ length: order + 1 }, function () { return new Float64Array(size); });
      return {
        reset() {},
        step(x, action, deltaT, y, solver, substeps) {
          iterates[0].set(x);
          for (let k = 1; k <= order; k++) {
            model.reset();
            model.step(iterates[k - 1], action, h, iterates[k], solver, substeps);
          }
          y.set(x);
          for (let k = 1, binomial = 1; k <= order; k++) {
            binomial *= (deltaT / h - (k - 1)) / k;
            for (let j = 0; j <= order - k; j++)
              for (let i = 0; i < size; i++) iterates[j][i] = iterates[j + 1][i] - iterates[j][i];
            for (let i = 0; i < size; i++) y[i] += binomial * iterates[0][i];
          }
        },
      };
    };
  }
  const DERIVED = { rescaled: rescaled, recurrent_rollout: recurrentRollout, newton_2: newton(2), newton_3: newton(3) };
  const PERSISTENCE = { reset() {}, step(x, action, deltaT, y) { y.set(x); } };

  td.kinds = { KINDS: KINDS, DERIVED: DERIVED, PERSISTENCE: PERSISTENCE };
})(globalThis);
