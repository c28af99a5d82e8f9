"""What a system is for, how data of it are collected, and where it is looked at: settings beside its equation."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from tdlib.core.namespace import Namespace
from tdlib.systems.pictures import Picture
from tdlib.systems.scenes import Scene
from tdlib.systems.sketch import FirstView, Sketch

Number = Any  # a tensor (...), a float, a symbol: whatever the namespace m computes with
Components = Sequence[Number]  # one per dimension
Parameters = SimpleNamespace  # numbers by name


Box = tuple[tuple[float, ...], tuple[float, ...]]  # lower and upper corner, (D,) each


@dataclass(frozen=True)
class Planning:
    """What a planner is given of a task: the same at every rate, for the truth as for every learned model.

    Args:
        planner: Name in `tdlib.planning.PLANNERS`.
        horizon: Length of a plan [s].
        knots_per_second: Decisions per second of plan; no knot is shorter than a control or a model step.
        interpolation: How inputs go from knot to knot, a name in `tdlib.planning.INTERPOLATIONS`.
        population: Plans scored per iteration where a caller names no planner; the planner's own default if None.
        num_iterations: Iterations of one call of that planner; its own default if None.
        spread: Standard deviation of inputs in a fresh plan, relative to half their range.
        smallest_scale: Of the most careful draw relative to the widest; 1 draws all with the same spread.
        failure_cost: Cost rate of a plan from the moment on at which it leaves the limits, whatever it predicts after
            that; None goes on with the predicted cost.
    """

    planner: str = "cem"
    horizon: float = 1.0
    knots_per_second: float = 10.0
    interpolation: str = "zero"
    population: int | None = None
    num_iterations: int | None = None
    spread: float = 1.0
    smallest_scale: float = 0.1
    failure_cost: float | None = None

    def __post_init__(self):
        for name in ("horizon", "knots_per_second", "spread", "smallest_scale"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite, got {value}")
        if self.failure_cost is not None and not math.isfinite(self.failure_cost):
            raise ValueError(f"failure_cost must be finite, got {self.failure_cost}")


@dataclass(frozen=True)
class Task:
    """What an episode is: where it starts, what it earns, where it ends. Functions are written over a namespace m.

    Args:
        reset_low: Lower corner of the uniform reset box, (D,).
        reset_high: Upper corner.
        reward: (x, u, p, m) reward of one step of `spec.reward_delta_t`; zero if None.
        cost: (x, u, p, m) cost rate that planners minimize, smooth where the reward is not; −reward if None.
        terminal_cost: (x, p, m) cost of ending a plan here; if None, the last cost rate counts on for some time.
        outside: (x, p, m) whether the episode has ended here; never if None.
        success: (states (..., T+1, D), times (T+1,)) -> (...) bool in torch, whether an episode solved the task; if
            None, it did when it stayed within limits.
        control_starts: Boxes that episodes under a planner start in by turns; the reset box if there are none.
        planning: Planner, horizon and knots.
        reset_widths: Names under which a reset takes half the width of the box in each dimension, where there are any.
    """

    reset_low: tuple[float, ...]
    reset_high: tuple[float, ...]
    reward: Callable[[Components, Components, Parameters, Namespace], Number] | None = None
    cost: Callable[[Components, Components, Parameters, Namespace], Number] | None = None
    terminal_cost: Callable[[Components, Parameters, Namespace], Number] | None = None
    outside: Callable[[Components, Parameters, Namespace], Number] | None = None
    success: Callable[[Tensor, Tensor], Tensor] | None = None
    control_starts: tuple[Box, ...] = ()
    planning: Planning = Planning()
    reset_widths: tuple[str, ...] = ()


@dataclass(frozen=True)
class RandomInputs:
    """Where random episodes start and what drives them; all times in seconds, so that no rate is favored.

    Args:
        start: Half widths of the start box, wider than the task's reset box for coverage; or a function of (N, D)
            numbers in [0, 1) that returns (N, D) starts, where a box is not what they fill.
        hold: Time for which a uniform input is held [s].
        correlation: Correlation time of the Ornstein-Uhlenbeck input [s].
        spread: Its standard deviation in units of half the input's range.
        feedback: Gain added to both kinds of input [unit of input per unit of state], (D,) for one input or (D, m);
            without it a cart-pole leaves its limits in half a second, which is five steps of 10 Hz.
        amplitude: Largest uniform input in units of half the input's range.
        longest: Time after which an episode starts anew where the task's time limit is longer [s]: where feedback
            holds the state near a point, frequent starts keep the states wide.
    """

    start: tuple[float, ...] | Callable[[Tensor], Tensor]
    hold: float
    correlation: float
    spread: float
    feedback: tuple[float, ...] | tuple[tuple[float, ...], ...]
    amplitude: float = 1.0
    longest: float = math.inf

    def starts(self, unit: Tensor) -> Tensor:
        """Turn numbers in [0, 1) into starts: (N, D) -> (N, D)."""
        if callable(self.start):
            return self.start(unit)
        return torch.tensor(self.start, dtype=unit.dtype) * (2 * unit - 1)

    def __str__(self) -> str:
        """Settings as data name them: a function by its name, since its address differs from process to process."""
        if not callable(self.start):
            return repr(self)
        values = {field.name: getattr(self, field.name) for field in fields(self)} | {"start": self.start.__name__}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in values.items())})"


NUM_ENVS = 4  # environments side by side while an agent learns


@dataclass(frozen=True)
class PPOSettings:
    """One agent's settings in seconds, so that a rate changes the number of steps and not the problem.

    γ and λ are given per reference interval Δt_ref and raised to Δt/Δt_ref, as in Tallec, Blier & Ollivier (ICML 2019,
    "Making Deep Q-learning Methods Robust to Time Discretization"); rollouts and exploration noise last for seconds.

    Args:
        rollout: Time every environment is simulated between two updates [s].
        minibatch: Transitions per gradient step.
        num_epochs: Passes over a rollout.
        learning_rate: Of Adam, at the start.
        final_learning_rate: At the end of the collection; linear between.
        gamma: Discount per `reference_delta_t`.
        gae_lambda: λ of the advantage estimate per `reference_delta_t`.
        reference_delta_t: Δt_ref [s].
        noise_hold: Time after which the state-dependent exploration noise is drawn anew [s]; None draws independent
            noise at every step.
        log_std: Logarithm of the initial standard deviation of continuous actions.
        entropy: Weight of the entropy bonus.
        clip_range: PPO's ε.
        reward_scale: Factor on the reward that the agent learns from; the data keep the raw reward.
        hidden: Widths of policy and value network.
    """

    rollout: float
    minibatch: int
    num_epochs: int
    learning_rate: float
    final_learning_rate: float
    gamma: float
    gae_lambda: float
    reference_delta_t: float
    noise_hold: float | None = None
    log_std: float = 0.0
    entropy: float = 0.0
    clip_range: float = 0.2
    reward_scale: float = 0.1
    hidden: tuple[int, ...] = (64, 64)

    def discount(self, delta_t: float) -> float:
        """Return γ of one interval [s]."""
        return self.gamma ** (delta_t / self.reference_delta_t)

    def trace_decay(self, delta_t: float) -> float:
        """Return λ of one interval [s]."""
        return self.gae_lambda ** (delta_t / self.reference_delta_t)

    def rollout_steps(self, delta_t: float, num_transitions: int) -> int:
        """Return steps per environment between updates: whole minibatches, and eight updates in a small collection."""
        longest = max(16, num_transitions // (8 * NUM_ENVS))
        steps = max(2, min(round(self.rollout / delta_t), longest))
        whole = max(1, self.minibatch // NUM_ENVS)
        return steps - steps % whole if steps > whole else steps

    def noise_steps(self, delta_t: float) -> int:
        """Return steps between draws of the exploration noise, at least 1."""
        return max(1, round((self.noise_hold or delta_t) / delta_t))

    def algorithm_options(self, delta_t: float, num_transitions: int) -> dict[str, object]:
        """Return what stable-baselines3's `PPO` is told at one interval [s] for a collection of a given size."""
        num_steps, held = self.rollout_steps(delta_t, num_transitions), self.noise_hold is not None
        start, final = self.learning_rate, self.final_learning_rate
        return {
            "n_steps": num_steps,
            "batch_size": min(self.minibatch, num_steps * NUM_ENVS),
            "n_epochs": self.num_epochs,
            "learning_rate": lambda remaining: final + remaining * (start - final),
            "gamma": self.discount(delta_t),
            "gae_lambda": self.trace_decay(delta_t),
            "clip_range": self.clip_range,
            "ent_coef": self.entropy,
            "use_sde": held,
            "sde_sample_freq": self.noise_steps(delta_t) if held else -1,
        }

    @property
    def policy_options(self) -> dict[str, object]:
        """Shape and first noise of the policy, as stable-baselines3's `policy_kwargs`."""
        return {"net_arch": list(self.hidden), "log_std_init": self.log_std}


