"""A model from an ONNX file, run by the optional package `onnxruntime`; of the file only its graph is executed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tdlib.core.imports import optional_module
from tdlib.doctor.as_rows import as_rows

KINDS = {"tensor(float)": np.float32, "tensor(double)": np.float64}
ORDER = ("state", "action", "delta_t")


def load_onnx(path: Path | str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return a model of one interval: (N, D), (N, A), (N) [s] -> (N, D).

    The file's inputs are state, action and, where it has a third, delta_t, by these names or in this order; an interval
    of two axes is given as (N, 1). Its first output is the next state.

    Args:
        path: The file.

    Raises:
        ValueError: If it is no ONNX model, or its inputs are not those.
        ImportError: If onnxruntime is missing.
    """
    runtime = optional_module("onnxruntime", "onnx")
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # the package's own kinds, which it does not name publicly
        raise ValueError(f"path must be an ONNX model, got {str(path)!r}: {error}") from error
    inputs = session.get_inputs()
    if not 2 <= len(inputs) <= len(ORDER) or any(each.type not in KINDS for each in inputs):
        found = [(each.name, each.type) for each in inputs]
        raise ValueError(f"inputs of {path} must be real {ORDER[:2]} and perhaps {ORDER[2]!r}, got {found}")
    named = {each.name for each in inputs} <= set(ORDER)
    places = [ORDER.index(each.name) if named else i for i, each in enumerate(inputs)]

    def model(state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
        rows, batch = as_rows(state, action, delta_t)
        given = {}
        for each, place in zip(inputs, places, strict=True):
            values = rows[place].detach().cpu().numpy().astype(KINDS[each.type])
            given[each.name] = values[:, None] if place == ORDER.index("delta_t") and len(each.shape) == 2 else values
        (found, *_) = session.run(None, given)
        return torch.from_numpy(np.asarray(found)).to(state).reshape(*batch, -1)

    return model
