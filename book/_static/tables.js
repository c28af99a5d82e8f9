/* Result tables sort and filter. Plain JavaScript, works from file://; without it the tables stay as they are.
   A table is taken if its head is one row of plain cells; its header cells become buttons, keyboard included. */
(function (root) {
  "use strict";
  var FILTER_FROM = 9; // rows: shorter tables are seen at a glance
  var PHONE = 540; // px, as in book.css
  var NUMBERS = ".dataframe, .td-results, .td-few, .td-verdicts, .td-seed, .td-sortable, .td-live"; // compared, or stacked by book.css

  /** Number at the start of a cell as pages write it: `1.49 [1.45, 1.53]`, `−0.4`, `12 %`, `1,024`, `2.5e-3`; else null. */
  function numberOf(text) {
    var clean = text.trim().replace(/\u2212/g, "-").replace(/(\d),(?=\d{3}(\D|$))/g, "$1");
    var found = /^[<>~≈±]?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?![\w.])/i.exec(clean);
    return found ? parseFloat(found[1]) : null;
  }
  /** Order of two cells: numbers by size, then words; cells without a value come last either way. */
  function compare(a, b, direction) {
    var x = numberOf(a), y = numberOf(b), empty = /^(|–|-|nan|no row|not finite)$/i;
    var missing = (empty.test(a.trim()) ? 1 : 0) - (empty.test(b.trim()) ? 1 : 0);
    if (missing) return missing;
    if (x !== null && y !== null) return direction * (x - y);
    if (x !== null || y !== null) return x !== null ? -1 : 1;
    return direction * a.trim().localeCompare(b.trim(), undefined, { numeric: true });
  }
  function matches(text, words) {
    var low = text.toLowerCase();
    return words.toLowerCase().split(/\s+/).every(function (word) { return low.indexOf(word) >= 0; });
  }
  root.tdTables = { numberOf: numberOf, compare: compare, matches: matches };
  if (typeof document === "undefined") return;

  function make(tag, attributes, text) {
    var node = document.createElement(tag);
    Object.keys(attributes).forEach(function (name) { node.setAttribute(name, attributes[name]); });
    if (text) node.textContent = text;
    return node;
  }
  /** A table of pandas: index names in a second head row move up into their empty cells, joined index cells are repeated. */
  function flatten(table) {
    var head = table.tHead, body = table.tBodies[0];
    if (!head || !body || head.querySelector("[colspan]:not([colspan='1'])")) return;
    if (head.rows.length === 2 && head.rows[0].cells.length === head.rows[1].cells.length) {
      var upper = Array.prototype.slice.call(head.rows[0].cells), lower = Array.prototype.slice.call(head.rows[1].cells);
      if (upper.some(function (cell, i) { return cell.textContent.trim() && lower[i].textContent.trim(); })) return;
      upper.forEach(function (cell, i) { if (!cell.textContent.trim()) cell.textContent = lower[i].textContent; });
      head.removeChild(head.rows[1]);
    }
    Array.prototype.forEach.call(body.querySelectorAll("[rowspan]"), function (cell) {
      var more = cell.rowSpan, row = cell.parentNode, column = cell.cellIndex;
      cell.removeAttribute("rowspan");
      for (var i = 1; i < more; i++) {
        row = row.nextElementSibling;
        row.insertBefore(cell.cloneNode(true), row.cells[column] || null);
      }
    });
  }
  /** A cell's text without the name of its column, which begins it where a phone may stack the table. */
  function textOf(cell) {
    var label = cell.querySelector(".td-label");
    return label ? cell.textContent.slice(label.textContent.length) : cell.textContent;
  }
  function plain(table) {
    var head = table.tHead, body = table.tBodies[0];
    return head && body && head.rows.length === 1 && body.rows.length > 2 && !table.querySelector("[colspan]:not([colspan='1']), [rowspan]:not([rowspan='1'])");
  }
  function sortable(table, said) {
    var body = table.tBodies[0], first = Array.prototype.slice.call(body.rows);
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (cell, column) {
      var name = cell.textContent.trim();
      if (!name && column) return;
      var button = make("button", { type: "button", "class": "td-sort" });
      while (cell.firstChild) button.appendChild(cell.firstChild);
      if (!name) { button.textContent = "name"; button.className += " td-unnamed"; }
      cell.appendChild(button);
      button.addEventListener("click", function () {
        var now = cell.getAttribute("aria-sort"), next = now === "ascending" ? "descending" : now === "descending" ? null : "ascending";
        table.querySelectorAll("th[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
        var rows = first.slice();
        if (next) {
          cell.setAttribute("aria-sort", next);
          rows.sort(function (a, b) { return compare(textOf(a.cells[column]), textOf(b.cells[column]), next === "ascending" ? 1 : -1); });
        }
        rows.forEach(function (row) { body.appendChild(row); });
        said.textContent = next ? "Sorted by " + (name || "name") + ", " + next + "." : "In the first order.";
      });
    });
  }
  function filterable(table, box, said, number) {
    var id = "td-filter-" + number, rows = Array.prototype.slice.call(table.tBodies[0].rows), bar = make("p", { "class": "td-filter" });
    bar.appendChild(make("label", { "for": id }, "Filter rows"));
    var input = bar.appendChild(make("input", { id: id, type: "search", autocomplete: "off", placeholder: "words, all of which a row holds" }));
    var count = bar.appendChild(make("span", { "class": "td-count" }, rows.length + " of " + rows.length + " rows"));
    input.addEventListener("input", function () {
      var shown = 0;
      rows.forEach(function (row) { row.hidden = !matches(Array.prototype.map.call(row.cells, textOf).join(" "), input.value.trim()); if (!row.hidden) shown++; });
      count.textContent = shown + " of " + rows.length + " rows";
      said.textContent = count.textContent;
    });
    // its width stays while rows come and go; a table that was folded when the page came has one only now
    input.addEventListener("focus", function () { table.style.minWidth = Math.min(table.offsetWidth, 4000) + "px"; }, { once: true });
    box.parentNode.insertBefore(bar, box);
  }
  /** A table scrolls inside a box of its own that the keyboard reaches if it is too wide. */
  function boxed(table) {
    var box = table.closest(".td-scroll, .pst-scrollable-table-container, .td-tablebox");
    if (!box) {
      box = make("div", { "class": "td-tablebox" });
      table.parentNode.insertBefore(box, table);
      box.appendChild(table);
    }
    function reach() {
      if (box.scrollWidth > box.clientWidth + 1) {
        box.tabIndex = 0; box.setAttribute("role", "region");
        if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", "Table, scrolls sideways");
      } else { box.removeAttribute("tabindex"); box.removeAttribute("role"); box.removeAttribute("aria-label"); }
    }
    reach();
    window.addEventListener("resize", reach);
    var folded = box.closest("details");
    if (folded) folded.addEventListener("toggle", reach); // closed, it has no width
    return box;
  }
  /** On a phone a table of words that is too wide becomes one block per row, each cell below the name of its column. */
  function stackable(table, box) {
    if (!plain(table) || table.closest(NUMBERS) || table.querySelector(".td-cell")) return;
    var heads = table.tHead.rows[0].cells;
    Array.prototype.forEach.call(table.tBodies[0].rows, function (row) {
      Array.prototype.forEach.call(row.cells, function (cell, column) {
        if (!column || !heads[column]) return;
        var label = make("span", { "class": "td-label" });
        Array.prototype.forEach.call(heads[column].childNodes, function (node) { label.appendChild(node.cloneNode(true)); });
        cell.insertBefore(label, cell.firstChild);
      });
    });
    function fit() {
      table.classList.remove("td-stacked");
      table.classList.toggle("td-stacked", window.innerWidth <= PHONE && box.scrollWidth > box.clientWidth + 1);
    }
    fit();
    window.addEventListener("load", function () { // formulas have their width when they are set
      if (window.MathJax && window.MathJax.startup) window.MathJax.startup.promise.then(fit); else fit();
    });
    window.addEventListener("resize", fit);
  }
  function start() {
    var content = document.querySelector("article") || document.body;
    Array.prototype.forEach.call(content.querySelectorAll("table"), function (table, number) {
      if (table.closest(".td-explorer, .td-x, .td-slider")) return;
      var box = boxed(table);
      stackable(table, box);
      if (!table.matches(".td-table, .dataframe, .td-sortable table")) return;
      if (table.matches(".dataframe")) flatten(table);
      if (!plain(table)) return;
      var said = make("span", { "class": "td-said", role: "status" });
      box.parentNode.insertBefore(said, box.nextSibling);
      if (table.tBodies[0].rows.length >= FILTER_FROM) filterable(table, box, said, number);
      sortable(table, said);
    });
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})(typeof globalThis !== "undefined" ? globalThis : this);
