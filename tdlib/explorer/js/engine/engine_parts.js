/* tdEngine, parts of models: what networks see of states, actions and Δt, as in tdlib/models/{encoding,forms}.py. */
(function (root) {
  "use strict";
  const td = (root.tdEngine = root.tdEngine || {});
  const { makeMatrix, vectorFor, product, silu } = td.numbers;

  /** Standardized features of a state, (x − mean)/std with every angle as (cos, sin) in its place. */
  function makeFeatures(system, constants) {
    const mean = constants["normalizer.mean"], std = constants["normalizer.std"], angles = system.angleDims;
    const n = system.stateNames.length, isAngle = system.stateNames.map(function (_, i) { return angles.indexOf(i) >= 0; });
    const out = new Float64Array(mean.length);
    function features(x) {
      for (let i = 0, f = 0; i < n; i++) {
        if (isAngle[i]) {
          out[f] = (Math.cos(x[i]) - mean[f]) / std[f]; f++;
          out[f] = (Math.sin(x[i]) - mean[f]) / std[f]; f++;
        } else { out[f] = (x[i] - mean[f]) / std[f]; f++; }
      }
      return out;
    }
    /** Gradient with respect to the state from one with respect to the features, by the chain rule. */
    features.pullBack = function (x, g, out) {
      for (let i = 0, f = 0; i < n; i++) {
        if (isAngle[i]) {
          out[i] = (Math.cos(x[i]) * g[f + 1]) / std[f + 1] - (Math.sin(x[i]) * g[f]) / std[f];
          f += 2;
        } else { out[i] = g[f] / std[f]; f++; }
      }
    };
    features.count = mean.length;
    return features;
  }

  /** Embedding e(a): a row of a table for an index, A (a − mean)/std + b for a number. */
  function makeEmbedding(part) {
    const tensors = part.tensors("action_encoder."), table = tensors["embedding.weight"];
    if (table) {
      const size = table.shape[1];
      return { size: size, of(action) { return table.values.subarray(action * size, (action + 1) * size); } };
    }
    const A = tensors["linear.weight"].values, b = tensors["linear.bias"].values, out = new Float64Array(b.length);
    const constants = part.constants("action_encoder."), mean = constants["normalizer.mean"][0];
    const std = constants["normalizer.std"][0];
    return {
      size: out.length,
      of(action) {
        for (let i = 0; i < out.length; i++) out[i] = b[i] + (A[i] * (action - mean)) / std;
        return out;
      },
    };
  }

  /** Layers named 0, 2, 4, ... in torch's Sequential: y = W x + b. */
  function makeLayers(tensors) {
    const layers = [];
    for (let i = 0; tensors[i + ".weight"]; i += 2) {
      const weight = tensors[i + ".weight"], matrix = makeMatrix(weight.values, weight.shape[0], weight.shape[1]);
      const b = tensors[i + ".bias"].values;
      layers.push({ weight: weight, matrix: matrix, b: vectorFor(matrix, b), out: vectorFor(matrix) });
    }
    return layers;
  }
  function run(layer, x) {
    product(layer.matrix, x, layer.b, layer.out);
    return layer.out;
  }

  /** Split W [φ; held] + b: the held inputs (action, Δt) are multiplied once per interval, not per call. */
  function splitInput(weight, b, count) {
    const rows = weight.shape[0], cols = weight.shape[1], own = [], rest = [];
    for (let i = 0; i < rows; i++) {
      own.push(...weight.values.subarray(i * cols, i * cols + count));
      rest.push(...weight.values.subarray(i * cols + count, (i + 1) * cols));
    }
    const ownMatrix = makeMatrix(own, rows, count), restMatrix = makeMatrix(rest, rows, cols - count);
    const bias = vectorFor(restMatrix, b), start = vectorFor(restMatrix), out = vectorFor(ownMatrix);
    return {
      hold(held) { product(restMatrix, held, bias, start); },
      run(features) {
        product(ownMatrix, features, start, out);
        return out;
      },
    };
  }

  /** SiLU network of state features and held inputs: hold(held), then run(features) as often as needed. */
  function makeNetwork(tensors, count) {
    const input = splitInput(tensors["0.weight"], tensors["0.bias"].values, count), layers = makeLayers(tensors).slice(1);
    return {
      hold: input.hold,
      run(features) {
        let z = input.run(features);
        for (let i = 0; i < layers.length; i++) {
          silu(z);
          z = run(layers[i], z);
        }
        return z;
      },
    };
  }

  /** Δt input gain·Δt and step s(Δt) = constant + linear·Δt + log·(log10 Δt + 5) of a form. */
  function makeForm(coefficients) {
    const gain = coefficients[0], constant = coefficients[1], linear = coefficients[2], log = coefficients[3];
    return {
      input(deltaT) { return gain * deltaT; },
      step(deltaT) { return constant + linear * deltaT + log * (Math.log10(Math.max(deltaT, 1e-5)) + 5); },
    };
  }

  /** What a discrete model's network reads beside the state, e(a) and gain·Δt, handed to hold() when it changes. */
  function heldInputs(embedding, form, hold) {
    const held = new Float64Array(embedding.size + 1);
    let lastAction = NaN, lastDeltaT = NaN;
    return function (action, deltaT) {
      if (action === lastAction && deltaT === lastDeltaT) return;
      held.set(embedding.of((lastAction = action)));
      held[embedding.size] = form.input((lastDeltaT = deltaT));
      hold(held);
    };
  }

  td.parts = {
    makeFeatures: makeFeatures, makeEmbedding: makeEmbedding, makeLayers: makeLayers, makeNetwork: makeNetwork,
    makeForm: makeForm, heldInputs: heldInputs, splitInput: splitInput, run: run,
  };
})(globalThis);
