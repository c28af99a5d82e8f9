"""Between physical states and what a sensor sees of them: the system's own map, the state where no system is known."""

import numpy as np
import torch

from tdlib.core.specs import EnvironmentSpec
from tdlib.systems import SYSTEMS


def observe(state: np.ndarray, spec: EnvironmentSpec, parameters: np.ndarray | None = None) -> np.ndarray:
    """Return what the environment shows for a state: (..., D), (..., P) -> (..., O) float32."""
    seen = torch.from_numpy(np.asarray(state, dtype=np.float64))
    if spec.name in SYSTEMS:
        drawn = None if parameters is None else torch.from_numpy(np.asarray(parameters, dtype=np.float64))
        seen = SYSTEMS[spec.name].observation(seen, drawn)
    return seen.numpy().astype(np.float32)


def state_from_observation(observation: np.ndarray, spec: EnvironmentSpec) -> np.ndarray:
    """Recover the physical state, Pendulum's θ by atan2: (..., O) -> (..., D), as exact as the observation was stored.

    Raises:
        ValueError: If the observation has another number of dimensions than the environment shows, or does not tell
            the state.
    """
    observation = np.asarray(observation, dtype=np.float64)
    if spec.name in SYSTEMS:
        return SYSTEMS[spec.name].state_of(torch.from_numpy(observation)).numpy()
    if observation.shape[-1] != spec.state_dim:
        found = observation.shape[-1]
        raise ValueError(f"observation of {spec.name} must have {spec.state_dim} dimensions, got {found}")
    return observation
