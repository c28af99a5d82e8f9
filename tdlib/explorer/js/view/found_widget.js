
/* In JupyterLab an explorer of tdFound is carried by anywidget; torch answers by messages. */
const kind = globalThis[globalThis.tdFoundWidget].kind; // of the scripts before this one

function torchBackend(model) {
  const waiting = new Map();
  let last = 0;
  function answered(message) {
    const job = waiting.get(message.id);
    if (!job) return; // another view's answer
    waiting.delete(message.id);
    if (message.error) job.reject(new Error(message.error)); else job.resolve(message);
  }
  model.on("msg:custom", answered);
  return {
    header: function () { return Promise.resolve(model.get("config")); },
    ask: function (wanted) {
      const id = Date.now() + "-" + Math.random() + "-" + ++last;
      return new Promise(function (resolve, reject) {
        waiting.set(id, { resolve: resolve, reject: reject });
        model.send(Object.assign({ kind: "ask", id: id }, wanted));
      });
    },
    close: function () { model.off("msg:custom", answered); },
  };
}

export default {
  render: function (context) {
    const box = document.createElement("div"), backend = torchBackend(context.model);
    box.className = "td-" + kind.name;
    // arrow keys are for the control that has the focus, not for the notebook's cells
    box.addEventListener("focusin", function (event) { event.target.setAttribute("data-lm-suppress-shortcuts", "true"); });
    context.el.append(box);
    const explorer = globalThis.tdFound.mount(box, backend, kind);
    return function () { backend.close(); explorer.destroy(); };
  },
};
