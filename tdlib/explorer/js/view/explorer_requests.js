/* How the Δt explorer asks for predictions: one request at a time. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});

  /** Send one request at a time; while one is on its way only the newest of the others is kept. */
  td.newestWins = function (send) {
    var busy = false, next = null;
    function start(job) {
      busy = true;
      Promise.resolve().then(function () { return send(job.request); }).then(job.done, job.failed).then(function () {
        busy = false;
        var waiting = next;
        next = null;
        if (waiting) start(waiting);
      });
    }
    return function (request, done, failed) {
      var job = { request: request, done: done, failed: failed };
      if (busy) next = job; else start(job);
    };
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
