"""Noise of a sensor: the states of a set as one that errs would have reported them.

    y_k = x_k + s σ n_k,   n_k ~ N(0, 1),   σ the standard deviation of each coordinate

One reading stands for the end of an interval and for the start of the next.
"""

from dataclasses import replace

import numpy as np
import torch

from tdlib.core.seeding import numpy_generator
from tdlib.core.specs import wrap_angle
from tdlib.data.schema import TransitionDataset


def with_noise(dataset: TransitionDataset, share: float, scale: np.ndarray, *, seed: int) -> TransitionDataset:
    """Return a set with errors in its states; the observations of the policy stay as they were.

    The same seed draws the same numbers whatever the share, so that sets of several shares differ in size alone.

    Args:
        dataset: Rows of whole episodes.
        share: s, the standard deviation of the errors over that of the states.
        scale: σ, (D,) standard deviation of the states.
        seed: Seed of the errors; sets of another rate or split have others.

    Raises:
        ValueError: If the share is negative or not finite.
    """
    if not 0 <= share < float("inf"):
        raise ValueError(f"share must be finite and >= 0, got {share}")
    spec, rows = dataset.spec, len(dataset)
    place = (spec.name, dataset.control_frequency, str(dataset.attributes.get("split", "")))
    generator = numpy_generator(seed, "noise", *place)
    errors = share * scale * generator.standard_normal((rows + dataset.num_episodes, spec.state_dim))
    # an episode of n rows has n + 1 readings, so those of episode e begin e places later than its rows
    starts = np.arange(rows) + np.repeat(np.arange(dataset.num_episodes), dataset.episode_lengths)
    read, angles = dataset.state + errors[starts], list(spec.angle_dims)
    state = read.copy()
    state[:, angles] = wrap_angle(torch.from_numpy(read[:, angles])).numpy()
    # angles continue from the start of their interval, wherever it was wrapped to
    return replace(dataset, state=state, next_state=dataset.next_state + errors[starts + 1] + state - read)