@dataclass(frozen=True)
class Collection:
    """How data of a system are collected.

    Args:
        random_inputs: Starts and inputs of random episodes; the reset box and no feedback if None.
        ppo: Rate [Hz] -> settings of an agent; without any, the system is not collected with PPO.
        checked: Whether presets say what error a model of its data must reach (`checks.max_own_rate_error`).
    """

    random_inputs: RandomInputs | None = None
    ppo: Mapping[float, PPOSettings] = field(default_factory=dict)
    checked: bool = False


@dataclass(frozen=True)
class Views:
    """Where a system is looked at in figures, limits and chapter 0; what is None is left out or taken from the task.

    Args:
        box: Half widths of the box of moderate states over which limits are computed, (D,).
        plane: Two state dimensions to draw against each other; an angle, else a position, and its rate if None.
        plane_widths: Half widths of the grid there on which velocity fields are drawn; those of the box if None.
        start: Start of the trajectory that shows what a held input is, (D,).
        mode: What decides the task near an equilibrium: "oscillation" or "growth", and the state (D,).
        scene: How a state is painted in videos.
        film: (method, form, training rate) of the arm that a run films beside the truth; needs a scene.
        sketch: Points and rods of the moving picture on a page; without one a page shows plain rulers.
        first: Where the explorer begins; where resets do if None.
        picture: What a camera sees; a system without one has no pixels.
        native_step: (x, u, p, h, m) one step of Gymnasium's own integrator of length h.
    """

    box: tuple[float, ...] | None = None
    plane: tuple[str, str] | None = None
    plane_widths: tuple[float, float] | None = None
    start: tuple[float, ...] | None = None
    mode: tuple[str, tuple[float, ...]] | None = None
    scene: Scene | None = None
    film: tuple[str, str, str] | None = None
    sketch: Sketch | None = None
    first: FirstView | None = None
    picture: Picture | None = None
    native_step: Callable[[Components, Components, Parameters, Number, Namespace], Components] | None = None
