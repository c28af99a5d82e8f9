
/* In JupyterLab the same explorer is carried by anywidget; predictions come from torch by messages. */
function messageBackend(model) {
  const waiting = new Map(), config = model.get("config");
  let last = 0;
  function answered(message, buffers) {
    const job = waiting.get(message.id);
    if (!job) return; // another view's answer
    waiting.delete(message.id);
    if (message.error) return job.reject(new Error(message.error));
    const view = buffers[0], bytes = view.buffer ? view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) : view;
    const numbers = new Float64Array(bytes);
    let at = 0;
    job.resolve(message.shapes.map(function (shape) {
      const rows = [];
      for (let i = 0; i < shape[0]; i++, at += shape[1]) rows.push(Array.from(numbers.subarray(at, at + shape[1])));
      return rows;
    }));
  }
  model.on("msg:custom", answered);
  return {
    label: "torch, in double precision",
    rounded: false,
    asynchronous: true,
    environments: Object.keys(config.models),
    open: function (env) { return Promise.resolve(config.models[env]); },
    run: function (env, jobs) {
      const id = Date.now() + "-" + Math.random() + "-" + ++last;
      return new Promise(function (resolve, reject) {
        waiting.set(id, { resolve: resolve, reject: reject });
        model.send({ kind: "run", id: id, env: env, jobs: jobs.map(function (job) {
          return { id: job.entry.id, derive: job.entry.derive || null, solver: job.solver, substeps: job.substeps, kind: job.kind,
            states: job.states.map(function (state) { return Array.from(state); }), actions: job.actions || null, deltaT: job.deltaT || null };
        }) });
      });
    },
    close: function () { model.off("msg:custom", answered); },
  };
}

export default {
  render: function (context) {
    const model = context.model, box = document.createElement("div");
    let backend, explorer;
    box.className = "td-explorer";
    // arrow keys are for the control that has the focus, not for the notebook's cells
    box.addEventListener("focusin", function (event) { event.target.setAttribute("data-lm-suppress-shortcuts", "true"); });
    context.el.append(box);
    function mount() {
      backend = messageBackend(model);
      explorer = globalThis.tdExplorer.mount(box, {
        backend: backend, engine: globalThis.tdEngine, config: model.get("config"), view: model.get("view"), keepLink: true,
        onView: function (fragment) {
          if (model.get("view") === fragment) return;
          model.set("view", fragment);
          model.save_changes();
        },
      });
    }
    function unmount() { backend.close(); explorer.destroy(); }
    function remount() { unmount(); mount(); } // other models
    function restore() { if (model.get("view") !== explorer.link()) explorer.setState(model.get("view")); }
    mount();
    model.on("change:view", restore);
    model.on("change:config", remount);
    return function () { model.off("change:view", restore); model.off("change:config", remount); unmount(); };
  },
};
