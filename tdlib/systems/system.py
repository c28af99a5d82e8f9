"""Physical truth: one differential equation per system, and its flow under a zero-order hold at any real Δt.

    s' = f(s, u),   u constant over the interval

RK4 with n = ceil(Δt / 10 ms) equal substeps per sample, unless a system says otherwise; the error is below 1e-7 away
from Pendulum's speed limit. Limits of the state act after each substep, as Gymnasium's own act after each of its steps.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType, SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from tdlib.core.namespace import TORCH, Namespace
from tdlib.core.solvers import solver_step
from tdlib.core.specs import EnvironmentSpec, require_real
from tdlib.systems.scalar import ROUNDING, Advance, compile_advance
from tdlib.systems.task import Box, Collection, Components, Number, Parameters, Planning, Task, Views

MAX_SUBSTEP = 0.01  # [s]
SCALAR_ROWS = 96  # up to this many rows, loops over plain numbers are faster than calls of tensors


@dataclass(frozen=True)
class IntervalOutcome:
    """What one interval under a held input did; every field has the batch shape (...).

    Args:
        next_state: (..., D) flow over the whole interval, even past a limit.
        reward: Gymnasium's reward integrated over the time until exit, per `spec.reward_delta_t`.
        exit_time: Time [s] after the start at which the state first left its limits; inf if it did not.
        limit_hit: Whether a limit of the state was touched, or an event happened.
    """

    next_state: Tensor
    reward: Tensor
    exit_time: Tensor
    limit_hit: Tensor


@dataclass(frozen=True, eq=False)  # one system is itself, and a key by that
class System:
    """One controlled differential equation, with its task if it has one.

    Functions are written component by component over a namespace m (`tdlib.core.namespace`): x the D state dimensions,
    u the m inputs, p the parameters by name. From them follow the batched flow and the fast path of one sample.

    Args:
        spec: Names, units and limits.
        equation: (x, u, p, m) -> D components of the right-hand side f.
        parameters: Name -> nominal value.
        parameter_ranges: Name -> (low, high) of those drawn anew for every sequence, in the order of
            `spec.parameter_names`.
        energy: (x, p, m) -> energy [J].
        power: (x, u, p, m) -> rate at which inputs and losses change the energy [W].
        lossless: Values of parameters with which nothing is lost, so that without input the energy stays; empty where
            nothing ever is, None where there are no such values or no energy.
        observe: (x, p, m) -> what a sensor sees, one component per `spec.observation_names`; the state if None.
        observed_state: (y, m) -> D components, the inverse of `observe`, as exact as the sensor; None if there is none.
        observation_limits: Bounds (low, high) of every observation; unbounded if None.
        state_limits: Bounds (low, high) of every state dimension, applied after each substep; None if there are none.
        event: (x, p, m) -> (whether something happens, the D components after it), applied after each substep.
        exact_flow: (x, u, p, h, m) -> D components after h seconds, in place of the solver.
        contact: (x, u, p, h, m) -> whether an event happens within h seconds of an exact flow, which has its own.
        solver: Name in `tdlib.core.solvers.SOLVERS`.
        max_substep: Longest step of the solver [s].
        task: Reward, cost, limits and starts of episodes.
        collection: Settings of data collection.
        views: Where figures look.

    Raises:
        ValueError: If names or numbers of components do not fit the specification.
    """

    spec: EnvironmentSpec
    equation: Callable[[Components, Components, Parameters, Namespace], Components]
    parameters: Mapping[str, float] = field(default_factory=dict)
    parameter_ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    energy: Callable[[Components, Parameters, Namespace], Number] | None = None
    power: Callable[[Components, Components, Parameters, Namespace], Number] | None = None
    lossless: Mapping[str, float] | None = None
    observe: Callable[[Components, Parameters, Namespace], Components] | None = None
    observed_state: Callable[[Components, Namespace], Components] | None = None
    observation_limits: tuple[tuple[float, float], ...] | None = None
    state_limits: tuple[tuple[float, float], ...] | None = None
    event: Callable[[Components, Parameters, Namespace], tuple[Number, Components]] | None = None
    exact_flow: Callable[[Components, Components, Parameters, Number, Namespace], Components] | None = None
    contact: Callable[[Components, Components, Parameters, Number, Namespace], Number] | None = None
    solver: str = "rk4"
    max_substep: float = MAX_SUBSTEP
    task: Task | None = None
    collection: Collection = Collection()
    views: Views = Views()

    def __post_init__(self):
        spec, name = self.spec, self.spec.name
        for argument in ("parameters", "parameter_ranges"):
            object.__setattr__(self, argument, MappingProxyType(dict(getattr(self, argument))))
        solver_step(self.solver, spec.velocity_dims)
        drawn = spec.parameter_names
        if tuple(self.parameter_ranges) != drawn or not set(drawn) <= set(self.parameters):
            raise ValueError(
                f"parameter_ranges of {name} must name spec.parameter_names = {drawn} in order, with "
                f"nominal values among parameters {list(self.parameters)}, got {list(self.parameter_ranges)}"
            )
        if self.lossless is not None:
            object.__setattr__(self, "lossless", MappingProxyType(dict(self.lossless)))
            if (self.lossless and self.energy is None) or not set(self.lossless) <= set(self.parameters):
                raise ValueError(
                    f"lossless of {name} must name some of parameters {list(self.parameters)} of a system with an "
                    f"energy, got {dict(self.lossless)}"
                )
        if not (math.isfinite(self.max_substep) and self.max_substep > 0):
            raise ValueError(f"max_substep of {name} must be positive and finite [s], got {self.max_substep}")
        for argument, count in (
            ("state_limits", spec.state_dim),
            ("observation_limits", len(spec.observation_names) or spec.state_dim),
        ):
            bounds = getattr(self, argument)
            if bounds is not None and (len(bounds) != count or any(not low <= high for low, high in bounds)):
                raise ValueError(f"{argument} of {name} must be {count} pairs (low, high), got {bounds}")

    # --- what the functions say, for tensors ---

    def derivative(self, state: Tensor, inputs: Tensor, parameters: Tensor | None = None) -> Tensor:
        """Right-hand side f: (..., D), (..., m) physical, (..., P) -> (..., D)."""
        found = self.equation(state.unbind(-1), inputs.unbind(-1), self.named(parameters), TORCH)
        return _stacked(found, state)

    def reward_rate(self, state: Tensor, inputs: Tensor, parameters: Tensor | None = None) -> Tensor:
        """Reward of one step of `spec.reward_delta_t`: (..., D), (..., m) -> (...); zero without a task."""
        if self.task is None or self.task.reward is None:
            return torch.zeros_like(state[..., 0])
        return self._number(self.task.reward, state, inputs, parameters)

    def cost(self, state: Tensor, inputs: Tensor, parameters: Tensor | None = None) -> Tensor:
        """Cost rate that planners minimize: (..., D), (..., m) -> (...); −reward where the task declares none."""
        if self.task is None or self.task.cost is None:
            return -self.reward_rate(state, inputs, parameters)
        return self._number(self.task.cost, state, inputs, parameters)

    def terminal_cost(self, state: Tensor, parameters: Tensor | None = None) -> Tensor:
        """Cost of ending a plan here: (..., D), (..., P) -> (...).

        Raises:
            ValueError: If the task declares none.
        """
        if self.task is None or self.task.terminal_cost is None:
            raise ValueError(f"system must declare a terminal cost, {self.spec.name} has none")
        return _filled(self.task.terminal_cost(state.unbind(-1), self.named(parameters), TORCH), state)

    def outside(self, state: Tensor, parameters: Tensor | None = None) -> Tensor:
        """Whether the episode has ended here: (..., D) -> (...) bool."""
        if self.task is None or self.task.outside is None:
            return torch.zeros_like(state[..., 0], dtype=torch.bool)
        found = self.task.outside(state.unbind(-1), self.named(parameters), TORCH)
        return _filled(found, state).bool()

    def success(self, states: Tensor, times: Tensor) -> Tensor:
        """Whether an episode solved the task: (..., T+1, D), (T+1,) [s] -> (...) bool; staying within limits does."""
        if self.task is None or self.task.success is None:
            return ~self.outside(states).any(dim=-1) & states.isfinite().all(dim=-1).all(dim=-1)
        return self.task.success(states, times)

    def total_energy(self, state: Tensor, parameters: Tensor | None = None) -> Tensor:
        """Energy [J]: (..., D), (..., P) -> (...).

        Raises:
            ValueError: If the system declares none.
        """
        if self.energy is None:
            raise ValueError(f"system must declare an energy, {self.spec.name} has none")
        return _filled(self.energy(state.unbind(-1), self.named(parameters), TORCH), state)

    def input_power(self, state: Tensor, inputs: Tensor, parameters: Tensor | None = None) -> Tensor:
        """Rate [W] at which inputs and losses change the energy: (..., D), (..., m) -> (...).

        Raises:
            ValueError: If the system declares none.
        """
        if self.power is None:
            raise ValueError(f"system must declare a power, {self.spec.name} has none")
        return self._number(self.power, state, inputs, parameters)

    def sketched(self, state: Tensor, parameters: Tensor | None = None) -> Tensor:
        """Place the points of the system's sketch [m]: (..., D) -> (..., points, 2).

        Raises:
            ValueError: If the system has no sketch.
        """
        if self.views.sketch is None:
            raise ValueError(f"system must have a sketch, {self.spec.name} has none")
        points = self.views.sketch.points(state.unbind(-1), self.named(parameters), TORCH)
        return _stacked([_filled(x, state) for x in points], state).unflatten(-1, (-1, 2))

    def observation(self, state: Tensor, parameters: Tensor | None = None) -> Tensor:
        """What the sensor sees: (..., D) -> (..., O); the state itself where the system says nothing else."""
        if self.observe is None:
            return state
        return _stacked(self.observe(state.unbind(-1), self.named(parameters), TORCH), state)

    def state_of(self, observation: Tensor) -> Tensor:
        """Recover the state from what the sensor sees: (..., O) -> (..., D).

        Raises:
            ValueError: If the observation has another size, or does not tell the state.
        """
        names = self.spec.observation_names if self.observe is not None else self.spec.state_names
        if observation.shape[-1] != len(names):
            found = observation.shape[-1]
            raise ValueError(f"observation of {self.spec.name} must have {len(names)} dimensions, got {found}")
        if self.observe is None:
            return observation
        if self.observed_state is None:
            raise ValueError(f"observation of {self.spec.name} must tell the state, its sensor sees {names}")
        return _stacked(self.observed_state(observation.unbind(-1), TORCH), observation)

    def without_losses(self) -> "System":
        """Return the system that loses nothing: its losses gone and drawn no longer, no limits that cut the state.

        Raises:
            ValueError: If the system does not say which parameters lose energy.
        """
        if self.lossless is None:
            raise ValueError(f"system must declare lossless, {self.spec.name} does not")
        ranges = {name: ends for name, ends in self.parameter_ranges.items() if name not in self.lossless}
        return dataclasses.replace(
            self,
            spec=dataclasses.replace(self.spec, parameter_names=tuple(ranges)),
            parameters={**self.parameters, **self.lossless},
            parameter_ranges=ranges,
            state_limits=None,
        )

    def with_losses(self, factor: float) -> "System":
        """Return the system whose losses are so many times as large, drawn ones over as much wider ranges.

        A parameter that loses energy goes as far from its lossless value: p0 + factor (p − p0). Its name stays, and
        with it what it is called by.

        Raises:
            ValueError: If the factor is negative or not finite, or the system does not say what loses energy.
        """
        if factor == 1:
            return self
        if not self.lossless or not 0 <= factor < math.inf:
            raise ValueError(
                f"factor must be finite and >= 0, of a system that declares what it loses, got {factor} of "
                f"{self.spec.name}, which declares {dict(self.lossless or {})}"
            )

        def scaled(name: str, value: float) -> float:
            least = self.lossless[name] if self.lossless and name in self.lossless else value
            return least + factor * (value - least)

        return dataclasses.replace(
            self,
            parameters={name: scaled(name, value) for name, value in self.parameters.items()},
            parameter_ranges={
                name: (scaled(name, low), scaled(name, high)) for name, (low, high) in self.parameter_ranges.items()
            },
        )

    def drawn_without_losses(self, parameters: Tensor | None) -> Tensor | None:
        """Return those of drawn parameters that `without_losses` still draws: (..., P) -> (..., P'); None for none."""
        kept = [i for i, name in enumerate(self.spec.parameter_names) if name not in (self.lossless or {})]
        return None if parameters is None or not kept else parameters[..., kept]

    @property
    def clips(self) -> bool:
        """Whether limits of the state cut the flow, as Pendulum's speed limit does; an event is physics of its own."""
        return self.state_limits is not None and self.event is None

    @property
    def has_limits(self) -> bool:
        """Whether there are states at which an episode ends."""
        return self.task is not None and self.task.outside is not None

    @property
    def has_terminal_cost(self) -> bool:
        """Whether the task says what ending a plan in a state costs."""
        return self.task is not None and self.task.terminal_cost is not None

    @property
    def planning(self) -> Planning:
        """Planner, horizon and knots of the task; the defaults without one."""
        return Planning() if self.task is None else self.task.planning

    @property
    def control_starts(self) -> tuple[Box, ...]:
        """Boxes that episodes under a planner start in by turns, at least one."""
        return self._required_task().control_starts or ((self.reset_low, self.reset_high),)

    @property
    def reset_low(self) -> tuple[float, ...]:
        """Lower corner of the task's uniform reset box."""
        return self._required_task().reset_low

    @property
    def reset_high(self) -> tuple[float, ...]:
        """Upper corner."""
        return self._required_task().reset_high

    @property
    def box(self) -> tuple[float, ...]:
        """Half widths of the box of moderate states."""
        if self.views.box is not None:
            return self.views.box
        return tuple(max(abs(low), abs(high)) for low, high in zip(self.reset_low, self.reset_high, strict=True))

    @property
    def plane(self) -> tuple[str, str]:
        """Two state dimensions to draw against each other: an angle or position and its rate, else the first two."""
        if self.views.plane is not None:
            return self.views.plane
        spec = self.spec
        pairs = list(zip(spec.position_dims, spec.velocity_dims, strict=True)) or [(0, min(1, spec.state_dim - 1))]
        i, j = next((pair for pair in pairs if pair[0] in spec.angle_dims), pairs[0])
        return spec.state_names[i], spec.state_names[j]

    @property
    def plane_widths(self) -> tuple[float, float]:
        """Half widths of the grid in that plane."""
        if self.views.plane_widths is not None:
            return self.views.plane_widths
        i, j = (self.spec.state_names.index(name) for name in self.plane)
        return self.box[i], self.box[j]

    @property
    def start(self) -> tuple[float, ...]:
        """Start of the trajectory that shows what a held input is; half way to the box's corner if not declared."""
        return self.views.start or tuple(0.5 * width for width in self.box)

    @property
    def delta_t(self) -> float:
        """Control interval where nothing says another [s]: what one unit of reward stands for."""
        return self.spec.reward_delta_t

    @property
    def integrator(self) -> str:
        """How truth is computed, for the attributes of data."""
        if self.exact_flow is not None:
            return "exact flow, float64"
        return f"{self.solver.upper()}, ceil(delta_t / {1000 * self.max_substep:g} ms) equal substeps, float64"

    def draw_parameters(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw the parameters of some sequences uniformly over their ranges: (N, P) float64."""
        bounds = torch.tensor(list(self.parameter_ranges.values()), dtype=torch.float64).reshape(-1, 2)
        low, high = bounds.unbind(dim=-1)
        return low + (high - low) * torch.rand(count, len(low), dtype=torch.float64, generator=generator)

    def draw_starts(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw starts as random episodes do, in the task's reset box where nothing says another: (N, D) float64."""
        unit = torch.rand(count, self.spec.state_dim, dtype=torch.float64, generator=generator)
        if self.collection.random_inputs is not None:
            return self.collection.random_inputs.starts(unit)
        low, high = unit.new_tensor(self.reset_low), unit.new_tensor(self.reset_high)
        return low + (high - low) * unit

    # --- flow ---

    def flow(self, state: Tensor, action: Tensor, delta_t: Tensor | float, parameters: Tensor | None = None) -> Tensor:
        """Solve the equation over one interval per sample with the action held.

        Args:
            state: (..., D) physical state.
            action: (..., A) physical inputs, or index of a discrete action.
            delta_t: (...) or one number, interval [s]; negative values go back in time (where no limit acts).
            parameters: (..., P) in the order of `spec.parameter_names`; nominal if None.

        Returns:
            (..., D) state after `delta_t`; angles continue, they are not wrapped.

        Raises:
            TypeError: If the state holds whole numbers.
            ValueError: If the last axis of state or action has another length, an index is not in the table of
                actions, or an interval is not finite.
        """
        for *_, end in self._substeps(state, action, delta_t, parameters):
            state = end
        return state.contiguous()

    def simulate(
        self, state: Tensor, action: Tensor, delta_t: Tensor | float, parameters: Tensor | None = None
    ) -> IntervalOutcome:
        """Solve as `flow` does and report reward, exit and contact with limits inside the interval."""
        inputs = self._held(action)
        reward = torch.zeros_like(state[..., 0])
        exit_time = torch.full_like(reward, math.inf)
        elapsed = torch.zeros_like(reward)
        limit_hit = torch.zeros_like(reward, dtype=torch.bool)
        for start, h, moved, end in self._substeps(state, action, delta_t, parameters):
            alive = exit_time.isinf()
            reward = reward + alive * h * self.reward_rate(start, inputs, parameters) / self.spec.reward_delta_t
            elapsed = elapsed + h
            exit_time = torch.where(alive & (h > 0) & self.outside(end, parameters), elapsed, exit_time)
            limited = self._limited(moved, parameters) | self._touched(start, inputs, h, parameters)
            limit_hit = limit_hit | (limited & (h != 0))
            state = end
        return IntervalOutcome(state.contiguous(), reward, exit_time, limit_hit)

    def simulate_rows(
        self, state: Tensor, action: Tensor, delta_t: float, parameters: Tensor | None = None
    ) -> IntervalOutcome:
        """Do as `simulate` does, with plain numbers where there are few rows: (N, D), (N, A) -> fields (N, ...)."""
        if len(state) == 0 or len(state) > SCALAR_ROWS:
            return self.simulate(state, action, delta_t, parameters)
        drawn = self._nominal_rows(len(state)) if parameters is None else parameters.tolist()
        rows = zip(state.tolist(), action.tolist(), drawn, strict=True)
        ends, rewards, exits, hits = zip(*[self.advance(s, a, delta_t, p) for s, a, p in rows], strict=True)
        next_state, reward, exit_time = (state.new_tensor(x) for x in (ends, rewards, exits))
        return IntervalOutcome(next_state, reward, exit_time, torch.tensor(hits, device=state.device))

    @cached_property
    def advance(self) -> Advance:
        """Function that solves one interval of one sample with plain numbers; equals `simulate` to 1e-12.

        (state: D numbers, action: A numbers or one, delta_t [s], parameters: P numbers, nominal if left out) ->
        (next_state, reward, exit_time [s], limit_hit). Compiled from the equation when first asked for.
        """
        compiled = compile_advance(self)
        if not self.spec.parameter_names:
            return compiled
        (nominal,) = self._nominal_rows(1)
        return lambda state, action, delta_t, parameters=nominal: compiled(state, action, delta_t, parameters)

    def substep(self, state: Tensor, inputs: Tensor, h: Tensor, parameters: Tensor | None = None) -> Tensor:
        """Take one step of the solver with its limits: (..., D), (..., m) physical, (..., 1) or () [s] -> (..., D)."""
        return self._after(self._step(state, inputs, h, parameters), parameters)

    @property
    def has_kinks(self) -> bool:
        """Whether limits of the state, an event or a contact break the smooth flow anywhere."""
        return self.state_limits is not None or self.event is not None or self.contact is not None

    def touches(self, state: Tensor, inputs: Tensor, h: Tensor, parameters: Tensor | None = None) -> Tensor:
        """Whether one step of the solver meets a limit or an event: arguments of `substep` -> (...) bool."""
        moved = self._step(state, inputs, h, parameters)
        return self._limited(moved, parameters) | self._touched(state, inputs, h.squeeze(-1), parameters)

    def after_event(self, state: Tensor, parameters: Tensor | None = None) -> Tensor:
        """State after the event, where there is one and it happens: (..., D) -> (..., D)."""
        if self.event is None:
            return state
        hit, after = self.event(state.unbind(-1), self.named(parameters), TORCH)
        return torch.where(hit.unsqueeze(-1), _stacked(after, state), state)

    def _substeps(
        self, state: Tensor, action: Tensor, delta_t: Tensor | float, parameters: Tensor | None
    ) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Yield (start, h, end of the solver's step, end) of every substep; samples that need fewer wait with h = 0.

        Work is done component by component, so each component lies together in memory.
        """
        require_real(state)
        for name, found, size in (("state", state, self.spec.state_dim), ("action", action, self.spec.action_dim)):
            if not found.ndim or found.shape[-1] != size:
                rule = f"{name} of {self.spec.name} must have a last axis of {size}"
                raise ValueError(f"{rule}, got shape {tuple(found.shape)}")
        shapes = [state.shape[:-1], action.shape[:-1], *([] if parameters is None else [parameters.shape[:-1]])]
        batch_shape = np.broadcast_shapes(*shapes)  # torch's takes 0.3 s at its first call
        delta_t = torch.as_tensor(delta_t, dtype=state.dtype, device=state.device).expand(batch_shape)
        state = _apart(state.expand(*batch_shape, state.shape[-1]))
        inputs = _apart(self._held(action.to(state.dtype)))
        parameters = None if parameters is None else _apart(parameters)
        if not bool(delta_t.isfinite().all()):
            raise ValueError(f"delta_t must be finite, got {delta_t[~delta_t.isfinite()][0].item():g}")
        counts = torch.ceil(delta_t.abs().double() / self.max_substep * (1 - ROUNDING)).clamp(min=1)
        h = (delta_t.double() / counts).to(state.dtype)
        for k in range(int(counts.max()) if counts.numel() else 0):
            active_h = torch.where(k < counts, h, torch.zeros_like(h))
            moved = self._step(state, inputs, active_h.unsqueeze(-1), parameters)
            end = self._after(moved, parameters)
            yield state, active_h, moved, end
            state = end

    def _held(self, action: Tensor) -> Tensor:
        """Inputs that are held; an index beyond the table would be torch's own error, one below 0 another action."""
        table = self.spec.action_table
        if table is not None and action.shape[-1]:
            index = action[..., 0].double()
            wrong = ~((index >= 0) & (index < len(table)) & (index == index.floor()))
            if bool(wrong.any()):
                rule = f"action of {self.spec.name} must be whole numbers in 0 .. {len(table) - 1}"
                raise ValueError(f"{rule}, got {index[wrong][0].item():g}")
        return self.spec.held_input(action)

    def _step(self, state: Tensor, inputs: Tensor, h: Tensor, parameters: Tensor | None) -> Tensor:
        if self.exact_flow is not None:
            time = h[..., 0] if h.ndim else h
            found = self.exact_flow(state.unbind(-1), inputs.unbind(-1), self.named(parameters), time, TORCH)
            return _stacked(found, state)
        step = solver_step(self.solver, self.spec.velocity_dims)
        return step(lambda s: self.derivative(s, inputs, parameters), state, h)

    def _after(self, state: Tensor, parameters: Tensor | None) -> Tensor:
        """Apply limits and event to the end of a solver's step."""
        return self.after_event(self._clamped(state), parameters)

    def _limited(self, state: Tensor, parameters: Tensor | None) -> Tensor:
        """Whether `_after` acts on the end of a solver's step, (...) bool."""
        limited = torch.zeros_like(state[..., 0], dtype=torch.bool)
        if self.state_limits is not None:
            low, high = state.new_tensor(self.state_limits).unbind(dim=-1)
            limited = ((state <= low) | (state >= high)).any(dim=-1)
        if self.event is not None:
            limited = limited | self.event(self._clamped(state).unbind(-1), self.named(parameters), TORCH)[0]
        return limited

    def _touched(self, state: Tensor, inputs: Tensor, h: Tensor, parameters: Tensor | None) -> Tensor | bool:
        """Whether an exact flow meets an event within h seconds: (...) bool, or False where it has none."""
        if self.contact is None:
            return False
        return self.contact(state.unbind(-1), inputs.unbind(-1), self.named(parameters), h, TORCH)

    def _clamped(self, state: Tensor) -> Tensor:
        if self.state_limits is None:
            return state
        low, high = state.new_tensor(self.state_limits).unbind(dim=-1)
        return torch.minimum(torch.maximum(state, low), high)

    # --- parameters ---

    @cached_property
    def _nominal(self) -> SimpleNamespace:
        return SimpleNamespace(**self.parameters)

    @property
    def nominal_parameters(self) -> Tensor:
        """Nominal values of the parameters that are drawn, (P,) float64."""
        return torch.tensor([self.parameters[name] for name in self.spec.parameter_names], dtype=torch.float64)

    def _nominal_rows(self, count: int) -> list[tuple[float, ...]]:
        return [tuple(self.parameters[name] for name in self.spec.parameter_names)] * count

    def named(self, parameters: Tensor | None) -> SimpleNamespace:
        """Return all parameters by name: drawn ones (..., P) -> (...) each, the others nominal, as are all for None.

        Raises:
            ValueError: If there are not P of them.
        """
        if parameters is None:
            return self._nominal
        names = self.spec.parameter_names
        if parameters.shape[-1] != len(names):
            raise ValueError(f"parameters of {self.spec.name} must be {names}, got {parameters.shape[-1]} numbers")
        return SimpleNamespace(**{**self.parameters, **dict(zip(names, parameters.unbind(-1), strict=True))})

    def _number(self, function: Callable, state: Tensor, inputs: Tensor, parameters: Tensor | None) -> Tensor:
        found = function(state.unbind(-1), inputs.unbind(-1), self.named(parameters), TORCH)
        return _filled(found, state)

    def _required_task(self) -> Task:
        if self.task is None:
            raise ValueError(f"system must have a task with starts, {self.spec.name} has none")
        return self.task


def _stacked(components: Sequence[Tensor | float], like: Tensor) -> Tensor:
    """Make one tensor of D components, plain numbers among them, laid out as another one: -> (..., D)."""
    tensors = [x if isinstance(x, Tensor) else like.new_tensor(x) for x in components]
    if any(x.shape != tensors[0].shape for x in tensors[1:]):
        tensors = torch.broadcast_tensors(*tensors)
    if like.ndim > 1 and like.stride(-1) > like.stride(-2):
        return torch.stack(tensors).movedim(0, -1)
    return torch.stack(tensors, dim=-1)


def _apart(x: Tensor) -> Tensor:
    """Lay out (..., D) so that each of the D components lies together: steps of single components then run fastest."""
    return x.movedim(-1, 0).contiguous().movedim(0, -1)


def _filled(value: Tensor | float, like: Tensor) -> Tensor:
    """Give a constant the batch shape of a state."""
    return value if isinstance(value, Tensor) else torch.full_like(like[..., 0], value)
