/* tdEngine, numbers: matrix products and the functions that generated code calls (`n` in it).
   Arrays are made once per model; nothing is allocated while a rollout runs. */
(function (root) {
  "use strict";
  const td = (root.tdEngine = root.tdEngine || {});

  /** A matrix inside an array as blocks of four rows, each stored column by column; missing rows are zero.
      Its number (i, j) is values[offset + i·rowStride + columns[j]·colStride]; columns: their numbers, or how many. */
  function matrix(values, offset, rows, rowStride, colStride, columns) {
    const chosen = typeof columns === "number" ? Array.from({ length: columns }, function (_, j) { return j; }) : columns;
    const cols = chosen.length, padded = 4 * Math.ceil(rows / 4), blocks = new Float64Array(padded * cols);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < cols; j++)
        blocks[4 * ((i >> 2) * cols + j) + (i & 3)] = values[offset + i * rowStride + chosen[j] * colStride];
    return { blocks: blocks, cols: cols, padded: padded };
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

  /** The remainder with the sign of the divisor, as in Python and torch. */
  function remainder(a, b) {
    const rest = a % b;
    return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
  }
  /** The nearest whole number, halves to the even one. */
  function round(v) {
    const floor = Math.floor(v);
    return v - floor === 0.5 ? 2 * Math.round(floor / 2) : Math.round(v);
  }
  /** The error function by its series, by its continued fraction beyond 3. */
  function erf(v) {
    const x = Math.abs(v), sign = v < 0 ? -1 : 1;
    if (x < 3) {
      let term = x, sum = x;
      for (let k = 1; Math.abs(term) > 1e-17 * Math.abs(sum); k++) { term *= (-x * x) / k; sum += term / (2 * k + 1); }
      return (sign * 2 * sum) / Math.sqrt(Math.PI);
    }
    let fraction = 0;
    for (let k = 60; k > 0; k--) fraction = k / 2 / (x + fraction);
    return sign * (1 - Math.exp(-x * x) / ((x + fraction) * Math.sqrt(Math.PI)));
  }
  /** Derivative of v·sigmoid(v). */
  function siluSlope(v) {
    const s = 1 / (1 + Math.exp(-v));
    return s * (1 + v * (1 - s));
  }
  /** Element k of an array, or the one value for all. */
  function at(values, k) { return typeof values === "number" ? values : values[k]; }

  td.numbers = {
    matrix: matrix, product: product, remainder: remainder, round: round, erf: erf, siluSlope: siluSlope, at: at,
  };
})(globalThis);
