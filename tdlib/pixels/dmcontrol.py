"""The pendulum of DeepMind's control suite, simulated and painted by MuJoCo: `tdlib/pendulum_dmcontrol`.

    I φ'' = −m g l sin φ − b φ' + u,   I = 0.251 kg m², m = 1 kg, l = 0.5 m, b = 0.1 N m s, |u| <= 1 N m

φ = 0 hangs, as in all systems here; MuJoCo's own angle is zero upright. One physics step lasts 0.02 s, and a control
interval is a whole number of them (`FixedFrequencyWrapper`). Needs the extra `dmc`: `pip install -e ".[dmc]"`.
"""

import importlib
import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from tdlib.core.specs import EnvironmentSpec
from tdlib.envs.frequency_wrapper import FixedFrequencyWrapper
from tdlib.pixels.options import RenderOptions

TORQUES = (-1.0, 0.0, 1.0)  # [N m]
INERTIA, MASS, DISTANCE, GRAVITY, DAMPING = 0.251, 1.0, 0.5, 9.81, 0.1
MODES = ("pixels", "state")

SPEC = EnvironmentSpec(
    name="pendulum_dmcontrol",
    state_names=("theta", "omega"),
    state_units=("rad", "rad/s"),
    angle_dims=(0,),
    position_dims=(0,),
    velocity_dims=(1,),
    input_names=("torque",),
    input_units=("N m",),
    input_low=(-1.0,),
    input_high=(1.0,),
    action_table=tuple((torque,) for torque in TORQUES),
    reward_delta_t=0.02,
)


class DmControlPendulum(gymnasium.Env):
    """One physics step of 0.02 s per step; `make_dmcontrol_pendulum` gives it a control frequency.

    Observation: pixels (H, W, C), levels 0 .. 255, or the state (φ, φ') in float32, φ in (−π, π].
    Action: index of a torque in −1, 0, 1 N m. Info: `state` in float64.

    Args:
        options: Size, color and samples per pixel; colors, radius and window are MuJoCo's own.
        observation_mode: `pixels` or `state`.
        render_mode: None or `rgb_array`.

    Raises:
        ImportError: If dm_control is not installed.
        ValueError: If a mode is unknown.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 50}

    def __init__(self, options: RenderOptions, *, observation_mode: str = "pixels", render_mode: str | None = None):
        if observation_mode not in MODES:
            raise ValueError(f"observation_mode must be one of {list(MODES)}, got {observation_mode!r}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be None or one of {self.metadata['render_modes']}, got {render_mode!r}")
        self.physics = _physics()
        self.dt = float(self.physics.timestep())
        self.options, self.observation_mode, self.render_mode = options, observation_mode, render_mode
        self.action_space = spaces.Discrete(len(TORQUES))
        shape = options.img_size, options.img_size, options.channels
        limits = np.array([math.pi + 1e-6, np.inf], dtype=np.float32)
        self.observation_space = (
            spaces.Box(0, 255, shape, dtype=np.uint8)
            if observation_mode == "pixels"
            else spaces.Box(-limits, limits, dtype=np.float32)
        )

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Draw a uniform angle at rest, or take `options["state"]`, (φ, φ').

        Raises:
            ValueError: If an option is unknown, or is no pair of finite numbers.
        """
        super().reset(seed=seed)
        options = options or {}
        if unknown := sorted(set(options) - {"state"}):
            raise ValueError(f"options must be among ['state'], got {unknown}")
        start = np.asarray(options.get("state", (self.np_random.uniform(-math.pi, math.pi), 0.0)), dtype=np.float64)
        if start.shape != (2,) or not np.isfinite(start).all():
            raise ValueError(f"options['state'] must be 2 finite numbers, got {start}")
        with self.physics.reset_context():  # also computes what follows from the state
            self.physics.data.qpos[0], self.physics.data.qvel[0] = start[0] + math.pi, start[1]
        return self._observation(), {"state": self.state}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Hold a torque for 0.02 s; the reward is that of the suite: 1 within 8° of upright."""
        self.physics.set_control([TORQUES[int(action)]])
        self.physics.step()
        reward = float(abs(self.state[0]) > math.pi - math.radians(8))
        return self._observation(), reward, False, False, {"state": self.state}

    @property
    def state(self) -> tuple[float, float]:
        """φ in (−π, π] [rad] and its rate [rad/s]."""
        phi = self.physics.data.qpos[0].item() - math.pi
        return math.pi - (math.pi - phi) % (2 * math.pi), self.physics.data.qvel[0].item()

    @property
    def energy(self) -> float:
        """½ I φ'² + m g l (1 − cos φ) [J]."""
        phi, rate = self.state
        return 0.5 * INERTIA * rate**2 + MASS * GRAVITY * DISTANCE * (1 - math.cos(phi))

    def render(self) -> np.ndarray | None:
        """Return the frame (H, W, 3) of now; None without a render mode."""
        return None if self.render_mode is None else self._painted()

    def _observation(self) -> np.ndarray:
        if self.observation_mode == "state":
            return np.array(self.state, dtype=np.float32)
        frame = self._painted()
        return frame if self.options.color else frame.max(axis=-1, keepdims=True)

    def _painted(self) -> np.ndarray:
        size, samples = self.options.img_size, self.options.samples
        large = self.physics.render(height=size * samples, width=size * samples, camera_id=0)
        return large.reshape(size, samples, size, samples, 3).mean(axis=(1, 3)).round().astype(np.uint8)


def make_dmcontrol_pendulum(
    control_frequency: float = 50.0,
    time_limit: float = 10.0,
    *,
    observation_mode: str = "pixels",
    render_mode: str | None = None,
    **options: Any,
) -> FixedFrequencyWrapper:
    """Build the environment at a control frequency [Hz]; the entry point of the registered id.

    Raises:
        ImportError: If dm_control is not installed.
        ValueError: If an interval is no whole number of physics steps, or a setting is out of its range.
    """
    inner = DmControlPendulum(RenderOptions(**options), observation_mode=observation_mode, render_mode=render_mode)
    return FixedFrequencyWrapper(inner, control_frequency, time_limit=time_limit)


def _physics() -> Any:
    try:
        suite = importlib.import_module("dm_control.suite.pendulum")
    except ImportError as error:
        raise ImportError('pendulum_dmcontrol needs dm_control: pip install -e ".[dmc]"') from error
    return suite.Physics.from_xml_string(*suite.get_model_and_assets())
