/* tdEngine, discrete models and what derives from them, as in tdlib/models/{discrete,ensemble,no_training}.py. */
(function (root) {
  "use strict";
  const td = (root.tdEngine = root.tdEngine || {});
  const { makeMatrix, product, sigmoid, tanh, silu } = td.numbers;
  const { makeFeatures, makeEmbedding, makeLayers, makeNetwork, makeForm, heldInputs, splitInput, run } = td.parts;

  // A model has reset(), and step(x, action, Δt, y, solver, substeps) that writes the next state; fields also have
  // hold(action) and rate(x, dx). y may be x.

  /** Jump: x' = x + s(Δt)·σ·g(φ(x), e(a), gain·Δt). */
  function jumpModel(system, part) {
    const features = makeFeatures(system, part.constants("scales.")), sigma = part.constants("scales.").rate_scale;
    const form = makeForm(part.constants("form.").coefficients);
    const network = makeNetwork(part.tensors("network."), features.count);
    const hold = heldInputs(makeEmbedding(part), form, network.hold);
    return {
      reset() {},
      step(x, action, deltaT, y) {
        hold(action, deltaT);
        const g = network.run(features(x)), s = form.step(deltaT);
        for (let i = 0; i < x.length; i++) y[i] = x[i] + s * sigma[i] * g[i];
      },
    };
  }

  /** LSTM: gates = W [φ; e; gain·Δt] + b + U o;  c = σ(keep) c + σ(write) tanh(candidate);  o = σ(show) tanh(c);
      x' = x + s(Δt)·σ·g(o). */
  function lstmModel(system, part) {
    const features = makeFeatures(system, part.constants("scales.")), sigma = part.constants("scales.").rate_scale;
    const form = makeForm(part.constants("form.").coefficients);
    const gatesIn = part.tensors("input_gates."), memory = part.tensors("memory_gates.").weight, size = memory.shape[1];
    const input = splitInput(gatesIn.weight, gatesIn.bias.values, features.count);
    const hold = heldInputs(makeEmbedding(part), form, input.hold);
    const U = makeMatrix(memory.values, 4 * size, size), layers = makeLayers(part.tensors("network."));
    const output = new Float64Array(size), cell = new Float64Array(size), gates = new Float64Array(4 * size);
    function read() {
      let z = output;
      layers.forEach(function (layer, i) {
        if (i) silu(z);
        z = run(layer, z);
      });
      return z;
    }
    return {
      reset() {
        output.fill(0);
        cell.fill(0);
      },
      step(x, action, deltaT, y) {
        hold(action, deltaT);
        product(U, output, input.run(features(x)), gates);
        for (let i = 0; i < size; i++) {
          cell[i] = sigmoid(gates[i]) * cell[i] + sigmoid(gates[size + i]) * tanh(gates[2 * size + i]);
          output[i] = sigmoid(gates[3 * size + i]) * tanh(cell[i]);
        }
        const g = read(), s = form.step(deltaT);
        for (let i = 0; i < x.length; i++) y[i] = x[i] + s * sigma[i] * g[i];
      },
    };
  }

  /** Ensemble: the mean of its members; members() are their last predictions. */
  function ensembleModel(system, part) {
    const members = [], predictions = [];
    for (let m = 0; part.has("members." + m + "."); m++) {
      members.push(jumpModel(system, part.below("members." + m + ".")));
      predictions.push(new Float64Array(system.stateNames.length));
    }
    return {
      reset() {},
      step(x, action, deltaT, y) {
        members.forEach(function (member, m) { member.step(x, action, deltaT, predictions[m]); });
        for (let i = 0; i < x.length; i++) {
          let sum = 0;
          for (let m = 0; m < members.length; m++) sum += predictions[m][i];
          y[i] = sum / members.length;
        }
      },
      members() { return predictions; },
    };
  }

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
    const rest = rescaled(model, h, size);
    return {
      reset() {},
      step(x, action, deltaT, y, solver, substeps) {
        const ratio = (deltaT / h) * (1 + TOLERANCE), count = Math.floor(ratio);
        const remainder = Math.max(0, deltaT / h - count);
        y.set(x);
        for (let k = 0; k < count; k++) {
          model.reset();
          model.step(y, action, h, y, solver, substeps);
        }
        if (remainder > TOLERANCE * ratio) rest.step(y, action, remainder * h, y, solver, substeps);
      },
    };
  }
  const DERIVED = { rescaled: rescaled, recurrent_rollout: recurrentRollout };
  const PERSISTENCE = { reset() {}, step(x, action, deltaT, y) { y.set(x); } };

  td.discrete = {
    jumpModel: jumpModel, lstmModel: lstmModel, ensembleModel: ensembleModel, DERIVED: DERIVED, PERSISTENCE: PERSISTENCE,
  };
})(globalThis);
