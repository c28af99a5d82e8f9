/* tdEngine: the study's systems and models in plain JavaScript, without page, import or request; all numbers float64.
   Parts, in order: engine_{numbers,solvers,systems,models,weights}.js, this file, and the systems as generated from their
   equations (generate/systems.py); `assets.engine_script()` joins them.

   The same text runs as a classic script on a page (also from file://), in JupyterLab and in the tests, which compare it
   with torch. States and results are plain arrays; an action is an array of physical inputs where the environment takes
   inputs (one number will do for one input), and the index of the action where it is discrete, as in tdlib. Times are in
   seconds.

   tdEngine.systems[env]          env: name of a system
     .name .stateNames .stateUnits .angleDims .positionDims .velocityDims
     .inputs                      [{name, unit, low, high}]
     .actionTable                 rows of inputs that discrete actions hold; null where the action is the inputs
     .reset                       {low, high}, the box of random starts; null without a task
     .view                        what the explorer shows first: start, input, windows
     .sketch                      {points(state), rods, discs, boxes, ...} of its moving picture; null for none
     .flow(state, action, dt)     state after dt with the action held: SYSTEMS[env].flow; negative dt goes back in time
     .truth(state, actions, dts)  array of states after each action; dts is an array or one number
     .kink                        what breaks the smooth flow somewhere, in words; null where nothing does
     .touched(state, actions, dts)  whether the truth met it within each interval; null where nothing can be met
     .field(state, action)        ds/dt
     .energy(state)               kinetic + potential energy [J]; null where the system names none
     .power(state, action)        rate at which inputs and losses change that energy [W]; null where the system names none
     .physical(action)            the inputs that the action holds, within their limits

   tdEngine.load(env, payload, structures)
                                  take the models of a weight file (pack.py): weights, decoded when first used, and the
                                  generated functions of each structure. A broken payload is remembered, and models(env)
                                  throws the sentence that says what is wrong. A file of another seed says further: its
                                  models are added
   tdEngine.models(env)           [{id, structure, ...keys of the arm, seed, support: [s, s], delta_t, solver, substeps,
                                  derives}], [] before load; solver and substeps are null where there is none
   tdEngine.missing(env)          [{id, why}] of models that the page cannot run
   tdEngine.predict(env, id, {state, actions, deltaTs, derive, solver, substeps})
                                  array of states after each action, as DynamicsModel.predict_sequence without context:
                                  open loop, memory empty at the start, angles not wrapped. deltaTs: array or one number.
                                  derive: "rescaled", "recurrent_rollout", "newton_2" or "newton_3" of the model's training
                                  step delta_t.
                                  solver: a name in tdEngine.tableaux, substeps >= 1: of fields; default as trained.
                                  id null is persistence
   tdEngine.steps(env, id, {states, actions, deltaTs, derive, solver, substeps})
                                  one step from each state; actions and deltaTs: one per state, or one for all
   tdEngine.spread(env, id, {state, actions, deltaTs})
                                  standard deviation over an ensemble's members along its rollout; null for other models
   tdEngine.field(env, id, state, action, {deltaT, derive, solver, substeps})
                                  learned ds/dt of fields; mean rate (x' − x)/deltaT over one step for the others, and
                                  for fields where deltaT is given; without it the others use their delta_t
   tdEngine.energy(env, id, state)  learned energy H, dimensionless; null for models without one

   Bad arguments throw a RangeError, unreadable weights an Error; each message is a sentence for the reader. */
