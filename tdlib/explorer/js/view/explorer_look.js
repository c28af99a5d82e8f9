/* How the Δt explorer looks: the page's colors, and drawing everything with them. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});

  /** Add draw(), drawTime(), paintArms() and readTheme() to an explorer. */
  td.addLook = function (app) {
    app.draw = draw;
    app.drawTime = drawTime;
    app.paintArms = paintArms;
    app.readTheme = readTheme;
    app.forgetTheme = function () { themeCache = null; };

    /** Color by method; where A and B share one, B takes it mixed with the text's. */
    function paintArms() {
      app.view.arms.forEach(function (arm) {
        var color = app.view.theme.method(arm.entry.color), other = app.view.arms[0];
        arm.color = arm.side === "b" && other.entry.color === arm.entry.color ? td.mix(color, app.view.theme.text) : color;
        app.ui.arms[arm.side].box.style.setProperty("--x-arm", arm.color);
        [app.ui.trained, app.ui.legend].forEach(function (part) { part.style.setProperty("--x-arm-" + arm.side, arm.color); });
      });
    }
    function draw() {
      app.ui.trajectory.frame = td.drawTrajectory(app.ui.trajectory.canvas, app.view);
      app.ui.input.frame = td.drawInput(app.ui.input.canvas, app.view);
      app.ui.phase.frame = td.drawPhase(app.ui.phase.canvas, app.view);
      app.ui.error.frame = td.drawError(app.ui.error.canvas, app.view);
      app.updateEnergy();
      app.updateStrip();
      app.drawTime();
    }
    function drawTime() {
      if (!app.view) return;
      td.drawScene(app.ui.scene.canvas, app.view, app.clock.time);
      [app.ui.trajectory, app.ui.error].forEach(function (figure) {
        if (figure.frame) figure.cursor.style.transform = "translateX(" + figure.frame.x(app.clock.time).toFixed(1) + "px)";
        figure.cursor.style.top = "24px";
        figure.cursor.style.bottom = "36px";
        figure.cursor.hidden = app.clock.strobe;
      });
    }
    var themeCache = null;
    function readTheme() {
      if (themeCache) return themeCache;
      return (themeCache = td.canvas.themeOf(app.ui.root));
    }
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
