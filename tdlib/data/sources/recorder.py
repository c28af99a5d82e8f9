"""Keep the steps of several environments that run side by side, each episode in one piece, exactly N of them."""

import math
from collections.abc import Sequence

import numpy as np

from tdlib.core.specs import EnvironmentSpec
from tdlib.data.observations import state_from_observation
from tdlib.data.schema import FIELDS, PARAMETERS, TransitionDataset, continue_angles

DTYPES = {name: np.dtype(dtype) for name, (dtype, _) in FIELDS.items()}


class EpisodeRecorder:
    """Recorder of at most N transitions; an episode enters the set when it ends, so the order is that of ends.

    Args:
        spec: Environment that is recorded.
        num_envs: Number of environments side by side.
        num_transitions: N.
    """

    def __init__(self, spec: EnvironmentSpec, num_envs: int, num_transitions: int):
        self.spec = spec
        self.num_transitions = num_transitions
        self.num_recorded = 0
        self._running: list[list[tuple]] = [[] for _ in range(num_envs)]
        self._drawn: list[dict[str, np.ndarray]] = [{} for _ in range(num_envs)]  # parameters of the episodes
        self._episodes: list[dict[str, np.ndarray]] = []

    @property
    def num_episodes(self) -> int:
        """Number of episodes that have ended."""
        return len(self._episodes)

    @property
    def full(self) -> bool:
        """Whether N transitions are kept; later ones are ignored."""
        return self.num_recorded >= self.num_transitions

    def add(
        self,
        env_index: int,
        observation: np.ndarray,
        action: float | Sequence[float],
        reward: float,
        next_observation: np.ndarray,
        terminated: bool,
        truncated: bool,
        info: dict,
    ) -> None:
        """Keep one step of one environment; `next_observation` is the one before any reset.

        The physical states come from `info`; an environment that gives none is recorded through its observations.
        """
        if self.full:
            return
        if "state" in info:
            state, next_state = info["state"], info["next_state"]
        else:
            both = state_from_observation(np.stack([observation, next_observation]), self.spec)
            state, next_state = both[0], both[1]
        delta_t = info["delta_t"]
        exit_time = info.get("exit_time", delta_t if terminated else math.inf)
        held = action if isinstance(action, Sequence) else (action,)
        row = (observation, state, held, reward, next_state, terminated, truncated)
        self._running[env_index].append((*row, exit_time, info.get("limit_hit", False), info["t"], delta_t))
        self._drawn[env_index] = {PARAMETERS: np.array(info[PARAMETERS])} if PARAMETERS in info else {}
        self.num_recorded += 1
        if terminated or truncated:
            self._finish(env_index)

    def _finish(self, env_index: int) -> None:
        rows = self._running[env_index]
        self._running[env_index] = []
        columns = zip(*rows, strict=True)
        episode = {name: np.array(column, dtype=DTYPES[name]) for name, column in zip(FIELDS, columns, strict=True)}
        episode["state"], episode["next_state"] = continue_angles(episode["state"], episode["next_state"], self.spec)
        self._episodes.append({**episode, **self._drawn[env_index]})

    def dataset(self, control_frequency: float, attributes: dict) -> TransitionDataset:
        """Return the set; episodes still running are cut here and marked truncated."""
        for env_index, rows in enumerate(self._running):
            if rows:
                self._finish(env_index)
                self._episodes[-1]["truncated"][-1] = True
        return TransitionDataset.from_episodes(self._episodes, self.spec, float(control_frequency), attributes)
