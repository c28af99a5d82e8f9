"""Names in a script that nothing declares, and declared names that nothing reads: what a linter would say first.

Reads words, not syntax: a name counts as declared if any place of the script declares it.
"""

import re

WORD = re.compile(
    r"""(?P<skip>/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`"""
    r"""|(?:(?<=[(,=:!&|?;{}\[+])|(?<=\breturn))\s*/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*|\d[\w.]*)"""
    r"""|(?P<name>[A-Za-z_$][\w$]*)|(?P<sign>=>|\.\.\.|\?\.|[^\s])""",
    re.DOTALL,
)
KEYWORDS = set(
    "async await break case catch class const continue default delete do else export extends false finally for "
    "function if import in instanceof let new null of return static super switch this throw true try typeof undefined "
    "var void while yield arguments".split()
)
GLOBALS = set(
    "Array Boolean Date Error Float64Array Infinity Int16Array Int32Array JSON Map Math NaN Number Object Promise "
    "RangeError String Uint8Array Option clearTimeout document getComputedStyle globalThis history isFinite location "
    "navigator parseFloat parseInt performance setTimeout window decodeURIComponent encodeURIComponent "
    "URL Set Symbol BigInt TextDecoder "
    "Search".split()  # of Sphinx
)
DECLARE = {"var", "let", "const"}


def names(script: str) -> tuple[set[str], set[str]]:
    """Return (names that nothing declares, declared names that nothing reads)."""
    words = [(m.lastgroup, m.group()) for m in WORD.finditer(script) if m.lastgroup != "skip"]
    declared: dict[str, int] = {}
    used: dict[str, int] = {}
    for i, (kind, word) in enumerate(words):
        if kind != "name" or word in KEYWORDS:
            continue
        before = words[i - 1][1] if i else ""
        after = words[i + 1][1] if i + 1 < len(words) else ""
        if before in (".", "?.") or (after == ":" and before in ("{", ",")):
            continue  # a property
        used[word] = used.get(word, 0) + 1
    methods = {w for i, (k, w) in enumerate(words) if k == "name" and w not in KEYWORDS and _is_method(words, i)}
    for name in _declared(words):
        declared[name] = declared.get(name, 0) + 1
    unread = {name for name, count in declared.items() if used.get(name, 0) <= count and not name.startswith("_")}
    return set(used) - set(declared) - GLOBALS, unread - methods


def _declared(words: list[tuple[str, str]]) -> list[str]:
    found: list[str] = []
    for i, (_, word) in enumerate(words):
        if word in DECLARE:
            found += _declarators(words, i + 1)
        elif word in ("function", "catch"):
            j = i + 1
            if words[j][0] == "name":
                found.append(words[j][1])
                j += 1
            found += _parameters(words, j)
        elif word == "=>":
            found += _arrow(words, i - 1)
        elif words[i][0] == "name" and word not in KEYWORDS and _is_method(words, i):
            found.append(word)
            found += _parameters(words, i + 1)
    return found


def _is_method(words: list[tuple[str, str]], i: int) -> bool:
    """Whether name(…) { is the definition of a method in an object."""
    if words[i + 1][1] != "(" or words[i - 1][1] not in ("{", ","):
        return False
    end = _closing(words, i + 1)
    return end + 1 < len(words) and words[end + 1][1] == "{"


def _closing(words: list[tuple[str, str]], start: int) -> int:
    depth = 0
    for j in range(start, len(words)):
        depth += (words[j][1] in "([{") - (words[j][1] in ")]}") if len(words[j][1]) == 1 else 0
        if depth == 0:
            return j
    return len(words) - 1


def _parameters(words: list[tuple[str, str]], start: int) -> list[str]:
    if start >= len(words) or words[start][1] != "(":
        return []
    inside = words[start + 1 : _closing(words, start)]
    return [w for k, (kind, w) in enumerate(inside) if kind == "name" and (k == 0 or inside[k - 1][1] != ".")]


def _arrow(words: list[tuple[str, str]], last: int) -> list[str]:
    if words[last][1] != ")":
        return [words[last][1]]
    depth, start = 0, last
    for start in range(last, -1, -1):
        depth += (words[start][1] == ")") - (words[start][1] == "(")
        if depth == 0:
            break
    return _parameters(words, start)


def _declarators(words: list[tuple[str, str]], start: int) -> list[str]:
    """Names of `var a = 1, {b, c: d} = e, f;` up to the end of the statement."""
    found, i, expects = [], start, True
    while i < len(words):
        kind, word = words[i]
        if expects and kind == "name":
            found.append(word)
            expects = False
        elif expects and word in "{[":
            end = _closing(words, i)
            inside = words[i + 1 : end]
            found += [
                w
                for k, (own, w) in enumerate(inside)
                if own == "name" and not (k + 1 < len(inside) and inside[k + 1][1] == ":")
            ]
            i, expects = end, False
        elif word in ("of", "in", ";"):
            break
        elif word in ("(", "[", "{"):
            i = _closing(words, i)
        elif word == ",":
            expects = True
        elif word in (")", "}"):
            break
        i += 1
    return found
