/* The state of the Δt explorer without a page: rates, the choice of models, and the link that restores a view.
   Everything is a function of plain values, so that tests run it. */
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
  td.SOLVERS = ["euler", "midpoint", "rk4"];
  td.MAX_SUBSTEPS = 16;
  var STUDY_RATES = [10, 20, 50];

  td.METHODS = {
    baseline: "baseline (always its own step)", rescaled: "rescaled increment", recurrent_rollout: "recurrent rollout",
    dt_conditioned: "Δt-conditioned", multi_resolution: "multi-resolution", ode: "ODE", persistence: "nothing moves",
  };
  td.MODELS = {
    none: "no model", jump: "jump (MLP)", lstm: "LSTM", first_order_ode: "first-order ODE", newtonian: "Newtonian ODE",
    velocity: "velocity ODE (dv = 0)", port_hamiltonian: "port-Hamiltonian ODE", ensemble: "ensemble of 5 jumps",
  };
  td.NAMES = { theta: "θ", omega: "ω", x: "x", x_dot: "dx/dt", theta_dot: "dθ/dt" };

  /* --- rates ----------------------------------------------------------------------------------------------------- */
  /** Interval [s] of a rate [Hz]; 33.3 Hz stands for 30 ms exactly. */
  td.deltaTOf = function (rate) { return rate === 33.3 ? 0.03 : 1 / rate; };
  td.stepsWithin = function (seconds, deltaT) { return Math.floor((seconds / deltaT) * (1 + 1e-6)); };
  td.positionOf = function (rate) {
    return Math.round((td.SLIDER_STEPS * Math.log(rate / td.SLOWEST)) / Math.log(td.FASTEST / td.SLOWEST));
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

  /* --- models ---------------------------------------------------------------------------------------------------- */
  /** Rates a model saw [Hz]: its own, three of them, or {low, high} where Δt was log-uniform. */
  td.support = function (entry) {
    if (!entry || entry.method === "persistence") return { rates: [], low: td.SLOWEST, high: td.FASTEST };
    if (entry.train_frequency === "mixed") return { rates: STUDY_RATES, low: 10, high: 50 };
    if (entry.train_frequency === "loguniform") {
      var range = entry.support || [0.005, 0.2];
      return { rates: [], low: 1 / range[1], high: 1 / range[0] };
    }
    var rate = Number(entry.train_frequency);
    return { rates: [rate], low: rate, high: rate };
  };
  td.isField = function (entry) { return entry.method === "ode"; };

  /** Add what needs no training: rescaled increments and recurrent rollouts of the jump baselines, and persistence. */
  td.withDerived = function (entries) {
    var all = [];
    entries.forEach(function (entry) {
      all.push(entry);
      if (entry.method !== "baseline" || entry.model !== "jump") return;
      ["rescaled", "recurrent_rollout"].forEach(function (method) {
        var copy = {};
        for (var key in entry) copy[key] = entry[key];
        copy.method = copy.derive = method;
        all.push(copy);
      });
    });
    if (entries.length)
      all.push({ id: null, model: "none", method: "persistence", form: "none", data: "none", train_frequency: "",
        seed: entries[0].seed, run: entries[0].run });
    return all;
  };

  var KEYS = ["model", "how", "train_frequency", "seed", "run"];
  /** Method, form and data of an entry as one choice. */
  td.how = function (entry) {
    return [entry.method, entry.form || "none", entry.data === "seconds" ? "seconds" : "transitions"].join(".");
  };
  td.howLabel = function (entry) {
    var text = td.METHODS[entry.method] || entry.method;
    if (td.isField(entry)) text = entry.form === "euler" ? "trained with Euler" : "trained with " + String(entry.form).toUpperCase();
    else if (entry.form && entry.form !== "none") text += ", " + entry.form;
    return text + (entry.data === "seconds" ? ", equal seconds" : "");
  };
  td.rateLabel = function (frequency) {
    return { mixed: "10, 20, 50 Hz", loguniform: "Δt log-uniform", "": "–" }[frequency] || frequency + " Hz";
  };
  td.label = function (entry) {
    if (entry.method === "persistence") return "nothing moves";
    var method = { baseline: "baseline", ode: "" }[entry.method];
    if (method === undefined) method = td.METHODS[entry.method] || entry.method;
    if (td.isField(entry)) method = entry.form === "euler" ? "Euler" : entry.form === "rk4" ? "RK4" : entry.form;
    else if (entry.form && entry.form !== "none") method += " " + entry.form;
    return (td.MODELS[entry.model] || entry.model) + " " + method + ", " + td.rateLabel(entry.train_frequency);
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

  /* --- state and link -------------------------------------------------------------------------------------------- */
  td.defaultState = function (env) {
    var preset = td.environment(env);
    return copy({ env: env, rate: td.DEFAULTS.rate, start: preset.start, dim: preset.dim, input: preset.input, solver: "", substeps: 1,
      a: td.DEFAULTS.a, b: td.DEFAULTS.b });
  };
  /** What explorer_defaults.json says about an environment, undefined if nothing. */
  td.environment = function (env) { return td.DEFAULTS.environments[env]; };
  function copy(plain) { return JSON.parse(JSON.stringify(plain)); }
  function short(x) { return String(Number(x.toFixed(4))); }

  /** Write a state as the part of a link after "#". */
  td.toFragment = function (state) {
    var parts = ["env=" + state.env, "hz=" + td.number(state.rate, 6), "a=" + armText(state.a)];
    if (state.b) parts.push("b=" + armText(state.b));
    parts.push("x0=" + state.start.map(short).join(","), "dim=" + state.dim, "u=" + inputText(state.input));
    if (state.solver) parts.push("solver=" + state.solver);
    if (state.substeps !== 1) parts.push("substeps=" + state.substeps);
    return "dt-explorer&" + parts.join("&");
  };
  function armText(arm) {
    return KEYS.filter(function (key) { return arm[key] !== undefined && arm[key] !== ""; })
      .map(function (key) { return encodeURIComponent(arm[key]); }).join("~");
  }
  function inputText(input) {
    if (input.kind === "constant") return "constant~" + short(input.value);
    if (input.kind === "random") return "random~" + input.seed;
    if (input.kind === "sine") return "sine~" + short(input.amplitude) + "~" + short(input.frequency);
    return "drawn~" + input.values.map(short).join(",");
  }

  /** Read a link. Returns null if it is none of ours, else {state, problems}: what is broken keeps its default. */
  td.fromFragment = function (fragment, environments) {
    var text = String(fragment || "").replace(/^#/, "");
    if (text.split("&")[0] !== "dt-explorer") return null;
    var fields = {}, problems = [];
    text.split("&").slice(1).forEach(function (part) {
      var at = part.indexOf("=");
      try { fields[part.slice(0, at)] = decodeURIComponent(part.slice(at + 1)); }
      catch (error) { problems.push("the link has an unreadable part, " + part.slice(0, 20)); }
    });
    var env = fields.env;
    if (environments.indexOf(env) < 0) {
      if (env !== undefined) problems.push("env must be one of " + environments.join(", ") + ", got " + env.slice(0, 40));
      env = environments[0];
    }
    var state = td.defaultState(env), rules = {
      hz: function (v) { state.rate = td.checkRate(v); },
      a: function (v) { state.a = readArm(v); },
      b: function (v) { state.b = readArm(v); },
      x0: function (v) { state.start = td.checkStart(env, v.split(",").map(readNumber)); },
      dim: function (v) { state.dim = checkDim(state.start, v); },
      u: function (v) { state.input = readInput(v); },
      solver: function (v) { state.solver = checkSolver(v); },
      substeps: function (v) { state.substeps = td.checkSubsteps(v); },
    };
    if (fields.b === undefined) state.b = null;
    Object.keys(fields).forEach(function (key) {
      if (key === "env") return;
      if (!rules[key]) { problems.push("the link has an unknown part, " + key.slice(0, 20)); return; }
      try { rules[key](fields[key]); } catch (error) { problems.push(error.message); }
    });
    return { state: state, problems: problems };
  };
  function readNumber(text) {
    if (text.trim() === "" || !isFinite(Number(text))) throw new RangeError("numbers must be finite, got " + JSON.stringify(text));
    return Number(text);
  }
  function readArm(text) {
    var parts = text.split("~");
    if (parts.length < 2) throw new RangeError("a model must be named as model~method.form.data~rate, got " + text.slice(0, 40));
    var arm = {};
    KEYS.forEach(function (key, i) { if (parts[i] !== undefined) arm[key] = parts[i]; });
    // a model without a rate (nothing moves) leaves the rate out
    if (arm.model === "none") return { model: "none", how: parts[1], train_frequency: "" };
    return arm;
  }
  function readInput(text) {
    var parts = text.split("~"), kind = parts[0];
    if (kind === "constant") return { kind: kind, value: readNumber(parts[1] || "") };
    if (kind === "random") return { kind: kind, seed: Math.abs(Math.round(readNumber(parts[1] || ""))) };
    if (kind === "sine") return { kind: kind, amplitude: readNumber(parts[1] || ""), frequency: readNumber(parts[2] || "") };
    if (kind === "drawn") {
      var values = (parts[1] || "").split(",").map(readNumber);
      if (values.length !== td.DRAWN) throw new RangeError("a drawn input must have " + td.DRAWN + " values, got " + values.length);
      return { kind: kind, values: values };
    }
    throw new RangeError("u must be constant, random, sine or drawn, got " + kind.slice(0, 20));
  }
  function checkDim(start, dim) {
    if (!(Number(dim) in start) || String(dim).trim() === "") throw new RangeError("dim must be 0 to " + (start.length - 1) + ", got " + dim);
    return Number(dim);
  }
  function checkSolver(solver) {
    if (td.SOLVERS.indexOf(solver) < 0) throw new RangeError("solver must be one of " + td.SOLVERS.join(", ") + ", got " + solver);
    return solver;
  }
  /** Check a whole state by the rules of links; parts left out take their defaults. Returns a copy, throws a sentence. */
  td.checkState = function (given, environments) {
    if (!given || typeof given !== "object") throw new RangeError("a state must be an object or a link, got " + given);
    if (environments.indexOf(given.env) < 0) throw new RangeError("env must be one of " + environments.join(", ") + ", got " + given.env);
    var state = Object.assign(td.defaultState(given.env), given), next = { env: state.env, rate: td.checkRate(state.rate) };
    next.start = td.checkStart(state.env, state.start);
    next.dim = checkDim(next.start, state.dim);
    next.input = checkInput(state.input);
    next.solver = state.solver ? checkSolver(state.solver) : "";
    next.substeps = td.checkSubsteps(state.substeps);
    next.a = checkArm(state.a);
    next.b = state.b ? checkArm(state.b) : null;
    return copy(next);
  };
  function checkInput(input) {
    var kind = input && input.kind, names = { constant: ["value"], random: ["seed"], sine: ["amplitude", "frequency"], drawn: ["values"] }[kind];
    if (!names) throw new RangeError("u must be constant, random, sine or drawn, got " + kind);
    if (kind === "drawn" && !(Array.isArray(input.values) && input.values.length === td.DRAWN))
      throw new RangeError("a drawn input must have " + td.DRAWN + " values, got " + (input.values ? input.values.length : "none"));
    names.forEach(function (name) {
      [].concat(input[name]).forEach(function (x) {
        if (typeof x !== "number" || !isFinite(x)) throw new RangeError(name + " of the input must be finite, got " + x);
      });
    });
    return input;
  }
  function checkArm(arm) {
    if (!arm || typeof arm.model !== "string" || typeof arm.how !== "string")
      throw new RangeError("a model must be {model, how, train_frequency}, got " + JSON.stringify(arm));
    return arm;
  }
  td.checkSubsteps = function (text) {
    var count = Number(text);
    if (!(count >= 1 && count <= td.MAX_SUBSTEPS && count === Math.floor(count)))
      throw new RangeError("substeps must be a whole number from 1 to " + td.MAX_SUBSTEPS + ", got " + text);
    return count;
  };
  td.checkStart = function (env, start) {
    var limits = td.environment(env).start_limits;
    if (!Array.isArray(start)) throw new RangeError("x0 must be a list of numbers, got " + start);
    if (start.length !== limits.length) throw new RangeError("x0 must have " + limits.length + " numbers, got " + start.length);
    start.forEach(function (x, i) {
      if (!(typeof x === "number" && Math.abs(x) <= limits[i] + 1e-4))
        throw new RangeError("x0[" + i + "] must lie within ±" + td.number(limits[i], 3) + ", got " + x);
    });
    return start;
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
