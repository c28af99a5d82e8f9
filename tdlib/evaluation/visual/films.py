"""What one seed's models are tested on in pictures: the same motions at every interval, seen as pictures and as states.

A model of states is asked from the true start, and its predictions are drawn by the camera that filmed the truth: it
has no picture to read, so that what it lacks is motion alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from tdlib.core.time_grid import delta_t_of
from tdlib.core.transitions import brightness
from tdlib.evaluation.visual.sequences import Draw, FrameSequences, frame_sequences
from tdlib.systems import System


@dataclass(frozen=True)
class Films:
    """S motions.

    Args:
        sequences: (protocol, test rate) -> what is known and asked.
        starts: (S, D) true states at the start.
        mean_image: (C, H, W) of the training frames.
        draw: Makes pictures of states.
        parameters: (S, P) of the system, where they are drawn.
    """

    sequences: Mapping[tuple[str, str], FrameSequences]
    starts: Tensor
    mean_image: Tensor
    draw: Draw
    parameters: Tensor | None = None

    def drawn(self, states: Tensor) -> Tensor:
        """Return what predicted states look like: (S, T, D) -> (S, T, C, H, W) in [0, 1]."""
        drawn = self.parameters
        return brightness(
            self.draw(states, None if drawn is None else drawn.unsqueeze(1).expand(-1, states.shape[1], -1))
        )


def film_motions(
    system: System,
    draw: Draw,
    state: Tensor,
    actions: Tensor,
    rates: Sequence[str],
    train_delta_t: float,
    mean_image: Tensor,
    *,
    hold: float,
    known: int = 1,
    parameters: Tensor | None = None,
) -> Films:
    """Film a system at several rates in tests A and B.

    Args:
        system: Exact flow.
        draw: Makes pictures of states and of the parameters of each.
        state: (S, D) one hold before the start.
        actions: (S, G, A) inputs, each held for `hold`; the first of them before the start.
        rates: Test rates by label; the interval of each divides the hold.
        train_delta_t: Interval of training [s].
        mean_image: (C, H, W) of the training frames.
        hold: [s].
        known: Frames before the start, at the interval of training in test A and at that of the rate in test B.
        parameters: (S, P) of the system.

    Raises:
        ValueError: If an interval does not divide the hold, or what is known does not fit into it.
    """
    found = {}
    for rate in rates:
        for protocol, before in (("A", train_delta_t), ("B", None)):
            found[protocol, rate] = frame_sequences(
                system, draw, state, actions, delta_t_of(float(rate)), hold=hold, known=known, known_delta_t=before,
                parameters=parameters,
            )  # fmt: skip
    starts = system.flow(state, actions[:, 0], state.new_full((len(state),), hold), parameters)
    return Films(found, starts, mean_image, draw, parameters)
