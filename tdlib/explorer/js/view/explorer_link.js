/* The state of the Δt explorer without a page, and the link that restores it. Everything is a function of plain values. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {}), KEYS = td.ENTRY_KEYS;

  var SIGNALS = { // kinds of input, and the numbers of each
    constant: ["value"], pulse: ["value", "begin", "end"], random: ["seed"], sine: ["amplitude", "frequency"], drawn: ["values"],
  };

  td.defaultState = function (env) {
    var first = td.environment(env);
    return copy({ env: env, rate: td.DEFAULTS.rate, start: first.start, dim: first.dim, inputs: first.inputs, channel: 0, solver: "",
      substeps: 1, a: td.DEFAULTS.a, b: td.DEFAULTS.b });
  };
  /** What a system shows first, undefined if there is no such system. */
  td.environment = function (env) { return (root.tdEngine.systems[env] || {}).view; };
  function copy(plain) { return JSON.parse(JSON.stringify(plain)); }
  function short(x) { return String(Number(x.toFixed(4))); }

  /** Write a state as the part of a link after "#". */
  td.toFragment = function (state) {
    var parts = ["env=" + state.env, "hz=" + td.number(state.rate, 6), "a=" + armText(state.a)];
    if (state.b) parts.push("b=" + armText(state.b));
    parts.push("x0=" + state.start.map(short).join(","), "dim=" + state.dim, "u=" + state.inputs.map(signalText).join(";"));
    if (state.channel) parts.push("ch=" + state.channel);
    if (state.solver) parts.push("solver=" + state.solver);
    if (state.substeps !== 1) parts.push("substeps=" + state.substeps);
    return "dt-explorer&" + parts.join("&");
  };
  function armText(arm) {
    return KEYS.filter(function (key) { return arm[key] !== undefined && arm[key] !== ""; })
      .map(function (key) { return encodeURIComponent(arm[key]); }).join("~");
  }
  function signalText(input) {
    if (input.kind === "constant") return "constant~" + short(input.value);
    if (input.kind === "pulse") return ["pulse"].concat([input.value, input.begin, input.end].map(short)).join("~");
    if (input.kind === "random") return "random~" + input.seed;
    if (input.kind === "sine") return "sine~" + short(input.amplitude) + "~" + short(input.frequency);
    return "drawn~" + input.values.map(short).join(",");
  }

  /** Read a link. Returns null if it is none of ours, else {state, problems}, and the name of its
      scene where it opens one: what is broken keeps its default. */
  td.fromFragment = function (fragment, environments) {
    var text = String(fragment || "").replace(/^#/, "");
    if (text.split("&")[0] !== "dt-explorer") return null;
    var problems = [], fields = readFields(text, problems), scene = null;
    if (fields.scene !== undefined) { // a guided scene begins with its own view
      scene = td.SCENES.filter(function (one) { return one.name === fields.scene; })[0] || null;
      if (!scene) problems.push("scene must be one of " + td.SCENES.map(function (one) { return one.name; }).join(", ") + ", got " + fields.scene.slice(0, 20));
      else fields = Object.assign(readFields(scene.before, problems), fields);
      delete fields.scene;
    }
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
      u: function (v) { state.inputs = checkInputs(env, v.split(";").map(readSignal)); },
      ch: function (v) { state.channel = checkChannel(state.inputs, v); },
      solver: function (v) { state.solver = checkSolver(v); },
      substeps: function (v) { state.substeps = td.checkSubsteps(v); },
    };
    if (fields.b === undefined) state.b = null;
    Object.keys(fields).forEach(function (key) {
      if (key === "env") return;
      if (!rules[key]) { problems.push("the link has an unknown part, " + key.slice(0, 20)); return; }
      try { rules[key](fields[key]); } catch (error) { problems.push(error.message); }
    });
    return scene ? { state: state, problems: problems, scene: scene.name } : { state: state, problems: problems };
  };
  function readFields(text, problems) {
    var fields = {};
    text.split("&").slice(1).forEach(function (part) {
      var at = part.indexOf("=");
      try { fields[part.slice(0, at)] = decodeURIComponent(part.slice(at + 1)); }
      catch (error) { problems.push("the link has an unreadable part, " + part.slice(0, 20)); }
    });
    return fields;
  }
  function readNumber(text) {
    if (text.trim() === "" || !isFinite(Number(text))) throw new RangeError("numbers must be finite, got " + JSON.stringify(text));
    return Number(text);
  }
  function readArm(text) {
    var parts = text.split("~");
    if (parts.length < 2) throw new RangeError("a model must be named as model~method.form.data~rate, got " + text.slice(0, 40));
    var arm = {};
    KEYS.forEach(function (key, i) { if (parts[i] !== undefined) arm[key] = parts[i]; });
    return td.wantedUntrained(arm.model) || arm; // one without a rate (nothing moves) leaves the rate out
  }
  function readSignal(text) {
    var parts = text.split("~"), kind = parts[0];
    if (kind === "constant") return { kind: kind, value: readNumber(parts[1] || "") };
    if (kind === "pulse") return { kind: kind, value: readNumber(parts[1] || ""), begin: readNumber(parts[2] || ""), end: readNumber(parts[3] || "") };
    if (kind === "random") return { kind: kind, seed: Math.abs(Math.round(readNumber(parts[1] || ""))) };
    if (kind === "sine") return { kind: kind, amplitude: readNumber(parts[1] || ""), frequency: readNumber(parts[2] || "") };
    if (kind === "drawn") {
      var values = (parts[1] || "").split(",").map(readNumber);
      if (values.length !== td.DRAWN) throw new RangeError("a drawn input must have " + td.DRAWN + " values, got " + values.length);
      return { kind: kind, values: values };
    }
    throw new RangeError("u must be one of " + Object.keys(SIGNALS).join(", ") + ", got " + kind.slice(0, 20));
  }
  function checkDim(start, dim) {
    if (!(Number(dim) in start) || String(dim).trim() === "") throw new RangeError("dim must be 0 to " + (start.length - 1) + ", got " + dim);
    return Number(dim);
  }
  td.solverNames = function () { return Object.keys(root.tdEngine.tableaux); };
  function checkChannel(inputs, channel) {
    if (!(Number(channel) in inputs) || String(channel).trim() === "") throw new RangeError("ch must be 0 to " + (inputs.length - 1) + ", got " + channel);
    return Number(channel);
  }
  function checkSolver(solver) {
    var names = td.solverNames();
    if (names.indexOf(solver) < 0) throw new RangeError("solver must be one of " + names.join(", ") + ", got " + solver);
    return solver;
  }
  /** Check a whole state by the rules of links; parts left out take their defaults. Returns a copy, throws a sentence. */
  td.checkState = function (given, environments) {
    if (!given || typeof given !== "object") throw new RangeError("a state must be an object or a link, got " + given);
    if (environments.indexOf(given.env) < 0) throw new RangeError("env must be one of " + environments.join(", ") + ", got " + given.env);
    var state = Object.assign(td.defaultState(given.env), given), next = { env: state.env, rate: td.checkRate(state.rate) };
    next.start = td.checkStart(state.env, state.start);
    next.dim = checkDim(next.start, state.dim);
    next.inputs = checkInputs(state.env, state.inputs);
    next.channel = checkChannel(next.inputs, state.channel);
    next.solver = state.solver ? checkSolver(state.solver) : "";
    next.substeps = td.checkSubsteps(state.substeps);
    next.a = checkArm(state.a);
    next.b = state.b ? checkArm(state.b) : null;
    return copy(next);
  };
  function checkInputs(env, signals) {
    var count = root.tdEngine.systems[env].inputs.length, got = Array.isArray(signals) ? signals.length : "none";
    if (got !== count) throw new RangeError("u must be one signal of each of " + count + " input" + (count > 1 ? "s" : "") + ", got " + got);
    return signals.map(checkSignal);
  }
  function checkSignal(input) {
    var kind = input && input.kind, names = SIGNALS[kind];
    if (!names) throw new RangeError("u must be one of " + Object.keys(SIGNALS).join(", ") + ", got " + kind);
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
