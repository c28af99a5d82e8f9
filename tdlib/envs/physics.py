"""Physics systems under the founding documents' names, each setting of theirs at hand: `ForcedPendulum(length=0.7)`.

A `PhysicsControlEnv` is a `System` with its numbers exchanged; `.system` is that system, which can be collected,
trained on and scored like ours once `register_system` knows it under a name of its own.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from tdlib.core.specs import random_actions
from tdlib.systems import SYSTEMS, System
from tdlib.systems.spaceship import anywhere

INIT_MODES = ("orbit", "seed")


class PhysicsControlEnv:
    """A system with a table of discrete actions, as the founding documents speak of it. States are (..., D) float64.

    Args:
        system: Equation, table of actions, and the numbers to start from.
        name: Name of the system if it is to be registered beside the one it comes from.
        dt_default: Control interval where `step` is told none [s].
        init_state_range: (2,) bounds common to all dimensions or (D, 2) of each, within which starts are uniform; None
            keeps the system's own starts.
        variable_params: Parameter -> (low, high), drawn for every sequence; None keeps the system's.
        **params: Nominal values of parameters.

    Raises:
        ValueError: If a name is unknown, an interval not positive, or a range empty.
    """

    base: ClassVar[str] = ""

    def __init__(
        self,
        system: System | None = None,
        *,
        name: str | None = None,
        dt_default: float | None = None,
        init_state_range: Sequence | None = None,
        variable_params: Mapping[str, tuple[float, float]] | None = None,
        **params: float,
    ):
        self.system = _changed(
            SYSTEMS[self.base] if system is None else system,
            name,
            dt_default,
            init_state_range,
            variable_params,
            params,
        )

    @property
    def name(self) -> str:
        """Name of the system."""
        return self.system.spec.name

    @property
    def state_dim(self) -> int:
        """Number of state dimensions D."""
        return self.system.spec.state_dim

    @property
    def action_dim(self) -> int:
        """Number of discrete actions."""
        return len(self.action_map)

    @property
    def action_map(self) -> dict[int, tuple[float, ...]]:
        """Index of an action -> the m inputs that are held."""
        return dict(enumerate(self.system.spec.action_table or ()))

    @property
    def params(self) -> dict[str, float]:
        """Nominal values by name."""
        return dict(self.system.parameters)

    @property
    def variable_params(self) -> dict[str, tuple[float, float]]:
        """Ranges of the parameters that are drawn for every sequence."""
        return dict(self.system.parameter_ranges)

    @property
    def init_state_range(self) -> tuple[tuple[float, float], ...]:
        """Bounds (low, high) of a start, one pair per dimension."""
        return tuple(zip(self.system.reset_low, self.system.reset_high, strict=True))

    @property
    def dt_default(self) -> float:
        """Control interval [s]."""
        return self.system.delta_t

    @property
    def angle_idx(self) -> tuple[int, ...]:
        """Dimensions that are angles [rad]."""
        return self.system.spec.angle_dims

    @property
    def pos_slice(self) -> slice:
        """Positions: the first half of a state."""
        return slice(0, self.state_dim // 2)

    @property
    def vel_slice(self) -> slice:
        """Velocities: the second half."""
        return slice(self.state_dim // 2, self.state_dim)

    def derivative(
        self, t: float, state: Tensor, inputs: Tensor, variable_params: Mapping[str, Tensor | float] | None = None
    ) -> Tensor:
        """Right-hand side, the same at every time: (..., D), (..., m) -> (..., D)."""
        return self.system.derivative(state, inputs, self._drawn(variable_params))

    def step(
        self,
        state: Tensor,
        action_idx: Tensor | int,
        dt: float | None = None,
        variable_params: Mapping[str, Tensor | float] | None = None,
    ) -> Tensor:
        """Hold an action for one interval: (..., D), index or (...) indices -> (..., D).

        Raises:
            ValueError: If dt is not positive, an index is not in the table, or a state goes to infinity.
        """
        dt = self.dt_default if dt is None else dt
        if not (math.isfinite(dt) and dt > 0):
            raise ValueError(f"dt must be positive and finite [s], got {dt}")
        index = torch.as_tensor(action_idx)
        if index.is_floating_point() or bool(((index < 0) | (index >= self.action_dim)).any()):
            raise ValueError(f"action_idx must be whole numbers in 0 .. {self.action_dim - 1}, got {action_idx}")
        action = index.reshape(*(index.shape if index.ndim and state.ndim > 1 else ()), 1)
        moved = self.system.flow(state, action.to(state.dtype), dt, self._drawn(variable_params))
        if not bool(moved.isfinite().all()):
            raise ValueError(f"state of {self.name} must stay finite, it went to infinity within {dt:g} s")
        return moved

    def get_energy(self, state: Tensor, variable_params: Mapping[str, Tensor | float] | None = None) -> Tensor:
        """Energy [J]: (..., D) -> (...)."""
        return self.system.total_energy(state, self._drawn(variable_params))

    def power(
        self, state: Tensor, inputs: Tensor, variable_params: Mapping[str, Tensor | float] | None = None
    ) -> Tensor:
        """Rate at which inputs and losses change the energy [W]: (..., D), (..., m) -> (...)."""
        return self.system.input_power(state, inputs, self._drawn(variable_params))

    def sample_action(self, generator: torch.Generator) -> int:
        """Draw an index uniformly."""
        return int(random_actions(self.system.spec, 1, generator))

    def sample_init_state(self, generator: torch.Generator, count: int | None = None) -> Tensor:
        """Draw a start, (D,), or so many, (count, D)."""
        starts = self.system.draw_starts(1 if count is None else count, generator)
        return starts[0] if count is None else starts

    def sample_params(self, generator: torch.Generator) -> dict[str, float]:
        """Draw the parameters of one sequence, by name."""
        drawn = self.system.draw_parameters(1, generator)[0].tolist()
        return dict(zip(self.system.spec.parameter_names, drawn, strict=True))

    def _drawn(self, values: Mapping[str, Tensor | float] | None) -> Tensor | None:
        if values is None:
            return None
        names = self.system.spec.parameter_names
        if set(values) != set(names):
            raise ValueError(f"variable_params must be {list(names)}, got {list(values)}")
        columns = [torch.as_tensor(values[name], dtype=torch.float64) for name in names]
        return torch.stack(columns, dim=-1) if columns else None


class ForcedOscillator(PhysicsControlEnv):
    """`tdlib.systems.oscillator`: state (x, v), three forces; mass, stiffness, damping."""

    base = "oscillator"


class ForcedPendulum(PhysicsControlEnv):
    """`tdlib.systems.hanging_pendulum`: state (θ, ω), three torques; mass, length, gravity, damping."""

    base = "pendulum"


class ForcedTwoBodySpaceship(PhysicsControlEnv):
    """`tdlib.systems.spaceship`: state (x, y, v_x, v_y), nine thrusts; gravity, star_mass, softening.

    Args:
        init_mode: `orbit` for starts on ellipses that keep away from the star, `seed` for starts anywhere in the box.
        **options: Those of `PhysicsControlEnv`.
    """

    base = "spaceship"

    def __init__(self, *, init_mode: str = "orbit", **options: Any):
        if init_mode not in INIT_MODES:
            raise ValueError(f"init_mode must be one of {list(INIT_MODES)}, got {init_mode!r}")
        system = SYSTEMS[self.base]
        super().__init__(system if init_mode == "orbit" else anywhere(system), **options)


class ThreeBodyEnv(PhysicsControlEnv):
    """`tdlib.systems.three_body`: twelve states, nine thrusts on the first body; gravity, masses, softening.

    Args:
        integrator: Name in `tdlib.core.solvers.SOLVERS`; `symplectic_euler` is the founding document's.
        n_substeps: Equal steps of it in one interval of `dt_default`.
        **options: Those of `PhysicsControlEnv`.
    """

    base = "three_body"

    def __init__(self, *, integrator: str = "rk4", n_substeps: int = 20, **options: Any):
        if n_substeps < 1:
            raise ValueError(f"n_substeps must be at least 1, got {n_substeps}")
        super().__init__(**options)
        step = self.system.delta_t / n_substeps
        self.system = dataclasses.replace(self.system, solver=integrator, max_substep=step)


def _changed(
    system: System,
    name: str | None,
    dt_default: float | None,
    init_state_range: Sequence | None,
    variable_params: Mapping[str, tuple[float, float]] | None,
    params: Mapping[str, float],
) -> System:
    spec = system.spec
    unknown = [key for key in (*params, *(variable_params or ())) if key not in system.parameters]
    if unknown:
        raise ValueError(f"parameters of {spec.name} must be among {list(system.parameters)}, got {unknown}")
    if dt_default is not None and not (math.isfinite(dt_default) and dt_default > 0):
        raise ValueError(f"dt_default must be positive and finite [s], got {dt_default}")
    ranges = dict(system.parameter_ranges if variable_params is None else variable_params)
    for key, (low, high) in ranges.items():
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ValueError(f"range of {key} must be finite and low <= high, got ({low}, {high})")
    interval = spec.reward_delta_t if dt_default is None else dt_default
    changed = dataclasses.replace(
        system,
        spec=dataclasses.replace(spec, name=name or spec.name, reward_delta_t=interval, parameter_names=tuple(ranges)),
        parameters=dict(system.parameters) | dict(params),
        parameter_ranges=ranges,
    )
    return changed if init_state_range is None else _starting_within(changed, init_state_range)


def _starting_within(system: System, bounds: Sequence) -> System:
    pairs = torch.as_tensor(bounds, dtype=torch.float64)
    if pairs.shape == (2,):
        pairs = pairs.expand(system.spec.state_dim, 2)
    if pairs.shape != (system.spec.state_dim, 2) or not bool((pairs[:, 0] <= pairs[:, 1]).all()):
        raise ValueError(
            f"init_state_range must be (low, high) or {system.spec.state_dim} such pairs, low <= high, got {bounds}"
        )
    low, high = (tuple(column.tolist()) for column in pairs.unbind(dim=-1))
    inputs = system.collection.random_inputs
    assert system.task is not None and inputs is not None  # every system of physics has both

    def within(unit: Tensor) -> Tensor:
        return unit.new_tensor(low) + (unit.new_tensor(high) - unit.new_tensor(low)) * unit

    task = dataclasses.replace(system.task, reset_low=low, reset_high=high)
    collection = dataclasses.replace(system.collection, random_inputs=dataclasses.replace(inputs, start=within))
    return dataclasses.replace(system, task=task, collection=collection)
