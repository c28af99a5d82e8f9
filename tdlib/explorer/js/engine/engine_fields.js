/* tdEngine, continuous-time models: the four fields and their solvers, as in tdlib/models/{fields,ode}.py. */
(function (root) {
  "use strict";
  const td = (root.tdEngine = root.tdEngine || {});
  const { makeMatrix, vectorFor, product, SOLVERS, workspace } = td.numbers;
  const { makeFeatures, makeEmbedding, makeLayers, makeNetwork, run } = td.parts;

  /** A field whose SiLU network reads state features and embedded action: answer(g, x, dx) turns its output into ds/dt. */
  function networkRate(part, features, answer) {
    const network = makeNetwork(part.tensors("network."), features.count);
    return { hold: network.hold, rate(x, dx) { answer(network.run(features(x)), x, dx); } };
  }

  /** First order: ds/dt = σ·g(φ(x), e). */
  function firstOrderRate(system, part, features, sigma) {
    return networkRate(part, features, function (g, x, dx) {
      for (let i = 0; i < x.length; i++) dx[i] = sigma[i] * g[i];
    });
  }

  /** Newtonian: dq/dt = v, dv/dt = σ_v·g(φ(q, v), e) − exp(log_damping)·v. */
  function newtonianRate(system, part, features, sigma) {
    const q = system.positionDims, v = system.velocityDims, damping = part.tensors("").log_damping.values.map(Math.exp);
    return networkRate(part, features, function (g, x, dx) {
      for (let i = 0; i < q.length; i++) {
        dx[q[i]] = x[v[i]];
        dx[v[i]] = sigma[v[i]] * g[i] - damping[i] * x[v[i]];
      }
    });
  }

  /** Velocity: dq/dt = σ_q·g(φ(q, v), e), dv/dt = 0. */
  function velocityRate(system, part, features, sigma) {
    const q = system.positionDims, v = system.velocityDims;
    return networkRate(part, features, function (g, x, dx) {
      for (let i = 0; i < q.length; i++) {
        dx[q[i]] = sigma[q[i]] * g[i];
        dx[v[i]] = 0;
      }
    });
  }

  /** Port-Hamiltonian: dq/dt = C ∂H/∂v, dv/dt = −C ∂H/∂q − exp(log_damping)·C ∂H/∂v + σ_v·G e, C = σ_q·σ_v.
      H is a softplus network of the state alone; its gradient by the chain rule, layer by layer from the last:
      g ← W_lᵀ (g ∘ sigmoid(z_l)), since softplus' = sigmoid. The force σ_v·G e is computed once per held action. */
  function portHamiltonianRate(system, part, features, sigma) {
    const layers = makeLayers(part.tensors("network.")), hidden = layers.slice(0, -1), last = layers[layers.length - 1];
    const q = system.positionDims, v = system.velocityDims, port = part.tensors("port.").weight;
    const damping = part.tensors("").log_damping.values.map(Math.exp);
    const G = makeMatrix(port.values, port.shape[0], port.shape[1]), force = vectorFor(G), none = vectorFor(G);
    const gradient = new Float64Array(sigma.length);
    hidden.forEach(function (layer) {
      layer.transposed = transposed(layer.weight);
      layer.slope = vectorFor(layer.matrix);
      layer.zeros = vectorFor(layer.transposed);
      layer.back = vectorFor(layer.transposed);
    });
    /** Hidden layers from a state: softplus where something reads it, and its slope. */
    function forward(x, lastToo) {
      let z = features(x);
      for (let l = 0; l < hidden.length; l++) {
        const slope = hidden[l].slope, read = lastToo || l + 1 < hidden.length;
        z = run(hidden[l], z);
        for (let i = 0; i < z.length; i++) {
          const e = 1 + Math.exp(z[i]);
          slope[i] = 1 - 1 / e;
          if (read && z[i] <= 20) z[i] = Math.log(e); // linear above 20 as in torch
        }
      }
      return z;
    }
    function energyGradient(x) {
      forward(x, false);
      let g = last.weight.values;
      for (let l = hidden.length - 1; l >= 0; l--) {
        const layer = hidden[l], slope = layer.slope;
        for (let i = 0; i < layer.matrix.rows; i++) slope[i] *= g[i];
        product(layer.transposed, slope, layer.zeros, layer.back);
        g = layer.back;
      }
      features.pullBack(x, g, gradient);
    }
    return {
      hold(embedded) {
        product(G, embedded, none, force);
        for (let i = 0; i < q.length; i++) force[i] *= sigma[v[i]];
      },
      rate(x, dx) {
        energyGradient(x);
        for (let i = 0; i < q.length; i++) {
          const unit = sigma[q[i]] * sigma[v[i]], positionRate = unit * gradient[v[i]];
          dx[v[i]] = -unit * gradient[q[i]] - damping[i] * positionRate + force[i];
          dx[q[i]] = positionRate;
        }
      },
      energy(x) { return run(last, forward(x, true))[0]; },
    };
  }

  function transposed(weight) {
    const rows = weight.shape[0], cols = weight.shape[1], values = new Float64Array(rows * cols);
    for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) values[j * rows + i] = weight.values[i * cols + j];
    return makeMatrix(values, cols, rows);
  }

  const RATES = {
    first_order_ode: firstOrderRate, newtonian: newtonianRate, velocity: velocityRate,
    port_hamiltonian: portHamiltonianRate,
  };

  /** A field integrated over the interval in equal substeps with the action held. */
  function fieldModel(system, part, entry) {
    const field = part.below("field."), scales = field.constants("scales.");
    const rates = RATES[entry.model](system, field, makeFeatures(system, scales), scales.rate_scale);
    const embedding = makeEmbedding(part);
    const w = workspace(system.stateNames.length);
    let heldAction = NaN;
    function hold(action) { if (action !== heldAction) rates.hold(embedding.of((heldAction = action))); }
    return {
      reset() {},
      hold: hold,
      rate: rates.rate,
      energy: rates.energy,
      step(x, action, deltaT, y, solver, substeps) {
        const take = SOLVERS[solver || entry.solver], count = substeps || entry.substeps;
        hold(action);
        take(rates.rate, x, deltaT / count, y, w);
        for (let k = 1; k < count; k++) take(rates.rate, y, deltaT / count, y, w);
      },
    };
  }

  td.fields = { fieldModel: fieldModel };
})(globalThis);
