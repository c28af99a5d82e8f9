/* tdBeliefs, numbers: what a model believed along a long prediction, as tdlib/explorer/python/beliefs.py writes it.
   A packed array is [low, step, base64 of uint16]: value = low + step k. Without page or request, so that tests run it. */
(function (root) {
  "use strict";
  var td = (root.tdBeliefs = root.tdBeliefs || {}), loaded = (td.loaded = td.loaded || {});
  var SPREAD = 2, TURN = 2 * Math.PI; // standard deviations of a band on each side

  /** Take the content of a page's file. */
  td.load = function (content) { loaded[content.env] = content; };

  /** Unpack an array. */
  td.numbers = function (packed) {
    var bytes = root.atob ? root.atob(packed[2]) : decode(packed[2]), values = [];
    for (var i = 0; i + 1 < bytes.length; i += 2) values.push(packed[0] + packed[1] * (bytes.charCodeAt(i) + 256 * bytes.charCodeAt(i + 1)));
    return values;
  };
  function decode(text) { // where there is no browser
    var letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", bits = 0, count = 0, bytes = "";
    for (var i = 0; i < text.length && text[i] !== "="; i++) {
      bits = ((bits << 6) | letters.indexOf(text[i])) & 0xffff;
      count += 6;
      if (count >= 8) { count -= 8; bytes += String.fromCharCode((bits >> count) & 255); }
    }
    return bytes;
  }

  /** What is drawn: times [s] of states, the truth of each dimension (angles on the prediction's turn), mean and spread after
      0, and of each level its windows' beginnings, information and size of the mean at each step. */
  td.view = function (header, found, rate) {
    var mean = found.path.mean.map(td.numbers), before = found.path.before, steps = before + mean[0].length, times = [];
    for (var k = 0; k <= steps; k++) times.push((k - before) / rate);
    var truth = found.truth.map(td.numbers).map(function (values, d) {
      if (header.angles.indexOf(d) < 0) return values;
      return values.map(function (value, k) {
        return k <= before ? value : value + TURN * Math.round((mean[d][k - before - 1] - value) / TURN);
      });
    });
    var levels = found.path.levels.map(function (level) {
      return { windows: level.windows, known: td.numbers(level.known), size: td.numbers(level.size) };
    });
    return { rate: rate, before: before, times: times, truth: truth, mean: mean, spread: found.path.spread.map(td.numbers), levels: levels };
  };

  /** Share of true values within the band, and root mean square error, of one dimension after 0. */
  td.score = function (view, d) {
    var inside = 0, squares = 0, mean = view.mean[d];
    mean.forEach(function (value, k) {
      var error = view.truth[d][view.before + 1 + k] - value;
      if (Math.abs(error) <= SPREAD * view.spread[d][k]) inside++;
      squares += error * error;
    });
    return { held: inside / mean.length, error: Math.sqrt(squares / mean.length) };
  };

  /** Name of a level by its place. */
  td.levelName = function (i, count) { return i === 0 ? "fast level" : count === 2 ? "slow level" : "slow level " + i; };

  /** How long the windows of a level last, in words; empty of the fast level, and where there is one window alone. */
  td.windowWords = function (level) {
    if (level.windows.length < 2) return "";
    var lengths = level.windows.slice(1).map(function (time, k) { return time - level.windows[k]; });
    var low = Math.min.apply(null, lengths), high = Math.max.apply(null, lengths);
    return "windows of " + number(low) + (high - low > 1e-3 ? " to " + number(high) : "") + " s";
  };
  function number(value) { return String(Number(value.toPrecision(3))).replace("-", "−"); }

  /** What the pictures show, in a sentence or two. */
  td.words = function (header, view, d) {
    var score = td.score(view, d), last = view.times.length - 2, count = view.levels.length;
    var levels = view.levels.map(function (level, i) {
      var windows = td.windowWords(level);
      return "the " + td.levelName(i, count) + (windows ? " (" + windows + ")" : "") + " " + number(level.known[view.before]) + ", at the end " + number(level.known[last]);
    });
    return "At " + view.rate + " Hz the band holds " + Math.round(100 * score.held) + " % of the true " + header.states[d] + " over " + number(view.times[last + 1]) +
      " s (one start); root mean square error " + number(score.error) + ". Known after the last look [bits per pair]: " + levels.join("; ") + ".";
  };
  td.SPREAD = SPREAD;
  td.number = number;
})(typeof globalThis !== "undefined" ? globalThis : this);
