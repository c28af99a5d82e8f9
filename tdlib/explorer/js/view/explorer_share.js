/* What one takes away from the Δt explorer: a link that restores the view, and the Python lines that reproduce it. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});
  var setText = td.dom.setText;

  /** Add pythonText(), toggleCode(), copyLink() and followLink() to an explorer. */
  td.addSharing = function (app) {
    app.pythonText = pythonText;
    app.toggleCode = toggleCode;
    app.copyLink = copyLink;
    app.followLink = followLink;

    function pythonText() {
      var system = app.engine.systems[app.state.env];
      return td.pythonLines(app.state, { a: app.entryOf("a"), b: app.entryOf("b") }, td.plan(app.state, system), app.backend.rounded);
    }
    function toggleCode() {
      app.ui.code.hidden = !app.ui.code.hidden;
      app.ui.codeButton.setAttribute("aria-expanded", String(!app.ui.code.hidden));
      setText(app.ui.codeButton, app.ui.code.hidden ? "Show the Python lines" : "Hide the Python lines");
      if (!app.ui.code.hidden) setText(app.ui.code.firstChild, app.pythonText());
    }
    function copyLink() {
      var fragment = td.toFragment(app.state), text = app.options.keepLink ? fragment : location.href.replace(/#.*$/, "") + "#" + fragment;
      if (!app.options.keepLink) history.replaceState(null, "", "#" + fragment);
      app.ui.linkText.value = text;
      function shown() { app.ui.linkText.hidden = false; app.ui.linkText.select(); setText(app.ui.done, "Copy it from the field below."); }
      if (!navigator.clipboard) return shown();
      navigator.clipboard.writeText(text).then(function () {
        setText(app.ui.done, "Copied.");
        setTimeout(function () { setText(app.ui.done, ""); }, 4000);
      }, shown);
    }
    function followLink() {
      if (location.hash.indexOf("#dt-explorer") === 0) { app.setState(location.hash); app.element.scrollIntoView({ block: "start" }); }
    }
  };
})(typeof globalThis !== "undefined" ? globalThis : this);
