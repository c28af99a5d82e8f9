"""Which parts of a model become JavaScript, each free of loops: the driver in js/engine adds solver, memory and time.

Traced are a map's forward, a field's derivative, a cell's step with its first memory (and its first step, where that
differs: it is told its state), and energy and spread where a model has them. All for one row: a state (D,), an action
(A,), one Δt.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.explorer.python.generate.arrays import MissingOperationError
from tdlib.explorer.python.generate.function import function_text
from tdlib.explorer.python.stepping import Advance, stepping
from tdlib.models import DynamicsModel

TRACE_DELTA_T = 0.05  # [s]; any value: the code does not depend on it


@dataclass(frozen=True)
class Pieces:
    """The generated code of one structure; models that differ in numbers alone share it.

    Args:
        kind: "map", "cell" or "field".
        functions: Name of a piece -> its function (p, n) in JavaScript.
        carry: Numbers in each array of a cell's memory.
        spread: Whether a map also gives the spread of an ensemble.
    """

    kind: str
    functions: dict[str, str]
    carry: tuple[int, ...] = ()
    spread: bool = False

    def text(self) -> str:
        """Return the structure as one object in JavaScript."""
        head = [f'kind: "{self.kind}"', f"carry: {json.dumps(self.carry)}", f"spread: {json.dumps(self.spread)}"]
        return "{ " + ",\n".join(head + [f"{name}: {body}" for name, body in self.functions.items()]) + " }"


def named_tensors(model: torch.nn.Module) -> dict[str, Tensor]:
    """Weights and buffers of a model by the names under which its code reads them."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def pieces_of(model: DynamicsModel) -> Pieces:
    """Write a model in double precision as JavaScript.

    Raises:
        MissingOperationError: If the page has no form of one of its operations.
    """
    spec, named = model.spec, named_tensors(model)
    state, action = torch.zeros(spec.state_dim, dtype=torch.float64), torch.zeros(spec.action_dim, dtype=torch.float64)
    held = {"a": action, "t": torch.tensor(TRACE_DELTA_T, dtype=torch.float64)}
    if hasattr(model, "derivative"):
        functions = {"rate": function_text(model.derivative, {"a": action}, {"x": state}, named)}
        energy = getattr(model, "energy", None) or getattr(getattr(model, "field", None), "energy", None)
        if energy is not None:
            functions["energy"] = function_text(energy, {}, {"x": state}, named)
        return Pieces("field", functions)
    if model.has_memory:
        return _cell(model, state, held, named)
    if hasattr(model, "spread"):

        def with_spread(*inputs: Tensor) -> tuple[Tensor, Tensor]:
            return model(*inputs), model.spread(*inputs)

        return Pieces("map", {"map": function_text(with_spread, held, {"x": state}, named)}, spread=True)
    return Pieces("map", {"map": function_text(model, held, {"x": state}, named)})


def _cell(model: DynamicsModel, state: Tensor, held: dict[str, Tensor], named: dict[str, Tensor]) -> Pieces:
    steps = stepping(model)
    if steps is None:
        raise MissingOperationError("the page follows models step by step, and this one predicts whole sequences only")
    carry = [leaf.clone() for leaf in steps.initial(state, held["a"])]  # parts may be one tensor at the start
    _, after = steps.start(state, held["a"], held["t"], *carry)
    if [leaf.shape for leaf in after] != [leaf.shape for leaf in carry]:
        raise MissingOperationError("the page keeps a memory of one size, and this one's grows with every step")
    called = {**{f"m{k}": leaf for k, leaf in enumerate(carry)}, "x": state}

    def inputs_last(advance: Advance) -> Callable:
        return lambda *inputs: advance(*inputs[-3:], *inputs[:-3])  # (carry..., state, action, Δt)

    functions = {"initial": function_text(lambda x: steps.initial(x, held["a"]), {}, {"x": state}, named)}
    functions["cell"] = function_text(inputs_last(steps.follow), held, called, named)
    first = function_text(inputs_last(steps.start), held, called, named)
    if first != functions["cell"]:
        functions["start"] = first
    return Pieces("cell", functions, tuple(leaf.numel() for leaf in carry))
