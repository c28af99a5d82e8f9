"""Between physical states and what a sensor sees of them: the system's own map, the state where none is known."""

from collections.abc import Callable

import numpy as np

from tdlib.core.specs import EnvironmentSpec
from tdlib.systems import SYSTEMS


def observe(state: np.ndarray, spec: EnvironmentSpec) -> np.ndarray:
    """Return what the environment shows for a state: (..., D) -> (..., O) float32; Pendulum shows (cos θ, sin θ, ω)."""
    state, system = np.asarray(state, dtype=np.float64), SYSTEMS.get(spec.name)
    if system is None or system.observe is None:
        return state.astype(np.float32)
    return _by_columns(system.observe, state).astype(np.float32)


def state_from_observation(observation: np.ndarray, spec: EnvironmentSpec) -> np.ndarray:
    """Recover the physical state, Pendulum's θ by atan2: (..., O) -> (..., D), as exact as the observation was stored.

    Raises:
        ValueError: If the observation has another number of dimensions than the environment shows, or does not tell
            the state.
    """
    observation, system = np.asarray(observation, dtype=np.float64), SYSTEMS.get(spec.name)
    direct = system is None or system.observe is None
    if not direct and system.observed_state is None:
        raise ValueError(f"observation of {spec.name} must tell the state, this sensor sees {spec.observation_names}")
    expected = spec.state_dim if direct else len(system.spec.observation_names)
    if observation.shape[-1] != expected:
        raise ValueError(f"observation of {spec.name} must have {expected} dimensions, got {observation.shape[-1]}")
    return observation if direct else _by_columns(system.observed_state, observation)


def _by_columns(function: Callable, values: np.ndarray) -> np.ndarray:
    columns = function(np.moveaxis(values, -1, 0), np)
    return np.stack(np.broadcast_arrays(*columns), axis=-1)
