/* The models on offer in the Δt explorer: what each is called, what it was trained on, and how one is chosen.
   Everything that a name decides comes from Python with the entry (explorer/python/entries.py). */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});

  /** Rates a model saw [Hz], and the range that they span. */
  td.support = function (entry) {
    return { rates: entry.rates, low: entry.range ? entry.range[0] : td.SLOWEST, high: entry.range ? entry.range[1] : td.FASTEST };
  };
  td.isField = function (entry) { return Boolean(entry.solver); };
  td.solverOf = function (entry, state) { return td.isField(entry) ? state.solver || entry.solver : ""; };
  td.substepsOf = function (entry, state) { return td.isField(entry) ? state.substeps : 1; };
  td.isNothing = function (entry) { return entry.id === null; };
  function untrained(model) { return td.DEFAULTS.untrained.filter(function (entry) { return entry.model === model; })[0]; }
  td.isTrained = function (entry) { return !untrained(entry.model); };
  td.isTruth = function (entry) { return !td.isTrained(entry) && td.isField(entry); };

  /** Add what needs no training: what Python lists as derived from an entry, that nothing moves, and the true field. */
  td.withDerived = function (entries) {
    var all = [];
    entries.forEach(function (entry) {
      all.push(entry);
      (entry.derived || []).forEach(function (changes) { all.push(Object.assign({}, entry, changes)); });
    });
    if (entries.length) td.DEFAULTS.untrained.forEach(function (entry) {
      all.push(Object.assign({}, entry, { seed: entries[0].seed, run: entries[0].run }));
    });
    return all;
  };

  var KEYS = td.ENTRY_KEYS = ["model", "how", "train_frequency", "seed", "run"];
  /** Method, form and data of an entry as one choice. */
  td.how = function (entry) {
    return [entry.method, entry.form || "none", entry.data === "none" ? "transitions" : entry.data].join(".");
  };
  function value(entry, key) { return key === "how" ? td.how(entry) : String(entry[key] === undefined ? "" : entry[key]); }
  /** The entry nearest to what is wanted: keys in order of `order`, each kept if any entry still has it. */
  td.choose = function (entries, wanted, order) {
    var left = entries;
    (order || KEYS).forEach(function (key) {
      if (wanted[key] === undefined || wanted[key] === null) return;
      var kept = left.filter(function (entry) { return value(entry, key) === String(wanted[key]); });
      if (kept.length) left = kept;
    });
    return left[0] || null;
  };
  /** What a link says of a model: for one that nobody trained nothing but its name. */
  td.wantedUntrained = function (model) {
    var entry = untrained(model);
    return entry ? { model: model, how: td.how(entry), train_frequency: "" } : null;
  };
  td.wanted = function (entry) {
    var wanted = {};
    KEYS.forEach(function (key) { if (key !== "run" || entry.run) wanted[key] = value(entry, key); });
    return wanted;
  };
  td.options = function (entries, wanted, key, before) {
    var seen = {};
    return entries.filter(function (entry) {
      var fits = before.every(function (name) { return wanted[name] === undefined || value(entry, name) === String(wanted[name]); });
      var name = value(entry, key);
      if (!fits || seen[name]) return false;
      return (seen[name] = true);
    }).map(function (entry) { return { value: value(entry, key), entry: entry }; });
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
