"""Calling any model: float32 evaluation in chunks that fit the cache, results in float64 for comparison with the truth.

Stacks and models go the faster way of `tdlib.speed.queries`; this is for any other callable, the true flow for example.

A "model" below is a `Stack` of K models, or one `DynamicsModel`, which counts as K = 1: both take tensors with a
leading axis K (or 1, shared) and answer (K, ...).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from tdlib.models import Context
from tdlib.speed.structure import num_models

MAX_ROWS = 24576  # rows K x B per call: 6 MB of activations at width 64; larger calls were up to twice slower per row
Model = Callable[[Tensor, Tensor, Tensor], Tensor]


def predict_steps(
    model: Model,
    state: Tensor,
    actions: Tensor,
    delta_t: Tensor,
    context: Context | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    max_rows: int = MAX_ROWS,
) -> Tensor:
    """Predict open loop without gradients.

    Args:
        model: Stack or model.
        state: (K|1, B, D) starts.
        actions: (K|1, B, T, A) held inputs.
        delta_t: (K|1, B, T) intervals [s].
        context: True steps before the starts, (K|1, B, C, ...); None for Markov models.
        dtype: Precision of the evaluation.
        device: Where the model is.
        max_rows: Rows per call; the batch axis is cut into chunks.

    Returns:
        (K, B, T, D) float64 on the CPU.
    """
    count, num_steps = state.shape[1], actions.shape[-2]
    chunk = max(1, max_rows // max(1, num_models(model) * getattr(model, "num_members", 1)))
    parts = []
    with torch.inference_mode():
        for begin in range(0, count, chunk):
            inputs = [x[:, begin : begin + chunk].to(device, dtype) for x in (state, actions, delta_t)]
            past = None if context is None else _context_slice(context, begin, begin + chunk, device, dtype)
            if past is None and num_steps == 1:
                predicted = model(inputs[0], inputs[1][..., 0, :], inputs[2][..., 0]).unsqueeze(-2)
            else:
                predicted = _feed_back(model, inputs, past)
            parts.append(predicted.to("cpu", torch.float64))
    # a clone outside inference mode is an ordinary tensor
    return torch.cat(parts, dim=1).clone()


def _feed_back(model: Model, inputs: list[Tensor], past: Context | None) -> Tensor:
    """Open loop for anything that predicts one step; a model with memory has its own `predict_sequence`."""
    if hasattr(model, "predict_sequence"):
        return model.predict_sequence(*inputs, *([] if past is None else [past]))
    state, actions, delta_t = inputs
    predictions = []
    for t in range(actions.shape[-2]):
        state = model(state, actions[..., t, :], delta_t[..., t])
        predictions.append(state)
    return torch.stack(predictions, dim=-2)


def _context_slice(context: Context, begin: int, end: int, device: torch.device | str, dtype: torch.dtype) -> Context:
    return context.map(lambda x: x[:, begin:end].to(device, dtype if x.is_floating_point() else x.dtype))
