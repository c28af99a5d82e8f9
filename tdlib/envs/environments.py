"""Gymnasium environments over a `System`, at any control frequency, with time kept in seconds."""

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from tdlib.core.namespace import MATH
from tdlib.core.time_grid import TOLERANCE, delta_t_of
from tdlib.envs.actions import require_finite
from tdlib.systems.system import System

RESET_OPTIONS = ("state", "parameters", "low", "high")


class SystemEnvironment(gymnasium.Env):
    """One system under a zero-order hold; spaces, resets, reward and limits are those of Gymnasium's own environment.

    The episode is truncated after `time_limit` seconds. A limit is checked at every substep (<= 10 ms), `info` has the
    physical states in float64 and the time of exit, and the reward stops at the exit.

    Observation: what the system's sensor sees, Pendulum (cos θ, sin θ, ω), CartPole (x, x', θ, θ'), float32.
    Action: the m inputs within their range, or the index of a discrete action: Pendulum torque [N m] in [−2, 2];
        CartPole 0 / 1 for ∓10 N; CartPoleContinuous force [N] in [−10, 10].
    Reward: Gymnasium's own, integrated over time; a step of the native length earns what Gymnasium's step earns.

    Args:
        system: Equation and task.
        control_frequency: Decisions per second [Hz]; any positive number.
        time_limit: Episode length [s].
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}
    render_mode = None

    def __init__(self, system: System, control_frequency: float, time_limit: float | None = None):
        self.system = system
        self.control_frequency = control_frequency
        self.delta_t = delta_t_of(control_frequency)
        self.time_limit = system.spec.time_limit if time_limit is None else time_limit
        self.observation_space = _observation_space(system)
        self.action_space = _action_space(system)
        self._state: tuple[float, ...] = ()  # set by `reset`, as are the parameters of an episode
        self._drawn: tuple[tuple[float, ...], ...] = ()
        self._parameter_info: dict[str, tuple[float, ...]] = {}
        self._parameters = SimpleNamespace(**system.parameters)
        self._num_steps = 0

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Draw a start from the reset box, or as the options say.

        Args:
            seed: Of the generator; None goes on with the one there is.
            options: `state` (D,) is the start; `low` and `high`, numbers or (D,), are another box to draw it from, and
                so are the names that the task declares (Pendulum's `x_init` and `y_init`: half widths); `parameters`
                (P,) are those of the episode.

        Raises:
            ValueError: If an option is unknown, or has another shape or range.
        """
        super().reset(seed=seed)
        options = options or {}
        widths = self.system.task.reset_widths if self.system.task is not None else ()
        if unknown := sorted(set(options) - {*RESET_OPTIONS, *widths}):
            raise ValueError(f"options must be among {[*RESET_OPTIONS, *widths]}, got {unknown}")
        if "state" in options:
            start = np.asarray(options["state"], dtype=np.float64)
            if start.shape != (self.system.spec.state_dim,) or not np.isfinite(start).all():
                raise ValueError(f"options['state'] must be {self.system.spec.state_dim} finite numbers, got {start}")
        else:
            start = self.np_random.uniform(*_reset_box(self.system, widths, options))
        self._state = tuple(float(x) for x in start)
        self._draw_parameters(options.get("parameters"))
        self._num_steps = 0
        return self._observation(), {"state": self._state, "t": 0.0, **self._parameter_info}

    def step(self, action: np.ndarray | int) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Hold the action for one control interval.

        Raises:
            ValueError: If a number of the action is not finite.
        """
        start = self._state
        require_finite(action)
        held = np.asarray(action).reshape(-1).tolist()
        self._state, reward, exit_time, limit_hit = self.system.advance(start, held, self.delta_t, *self._drawn)
        info = {
            "state": start,
            "next_state": self._state,
            "t": self._num_steps * self.delta_t,
            "delta_t": self.delta_t,
            "exit_time": exit_time,
            "limit_hit": limit_hit,
            **self._parameter_info,
        }
        self._num_steps += 1
        terminated = exit_time < math.inf
        # the last decision of an episode is the last that starts a whole interval before the limit
        truncated = (self._num_steps + 1) * self.delta_t > self.time_limit * (1 + TOLERANCE)
        return self._observation(), reward, terminated, truncated, info

    def _draw_parameters(self, wanted: Sequence[float] | None) -> None:
        """Set the parameters of this episode; the equation's constants stay nominal."""
        names, ranges = self.system.spec.parameter_names, self.system.parameter_ranges
        if wanted is None:
            wanted = [self.np_random.uniform(*ranges[name]) for name in names]
        if len(wanted) != len(names) or not np.isfinite(wanted).all():
            raise ValueError(f"options['parameters'] must be finite numbers for {names}, got {wanted}")
        drawn = tuple(float(x) for x in wanted)
        self._drawn = (drawn,) if names else ()
        self._parameter_info = {"parameters": drawn} if names else {}
        self._parameters = SimpleNamespace(**{**self.system.parameters, **dict(zip(names, drawn, strict=True))})

    def _observation(self) -> np.ndarray:
        observe = self.system.observe
        seen = self._state if observe is None else observe(self._state, self._parameters, MATH)
        return np.array(seen, dtype=np.float32)


def _reset_box(system: System, widths: Sequence[str], options: dict) -> tuple[np.ndarray, np.ndarray]:
    """Bounds (D,) of a start: the system's own, or those of the options."""
    low, high = (np.array(bound, dtype=np.float64) for bound in (system.reset_low, system.reset_high))
    for i, name in enumerate(widths):
        if name in options:
            width = np.asarray(options[name], dtype=np.float64)
            if width.shape or not (width >= 0 and np.isfinite(width)):
                raise ValueError(f"options[{name!r}] must be a finite number >= 0, got {options[name]!r}")
            low[i], high[i] = -width, width
    for name, bound in (("low", low), ("high", high)):
        if name in options:
            wanted = np.asarray(options[name], dtype=np.float64)
            if wanted.shape not in ((), bound.shape) or not np.isfinite(wanted).all():
                raise ValueError(f"options[{name!r}] must be one or {len(bound)} finite numbers, got {options[name]!r}")
            bound[:] = wanted
    if (low > high).any():
        raise ValueError(f"options must give a box with low <= high, got {low.tolist()} and {high.tolist()}")
    return low, high


def _observation_space(system: System) -> spaces.Box:
    size = len(system.spec.observation_names) or system.spec.state_dim
    limits = np.array(system.observation_limits or [(-np.inf, np.inf)] * size, dtype=np.float32)
    return spaces.Box(limits[:, 0], limits[:, 1], dtype=np.float32)


def _action_space(system: System) -> spaces.Space:
    spec = system.spec
    if spec.discrete:
        return spaces.Discrete(spec.num_actions)
    return spaces.Box(*(np.array(x, dtype=np.float32) for x in (spec.input_low, spec.input_high)), dtype=np.float32)
