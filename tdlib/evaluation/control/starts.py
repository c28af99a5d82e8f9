"""Where episodes under a planner start: drawn per seed, so that seeds are independent repetitions of the experiment."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tdlib.core.seeding import torch_generator
from tdlib.systems.system import System


def control_starts(system: System, num_episodes: int, seed: int = 0) -> Tensor:
    """Draw the starts of one seed's episodes: (E, D) float64; more episodes keep the first ones.

    Episode e of seed s starts in box (s + e) mod n of the n that the system's task declares. All arms of a seed, and
    its oracle, meet the same starts and are compared in pairs; those of another seed are others.
    """
    boxes = torch.tensor(system.control_starts, dtype=torch.float64)  # (n, 2, D)
    generator = torch_generator(seed, "control starts", system.spec.name)
    low, high = boxes[(seed + torch.arange(num_episodes)) % len(boxes)].unbind(dim=1)
    return low + (high - low) * torch.rand(num_episodes, low.shape[-1], dtype=torch.float64, generator=generator)


def control_parameters(system: System, num_episodes: int, seed: int = 0) -> Tensor | None:
    """Draw the parameters of one seed's episodes: (E, P) float64; None where a system draws none."""
    if not system.spec.parameter_names:
        return None
    return system.draw_parameters(num_episodes, torch_generator(seed, "control parameters", system.spec.name))


def starts_of_seeds(system: System, num_episodes: int, seeds: Sequence[int]) -> tuple[Tensor, Tensor | None]:
    """Stack starts and parameters, one set per member by its seed: (M, E, D) and (M, E, P) or None."""
    drawn = [control_parameters(system, num_episodes, seed) for seed in seeds]
    parameters = [own for own in drawn if own is not None]
    starts = torch.stack([control_starts(system, num_episodes, seed) for seed in seeds])
    return starts, torch.stack(parameters) if parameters else None
