/* What a log says without any model, computed in the page: its clock, and where its changes stand above its resolution.
   Nothing leaves the page; works from file://. The numbers are those of tdlib (data/sources/stamps.py, doctor/measure.py,
   data/decimate.py without its filter); a test compares both on the same files. */
(function (root) {
  "use strict";
  var SECONDS = { s: 1, ms: 1e3, us: 1e6, ns: 1e9 }; // units of a stamp in a second
  var WRITTEN = { sec: "s", secs: "s", second: "s", seconds: "s", msec: "ms", millis: "ms", milliseconds: "ms", usec: "us", "\u00b5s": "us",
    "\u03bcs": "us", micros: "us", microseconds: "us", nsec: "ns", nanos: "ns", nanosec: "ns", nanoseconds: "ns" };
  var SEPARATORS = [",", ";", "\t", "|"], JITTER = 1e-3, GAP = 1.75, BURSTS = [0.05, 0.5], GENERATED = 1e-9, KNOWN_NOISE = 0.5, FEWEST_ROWS = 30,
    UNLIKE = 0.3, STRAIGHTER = 0.8, QUOTE = "\u0022";
  var TIME = /^(timestamp|time|t|stamp|sampling_time|elapsed|.*\.timestamp|time_.*|stamp_.*|timestamp_.*)$/;
  var EVERY = [1, 2, 3, 4, 5, 8, 10, 20, 30, 40, 50, 100, 200, 500, 1000];

  // ---------------------------------------------------------------- numbers as NumPy gives them
  function sorted(values) { return Float64Array.from(values).sort(); }
  function median(values) {
    var x = sorted(values), half = x.length >> 1;
    return !x.length ? NaN : x.length % 2 ? x[half] : (x[half - 1] + x[half]) / 2;
  }
  function sum(values) { var total = 0; for (var i = 0; i < values.length; i++) total += values[i]; return total; }
  function mean(values) { return sum(values) / values.length; }
  function deviation(values) { var m = mean(values); return Math.sqrt(mean(values.map(function (x) { return (x - m) * (x - m); }))); }
  function rounded(x) { var low = Math.floor(x); return x - low === 0.5 ? (low % 2 ? low + 1 : low) : Math.round(x); } // half to even
  function spacing(x) { return x > 0 ? Math.pow(2, Math.floor(Math.log2(x)) - 52) : 0; }
  function differences(values) { var d = []; for (var i = 1; i < values.length; i++) d.push(values[i] - values[i - 1]); return d; }

  // ---------------------------------------------------------------- text to columns
  function split(line, separator) {
    var cells = separator === " " ? line.trim().split(/\s+/) : line.indexOf('"') < 0 ? line.split(separator) : quoted(line, separator);
    return cells.map(function (cell) { return cell.trim().replace(/^"|"$/g, "").trim(); });
  }
  function quoted(line, separator) {
    var cells = [], cell = "", inside = false;
    for (var i = 0; i < line.length; i++) {
      if (line[i] === '"') inside = !inside;
      else if (line[i] === separator && !inside) { cells.push(cell); cell = ""; } else cell += line[i];
    }
    return cells.concat([cell]);
  }
  function own(object, key) { return Object.prototype.hasOwnProperty.call(object, key); }
  /** Whether a cell that begins with a quote is still open where the line ends; a quote inside of a cell is a letter. */
  function leftOpen(line, separator) {
    for (var i = 0, fresh = true; i < line.length; i++) {
      if (fresh && line[i] === QUOTE) {
        for (i++; line[i] !== QUOTE || line[i + 1] === QUOTE; i++) { if (i >= line.length) return true; if (line[i] === QUOTE) i++; }
        fresh = false;
      } else if (line[i] === separator) fresh = true;
      else if (line[i] !== " ") fresh = false;
    }
    return false;
  }
  /** Lines that are neither blank nor comments; one whose quoted cell holds a line break is joined with the next. */
  function body(lines, separator) {
    var found = [];
    for (var i = 0; i < lines.length; i++) {
      var line = lines[i];
      if (!line.trim() || /^\s*#/.test(line)) continue;
      while (separator !== " " && line.indexOf(QUOTE) >= 0 && leftOpen(line, separator)) {
        if (++i === lines.length) throw new Error("row " + (found.length + 1) + " must end its quoted cell, got " + shown(line));
        line += "\n" + lines[i];
      }
      found.push(line);
    }
    return found;
  }
  function isNumber(cell) { return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(cell); }
  function shown(cell) { return "'" + (cell.length > 80 ? cell.slice(0, 80) + "\u2026" : cell) + "'"; }

  /** Columns of a CSV text by name, as text; throws an Error that names the row (from 1 below the header) and the cell. */
  function readText(text) {
    var lines = text.replace(/^\ufeff/, "").split(/\r\n|\n|\r/), notes = [], before = null, at = 0;
    for (; at < lines.length; at++) {
      if (/^\s*#/.test(lines[at])) before = lines[at].trim().replace(/^#+/, "").trim();
      else if (lines[at].trim()) break;
    }
    if (at === lines.length) throw new Error("the file must have a header and at least two rows");
    var header = lines[at], counts = SEPARATORS.map(function (s) { return header.split(s).length - 1; });
    var most = Math.max.apply(null, counts), separator = most ? SEPARATORS[counts.indexOf(most)] : " ";
    var names = split(header, separator);
    if (names.every(function (name) { return isNumber(name.replace(",", ".")); })) { // the header may stand in a comment
      var hidden = before === null ? [] : split(before, separator);
      if (hidden.length !== names.length) throw new Error("the first line must name the columns, got numbers: " + shown(header));
      names = hidden; at -= 1; notes.push("the names of the columns stand in a comment");
    }
    if (names.length < 2) throw new Error("the header must hold several columns, got " + shown(header));
    if (separator !== ",") notes.push("cells are parted by " + (separator === " " ? "blanks" : separator === "\t" ? "tabs" : "'" + separator + "'"));
    var rows = body(lines.slice(at + 1), separator).map(function (line) { return split(line, separator); });
    rows.forEach(function (cells, row) {
      while (cells.length > names.length && !cells[cells.length - 1]) cells.pop();
      if (cells.length > names.length) {
        var hint = cells.length >= 2 * names.length - 1 ? "; numbers with decimal commas need another separator" : "";
        throw new Error("row " + (row + 1) + " must hold " + names.length + " cells, got " + cells.length + hint);
      }
    });
    function empty(cells) { return !cells[names.length - 1]; }
    while (names.length && !names[names.length - 1] && rows.every(empty)) { // a separator behind the last name
      rows.forEach(function (cells) { cells.length = Math.min(cells.length, names.length - 1); });
      names.pop();
    }
    if (rows.length && rows[rows.length - 1].length < names.length) {
      notes.push("the last line is cut (" + rows.pop().length + " of " + names.length + " cells) and left out");
    }
    if (rows.length < 2) throw new Error("the file must have a header and at least two rows, got " + rows.length + " rows");
    var columns = Object.create(null); // a column may be called "constructor"
    names.forEach(function (name, i) {
      if (!name) throw new Error("column " + (i + 1) + " must have a name, got ''");
      if (name in columns) throw new Error("columns must have names of their own, got '" + name + "' more than once");
      columns[name] = rows.map(function (cells) { return cells[i] === undefined ? "" : cells[i]; });
    });
    return { columns: columns, notes: notes, rows: rows.length };
  }
  function numbers(name, cells) {
    return Float64Array.from(cells, function (cell, row) {
      if (isNumber(cell)) return parseFloat(cell);
      var number = /^[+-]?\d+,\d+$/.test(cell) ? "; decimal commas are read by tdlib with decimal=','" : "";
      throw new Error("column " + name + " must hold " + (cell === "" || /^[+-]?(nan|inf)/i.test(cell) ? "finite numbers" : "numbers") + ", got " + shown(cell) + " in row " + (row + 1) + number);
    });
  }

  // ---------------------------------------------------------------- the clock
  function unitInName(name) {
    var found = /[\s_[(./-]([a-z\u00b5\u03bc]+)[\])]?\s*$/.exec(name.trim().toLowerCase()), unit = found ? (own(WRITTEN, found[1]) ? WRITTEN[found[1]] : found[1]) : "";
    return own(SECONDS, unit) ? unit : null;
  }
  function timeColumn(names) {
    var fitting = names.filter(function (name) {
      var text = name.trim().toLowerCase().replace(/\s*[[(][^\])]*[\])]$/, "").replace(/_(ns|us|ms|s)$/, "");
      return TIME.test(text);
    });
    return fitting.length === 1 ? fitting[0] : "";
  }
  /** Seconds since the first stamp; whole numbers are subtracted exactly, whatever their size. */
  function inSeconds(name, cells, unit) {
    var values = numbers(name, cells), whole = cells.every(function (cell) { return /^[+-]?\d+$/.test(cell); }), first = whole ? BigInt(cells[0]) : 0n;
    return Array.from(values, function (value, i) { return (whole ? Number(BigInt(cells[i]) - first) : value - values[0]) / SECONDS[unit]; });
  }
  function inBursts(rising) {
    if (!rising.length) return false;
    var typical = median(rising), long = rising.map(function (x) { return x / typical; }).filter(function (x) { return x > GAP; });
    return long.length > BURSTS[0] * rising.length && sum(long.map(function (x) { return rounded(x - 1); })) > BURSTS[1] * rising.length;
  }
  function reportStamps(times) {
    var intervals = differences(times), rising = intervals.filter(function (x) { return x > 0; });
    if (!rising.length) throw new Error("stamps must rise somewhere, got " + times.length + " rows that do not");
    var typical = median(rising), bursts = inBursts(rising);
    var gaps = bursts ? [] : rising.filter(function (x) { return x > GAP * typical; });
    var even = bursts ? rising : rising.filter(function (x) { return x <= GAP * typical; });
    function largest(values) { return values.reduce(function (a, b) { return Math.max(a, b); }, -Infinity); }
    function least(values) { return values.reduce(function (a, b) { return Math.min(a, b); }, Infinity); }
    var resolution = spacing(largest(times.map(Math.abs))), spread = largest(even) - least(even);
    return {
      rows: times.length, rate: 1 / (bursts ? mean(rising) : typical), jitter: deviation(even) / typical, shortest: least(rising), longest: largest(rising),
      gaps: gaps.length, lost: sum(gaps.map(function (x) { return rounded(x / typical - 1); })), repeated: intervals.filter(function (x) { return x === 0; }).length,
      backward: intervals.filter(function (x) { return x < 0; }).length, bursts: bursts ? 1 / typical : 0,
      generated: even.length > 2 && !gaps.length && spread <= Math.max(GENERATED * typical, 4 * resolution)
    };
  }
  /** Rows of every stretch whose stamps rise without a gap; rows that repeat a stamp are in none. */
  function stretches(times) {
    var rows = [], parts = [], part = [];
    times.forEach(function (time, i) { if (!i || time !== times[i - 1]) rows.push(i); });
    var steps = differences(rows.map(function (i) { return times[i]; })), rising = steps.filter(function (x) { return x > 0; });
    var typical = rising.length && !inBursts(rising) ? median(rising) : Infinity;
    rows.forEach(function (row, i) {
      if (i && (steps[i - 1] < 0 || steps[i - 1] > GAP * typical)) { parts.push(part); part = []; }
      part.push(row);
    });
    return parts.concat([part]).filter(function (rowsOf) { return rowsOf.length > 1; });
  }

  // ---------------------------------------------------------------- changes against the resolution
  /** Weights of the fourth divided difference over five stamps, of norm 1; one set where intervals are even. */
  function fourthWeights(times, parts, even) {
    var found = [];
    parts.forEach(function (rows) {
      for (var i = 0; i + 4 < rows.length && !(even && found.length); i++) {
        var at = [0, 1, 2, 3, 4].map(function (j) { return even ? j : times[rows[i + j]] - times[rows[i]]; }), apart = at[4], norm = 0;
        var weights = at.map(function (a, j) { return 1 / at.reduce(function (p, b, k) { return k === j ? p : p * (a - b) / apart; }, 1); });
        weights.forEach(function (w) { norm += w * w; });
        found.push(weights.map(function (w) { return w / Math.sqrt(norm); }));
      }
    });
    return found;
  }
  /** Standard deviation of white noise: the median fourth difference, scaled to the noise's own. */
  function noiseOf(values, parts, weights, even) {
    var found = [], count = 0;
    parts.forEach(function (rows) {
      for (var i = 0; i + 4 < rows.length; i++, count++) {
        var w = weights[even ? 0 : count];
        found.push(Math.abs(w[0] * values[rows[i]] + w[1] * values[rows[i + 1]] + w[2] * values[rows[i + 2]] + w[3] * values[rows[i + 3]] + w[4] * values[rows[i + 4]]));
      }
    });
    return found.length ? median(found) / 0.6745 : 0;
  }
  /** Whether rows that come in bursts lie on lines by their numbers rather than by their stamps, as in doctor/bursts.py. */
  function measuredEvenly(read, times, parts) {
    var ratios = [];
    read.forEach(function (each) {
      var v = each.values, byStamp = 0, byNumber = 0;
      parts.forEach(function (rows) {
        for (var i = 1; i + 1 < rows.length; i++) {
          var a = rows[i - 1], b = rows[i], c = rows[i + 1], place = (times[b] - times[a]) / (times[c] - times[a]);
          if (Math.abs(place - 0.5) <= UNLIKE) continue;
          [place, 0.5].forEach(function (at, k) {
            var off = v[b] - v[a] - at * (v[c] - v[a]), square = off * off / (1 + at * at + (1 - at) * (1 - at));
            if (k) byNumber += square; else byStamp += square;
          });
        }
      });
      if (byStamp > 0 && byNumber > 0) ratios.push(Math.log(byNumber / byStamp));
    });
    return ratios.length > 0 && Math.exp(mean(ratios) / 2) < STRAIGHTER;
  }
  /** RMS change over n rows, in steps of n from the start of every stretch. */
  function changeOver(values, parts, n) {
    var squares = 0, count = 0;
    parts.forEach(function (rows) {
      for (var i = n; i < rows.length; i += n) { squares += Math.pow(values[rows[i]] - values[rows[i - n]], 2); count += 1; }
    });
    return { size: Math.sqrt(squares / count), count: count };
  }
  function check(text, options) {
    var table = readText(text), names = Object.keys(table.columns), chosen = options || {};
    var column = chosen.column || timeColumn(names);
    if (!table.columns[column]) throw new Error("one column must be the time; choose it among " + names.join(", "));
    var unit = chosen.unit || unitInName(column) || "s", times = inSeconds(column, table.columns[column], unit), stamps = reportStamps(times);
    var typical = 1 / (stamps.bursts || stamps.rate);
    if (!chosen.unit && !unitInName(column) && !(typical >= 1e-6 && typical < 1)) {
      throw new Error("column " + column + " must be in seconds unless its unit is chosen, got intervals of " + typical.toPrecision(6));
    }
    var parts = stretches(times), intervals = [], notes = table.notes.slice(), left = [], read = [], columns = [];
    parts.forEach(function (rows) { for (var i = 1; i < rows.length; i++) intervals.push(times[rows[i]] - times[rows[i - 1]]); });
    var middle = median(intervals), even = intervals.every(function (x) { return Math.abs(x - middle) <= JITTER * middle; }), weights = fourthWeights(times, parts, even);
    names.filter(function (name) { return name !== column; }).forEach(function (name) {
      var cells = table.columns[name];
      if (!cells.some(isNumber)) { left.push(name); return; } // text, or nothing
      try {
        var values = numbers(name, cells);
      } catch (error) { notes.push(error.message + "; it is left out"); return; } // nobody may need it
      read.push({ name: name, values: values });
    });
    var evenly = stamps.bursts > 0 && measuredEvenly(read, times, parts);
    if (stamps.bursts) middle = 1 / stamps.rate; // the interval inside a burst is no step that the log has
    if (evenly) { even = true; weights = fourthWeights(times, parts, even); }
    read.forEach(function (each) {
      var name = each.name, values = each.values, noise = noiseOf(values, parts, weights, even), changes = [];
      EVERY.forEach(function (n) {
        var change = changeOver(values, parts, n);
        if (change.count >= FEWEST_ROWS) changes.push({ every: n, rate: 1 / (n * middle), change: change.size, share: Math.SQRT2 * noise / change.size });
      });
      var moves = changes.length && changes[0].change > 0, clear = moves ? changes.filter(function (c) { return c.share < KNOWN_NOISE; }) : [];
      columns.push({ name: name, noise: noise, changes: changes, moves: Boolean(moves), clear: clear.length ? clear[0].rate : NaN });
    });
    if (left.length) notes.push("columns of text or without a number are left out: " + left.join(", "));
    return { column: column, unit: unit, stamps: stamps, columns: columns, notes: notes, names: names, stretches: parts.length, interval: middle, evenly: evenly };
  }
  root.tdLogCheck = { check: check, readText: readText, sentences: sentences };
  if (typeof document === "undefined") return;

  // ---------------------------------------------------------------- the page
  function add(parent, tag, attributes, text) {
    var node = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (name) { node.setAttribute(name, attributes[name]); });
    if (text !== undefined) node.textContent = text;
    parent.appendChild(node);
    return node;
  }
  function short(x) { return isFinite(x) ? String(+x.toPrecision(3)) : "\u2013"; }
  function sentences(found, label) {
    var s = found.stamps, said = [], lost = s.gaps + s.repeated + s.backward;
    if (label > 0 && Math.abs(Math.log(s.rate / label)) > 0.02) said.push(["Labeled " + short(label) + " Hz, the stamps say " + short(s.rate) + " Hz: the label is wrong, or the stamps are.", true]);
    else if (label > 0) said.push(["The stamps agree with the label.", false]);
    if (s.bursts) said.push(["Rows come in bursts: their median interval would make " + short(s.bursts) + " Hz. " + (found.evenly ? "They were measured evenly: what follows is of equal intervals." : "What follows counts rows by their mean interval."), true]);
    if (s.generated) said.push(["The stamps are row numbers times one interval: they say nothing of the clock.", true]);
    if (lost) said.push([s.gaps + " gaps of up to " + short(s.longest) + " s (" + s.lost + " rows lost by their length), " + s.repeated + " stamps repeat, " + s.backward + " step back; what follows is of " + found.stretches + " stretches without any.", true]);
    else said.push(["No gap, no stamp that repeats or steps back.", false]);
    var moving = found.columns.filter(function (c) { return c.moves; });
    var slow = found.columns.reduce(function (least, c) { return c.changes.length ? Math.min(least, c.changes[c.changes.length - 1].rate) : least; }, Infinity);
    var clear = moving.map(function (c) { return c.clear; }), never = moving.filter(function (c) { return !isFinite(c.clear); }).map(function (c) { return c.name; });
    if (moving.length && never.length < moving.length) {
      var fast = clear.filter(isFinite).reduce(function (a, b) { return Math.min(a, b); });
      said.push(["It can answer from " + short(fast) + " Hz, where " + (never.length ? "the other columns change" : "each column that moves changes") + " by more than twice its noise, down to " + short(slow) + " Hz, where " + FEWEST_ROWS + " rows are left. Finer than " + short(s.rate) + " Hz it holds no truth.", false]);
    }
    if (never.length) said.push(["Noise, steps or rounding at each rate that was tried: " + never.join(", ") + ".", true]);
    return said;
  }
  function build(box, place) {
    var fallback = box.querySelector(".td-fallback"), live = add(box, "div", { "class": "td-live", role: "group", "aria-label": "Log check" }), content = null, file = "";
    if (fallback) fallback.hidden = true;
    var drop = add(live, "label", { "class": "td-drop", "for": "td-log-" + place });
    add(drop, "strong", {}, "Drop a CSV file here, or choose one");
    add(drop, "span", {}, "It is read in this page and leaves it nowhere.");
    var input = add(drop, "input", { id: "td-log-" + place, type: "file", accept: ".csv,.txt,.tsv,text/csv,text/plain" });
    var row = add(live, "div", { "class": "td-fields" });
    function field(words, name, tag) {
      var label = add(row, "label", { "for": "td-log-" + place + name });
      add(label, "span", {}, words);
      return add(label, tag, { id: "td-log-" + place + name });
    }
    var column = field("Time column", "-column", "select"), unit = field("Unit of time", "-unit", "select"), label = field("Labeled rate [Hz]", "-label", "input");
    label.type = "number"; label.min = "0"; label.step = "any"; label.placeholder = "optional";
    ["by its name"].concat(Object.keys(SECONDS)).forEach(function (name, i) { add(unit, "option", { value: i ? name : "" }, name); });
    add(column, "option", { value: "" }, "by its name");
    var readout = add(live, "p", { "class": "td-readout", "aria-live": "polite" }), list = add(live, "ul", { "class": "td-findings" }), scroll = add(live, "div", { "class": "td-scroll td-results td-few" });
    function show() {
      readout.textContent = list.textContent = scroll.textContent = "";
      if (content === null) return;
      try {
        var found = check(content, { column: column.value, unit: unit.value });
      } catch (error) {
        add(readout, "span", { "class": "td-bad", role: "alert" }, file + ": " + error.message);
        return;
      }
      add(readout, "strong", {}, short(found.stamps.rate) + " Hz");
      add(readout, "span", {}, file + ": " + found.stamps.rows + " rows, jitter " + short(100 * found.stamps.jitter) + " % of an interval; time is " + found.column + " in " + found.unit);
      sentences(found, +label.value).concat(found.notes.map(function (note) { return [note + ".", false]; })).forEach(function (said) { add(list, "li", said[1] ? { "class": "td-bad" } : {}, said[0]); });
      var table = add(scroll, "table", {}), head = add(add(table, "thead"), "tr"), body = add(table, "tbody");
      ["column", "change per row", "noise of it / change", "clear from [Hz] down"].forEach(function (name) { add(head, "th", {}, name); });
      found.columns.forEach(function (each) {
        var line = add(body, "tr"), first = each.changes[0];
        add(line, "th", { scope: "row" }, each.name);
        [first ? short(first.change) : "\u2013", first && each.moves ? short(first.share) : "\u2013", short(each.clear)].forEach(function (text) { add(line, "td", { "class": "td-number" }, text); });
      });
      box.tdFound = found;
    }
    function choices(names) {
      while (column.options.length > 1) column.remove(1);
      names.forEach(function (name) { add(column, "option", { value: name }, name); });
    }
    function take(files) {
      if (!files || !files.length) return;
      file = files[0].name;
      files[0].arrayBuffer().then(function (buffer) {
        var bytes = new Uint8Array(buffer), wide = bytes[0] === 255 && bytes[1] === 254 ? "utf-16le" : bytes[0] === 254 && bytes[1] === 255 ? "utf-16be" : "utf-8";
        content = new TextDecoder(wide).decode(buffer);
        column.value = unit.value = "";
        try { choices(Object.keys(readText(content).columns)); } catch (error) { choices([]); }
        show();
      });
    }
    input.addEventListener("change", function () { take(input.files); });
    ["dragenter", "dragover"].forEach(function (name) { drop.addEventListener(name, function (event) { event.preventDefault(); drop.classList.add("td-over"); }); });
    ["dragleave", "drop"].forEach(function (name) { drop.addEventListener(name, function (event) { event.preventDefault(); drop.classList.remove("td-over"); }); });
    drop.addEventListener("drop", function (event) { take(event.dataTransfer.files); });
    [column, unit, label].forEach(function (control) { control.addEventListener("input", show); });
  }
  function start() { Array.prototype.forEach.call(document.querySelectorAll(".td-logcheck"), build); }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})(typeof window === "undefined" ? globalThis : window);
