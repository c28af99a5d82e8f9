"""Gymnasium environments that show pictures: `tdlib/<name>_visual` for each system that has one.

gymnasium.make("tdlib/oscillator_visual", control_frequency=10, img_size=64, color=True, render_quality="medium")
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from tdlib.envs.environments import SystemEnvironment
from tdlib.pixels.options import RenderOptions, picture_of
from tdlib.pixels.renderer import LEVELS, render_states
from tdlib.systems import get_system

OBSERVATION_MODES = ("pixels", "state")


class VisualEnvironment(gymnasium.Env):
    """An environment over a system, seen by a camera; starts, actions, reward and limits are those of the inner one.

    Observation: pixels (H, W, C), levels 0 .. 255; or with `observation_mode="state"` what the inner one shows.
    Info: that of the inner one, with the physical states.

    Args:
        inner: Environment of the system.
        options: Size, colors, quality, window.
        observation_mode: `pixels` or `state`.
        render_mode: `rgb_array` lets `render` return the frame (H, W, 3), whatever is observed.

    Raises:
        ValueError: If a mode is unknown, or the system has no picture.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self,
        inner: SystemEnvironment,
        options: RenderOptions,
        *,
        observation_mode: str = "pixels",
        render_mode: str | None = None,
    ):
        if observation_mode not in OBSERVATION_MODES:
            raise ValueError(f"observation_mode must be one of {list(OBSERVATION_MODES)}, got {observation_mode!r}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be None or one of {self.metadata['render_modes']}, got {render_mode!r}")
        picture_of(inner.system)
        self.control_frequency = inner.control_frequency
        self.inner, self.options, self.observation_mode, self.render_mode = (
            inner, options, observation_mode, render_mode,
        )  # fmt: skip
        self.metadata = {**self.metadata, "render_fps": inner.control_frequency}
        self._state: Tensor = torch.zeros(inner.system.spec.state_dim)  # set by `reset`, as are the parameters
        self._drawn: Tensor | None = None
        self.action_space = inner.action_space
        shape = options.img_size, options.img_size, options.channels
        pixels = spaces.Box(0, LEVELS, shape, dtype=np.uint8)
        self.observation_space = pixels if observation_mode == "pixels" else inner.observation_space

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Draw a start as the inner environment does, with its options."""
        super().reset(seed=seed)
        observation, info = self.inner.reset(seed=seed, options=options)
        self._look_at(info["state"], info)
        return self._seen(observation), info

    def step(self, action: np.ndarray | int) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Hold the action for one control interval.

        Raises:
            ValueError: If a number of the action is not finite.
        """
        observation, reward, terminated, truncated, info = self.inner.step(action)
        self._look_at(info["next_state"], info)
        return self._seen(observation), reward, terminated, truncated, info

    def render(self) -> np.ndarray | None:
        """Return the frame (H, W, 3) of now; None without a render mode."""
        if self.render_mode is None:
            return None
        frame = self._frame()
        return np.broadcast_to(frame, (*frame.shape[:2], 3)).copy()

    def _look_at(self, state: Sequence[float], info: dict) -> None:
        self._state = torch.tensor(state, dtype=torch.float64)
        self._drawn = torch.tensor(info["parameters"], dtype=torch.float64) if "parameters" in info else None

    def _seen(self, observation: np.ndarray) -> np.ndarray:
        return self._frame() if self.observation_mode == "pixels" else observation

    def _frame(self) -> np.ndarray:
        frame = render_states(self.inner.system, self._state, self.options, self._drawn)
        return frame.permute(1, 2, 0).contiguous().numpy()


def make_visual_environment(
    system: str,
    control_frequency: float,
    time_limit: float | None = None,
    *,
    observation_mode: str = "pixels",
    render_mode: str | None = None,
    **options: Any,
) -> VisualEnvironment:
    """Build the visual environment of a named system; the entry point of the registered ids.

    Args:
        system: Name of the system.
        control_frequency: Decisions per second [Hz].
        time_limit: Episode length [s].
        observation_mode: `pixels` or `state`.
        render_mode: None or `rgb_array`.
        **options: Of `RenderOptions`: img_size, color, render_quality, ball_color, bg_color, ball_radius, ...
    """
    inner = SystemEnvironment(get_system(system), control_frequency, time_limit)
    return VisualEnvironment(
        inner, RenderOptions(**options), observation_mode=observation_mode, render_mode=render_mode
    )
