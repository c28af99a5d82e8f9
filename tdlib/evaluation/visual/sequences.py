"""What visual models are tested on: frames that are known, frames to be predicted, and the inputs that lead there.

Test A of another interval shows a model frames at the interval it was trained at and asks for others after them: what
moves the state is tested. Test B shows frames at the new interval too: whoever reads motion off two frames is then
wrong by the ratio of the intervals before anything has moved.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.core.context import Context
from tdlib.core.transitions import brightness
from tdlib.systems import System

# states (..., D), drawn parameters (..., P) or None -> frames (..., C, H, W) uint8
Draw = Callable[[Tensor, Tensor | None], Tensor]
ROUNDING = 1e-6  # of an interval


@dataclass(frozen=True)
class FrameSequences:
    """S sequences of frames x_0 … x_F; the first `known` come before the start x_known.

    Args:
        images: (S, F + 1, C, H, W) in [0, 1].
        actions: (S, F, A) held from each frame to the next.
        delta_t: (S, F) intervals [s].
        known: Frames before the start.

    Raises:
        ValueError: If numbers of frames, inputs and intervals do not fit, or nothing is left to predict.
    """

    images: Tensor
    actions: Tensor
    delta_t: Tensor
    known: int

    def __post_init__(self):
        steps = self.images.shape[1] - 1
        if self.actions.shape[1] != steps or self.delta_t.shape[1] != steps:
            found = (self.actions.shape[1], self.delta_t.shape[1])
            raise ValueError(
                f"actions and delta_t must be {steps}, one fewer than images, got {found[0]} and {found[1]}"
            )
        if not 0 <= self.known < steps:
            raise ValueError(f"known must be in 0 .. {steps - 1}, so that a frame is left to predict, got {self.known}")
        if not self.images.is_floating_point():
            raise ValueError(f"images must be numbers in [0, 1], got {self.images.dtype}; see `brightness`")

    @property
    def start(self) -> Tensor:
        """(S, C, H, W)."""
        return self.images[:, self.known]

    @property
    def truth(self) -> Tensor:
        """(S, T, C, H, W) frames after each step from the start."""
        return self.images[:, self.known + 1 :]

    @property
    def inputs(self) -> Tensor:
        """(S, T, A)."""
        return self.actions[:, self.known :]

    @property
    def steps(self) -> Tensor:
        """(S, T) [s]."""
        return self.delta_t[:, self.known :]

    @property
    def times(self) -> Tensor:
        """(T,) time since the start, mean over sequences [s]."""
        return self.steps.double().cumsum(dim=1).mean(dim=0)

    @property
    def context(self) -> Context:
        """What is known before the start; a visual model reads no states."""
        actions, delta_t = self.actions[:, : self.known], self.delta_t[:, : self.known]
        states = delta_t.new_zeros(*delta_t.shape, 1)
        exists = torch.ones_like(delta_t, dtype=torch.bool)
        return Context(states, actions, delta_t, exists, images=self.images[:, : self.known])

    def part(self, rows: slice) -> "FrameSequences":
        """Return some of the sequences."""
        return FrameSequences(self.images[rows], self.actions[rows], self.delta_t[rows], self.known)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "FrameSequences":
        """Return a copy elsewhere, in another precision."""
        images, actions, delta_t = (x.to(device, dtype) for x in (self.images, self.actions, self.delta_t))
        return FrameSequences(images, actions, delta_t, self.known)


def frame_sequences(
    system: System,
    draw: Draw,
    state: Tensor,
    actions: Tensor,
    delta_t: float,
    *,
    hold: float,
    known: int,
    known_delta_t: float | None = None,
    parameters: Tensor | None = None,
) -> FrameSequences:
    """Film a system under inputs that are held for a time, whatever the interval between frames.

    The same states and inputs at several intervals show the same motion: the start lies one hold after `state`.

    Args:
        system: Exact flow.
        draw: Makes pictures of states and of the parameters of each, None where the system has none.
        state: (S, D) at time 0.
        actions: (S, G, A) inputs, each held for `hold`; the first of them before the start.
        delta_t: Interval of the frames to be predicted [s].
        hold: [s], a multiple of `delta_t`.
        known: Frames before the start, all within the first hold.
        known_delta_t: Their interval [s]; by default `delta_t`.
        parameters: (S, P) of the system.

    Raises:
        ValueError: If an interval does not divide the hold, or what is known does not fit into one.
    """
    before = delta_t if known_delta_t is None else known_delta_t
    count = round(hold / delta_t)
    if count < 1 or abs(count * delta_t - hold) > ROUNDING * delta_t:
        raise ValueError(f"hold must be a multiple of delta_t = {delta_t:g} s, got {hold:g} s")
    if known * before > hold * (1 + ROUNDING):
        raise ValueError(f"known must fit into one hold of {hold:g} s, got {known} frames of {before:g} s")
    ahead = actions[:, 1:].repeat_interleave(count, dim=1)
    inputs = torch.cat([actions[:, :1].expand(-1, known, -1), ahead], dim=1)
    steps = torch.cat([state.new_full((known,), before), state.new_full((ahead.shape[1],), delta_t)])

    def flow(x: Tensor, held: Tensor, interval: float) -> Tensor:
        return system.flow(x, held, state.new_full((len(state),), interval), parameters)

    first = hold - known * before
    states = [flow(state, actions[:, 0], first) if first > ROUNDING * hold else state]
    for t, interval in enumerate(steps.tolist()):
        states.append(flow(states[-1], inputs[:, t], interval))
    drawn = None if parameters is None else parameters.unsqueeze(1).expand(-1, len(states), -1)
    images = brightness(draw(torch.stack(states, dim=1), drawn))
    return FrameSequences(images, inputs.float(), steps.float().expand(len(state), -1), known)
