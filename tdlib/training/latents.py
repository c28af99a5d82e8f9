"""Sets of latents: the frames of a set encoded once by a visual model, for predictors trained by themselves."""

import torch
from torch import Tensor

from tdlib.core.transitions import Transitions, brightness
from tdlib.models.visual import VisualWorldModel

ROWS = 64  # frames per call of the encoder


def latent_set(
    model: VisualWorldModel, part: Transitions, offsets: Tensor, *, device: torch.device | str = "cpu"
) -> tuple[Transitions, Tensor]:
    """Encode every episode of a set; an episode begins at the first frame that has a state.

    States are those of the model as it is: the map from latents to states, which mode `detached` trains beside a
    predictor even where encoder and decoder are frozen, does not move for whoever is trained on them.

    Args:
        model: On `device`; its encoder is asked as in prediction.
        part: With frames.
        offsets: (E + 1,) episodes of it.
        device: Where the model is.

    Returns:
        Transitions of flattened latents, and their episode offsets; episodes too short for a step are left out.

    Raises:
        ValueError: If the set has no frames, or no episode is long enough.
    """
    if part.frames is None:
        raise ValueError("part must hold frames")
    count = model.options.encoder_frames
    training, parts, lengths = model.training, [], []
    model.eval()
    for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        if end - begin < count:
            continue
        shown = torch.cat([part.frames.first[begin:end], part.frames.first[end - 1 : end] + 1])
        states = _encoded(model, part.frames.pixels[shown], device).flatten(1)
        rows = part[begin + count - 1 : end]
        parts.append(Transitions(states[:-1], rows.action, states[1:], rows.delta_t))
        lengths.append(len(rows))
    model.train(training)
    if not parts:
        raise ValueError(f"part must have an episode of encoder_frames = {count} steps, the longest is shorter")
    return Transitions.concatenate(parts), torch.tensor([0, *lengths]).cumsum(0)


@torch.no_grad()
def _encoded(model: VisualWorldModel, pixels: Tensor, device: torch.device | str) -> Tensor:
    """States of every window of one episode, (F, C, H, W) uint8 -> (F - K + 1, event)."""
    like, count = next(model.parameters()).dtype, model.options.encoder_frames
    found = []
    for begin in range(0, len(pixels) - count + 1, ROWS):
        images = brightness(pixels[begin : begin + ROWS + count - 1].to(device), like)
        found.append(model.encode(images).cpu())
    return torch.cat(found)
