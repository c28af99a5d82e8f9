"""Give any Gymnasium environment with a fixed inner step a control frequency, without touching its physics."""

import math

import gymnasium
import numpy as np

from tdlib.core.time_grid import TOLERANCE, delta_t_of, num_steps
from tdlib.envs.actions import held_copy, require_finite


class FixedFrequencyWrapper(gymnasium.Wrapper):
    """Hold each action for Δt / sim_dt inner steps, so that changing the rate never changes the plant.

    The reward is integrated over time (sum of r · sim_dt / reward_delta_t), termination is checked at every inner step,
    and the episode ends by seconds. A step cut short by termination reports the time it lasted as `info["delta_t"]`.
    A MuJoCo environment is set to `frame_skip` 1, so that its inner step is the physics step. Every inner step is given
    an action of its own, so that an environment which writes into what it is given changes neither the next step nor
    the caller's array.

    Args:
        env: Environment whose inner step is fixed. A step-counting `TimeLimit` inside must last at least `time_limit`.
        control_frequency: Decisions per second [Hz].
        sim_dt: Inner step [s]; read from the environment (`dt`, `tau` or MuJoCo's time step) if None.
        time_limit: Episode length [s].
        reward_delta_t: Time one unit of the inner reward stands for [s]; the unwrapped environment's own step if None.

    Raises:
        ValueError: If the inner step is unknown, does not divide the interval, an inner time limit ends first, or a
            time is not positive; the environment is then as it was.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        control_frequency: float,
        *,
        sim_dt: float | None = None,
        time_limit: float = 10.0,
        reward_delta_t: float | None = None,
    ):
        super().__init__(env)
        for name, seconds in (("sim_dt", sim_dt), ("time_limit", time_limit), ("reward_delta_t", reward_delta_t)):
            if seconds is not None and not (seconds > 0 and (math.isfinite(seconds) or name == "time_limit")):
                raise ValueError(f"{name} must be positive and finite [s], got {seconds}")
        native_step, found = _inner_step(env), _physics_step(env)
        if sim_dt is not None and found is not None and abs(sim_dt - found) > TOLERANCE * found:
            raise ValueError(f"sim_dt must be the environment's own inner step {found} s, got {sim_dt}")
        inner_step = sim_dt if sim_dt is not None else found
        if inner_step is None:
            raise ValueError(f"sim_dt must be given: {env.unwrapped} states no inner step (dt, tau or MuJoCo's)")
        self.sim_dt = inner_step
        self.control_frequency = control_frequency
        self.delta_t = delta_t_of(control_frequency)
        try:
            self.substeps = num_steps(self.delta_t, self.sim_dt)
        except ValueError as error:
            raise ValueError(
                f"control_frequency must give a whole number of inner steps of {self.sim_dt} s, got "
                f"{control_frequency} Hz = {self.delta_t:.6g} s = {self.delta_t / self.sim_dt:.6g} steps"
            ) from error
        self.time_limit = time_limit
        self.reward_delta_t = reward_delta_t or native_step or self.sim_dt
        self._check_inner_time_limit()
        self._num_inner_steps = 0
        if hasattr(env.unwrapped, "frame_skip"):  # last: what is refused leaves the environment alone
            env.unwrapped.frame_skip = 1

    def reset(self, **kwargs: object) -> tuple[object, dict]:
        """Reset the clock and the environment."""
        self._num_inner_steps = 0
        return self.env.reset(**kwargs)

    def step(self, action: object) -> tuple[object, float, bool, bool, dict]:
        """Hold the action for one control interval or until the episode ends.

        Raises:
            ValueError: If a number of the action is not finite.
        """
        require_finite(action)
        start, reward = self._num_inner_steps, 0.0
        for _ in range(self.substeps):
            observation, inner_reward, terminated, truncated, info = self.env.step(held_copy(action))
            reward += float(inner_reward) * self.sim_dt / self.reward_delta_t
            self._num_inner_steps += 1
            if terminated or truncated:
                break
        next_end = (self._num_inner_steps + self.substeps) * self.sim_dt
        truncated = truncated or next_end > self.time_limit * (1 + TOLERANCE)
        lasted = (self._num_inner_steps - start) * self.sim_dt
        return observation, reward, terminated, truncated, {**info, "t": start * self.sim_dt, "delta_t": lasted}

    def _check_inner_time_limit(self) -> None:
        env = self.env
        while isinstance(env, gymnasium.Wrapper):
            if isinstance(env, gymnasium.wrappers.TimeLimit):
                counted = env._max_episode_steps  # the class has no public name for it; `spec` is not always there
                limit = counted * self.sim_dt
                if limit < self.time_limit * (1 - TOLERANCE):
                    raise ValueError(
                        f"env must not end before time_limit = {self.time_limit} s: its TimeLimit counts "
                        f"{counted} inner steps = {limit:.6g} s; "
                        "make it with max_episode_steps=-1"
                    )
            env = env.env


def _physics_step(env: gymnasium.Env) -> float | None:
    """Inner step with frames that are not skipped, read without leaving a change behind."""
    inner = env.unwrapped
    if not hasattr(inner, "frame_skip"):
        return _inner_step(env)
    before, inner.frame_skip = inner.frame_skip, 1
    try:
        return _inner_step(env)
    finally:
        inner.frame_skip = before


def _inner_step(env: gymnasium.Env) -> float | None:
    for name in ("dt", "tau", "sim_dt"):  # MuJoCo's dt is its time step times frame_skip
        value = getattr(env.unwrapped, name, None)
        if isinstance(value, (int, float, np.floating)):
            return float(value)
    return None
