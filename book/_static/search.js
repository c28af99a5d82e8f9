/* Excerpts of search results in readable words: a formula in a page's source is LaTeX, and an excerpt may cut it anywhere. */
(function (root) {
  "use strict";
  var NAMES = {
    alpha: "α", beta: "β", gamma: "γ", delta: "δ", Delta: "Δ", epsilon: "ε", varepsilon: "ε", theta: "θ", kappa: "κ", lambda: "λ",
    Lambda: "Λ", mu: "μ", eta: "η", rho: "ρ", sigma: "σ", Sigma: "Σ", tau: "τ", phi: "φ", varphi: "φ", Phi: "Φ", psi: "ψ", omega: "ω",
    pi: "π", partial: "∂", nabla: "∇", int: "∫", sum: "Σ", approx: "≈", le: "≤", leq: "≤", ge: "≥", geq: "≥", ne: "≠", in: "∈", to: "→",
    cdot: "·", times: "×", odot: "⊙", oplus: "⊕", lVert: "‖", rVert: "‖", mid: "|", pm: "±", infty: "∞", sim: "~", dots: "…", cdots: "…",
    ldots: "…", quad: " ", qquad: " ", circ: "°", prime: "′", star: "*", sqrt: "√"
  };

  /** LaTeX without its marks: `x + (\Delta/h)(\Phi_h - x)` becomes `x + (Δ/h)(Φ_h - x)`. */
  function plain(latex) {
    return latex
      .replace(/\\begin\{[^}]*\}|\\end\{[^}]*\}|\\label\{[^}]*\}/g, " ")
      .replace(/\\[dt]?frac\s*(\{(?:[^{}]|\{[^{}]*\})*\}|\S)\s*(\{(?:[^{}]|\{[^{}]*\})*\}|\S)/g, "$1/$2")
      .replace(/\\([A-Za-z]+)\s?/g, function (_, name) { return Object.prototype.hasOwnProperty.call(NAMES, name) ? NAMES[name] : ""; })
      .replace(/\\\\/g, " ").replace(/\\[|]/g, "‖").replace(/\\[,;:! ]/g, " ").replace(/\\(.)/g, "$1")
      .replace(/[{}&$]/g, "").replace(/\s+/g, " ").trim();
  }
  /** A page's text with its formulas, which stand between `\(` and `\)` or `\[` and `\]`, in plain signs. */
  function readable(text) {
    return text.replace(/\\\(([\s\S]*?)\\\)|\\\[([\s\S]*?)\\\]/g, function (_, inline, display) { return plain(inline || display || ""); });
  }
  root.tdSearch = { plain: plain, readable: readable };
  if (typeof Search === "undefined") return; // Sphinx's, on the page of results
  var whole = Search.htmlToText;
  Search.htmlToText = function (html, anchor) { return readable(whole(html, anchor)); };
})(typeof globalThis !== "undefined" ? globalThis : this);
