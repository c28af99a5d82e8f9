/* Time in the Δt explorer: the second that plays, stands still, and starts again. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var setText = td.dom.setText;

  /** Add play() and seek() to an explorer. */
  td.addMotion = function (app) {
    app.play = play;
    app.seek = seek;

    var REST = 0.5; // [s] of standing still before the second starts again
    function play(on) {
      app.clock.playing = on;
      app.clock.strobe = app.clock.strobe && !on && app.clock.reduced;
      if (app.view) app.view.strobe = app.clock.strobe;
      app.clock.last = null;
      setText(app.ui.play, on ? "Pause" : "Play");
      if (on) root.requestAnimationFrame(tickClock);
      app.drawTime();
    }
    function seek(time) {
      app.clock.time = Math.max(0, Math.min(td.HORIZON, time));
      app.clock.strobe = false;
      if (app.view) app.view.strobe = false;
      app.drawTime();
    }
    function tickClock(now) {
      if (app.gone || !app.clock.playing) return;
      root.requestAnimationFrame(tickClock);
      if (!app.onScreen || !app.view || app.ui.root.hidden) { app.clock.last = null; return; }
      if (app.clock.last !== null) {
        app.clock.run = ((app.clock.run || 0) + Math.min(0.1, (now - app.clock.last) / 1000)) % (td.HORIZON + REST);
        app.clock.time = Math.min(td.HORIZON, app.clock.run);
        app.ui.time.value = app.clock.time;
        app.ui.time.setAttribute("aria-valuetext", app.clock.time.toFixed(2) + " seconds");
        app.drawTime();
      }
      app.clock.last = now;
    }
    [app.ui.trajectory, app.ui.error].forEach(function (figure) {
      figure.canvas.addEventListener("pointermove", function (event) {
        if (event.pointerType !== "mouse" || app.clock.playing || !figure.frame) return;
        app.seek(figure.frame.valueX(event.clientX - figure.canvas.getBoundingClientRect().left));
        app.ui.time.value = app.clock.time;
      });
    });
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
