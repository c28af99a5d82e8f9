"""Between physical states and the observations of Gymnasium's environments."""

import numpy as np

from tdlib.core.specs import EnvironmentSpec


def observe(state: np.ndarray, spec: EnvironmentSpec) -> np.ndarray:
    """Return what the environment shows for a state: (..., D) -> (..., O) float32; Pendulum shows (cos θ, sin θ, ω)."""
    state = np.asarray(state, dtype=np.float64)
    if spec.name.startswith("Pendulum"):
        theta, omega = state[..., 0], state[..., 1]
        return np.stack([np.cos(theta), np.sin(theta), omega], axis=-1).astype(np.float32)
    return state.astype(np.float32)


def state_from_observation(observation: np.ndarray, spec: EnvironmentSpec) -> np.ndarray:
    """Recover the physical state, θ by atan2: (..., O) -> (..., D), as exact as the observation was stored.

    Raises:
        ValueError: If the observation has another number of dimensions than the environment shows.
    """
    observation = np.asarray(observation, dtype=np.float64)
    pendulum = spec.name.startswith("Pendulum")
    expected = 3 if pendulum else spec.state_dim
    if observation.shape[-1] != expected:
        raise ValueError(f"observation of {spec.name} must have {expected} dimensions, got {observation.shape[-1]}")
    if pendulum:
        return np.stack([np.arctan2(observation[..., 1], observation[..., 0]), observation[..., 2]], axis=-1)
    return observation
