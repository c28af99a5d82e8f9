/* tdEngine, numbers: matrix products, activations and one-step solvers.
   Inner loops write into Float64Arrays made once per model; nothing is allocated while a rollout runs. */
(function (root) {
  "use strict";
  const td = (root.tdEngine = root.tdEngine || {});

  /** W (rows, cols) as blocks of four rows, each stored column by column; missing rows of the last block are zero. */
  function makeMatrix(values, rows, cols) {
    const padded = 4 * Math.ceil(rows / 4), blocks = new Float64Array(padded * cols);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < cols; j++) blocks[4 * ((i >> 2) * cols + j) + (i & 3)] = values[i * cols + j];
    return { blocks: blocks, rows: rows, cols: cols, padded: padded };
  }
  /** A vector as long as the padded rows of a matrix. */
  function vectorFor(matrix, values) {
    const vector = new Float64Array(matrix.padded);
    if (values) vector.set(values);
    return vector;
  }
  /** y = start + W x; the four rows of a block share every x[j] that is read. */
  function product(matrix, x, start, y) {
    const W = matrix.blocks, cols = matrix.cols, padded = matrix.padded;
    for (let i = 0, p = 0; i < padded; i += 4) {
      let a = start[i], b = start[i + 1], c = start[i + 2], d = start[i + 3];
      for (let j = 0; j < cols; j++, p += 4) {
        const v = x[j];
        a += W[p] * v; b += W[p + 1] * v; c += W[p + 2] * v; d += W[p + 3] * v;
      }
      y[i] = a; y[i + 1] = b; y[i + 2] = c; y[i + 3] = d;
    }
  }

  function sigmoid(v) { return 1 / (1 + Math.exp(-v)); }
  function tanh(v) { return 2 / (1 + Math.exp(-2 * v)) - 1; } // twice as fast as Math.tanh, to 1e-16 of the range
  /** SiLU, v / (1 + e^-v), in place. */
  function silu(z) { for (let i = 0; i < z.length; i++) z[i] = z[i] / (1 + Math.exp(-z[i])); }

  /** One step of an explicit solver: y = x + h·slope, rate(x, out) writes ds/dt. */
  const SOLVERS = {
    euler(rate, x, h, y, w) {
      rate(x, w.k1);
      for (let i = 0; i < x.length; i++) y[i] = x[i] + h * w.k1[i];
    },
    midpoint(rate, x, h, y, w) {
      SOLVERS.euler(rate, x, 0.5 * h, w.at, w);
      rate(w.at, w.k2);
      for (let i = 0; i < x.length; i++) y[i] = x[i] + h * w.k2[i];
    },
    rk4(rate, x, h, y, w) {
      const n = x.length, k1 = w.k1, k2 = w.k2, k3 = w.k3, k4 = w.k4, at = w.at;
      rate(x, k1);
      for (let i = 0; i < n; i++) at[i] = x[i] + 0.5 * h * k1[i];
      rate(at, k2);
      for (let i = 0; i < n; i++) at[i] = x[i] + 0.5 * h * k2[i];
      rate(at, k3);
      for (let i = 0; i < n; i++) at[i] = x[i] + h * k3[i];
      rate(at, k4);
      for (let i = 0; i < n; i++) y[i] = x[i] + (h / 6) * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
    },
  };
  function workspace(n) {
    const w = {};
    for (const name of ["at", "k1", "k2", "k3", "k4"]) w[name] = new Float64Array(n);
    return w;
  }
  /** Element k of an array, or the one number for all. */
  function at(values, k) { return typeof values === "number" ? values : values[k]; }

  td.numbers = {
    makeMatrix: makeMatrix, vectorFor: vectorFor, product: product, sigmoid: sigmoid, tanh: tanh, silu: silu,
    SOLVERS: SOLVERS, workspace: workspace, at: at,
  };
})(globalThis);
