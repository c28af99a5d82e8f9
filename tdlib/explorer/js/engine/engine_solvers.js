/* tdEngine, solvers: Runge-Kutta steps by their tableaux, splittings by their moves, the implicit midpoint by iteration
   (`tdEngine.tableaux`, written by generate/systems.py).
   Also what is held: generated code computes what depends on the action and Δt alone when these change. */
(function (root) {
  "use strict";
  const td = (root.tdEngine = root.tdEngine || {});

  /** Take steps y = x + h Σ b_i k_i, k_i = rate(x + h Σ a_ij k_j); rate(x, dx) writes ds/dt. Returns step(tableau, x, h, y).
      A splitting moves the velocities, then all else, ... each along the rate at the point it has come to. */
  function makeSolver(rate, size, velocityDims) {
    const point = new Float64Array(size), slopes = [];
    const isVelocity = Array.from({ length: size }, function (_, i) { return (velocityDims || []).includes(i); });
    function split(moves, x, h, y) {
      point.set(x);
      for (const [velocities, share] of moves) {
        rate(point, y);
        for (let i = 0; i < size; i++) if (isVelocity[i] === velocities) point[i] += share * h * y[i];
      }
      y.set(point);
    }
    function implicit(iterations, x, h, y) {
      const slope = slopes[0] || (slopes[0] = new Float64Array(size));
      point.set(x);
      for (let k = 0; k <= iterations; k++) {
        rate(point, slope);
        for (let i = 0; i < size; i++) {
          y[i] = x[i] + h * slope[i];
          point[i] = 0.5 * (x[i] + y[i]);
        }
      }
    }
    return function (tableau, x, h, y) {
      if (tableau.moves) return split(tableau.moves, x, h, y);
      if (tableau.iterations) return implicit(tableau.iterations, x, h, y);
      const stages = tableau.b.length;
      while (slopes.length < stages) slopes.push(new Float64Array(size));
      for (let s = 0; s < stages; s++) {
        along(x, h, tableau.a[s], point);
        rate(point, slopes[s]);
      }
      along(x, h, tableau.b, y);
    };
    function along(x, h, weights, y) {
      for (let i = 0; i < size; i++) {
        let slope = 0;
        for (let s = 0; s < weights.length; s++) slope += weights[s] * slopes[s][i];
        y[i] = x[i] + h * slope;
      }
    }
  }

  /** Call a generated function's hold only where the action (an array) or Δt is another than before. */
  function holder(piece, size) {
    const action = new Float64Array(size).fill(NaN), deltaT = Float64Array.of(NaN);
    return function (nextAction, nextDeltaT) {
      let same = nextDeltaT === deltaT[0] || nextDeltaT === undefined;
      for (let i = 0; i < size; i++) same = same && nextAction[i] === action[i];
      if (same) return;
      action.set(nextAction);
      deltaT[0] = nextDeltaT;
      piece.hold(action, deltaT);
    };
  }

  td.solvers = { makeSolver: makeSolver, holder: holder };
})(globalThis);
