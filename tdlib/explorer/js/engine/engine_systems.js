/* tdEngine, truth: the three systems and their flow under a zero-order hold, as in tdlib/envs. */
(function (root) {
  "use strict";
  const td = (root.tdEngine = root.tdEngine || {});
  const { SOLVERS, workspace, at } = td.numbers;

  const MAX_SUBSTEP = 0.01, ROUNDING = 1e-9; // [s]; ROUNDING keeps ceil(0.03 / 0.01) at 3

  const PENDULUM = {
    stateNames: ["theta", "omega"], stateUnits: ["rad", "rad/s"],
    angleDims: [0], positionDims: [0], velocityDims: [1],
    action: { kind: "continuous", name: "torque", unit: "N m", low: -2, high: 2, num: null },
    limits: { speed: [Infinity, 8], end: null },
    reset: { low: [-Math.PI, -1], high: [Math.PI, 1] },
    /** θ'' = 3g/(2l) sin θ + 3/(m l²) u, g = 10, m = l = 1, θ = 0 upright. */
    rate(x, u, dx) {
      dx[0] = x[1];
      dx[1] = 15 * Math.sin(x[0]) + 3 * u;
    },
    /** m l²/6 ω² + m g l/2 cos θ: a uniform rod hinged at its end. */
    energy(x) { return (x[1] * x[1]) / 6 + 5 * Math.cos(x[0]); },
  };

  const G = 9.8, POLE = 0.1, TOTAL = 1.1, HALF = 0.5, MOMENT = POLE * HALF; // [m/s²], [kg], [kg], [m], [kg m]
  const CARTPOLE = {
    stateNames: ["x", "x_dot", "theta", "theta_dot"], stateUnits: ["m", "m/s", "rad", "rad/s"],
    angleDims: [2], positionDims: [0, 2], velocityDims: [1, 3],
    action: { kind: "discrete", name: "force", unit: "N", low: -10, high: 10, num: 2 },
    limits: { speed: null, end: [2.4, Infinity, (12 * 2 * Math.PI) / 360, Infinity] },
    reset: { low: [-0.05, -0.05, -0.05, -0.05], high: [0.05, 0.05, 0.05, 0.05] },
    /** θ'' = (g sin θ − cos θ B) / (l (4/3 − m cos²θ / M)), x'' = B − m l θ'' cos θ / M,
        B = (F + m l θ'² sin θ) / M. */
    rate(x, force, dx) {
      const sin = Math.sin(x[2]), cos = Math.cos(x[2]), push = (force + MOMENT * x[3] * x[3] * sin) / TOTAL;
      const acceleration = (G * sin - cos * push) / (HALF * (4 / 3 - (POLE * cos * cos) / TOTAL));
      dx[0] = x[1];
      dx[1] = push - (MOMENT * acceleration * cos) / TOTAL;
      dx[2] = x[3];
      dx[3] = acceleration;
    },
    /** M/2 x'² + m l cos θ x' θ' + (2/3) m l² θ'² + m g l cos θ: the Lagrangian that these equations belong to. */
    energy(x) {
      const cos = Math.cos(x[2]);
      const cart = (TOTAL / 2) * x[1] * x[1], pole = (2 / 3) * MOMENT * HALF * x[3] * x[3];
      return cart + MOMENT * cos * x[1] * x[3] + pole + MOMENT * G * cos;
    },
  };
  const FORCE = Object.assign({}, CARTPOLE.action, { kind: "continuous", num: null });

  /** Complete a description by what all systems share: flow, truth, field, physical input. */
  function makeSystem(name, parts) {
    const action = parts.action, speed = parts.limits.speed, n = parts.stateNames.length;
    const w = workspace(n), state = new Float64Array(n);
    let force = 0;
    function rate(x, dx) { parts.rate(x, force, dx); }
    function physical(value) {
      if (action.kind === "discrete") return action.low + ((action.high - action.low) * value) / (action.num - 1);
      return Math.min(Math.max(value, action.low), action.high);
    }
    /** RK4 in n = ceil(|Δt| / 10 ms) equal substeps, the speed limit after each. */
    function advance(value, deltaT) {
      const count = Math.max(1, Math.ceil((Math.abs(deltaT) / MAX_SUBSTEP) * (1 - ROUNDING))), h = deltaT / count;
      force = physical(value);
      for (let k = 0; k < count; k++) {
        SOLVERS.rk4(rate, state, h, state, w);
        if (speed) for (let i = 0; i < n; i++) state[i] = Math.min(Math.max(state[i], -speed[i]), speed[i]);
      }
    }
    return Object.assign({ name: name, physical: physical }, parts, {
      rate: undefined,
      flow(start, value, deltaT) {
        state.set(start);
        advance(value, deltaT);
        return Array.from(state);
      },
      truth(start, actions, deltaTs) {
        state.set(start);
        return actions.map(function (value, k) {
          advance(value, at(deltaTs, k));
          return Array.from(state);
        });
      },
      field(start, value) {
        force = physical(value);
        rate(start, w.k1);
        return Array.from(w.k1);
      },
    });
  }

  td.systems = {
    "Pendulum-v1": makeSystem("Pendulum-v1", PENDULUM),
    "CartPole-v1": makeSystem("CartPole-v1", CARTPOLE),
    "CartPoleContinuous-v1": makeSystem("CartPoleContinuous-v1", Object.assign({}, CARTPOLE, { action: FORCE })),
  };
})(globalThis);
