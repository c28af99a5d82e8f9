/* Small pieces of page that the parts of the Δt explorer share: elements, lists of choices, numbers as text. */
(function (root) {
  "use strict";
  var td = (root.tdExplorer = root.tdExplorer || {});

  function h(tag, attributes, children) {
    var element = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (key) {
      var value = attributes[key];
      if (key.slice(0, 2) === "on") element.addEventListener(key.slice(2), value);
      else if (key === "text") element.textContent = value;
      else if (value === true) element.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
    });
    (children || []).forEach(function (child) { if (child) element.append(child); });
    return element;
  }
  function setText(element, text) { if (element.textContent !== text) element.textContent = text; }
  function fill(select, options, chosen) {
    var same = select.options.length === options.length && options.every(function (o, i) {
      return select.options[i].value === o.value && select.options[i].text === o.text;
    });
    if (!same) {
      select.textContent = "";
      options.forEach(function (o) { select.add(new Option(o.text, o.value)); });
    }
    select.value = chosen;
    select.disabled = options.length < 2;
  }
  function quiet(run, wait) { // runs once things have been still for a while
    var timer = null;
    return function () { clearTimeout(timer); timer = setTimeout(run, wait); };
  }
  function signed(x, digits) { return x.toFixed(digits).replace("-", "−"); }
  /** An error in as many digits as mean something. */
  td.errorText = function (value) {
    if (value === undefined || value === null || value !== value) return "–";
    if (value < 0.0005) return "<0.001";
    if (value >= 1000) return "over 1000";
    return value >= 9.95 ? value.toFixed(0) : value >= 0.995 ? value.toFixed(1) : value >= 0.0995 ? value.toFixed(2) : value.toFixed(3);
  };

  /** Two colors #rrggbb half and half. */
  td.mix = function (first, second) {
    if (!/^#[0-9a-f]{6}$/i.test(first) || !/^#[0-9a-f]{6}$/i.test(second)) return first;
    var parts = [1, 3, 5].map(function (i) { return Math.round((parseInt(first.slice(i, i + 2), 16) + parseInt(second.slice(i, i + 2), 16)) / 2); });
    return "rgb(" + parts.join(",") + ")";
  };

  td.dom = { h: h, setText: setText, fill: fill, quiet: quiet, signed: signed };
})(typeof globalThis !== "undefined" ? globalThis : this);
