"""Predictions of visual models: open loop in latent space, decoded; forward, backward, and from every true frame."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from tdlib.evaluation.visual.sequences import FrameSequences
from tdlib.models.visual import VisualWorldModel
from tdlib.models.visual.maps import MapPredictor
from tdlib.models.visual.variational import kl_divergence

ROWS = 64  # sequences per call


class VisualRollout(NamedTuple):
    """What a visual model predicts after each of T steps.

    Args:
        images: (S, T, C, H, W) in [0, 1].
        latents: (S, T + 1, event) states of the start and after each step.
        energy: (S, T + 1) of these, where the model has one.
    """

    images: Tensor
    latents: Tensor
    energy: Tensor | None


def visual_open_loop_rollout(
    model: VisualWorldModel, sequences: FrameSequences, *, device: torch.device | str = "cpu", rows: int = ROWS
) -> VisualRollout:
    """Encode what is known, roll out in latent space and decode, without gradients.

    Args:
        model: The model, on `device`.
        sequences: What is known and asked.
        device: Where the model is.
        rows: Sequences per call.
    """
    return _in_parts(model, sequences, device, rows, _forward)


def visual_repeated_rollout(
    model: VisualWorldModel,
    sequences: FrameSequences,
    times: int,
    *,
    device: torch.device | str = "cpu",
    rows: int = ROWS,
) -> VisualRollout:
    """Reach every frame by several of the model's own steps under the same input: what a map can do at multiples.

    Args:
        model: The model.
        sequences: What is known and asked; its intervals are `times` those of training.
        times: Steps per frame.
        device: Where the model is.
        rows: Sequences per call.
    """

    def repeated(model: VisualWorldModel, part: FrameSequences) -> VisualRollout:
        inputs, steps = (x.repeat_interleave(times, dim=1) for x in (part.inputs, part.steps / times))
        start, memory = _begun(model, part)
        rolled = model.roll(start, inputs, steps, memory).states[:, times - 1 :: times]
        return _described(model, start, rolled)

    return _in_parts(model, sequences, device, rows, repeated)


def visual_backward_rollout(
    model: VisualWorldModel, sequences: FrameSequences, *, device: torch.device | str = "cpu", rows: int = ROWS
) -> tuple[VisualRollout, FrameSequences]:
    """Encode the last frames and run back to the start through the same inputs, Δt negative.

    Args:
        model: One whose predictor integrates a field.
        sequences: What is asked.
        device: Where the model is.
        rows: Sequences per call.

    Returns:
        The rollout, and what it is compared with: the sequences run back, whose start is the last frame, whose truth
        ends with the start, and whose intervals are negative; `baselines` and tables of scores take them as others.

    Raises:
        ValueError: If the predictor is a map, which has no way back.
    """
    if isinstance(model.predictor, MapPredictor):
        raise ValueError(f"model must integrate a field to run back, {model.options.predictor} is a map")

    def back(model: VisualWorldModel, part: FrameSequences) -> VisualRollout:
        frames = part.images[:, -model.options.encoder_frames :]
        start = model.encode(frames)[:, 0]
        rolled = model.roll(start, part.inputs.flip(1), -part.steps.flip(1)).states
        return _described(model, start, rolled)

    images = sequences.images[:, sequences.known :].flip(1)
    asked = FrameSequences(images, sequences.inputs.flip(1), -sequences.steps.flip(1), known=0)
    return _in_parts(model, sequences, device, rows, back), asked


def encoded_truth(
    model: VisualWorldModel, sequences: FrameSequences, *, device: torch.device | str = "cpu", rows: int = ROWS
) -> Tensor:
    """Return the states of the true frames from the start on: (S, T + 1, event); intervals must be of one kind."""

    def encoded(model: VisualWorldModel, part: FrameSequences) -> VisualRollout:
        return VisualRollout(part.images[:, :0], _states_of_truth(model, part), None)

    return _in_parts(model, sequences, device, rows, encoded).latents


def latent_nats(
    model: VisualWorldModel, sequences: FrameSequences, *, device: torch.device | str = "cpu", rows: int = ROWS
) -> Tensor:
    """Return how much the latent of each start says of its frames, its divergence from the prior: (S,) [nats].

    Near nothing of a latent that has collapsed; nan of a model of codes, which has no prior.
    """
    if model.coded:
        return sequences.images.new_full((len(sequences.images),), float("nan"))

    def divergence(model: VisualWorldModel, part: FrameSequences) -> VisualRollout:
        posterior = model.posterior(_seen_at_start(model, part))
        return VisualRollout(part.images[:, :0], kl_divergence(posterior, model.event_dims), None)

    return _in_parts(model, sequences, device, rows, divergence).latents[:, -1]


def visual_teacher_forced(
    model: VisualWorldModel, sequences: FrameSequences, *, device: torch.device | str = "cpu", rows: int = ROWS
) -> VisualRollout:
    """Predict every frame one step ahead of the true ones before it; intervals must be of one kind."""

    def one_step(model: VisualWorldModel, part: FrameSequences) -> VisualRollout:
        states = _states_of_truth(model, part)
        following = model.predictor(states[:, :-1], part.inputs, part.steps)
        return VisualRollout(model.decode(following), torch.cat([states[:, :1], following], dim=1), None)

    return _in_parts(model, sequences, device, rows, one_step)


def visual_reconstruction(
    model: VisualWorldModel, sequences: FrameSequences, *, device: torch.device | str = "cpu", rows: int = ROWS
) -> VisualRollout:
    """Encode the true frames and decode them again, nothing predicted; intervals must be of one kind."""

    def shown(model: VisualWorldModel, part: FrameSequences) -> VisualRollout:
        states = _states_of_truth(model, part)
        return VisualRollout(model.decode(states[:, 1:]), states, None)

    return _in_parts(model, sequences, device, rows, shown)


def _states_of_truth(model: VisualWorldModel, part: FrameSequences) -> Tensor:
    """States of the true frames from the start on, (S, T + 1, event)."""
    return model.encode(part.images[:, part.known - model.options.encoder_frames + 1 :])


def _seen_at_start(model: VisualWorldModel, part: FrameSequences) -> Tensor:
    """The start and the frames before it that its state is read off, (S, K, C, H, W)."""
    return part.images[:, : part.known + 1][:, -model.options.encoder_frames :]


def _begun(model: VisualWorldModel, part: FrameSequences) -> tuple[Tensor, tuple[Tensor, ...]]:
    """State of the start, and what is remembered of before."""
    start = model.encode(_seen_at_start(model, part))[:, -1]
    return start, model.initial(part.context).memory


def _forward(model: VisualWorldModel, part: FrameSequences) -> VisualRollout:
    start, memory = _begun(model, part)
    return _described(model, start, model.roll(start, part.inputs, part.steps, memory).states)


def _described(model: VisualWorldModel, start: Tensor, rolled: Tensor) -> VisualRollout:
    latents = torch.cat([start.unsqueeze(1), rolled], dim=1)
    energy = model.energy(latents) if model.predictor.has_energy else None
    return VisualRollout(model.decode(rolled), latents, energy)


def _in_parts(
    model: VisualWorldModel,
    sequences: FrameSequences,
    device: torch.device | str,
    rows: int,
    ask: Callable[[VisualWorldModel, FrameSequences], VisualRollout],
) -> VisualRollout:
    """Ask about some sequences at a time; what is returned is on the processor."""
    known = sequences.known + 1
    if known < model.options.encoder_frames:
        raise ValueError(f"sequences must show encoder_frames = {model.options.encoder_frames} frames, got {known}")
    parts, training = [], model.training
    model.eval()
    like = next(model.parameters()).dtype
    with torch.no_grad():
        for begin in range(0, len(sequences.images), rows):
            parts.append(ask(model, sequences.part(slice(begin, begin + rows)).to(device, like)))
    model.train(training)
    columns = zip(*parts, strict=True)
    return VisualRollout(*(None if column[0] is None else torch.cat(column).cpu() for column in columns))
