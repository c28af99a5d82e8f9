/* Energy along a path in the Δt explorer: what inputs and losses put in, what is left unexplained, what a model has learned. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});

  /** State halfway between two: positions and velocities on the cubic that both ends fit, all else on a straight line. */
  function halfway(system, before, after, deltaT) {
    var middle = before.map(function (x, d) { return 0.5 * (x + after[d]); });
    system.positionDims.forEach(function (q, i) {
      var v = system.velocityDims[i];
      middle[q] += (deltaT / 8) * (before[v] - after[v]);
      middle[v] = (1.5 * (after[q] - before[q])) / deltaT - 0.25 * (before[v] + after[v]);
    });
    return middle;
  }
  /** Energy [J] put in from the start of a path up to each of its states: the power under held inputs, less losses,
      integrated by Simpson's rule. The work of a constant force is exact, however long the steps. */
  td.workAlong = function (system, states, actions, deltaTs) {
    var work = [0];
    actions.forEach(function (action, k) {
      var deltaT = typeof deltaTs === "number" ? deltaTs : deltaTs[k], middle = halfway(system, states[k], states[k + 1], deltaT);
      var rates = system.power(states[k], action) + 4 * system.power(middle, action) + system.power(states[k + 1], action);
      work.push(work[k] + (deltaT / 6) * rates);
    });
    return work;
  };
  /** Change of the energy [J] since the start that no input and no loss explains, at each state of a path. */
  td.unexplained = function (system, states, actions, deltaTs) {
    var work = td.workAlong(system, states, actions, deltaTs), first = system.energy(states[0]);
    return states.map(function (state, k) { return system.energy(state) - first - work[k]; });
  };
  /** A learned energy is known up to an offset and a scale: its scale [J] by least squares against the true one, and the
      share of the true one's variance that it then explains. */
  td.energyScale = function (learned, energies) {
    var n = learned.length, sums = { hh: 0, he: 0, ee: 0 };
    function mean(values) { return values.reduce(function (sum, x) { return sum + x / n; }, 0); }
    var middle = [mean(learned), mean(energies)];
    learned.forEach(function (h, i) {
      var dh = h - middle[0], de = energies[i] - middle[1];
      sums.hh += dh * dh; sums.he += dh * de; sums.ee += de * de;
    });
    return { scale: sums.hh > 0 ? sums.he / sums.hh : 0, explained: (sums.he * sums.he) / (sums.hh * sums.ee) };
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
