/* Rates and steps of the Δt explorer: what the slider reaches, and how many steps fit into the second shown. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});

  td.SLOWEST = 5; // [Hz]
  td.FASTEST = 200; // [Hz]
  td.HORIZON = 1; // [s]
  td.TEST_RATES = [5, 10, 16, 20, 25, 33.3, 50, 100, 200]; // [Hz]
  td.SLIDER_STEPS = 400;
  td.HOLD = 0.2; // [s]; how long a random input is held, as in the study's rollouts
  td.DRAWN = 50; // values of a drawn input
  td.MAX_SUBSTEPS = 16;


  /** Interval [s] of a rate [Hz]; 33.3 Hz stands for 30 ms exactly. */
  td.deltaTOf = function (rate) { return rate === 33.3 ? 0.03 : 1 / rate; };
  /** Place of a rate between the slider's ends, 0 to 1. */
  td.shareOf = function (rate) { return Math.log(rate / td.SLOWEST) / Math.log(td.FASTEST / td.SLOWEST); };
  td.stepsWithin = function (seconds, deltaT) { return Math.floor((seconds / deltaT) * (1 + 1e-6)); };
  td.positionOf = function (rate) {
    return Math.round(td.SLIDER_STEPS * td.shareOf(rate));
  };
  /** Rate at a slider position; the rates of the study are hit exactly where the position is theirs. */
  td.rateAt = function (position) {
    for (var i = 0; i < td.TEST_RATES.length; i++) if (td.positionOf(td.TEST_RATES[i]) === position) return td.TEST_RATES[i];
    return Number((td.SLOWEST * Math.pow(td.FASTEST / td.SLOWEST, position / td.SLIDER_STEPS)).toPrecision(4));
  };
  /** Check a rate typed or linked; throws a sentence for the reader. */
  td.checkRate = function (rate) {
    var value = Number(rate);
    if (!isFinite(value) || value < td.SLOWEST * (1 - 1e-9) || value > td.FASTEST * (1 + 1e-9))
      throw new RangeError("Δt must lie between 5 ms (200 Hz) and 200 ms (5 Hz), got " +
        (isFinite(value) && value > 0 ? td.number(1000 / value) + " ms" : JSON.stringify(rate)));
    return value;
  };
  td.number = function (value, digits) { return String(Number(value.toPrecision(digits || 3))); };
})(typeof globalThis !== "undefined" ? globalThis : this);
