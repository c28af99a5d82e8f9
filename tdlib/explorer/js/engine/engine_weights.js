/* tdEngine, weight files: base64 of half-precision numbers, as written by tdlib/explorer/python/pack.py. */
(function (root) {
  "use strict";
  const td = (root.tdEngine = root.tdEngine || {});

  const VERSION = 2, DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const BASE64 = new Int16Array(128).fill(-1);
  for (let i = 0; i < 64; i++) BASE64[DIGITS.charCodeAt(i)] = i;

  /** Bytes [from, to) of base64 text; four characters hold three bytes, so a part is decoded without the rest. */
  function decodeBytes(text, from, to) {
    const bytes = new Uint8Array(to - from);
    for (let group = Math.floor(from / 3); 3 * group < to; group++) {
      let bits = 0;
      for (let c = 0; c < 4; c++) {
        const code = text.charCodeAt(4 * group + c), six = code === 61 ? 0 : code < 128 ? BASE64[code] : -1; // 61 is "="
        if (six < 0) throw new Error("a character is not base64");
        bits = (bits << 6) | six;
      }
      for (let b = 0; b < 3; b++) {
        const position = 3 * group + b;
        if (position >= from && position < to) bytes[position - from] = (bits >> (16 - 8 * b)) & 255;
      }
    }
    return bytes;
  }

  /** IEEE 754 half precision, 5 bits of exponent e and 10 of fraction f: ±(1 + f/1024)·2^(e−15), ±f·2^−24 at e = 0. */
  const SCALE = Float64Array.from({ length: 31 }, function (_, e) { return Math.pow(2, Math.max(e, 1) - 25); });
  function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1, e = (bits >> 10) & 31, f = bits & 1023;
    if (e === 31) return f ? NaN : sign * Infinity;
    return sign * (e === 0 ? f : 1024 + f) * SCALE[e];
  }

  /** CRC-32 as in zlib, to notice damaged weights; a table holds the remainder of every byte. */
  const REMAINDERS = Int32Array.from({ length: 256 }, function (_, byte) {
    for (let k = 0; k < 8; k++) byte = (byte >>> 1) ^ (byte & 1 ? 0xedb88320 : 0);
    return byte;
  });
  function checksum(bytes) {
    let crc = -1;
    for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ REMAINDERS[(crc ^ bytes[i]) & 255];
    return (crc ^ -1) >>> 0;
  }

  /** The arrays of one entry by name: its weights, and its constants in full precision. */
  function decodeWeights(entry, text) {
    const count = entry.tensors.reduce(function (sum, tensor) { return sum + size(tensor[1]); }, 0);
    const bytes = decodeBytes(text, 2 * entry.offset, 2 * (entry.offset + count)), arrays = {};
    if (checksum(bytes) !== entry.crc32) throw new Error("its numbers are not those that were written");
    let position = 0;
    entry.tensors.forEach(function (tensor) {
      const values = new Float64Array(size(tensor[1]));
      for (let i = 0; i < values.length; i++, position += 2) values[i] = half(bytes[position] | (bytes[position + 1] << 8));
      arrays[tensor[0]] = values;
    });
    for (const name in entry.constants) arrays[name] = Float64Array.from(entry.constants[name]);
    return arrays;
  }
  function size(shape) { return shape.reduce(function (product, n) { return product * n; }, 1); }

  td.weights = { VERSION: VERSION, size: size, decodeWeights: decodeWeights, decodeBytes: decodeBytes, half: half };
})(globalThis);
