"""The systems for the page: what they are called, their limits, and their equations as JavaScript.

The code is generated from each system's own `derivative` and `energy`, so that no equation is written twice.
"""

import json
import math
from functools import cache

import torch

from tdlib.core.solvers import TABLEAUS
from tdlib.explorer.python.generate.function import function_text
from tdlib.systems import SYSTEMS, System
from tdlib.systems.scalar import ROUNDING


def system_script(system: System, view: dict | None = None) -> str:
    """Return the call of `tdEngine.define` for one system.

    Args:
        system: Its equation, names and limits.
        view: What the explorer shows of it first; see `js/view/explorer_defaults.json`.

    Raises:
        MissingOperationError: If the page has no form of an operation in its equation.
    """
    spec = system.spec
    state, inputs = torch.zeros(spec.state_dim, dtype=torch.float64), torch.zeros(spec.input_dim, dtype=torch.float64)
    description = {
        "name": spec.name, "stateNames": spec.state_names, "stateUnits": spec.state_units,
        "angleDims": spec.angle_dims, "positionDims": spec.position_dims, "velocityDims": spec.velocity_dims,
        "inputs": [
            {"name": name, "unit": unit, "low": low, "high": high}
            for name, unit, low, high in zip(
                spec.input_names, spec.input_units, spec.input_low, spec.input_high, strict=True
            )
        ],
        "actionTable": spec.action_table,
        "limits": system.state_limits,
        "reset": None if system.task is None else {"low": system.reset_low, "high": system.reset_high},
        "solver": system.solver, "maxSubstep": system.max_substep, "rounding": ROUNDING,
        "view": view,
    }  # fmt: skip
    functions = [f"rate: {function_text(system.derivative, {'u': inputs}, {'x': state})}"]
    if system.energy is not None:
        functions.append(f"energy: {function_text(system.total_energy, {}, {'x': state})}")
    if system.event is not None:
        functions.append(f"event: {function_text(system.after_event, {}, {'x': state})}")
    return f"globalThis.tdEngine.define({_script(description)}, {{ {', '.join(functions)} }});"


def systems_script() -> str:
    """Return the solvers' tableaux and every system of the registry as one script."""
    return _systems_script(tuple(SYSTEMS))


@cache
def _systems_script(names: tuple[str, ...]) -> str:
    tableaux = {name: {"a": table.a, "b": table.shares} for name, table in TABLEAUS.items()}
    return "\n".join(
        [f"globalThis.tdEngine.tableaux = {json.dumps(tableaux)};", *(system_script(SYSTEMS[name]) for name in names)]
    )


def _script(value: object) -> str:
    """Write plain values as JavaScript, which knows Infinity where JSON does not."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_script(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_script, value)) + "]"
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return json.dumps(value)
