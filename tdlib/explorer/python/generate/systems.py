"""The systems for the page: what they are called, their limits, and their equations as JavaScript.

The code is generated from each system's own functions: one substep of its flow with limits and events and whether it
meets any, the right-hand side, the energy and the power, the points of its sketch. No equation is written twice.
"""

import json
import math
from functools import cache
from types import SimpleNamespace

import torch
from torch import Tensor

from tdlib.core.namespace import TORCH
from tdlib.core.solvers import ITERATIONS, SPLITTINGS, TABLEAUS
from tdlib.explorer.python.generate.function import function_text
from tdlib.explorer.python.views import symbols, view_values
from tdlib.systems import SYSTEMS, System
from tdlib.systems.scalar import ROUNDING


def system_script(system: System) -> str:
    """Return the call of `tdEngine.define` for one system.

    Args:
        system: Its equation, names and limits, and what a reader sees of it first.

    Raises:
        MissingOperationError: If the page has no form of an operation in its equation.
    """
    spec = system.spec
    state, inputs = torch.zeros(spec.state_dim, dtype=torch.float64), torch.zeros(spec.input_dim, dtype=torch.float64)
    description = {
        "name": spec.name, "folder": spec.folder,
        "stateNames": spec.state_names, "stateUnits": spec.state_units, "stateLabels": symbols(system),
        "angleDims": spec.angle_dims, "positionDims": spec.position_dims, "velocityDims": spec.velocity_dims,
        "inputs": [
            {"name": name, "unit": unit, "low": low, "high": high}
            for name, unit, low, high in zip(
                spec.input_names, spec.input_units, spec.input_low, spec.input_high, strict=True
            )
        ],
        "actionTable": spec.action_table,
        "reset": None if system.task is None else {"low": system.reset_low, "high": system.reset_high},
        "maxSubstep": system.max_substep, "rounding": ROUNDING,
        "kink": _kink(system),
        "view": view_values(system),
        "sketch": _sketch(system),
    }  # fmt: skip
    step = torch.tensor(system.max_substep, dtype=torch.float64)
    functions = {
        "substep": function_text(system.substep, {"u": inputs, "h": step}, {"x": state}),
        "rate": function_text(system.derivative, {"u": inputs}, {"x": state}),
    }
    if system.has_kinks:
        functions["touch"] = function_text(
            lambda x, u, h: system.touches(x, u, h).double(), {"u": inputs, "h": step}, {"x": state}
        )
    if system.energy is not None:
        functions["energy"] = function_text(system.total_energy, {}, {"x": state})
    if system.power is not None:
        functions["power"] = function_text(system.input_power, {"u": inputs}, {"x": state})
    if system.views.sketch is not None:
        functions["points"] = function_text(lambda x: _points(system, x), {}, {"x": state})
    code = ",\n".join(f"{name}: {text}" for name, text in functions.items())
    return f"globalThis.tdEngine.define({_script(description)}, {{\n{code}\n}});"


def systems_script() -> str:
    """Return the solvers' tableaux and every system of the registry as one script."""
    return _systems_script(tuple(SYSTEMS))


@cache
def _systems_script(names: tuple[str, ...]) -> str:
    tableaux: dict[str, dict] = {name: {"a": table.a, "b": table.shares} for name, table in TABLEAUS.items()}
    tableaux |= {name: {"moves": splitting.moves} for name, splitting in SPLITTINGS.items()}
    tableaux["implicit_midpoint"] = {"iterations": ITERATIONS}
    return "\n".join(
        [f"globalThis.tdEngine.tableaux = {json.dumps(tableaux)};", *(system_script(SYSTEMS[name]) for name in names)]
    )


def _kink(system: System) -> str | None:
    """What breaks the smooth flow, for readers; None where nothing does."""
    if not system.has_kinks:
        return None
    return "touch of a limit" if system.clips else "impact"


def _sketch(system: System) -> dict | None:
    sketch = system.views.sketch
    if sketch is None:
        return None
    names = ("reach", "rods", "discs", "boxes", "pivots", "middle", "ground")
    count = len(_points(system, torch.zeros(system.spec.state_dim, dtype=torch.float64))) // 2
    return {"count": count, **{name: getattr(sketch, name) for name in names}}


def _points(system: System, state: Tensor) -> Tensor:
    """Coordinates of the sketch's points one after the other: (D,) -> (2 K,)."""
    assert system.views.sketch is not None
    found = system.views.sketch.points(state.unbind(-1), SimpleNamespace(**system.parameters), TORCH)
    return torch.stack([torch.as_tensor(y, dtype=state.dtype) for y in found])


def _script(value: object) -> str:
    """Write plain values as JavaScript, which knows Infinity where JSON does not."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_script(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_script, value)) + "]"
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return json.dumps(value)
