"""Predictions for the explorer in JupyterLab: trained models in double precision, fast enough for a moving slider.

A rollout of 200 steps is a chain of small operations, so its time is Python's, not the processor's. Every model's step
is therefore recorded once by `tdlib.speed.traced`, which runs the same operations without Python between them: three
times as fast and equal to the last bit.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tdlib.core.solvers import SOLVERS
from tdlib.core.specs import EnvironmentSpec
from tdlib.models import (
    Context,
    DynamicsModel,
    Persistence,
    RecurrentRollout,
    RescaledIncrement,
    TrajectoryMatchingModel,
)
from tdlib.speed import traced
from tdlib.speed.pytrees import leaves_of
from tdlib.training import load_checkpoint

DERIVED = {"rescaled": RescaledIncrement, "recurrent_rollout": RecurrentRollout}
MAX_STEPS, MAX_SUBSTEPS = 2000, 64  # bounds on what one request may ask for
TRACE_DELTA_T = 0.05  # [s]; any value: the trace does not depend on it
Memory = Tensor | tuple[Tensor, ...]  # an empty tensor at the start
OneStep = Callable[
    [Memory, Tensor, Tensor, Tensor], tuple[Memory, Tensor]
]  # memory, state, action, Δt -> memory, state


class Answers:
    """Answers jobs of the explorer's views; models are loaded when first asked for and kept.

    Args:
        folders: Name of a model in requests -> its checkpoint folder.
        specs: Environment -> its spec.
        prepare: What is done with a loaded model; by default it is taken to double precision.
    """

    def __init__(
        self,
        folders: Mapping[str, Path],
        specs: Mapping[str, EnvironmentSpec],
        prepare: Callable[[DynamicsModel], DynamicsModel] = torch.nn.Module.double,
    ):
        self._folders, self._specs, self._prepare = dict(folders), dict(specs), prepare
        self.step = lru_cache(maxsize=64)(self._step)

    def answer(self, env: str, job: Mapping) -> np.ndarray:
        """Predict what one job asks for.

        Args:
            env: Environment.
            job: `kind` "rollout" (states holds one start, actions the T held inputs) or "steps" (one step from each of
                N states under N inputs); `deltaT` [s]; `id` of the model or None for persistence; `derive`, `solver`,
                `substeps`.

        Returns:
            (T, D) states after each action, or (N, D) states after one step; float64.

        Raises:
            ValueError: If the job names what does not exist, or is out of bounds.
        """
        states, actions, delta_t = self._checked(env, job)
        step = self.step(
            env, job.get("id"), job.get("derive"), job.get("solver") or None, int(job.get("substeps") or 1)
        )
        with torch.inference_mode():
            memory = states.new_zeros(len(states), 0)
            if job["kind"] == "steps":
                return step(memory, states, actions, delta_t.expand(len(states)))[1].numpy()
            predicted, state = [], states
            for action in actions.split(1):
                memory, state = step(memory, state, action, delta_t)
                predicted.append(state)
            return torch.cat(predicted).numpy()

    def _checked(self, env: str, job: Mapping) -> tuple[Tensor, Tensor, Tensor]:
        if env not in self._specs:
            raise ValueError(f"env must be one of {sorted(self._specs)}, got {env!r}")
        if job.get("kind") not in ("rollout", "steps"):
            raise ValueError(f"kind must be 'rollout' or 'steps', got {job.get('kind')!r}")
        states = torch.tensor(job["states"], dtype=torch.float64)
        actions = torch.tensor(job["actions"], dtype=torch.float64).reshape(-1, self._specs[env].action_dim)
        dimension = self._specs[env].state_dim
        if states.dim() != 2 or states.shape[1] != dimension:
            raise ValueError(f"states must have {dimension} numbers each, got shape {tuple(states.shape)}")
        if not 1 <= len(actions) <= MAX_STEPS:
            raise ValueError(f"actions must be 1 to {MAX_STEPS} inputs, got {len(actions)}")
        if len(states) != (1 if job["kind"] == "rollout" else len(actions)):
            raise ValueError(
                f"states must be one start or one per action, got {len(states)} for {len(actions)} actions"
            )
        delta_t = float(job["deltaT"])
        if not 0 < delta_t <= 1:
            raise ValueError(f"deltaT must lie in (0, 1] s, got {delta_t}")
        return states, actions, torch.tensor([delta_t], dtype=torch.float64)

    def _step(self, env: str, name: str | None, derive: str | None, solver: str | None, substeps: int) -> OneStep:
        spec = self._specs[env]
        if name is None:
            return _without_memory(Persistence(spec))
        model = _with_solver(self.model(name), solver, substeps)
        step = _traced(model)
        if derive is None:
            return step
        if derive not in DERIVED or float(model.record.get("train_frequency", "nan")) <= 0:
            raise ValueError(f"derive must be one of {sorted(DERIVED)} of a one-rate model, got {derive!r}")

        def one_step(state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
            return step(state.new_zeros(len(state), 0), state, action, delta_t)[1]

        return _without_memory(DERIVED[derive](one_step, float(model.train_delta_t), spec))

    def model(self, name: str) -> DynamicsModel:
        """Load a model in double precision by its name in requests."""
        if name not in self._folders:
            raise ValueError(f"model must be one of the {len(self._folders)} found, got {name!r}")
        return self._prepare(load_checkpoint(self._folders[name])).requires_grad_(False)


def _with_solver(model: DynamicsModel, solver: str | None, substeps: int) -> DynamicsModel:
    if not isinstance(model, TrajectoryMatchingModel) or (solver is None and substeps == 1):
        return model
    if solver is not None and solver not in SOLVERS:
        raise ValueError(f"solver must be one of {sorted(SOLVERS)}, got {solver!r}")
    if not 1 <= substeps <= MAX_SUBSTEPS:
        raise ValueError(f"substeps must be a whole number from 1 to {MAX_SUBSTEPS}, got {substeps}")
    return model.with_solver(solver or model.solver, substeps)


def _without_memory(model: DynamicsModel) -> OneStep:
    return lambda memory, state, action, delta_t: (memory, model(state, action, delta_t))


def _traced(model: DynamicsModel) -> OneStep:
    """Record one step; a memory of width 0 stands for an empty one."""
    state = torch.zeros(2, model.spec.state_dim, dtype=torch.float64)
    inputs = (state, state[:, :1], torch.full((2,), TRACE_DELTA_T, dtype=torch.float64))
    if not model.has_memory:
        recorded = traced(model, *inputs)
        return lambda memory, s, a, d: (memory, recorded(s, a, d))
    carry, carry_of = leaves_of(model.initial(Context.empty(*inputs[:2])))

    def advance(state: Tensor, action: Tensor, delta_t: Tensor, *carry: Tensor) -> tuple[Tensor, ...]:
        following, prediction = model.step(carry_of(carry), action, delta_t, state)
        return prediction.state, *leaves_of(following)[0]

    recorded = traced(advance, *inputs, *carry)

    def step(memory: Memory, s: Tensor, a: Tensor, d: Tensor) -> tuple[Memory, Tensor]:
        known = memory if isinstance(memory, tuple) else leaves_of(model.initial(Context.empty(s, a)))[0]
        predicted, *following = recorded(s, a, d, *known)
        return tuple(following), predicted

    return step


def pack_arrays(arrays: Sequence[np.ndarray]) -> tuple[list[list[int]], bytes]:
    """Return the shapes of some arrays and all their numbers as one buffer of doubles."""
    return [list(a.shape) for a in arrays], b"".join(np.ascontiguousarray(a, dtype="<f8").tobytes() for a in arrays)