(function (root) {
  "use strict";
  const td = (root.tdEngine = root.tdEngine || {});
  const { at } = td.numbers, { KINDS, DERIVED, PERSISTENCE } = td.kinds, systems = td.systems, vector = td.vector;
  const { VERSION, size, decodeWeights } = td.weights;

  const STORED = ["tensors", "constants", "offset", "crc32"]; // of an entry, not shown
  const packs = {}; // env -> {entries by id, order of ids, by id the part of structures and base64 text, decoded models, missing, problem}

  /** Say that an argument breaks its rule. */
  function refuse(rule, got) { throw new RangeError(rule + ", got " + got); }
  function oneOf(table) { return "one of " + Object.keys(table).join(", "); }
  function has(table, name) { return Object.prototype.hasOwnProperty.call(table, name); }

  function systemOf(env) {
    if (!has(systems, env)) refuse("the environment must be " + oneOf(systems), env);
    return systems[env];
  }

  /** What is wrong with a payload, or null. */
  function problemOf(env, payload, structures) {
    if (!payload || !Array.isArray(payload.index) || typeof payload.weights !== "string")
      return "index or weights are missing";
    if (payload.version !== VERSION) return "it has version " + payload.version + ", this page reads " + VERSION;
    if (payload.env !== env) return "it belongs to " + payload.env;
    let end = 0;
    for (const entry of payload.index) {
      const whole = entry && Array.isArray(entry.tensors) && entry.constants && entry.offset === end;
      if (!whole) return "its index is damaged";
      if (!has(structures || {}, entry.structure)) return "the structure " + entry.structure + " is unknown";
      for (const tensor of entry.tensors) end += size(tensor[1]);
    }
    return payload.weights.length === 4 * Math.ceil((2 * end) / 3) ? null : "it is incomplete";
  }

  function load(env, payload, structures) {
    systemOf(env);
    const problem = problemOf(env, payload, structures), before = packs[env];
    if (payload && payload.further && before && !before.problem) { // another seed beside what is there
      if (problem) throw new Error("the weight file of another seed of " + env + " cannot be used: " + problem);
      return take(before, payload, structures);
    }
    const pack = { entries: {}, order: [], parts: {}, models: {}, missing: [], problem: null };
    packs[env] = pack;
    if (problem) {
      pack.problem = "the weight file of " + env + " cannot be used: " + problem;
      return;
    }
    pack.missing = payload.missing || [];
    take(pack, payload, structures);
  }
  function take(pack, payload, structures) {
    const part = { structures: structures, text: payload.weights };
    payload.index.forEach(function (entry) {
      if (!has(pack.entries, entry.id)) pack.order.push(entry.id);
      pack.entries[entry.id] = entry;
      pack.parts[entry.id] = part;
    });
  }

  function models(env) {
    systemOf(env);
    const pack = packs[env];
    if (!pack) return [];
    if (pack.problem) throw new Error(pack.problem);
    return pack.order.map(function (id) {
      const shown = Object.assign({}, pack.entries[id]);
      STORED.forEach(function (key) { delete shown[key]; });
      return shown;
    });
  }
  function missing(env) {
    systemOf(env);
    return packs[env] ? packs[env].missing : [];
  }

  /** The model of an id, decoded once; derived ones are kept too. */
  function modelOf(env, id, derive) {
    const system = systemOf(env), pack = packs[env], name = id + "|" + (derive || "");
    if (id === null || id === undefined) return PERSISTENCE;
    if (!pack) throw new Error("the weights of " + env + " are not loaded");
    if (pack.problem) throw new Error(pack.problem);
    if (pack.models[name]) return pack.models[name];
    const entry = entryOf(env, id);
    if (derive) {
      if (!has(DERIVED, derive)) refuse("derive must be " + oneOf(DERIVED), derive);
      return (pack.models[name] = DERIVED[derive](modelOf(env, id), entry.delta_t, sizesOf(system).state));
    }
    const part = pack.parts[id], structure = part.structures[entry.structure];
    let arrays;
    try { arrays = decodeWeights(entry, part.text); } catch (error) {
      throw new Error("the weights of " + id + " in " + env + " are damaged: " + error.message);
    }
    return (pack.models[name] = KINDS[structure.kind](structure, arrays, sizesOf(system), entry));
  }
  function entryOf(env, id) {
    const entries = packs[env].entries;
    if (!has(entries, id)) refuse("the model must be one of tdEngine.models(" + JSON.stringify(env) + ")", id);
    return entries[id];
  }

  function checkState(system, state) {
    const n = system.stateNames.length, count = state ? state.length : "none";
    if (count !== n) refuse("a state of " + system.name + " must have " + n + " numbers", count);
  }
  function sizesOf(system) {
    const action = system.actionTable ? 1 : system.inputs.length;
    return { state: system.stateNames.length, action: action, velocityDims: system.velocityDims };
  }
  function checkAction(system, action) {
    const table = system.actionTable, size = sizesOf(system).action, values = vector(action);
    const rule = table ? "a whole number from 0 to " + (table.length - 1) : size === 1 ? "a finite number" : size + " finite numbers";
    const good = values && values.length === size && Array.prototype.every.call(values, function (u) {
      return table ? Number.isInteger(u) && u >= 0 && u < table.length : Number.isFinite(u);
    });
    if (!good) refuse("an action of " + system.name + " must be " + rule, action);
    return values;
  }
  function checkDeltaT(deltaT) {
    if (!(deltaT > 0 && deltaT < Infinity)) refuse("deltaTs must be positive times in seconds", deltaT);
  }
  function checkSolver(system, solver, substeps) {
    if (solver && !has(td.tableaux, solver)) refuse("solver must be " + oneOf(td.tableaux), solver);
    if (solver && td.tableaux[solver].moves && !system.velocityDims.length)
      refuse("solver must not move velocities, " + system.name + " has none", solver);
    if (substeps !== undefined && substeps !== null && !(Number.isInteger(substeps) && substeps >= 1))
      refuse("substeps must be a whole number >= 1", substeps);
  }

  /** Follow a model through a sequence of actions; after(model, state) is called with the state after each. */
  function rollout(env, id, request, after) {
    const system = systemOf(env), model = modelOf(env, id, request.derive), actions = request.actions;
    checkState(system, request.state);
    checkSolver(system, request.solver, request.substeps);
    let x = Float64Array.from(request.state), y = new Float64Array(x.length);
    model.reset();
    for (let k = 0; k < actions.length; k++) {
      const deltaT = at(request.deltaTs, k), action = checkAction(system, actions[k]);
      checkDeltaT(deltaT);
      model.step(x, action, deltaT, y, request.solver, request.substeps);
      [x, y] = [y, x];
      after(model, x);
    }
  }

  function predict(env, id, request) {
    const states = [];
    rollout(env, id, request, function (model, x) { states.push(Array.from(x)); });
    return states;
  }

  function steps(env, id, request) {
    const one = Object.assign({}, request);
    return request.states.map(function (state, k) {
      one.state = state;
      one.actions = [at(request.actions, k)];
      one.deltaTs = at(request.deltaTs, k);
      return predict(env, id, one)[0];
    });
  }

  function spread(env, id, request) {
    if (!modelOf(env, id, request.derive).spread) return null;
    const spreads = [];
    rollout(env, id, request, function (model) { spreads.push(Array.from(model.spread)); });
    return spreads;
  }

  function field(env, id, state, action, options) {
    const system = systemOf(env), asked = options || {}, model = modelOf(env, id, asked.derive);
    checkState(system, state);
    const values = checkAction(system, action), dx = new Float64Array(state.length);
    if (model.rate && asked.deltaT === undefined) {
      model.rate(state, values, dx);
      return Array.from(dx);
    }
    if (model === PERSISTENCE) return Array.from(dx);
    const deltaT = asked.deltaT === undefined ? entryOf(env, id).delta_t : asked.deltaT;
    const end = predict(env, id, Object.assign({}, asked, { state: state, actions: [action], deltaTs: deltaT }))[0];
    return end.map(function (value, i) { return (value - state[i]) / deltaT; });
  }

  function energy(env, id, state) {
    const system = systemOf(env), model = modelOf(env, id);
    checkState(system, state);
    return model.energy ? model.energy(Float64Array.from(state)) : null;
  }

  Object.assign(td, {
    load: load, models: models, missing: missing, predict: predict, steps: steps, spread: spread, field: field, energy: energy,
  });
})(globalThis);
