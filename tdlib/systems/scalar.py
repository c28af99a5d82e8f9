"""The fast path of one sample: a system's equation, limits and task as one Python function of plain numbers."""

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING

from tdlib.core.solvers import SPLITTINGS, TABLEAUS, implicit_midpoint_step, runge_kutta_step, splitting_step
from tdlib.core.straight_line import GLOBALS, RECORDING, Unknown, Vector, code, unknowns

if TYPE_CHECKING:
    from tdlib.systems.system import System
    from tdlib.systems.task import Components, Number

ROUNDING = 1e-9  # keeps ceil(0.03 / 0.01) at 3
Advance = Callable[..., tuple[tuple[float, ...], float, float, bool]]


def compile_advance(system: "System") -> Advance:
    """Return `advance(state, action, delta_t, parameters=())`; see `System.advance`."""
    scope = {**GLOBALS, "ceil": math.ceil, "held_numbers": system.spec.held_numbers}
    exec(compile(advance_source(system), f"<{system.spec.name}>", "exec"), scope)  # our own text, from the equation
    return scope["advance"]


def advance_source(system: "System") -> str:
    """Return the Python text of one interval."""
    spec, task = system.spec, system.task
    x = [f"x{i}" for i in range(spec.state_dim)]
    u = [f"u{i}" for i in range(spec.input_dim)]
    p = [f"p{i}" for i in range(len(spec.parameter_names))]
    lines = [f"{', '.join(x)}, = state"]
    lines += [f"{', '.join(u)}, = held_numbers(action)"] * bool(u) + [f"{', '.join(p)}, = parameters"] * bool(p)
    lines += [
        f"count = max(1, ceil(abs(delta_t) / {system.max_substep!r} * {1 - ROUNDING!r}))",
        "h = delta_t / count",
        "reward, exit_time, limit_hit = 0.0, inf, False",
        "for k in range(count):",
    ]
    body = []
    if task is not None and (reward := task.reward) is not None:
        earned, (rate,) = _block(system, lambda x, u, p, h: [reward(x, u, p, RECORDING)])
        body += ["if exit_time == inf:", *_indent([*earned, f"reward += h * {rate} / {spec.reward_delta_t!r}"])]
    if (contact := system.contact) is not None:
        met, (hit,) = _block(system, lambda x, u, p, h: [contact(x, u, p, h, RECORDING)])
        body += [*met, f"limit_hit = limit_hit or (h != 0 and {hit})"]
    moved, ends = _block(system, lambda x, u, p, h: _substep(system, x, u, p, h))
    body += [*moved, f"{', '.join(x)}, = {', '.join(ends)},"]
    for i, (low, high) in enumerate(system.state_limits or ()):
        if (low, high) != (-math.inf, math.inf):
            clipped = f"x{i} = {low!r} if x{i} <= {low!r} else {high!r} if x{i} >= {high!r} else x{i}"
            body += [f"if not {low!r} < x{i} < {high!r}:", *_indent([clipped, "limit_hit = True"])]
    if (event := system.event) is not None:
        happened, (hit, *after) = _block(system, lambda x, u, p, h: _flat(*event(x, p, RECORDING)))
        body += [*happened, f"if {hit}:", *_indent([f"{', '.join(x)}, = {', '.join(after)},", "limit_hit = True"])]
    if task is not None and (outside := task.outside) is not None:
        checked, (left,) = _block(system, lambda x, u, p, h: [outside(x, p, RECORDING)])
        ended = [*checked, f"if h > 0 and {left}:", *_indent(["exit_time = (k + 1) * h"])]
        body += ["if exit_time == inf:", *_indent(ended)]
    lines += [*_indent(body), f"return ({', '.join(x)},), reward, exit_time, limit_hit"]
    return "\n".join(["def advance(state, action, delta_t, parameters=()):", *_indent(lines)]) + "\n"


def _block(system: "System", function: Callable[..., Sequence]) -> tuple[list[str], list[str]]:
    """Record a function of state, inputs, parameters and step length as code over the variables of `advance`."""
    spec = system.spec
    sizes = spec.state_dim, spec.input_dim, len(spec.parameter_names)
    names = [f"{letter}{i}" for letter, size in zip("xup", sizes, strict=True) for i in range(size)]
    *numbers, h = unknowns(*names, "h")
    x, u, drawn = numbers[: sizes[0]], numbers[sizes[0] : sizes[0] + sizes[1]], numbers[sizes[0] + sizes[1] :]
    p = SimpleNamespace(**{**system.parameters, **dict(zip(spec.parameter_names, drawn, strict=True))})
    return code(function(x, u, p, h))


def _substep(system: "System", x: list, u: list, p: SimpleNamespace, h: Unknown) -> Sequence:
    if system.exact_flow is not None:
        return system.exact_flow(x, u, p, h, RECORDING)

    def field(point: Vector) -> Vector:
        return Vector(system.equation(point, u, p, RECORDING))

    if system.solver == "implicit_midpoint":
        return implicit_midpoint_step(field, Vector(x), h)
    if system.solver in TABLEAUS:
        return runge_kutta_step(TABLEAUS[system.solver], field, Vector(x), h)

    def joined(velocities: Vector, others: Vector) -> Vector:
        pairs = enumerate(zip(velocities, others, strict=True))
        return Vector([v if i in system.spec.velocity_dims else o for i, (v, o) in pairs])

    return splitting_step(SPLITTINGS[system.solver], field, Vector(x), h, joined)


def _flat(hit: "Number", after: "Components") -> "list[Number]":
    return [hit, *after]


def _indent(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]
