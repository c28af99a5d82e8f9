"""Operations on single numbers in JavaScript; each entry takes expressions and gives one.

Only names and numbers come in, so nothing needs brackets but the result. `n` holds the engine's own functions.
"""

from collections.abc import Callable

SOFTPLUS_LINEAR = 20  # torch's threshold above which softplus is the identity


def call(name: str) -> Callable[..., str]:
    """A function of JavaScript by its name."""
    return lambda *x: f"{name}({', '.join(x)})"


def infix(sign: str) -> Callable[[str, str], str]:
    """An operator between two numbers."""
    return lambda a, b: f"({a} {sign} {b})"


def _power(a: str, b: str) -> str:
    return {"2": f"({a} * {a})", "3": f"({a} * {a} * {a})", "0.5": f"Math.sqrt({a})", "1": a}.get(
        b, f"Math.pow({a}, {b})"
    )


def _softplus(v: str, beta: str = "1", threshold: str = str(SOFTPLUS_LINEAR)) -> str:
    scaled = v if beta == "1" else f"{beta} * {v}"
    value = f"Math.log(1 + Math.exp({scaled}))"
    return f"({scaled} > {threshold} ? {v} : {value if beta == '1' else f'{value} / {beta}'})"


def _elu(v: str, alpha: str = "1", scale: str = "1", input_scale: str = "1") -> str:
    return f"({scale} * ({v} > 0 ? {v} : {alpha} * Math.expm1({input_scale} * {v})))"


def _clamp(v: str, low: str | None = None, high: str | None = None) -> str:
    v = v if low is None else f"Math.max({v}, {low})"
    return v if high is None else f"Math.min({v}, {high})"


def _threshold_slope(g: str, v: str, limit: str = "0") -> str:
    return f"({v} > {limit} ? {g} : 0)"


def _softplus_slope(g: str, v: str, beta: str = "1", limit: str = str(SOFTPLUS_LINEAR)) -> str:
    return f"({beta} * {v} > {limit} ? {g} : {g} / (1 + Math.exp(-{beta} * {v})))"


def _gelu(v: str) -> str:
    return f"(0.5 * {v} * (1 + n.erf({v} * Math.SQRT1_2)))"


UNARY: dict[str, Callable[..., str]] = {
    **{x: call(f"Math.{x}") for x in "abs sqrt exp expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh "
       "asinh acosh atanh floor ceil trunc sign".split()},
    "neg": lambda v: f"(-{v})",
    "reciprocal": lambda v: f"(1 / {v})",
    "rsqrt": lambda v: f"(1 / Math.sqrt({v}))",
    "square": lambda v: f"({v} * {v})",
    "sigmoid": lambda v: f"(1 / (1 + Math.exp(-{v})))",
    "log_sigmoid": lambda v: f"(-Math.log(1 + Math.exp(-{v})))",
    "tanh": lambda v: f"(2 / (1 + Math.exp(-2 * {v})) - 1)",  # twice as fast as Math.tanh, to 1e-16 of the range
    "silu": lambda v: f"({v} / (1 + Math.exp(-{v})))",
    "softplus": _softplus,
    "relu": lambda v: f"Math.max({v}, 0)",
    "leaky_relu": lambda v, slope="0.01": f"({v} > 0 ? {v} : {slope} * {v})",
    "elu": _elu,
    "gelu": _gelu,
    "erf": call("n.erf"),
    "round": call("n.round"),
    "hardtanh": lambda v, low="(-1)", high="1": _clamp(v, low, high),
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clamp_max": lambda v, high: _clamp(v, None, high),
    "isnan": call("Number.isNaN"),
    "isfinite": call("Number.isFinite"),
    "isinf": lambda v: f"(Math.abs({v}) === Infinity)",
    "logical_not": lambda v: f"(!{v})",
    "bitwise_not": lambda v: f"(!{v})",
}  # fmt: skip
BINARY: dict[str, Callable[..., str]] = {
    "add": infix("+"), "sub": infix("-"), "mul": infix("*"), "div": infix("/"), "rsub": lambda a, b: f"({b} - {a})",
    "pow": _power, "atan2": call("Math.atan2"), "hypot": call("Math.hypot"), "remainder": call("n.remainder"),
    "fmod": infix("%"), "floor_divide": lambda a, b: f"Math.floor({a} / {b})",
    "minimum": call("Math.min"), "maximum": call("Math.max"), "fmin": call("Math.min"), "fmax": call("Math.max"),
    "lt": infix("<"), "le": infix("<="), "gt": infix(">"), "ge": infix(">="), "eq": infix("==="), "ne": infix("!=="),
    "logical_and": infix("&&"), "logical_or": infix("||"), "bitwise_and": infix("&&"), "bitwise_or": infix("||"),
    "logical_xor": lambda a, b: f"(!{a} !== !{b})",
    "sigmoid_backward": lambda g, s: f"({g} * {s} * (1 - {s}))",
    "tanh_backward": lambda g, t: f"({g} * (1 - {t} * {t}))",
    "silu_backward": lambda g, v: f"({g} * n.siluSlope({v}))",
    "threshold_backward": _threshold_slope, "softplus_backward": _softplus_slope,
}  # fmt: skip
TERNARY: dict[str, Callable[..., str]] = {
    "where": lambda c, a, b: f"({c} ? {a} : {b})",
    "addcmul": lambda a, b, c: f"({a} + {b} * {c})",
    "addcdiv": lambda a, b, c: f"({a} + {b} / {c})",
    "lerp": lambda a, b, w: f"({a} + {w} * ({b} - {a}))",
}
SCALAR_RULES = {**UNARY, **BINARY, **TERNARY}
