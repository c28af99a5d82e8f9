"""Predictions for the explorer in JupyterLab: trained models in double precision, fast enough for a moving slider.

A rollout of 200 steps is a chain of small operations, so its time is Python's, not the processor's. A model's step is
therefore recorded once by `tdlib.speed.traced`, which runs the same operations without Python between them: three times
as fast and equal to the last bit. A model whose recorded step differs from its own, because it branches on values or
reads the size of a batch, is called as it is; one that predicts whole sequences only is asked for whole sequences.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tdlib.core.solvers import SOLVERS
from tdlib.core.specs import EnvironmentSpec
from tdlib.explorer.python.entries import DERIVED, TRUE_FIELD
from tdlib.explorer.python.stepping import Advance, Stepping, stepping
from tdlib.explorer.python.true_field import TrueField
from tdlib.models import DynamicsModel
from tdlib.models.derived import Persistence
from tdlib.speed import traced
from tdlib.speed.pytrees import leaves_of
from tdlib.systems import SYSTEMS
from tdlib.training import load_checkpoint

KINDS = ("rollout", "steps", "energy")
MAX_STEPS, MAX_SUBSTEPS = 2000, 64  # bounds on what one request may ask for
TRACE_DELTA_T = 0.05  # [s]; any value: the trace does not depend on it


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
        self.followed = lru_cache(maxsize=64)(self._followed)

    def answer(self, env: str, job: Mapping) -> np.ndarray:
        """Predict what one job asks for.

        Args:
            env: Environment.
            job: `kind` "rollout" (states holds one start, actions the T held inputs), "steps" (one step from each of N
                states under N inputs) or "energy" (of N states, without actions and `deltaT`); `deltaT` [s]; `id` of
                the model, None for persistence or `TRUE_FIELD`; `derive`, `solver`, `substeps`.

        Returns:
            (T, D) states after each action, (N, D) states after one step, or (N, 1) learned energies; float64.

        Raises:
            ValueError: If the job names what does not exist, or is out of bounds.
        """
        states = self._states(env, job)
        name, derive, solver = job.get("id"), job.get("derive"), job.get("solver") or None
        model = self.followed(env, name, derive, solver, int(job.get("substeps") or 1))
        with torch.inference_mode():
            if job["kind"] == "energy":
                return model.energy(states).numpy()
            actions, delta_t = self._held(env, job, len(states))
            if job["kind"] == "steps":
                return model.once(states, actions, delta_t.expand(len(states))).numpy()
            return model.rollout(states, actions, delta_t).numpy()

    def _states(self, env: str, job: Mapping) -> Tensor:
        if env not in self._specs:
            raise ValueError(f"env must be one of {sorted(self._specs)}, got {env!r}")
        if job.get("kind") not in KINDS:
            raise ValueError(f"kind must be one of {list(KINDS)}, got {job.get('kind')!r}")
        states = torch.tensor(job["states"], dtype=torch.float64)
        dimension = self._specs[env].state_dim
        if states.dim() != 2 or states.shape[1] != dimension:
            raise ValueError(f"states must have {dimension} numbers each, got shape {tuple(states.shape)}")
        if len(states) > MAX_STEPS:
            raise ValueError(f"states must be at most {MAX_STEPS}, got {len(states)}")
        return states

    def _held(self, env: str, job: Mapping, num_states: int) -> tuple[Tensor, Tensor]:
        """Inputs and interval of a job that predicts."""
        actions = torch.tensor(job["actions"], dtype=torch.float64).reshape(-1, self._specs[env].action_dim)
        if not 1 <= len(actions) <= MAX_STEPS:
            raise ValueError(f"actions must be 1 to {MAX_STEPS} inputs, got {len(actions)}")
        if num_states != (1 if job["kind"] == "rollout" else len(actions)):
            raise ValueError(f"states must be one start or one per action, got {num_states} for {len(actions)} actions")
        delta_t = float(job["deltaT"])
        if not 0 < delta_t <= 1:
            raise ValueError(f"deltaT must lie in (0, 1] s, got {delta_t}")
        return actions, torch.tensor([delta_t], dtype=torch.float64)

    def _followed(
        self, env: str, name: str | None, derive: str | None, solver: str | None, substeps: int
    ) -> "Followed":
        spec = self._specs[env]
        if name is None:
            return Followed(Persistence(spec), recorded=False)
        if name == TRUE_FIELD:
            return Followed(_with_solver(TrueField(SYSTEMS[env]), solver, substeps))
        model = _with_solver(self.model(name), solver, substeps)
        if derive is None:
            return Followed(model)
        if derive not in DERIVED or float(model.record.get("train_frequency", "nan")) <= 0:
            raise ValueError(f"derive must be one of {sorted(DERIVED)} of a one-rate model, got {derive!r}")
        wrap, *arguments = DERIVED[derive]
        return Followed(wrap(Followed(model).once, *arguments, float(model.train_delta_t), spec), recorded=False)

    def model(self, name: str) -> DynamicsModel:
        """Load a model in double precision by its name in requests."""
        if name not in self._folders:
            raise ValueError(f"model must be one of the {len(self._folders)} found, got {name!r}")
        return self._prepare(load_checkpoint(self._folders[name])).requires_grad_(False)


def _with_solver(model: DynamicsModel, solver: str | None, substeps: int) -> DynamicsModel:
    if not hasattr(model, "with_solver") or (solver is None and substeps == 1):
        return model
    if solver is not None and solver not in SOLVERS:
        raise ValueError(f"solver must be one of {sorted(SOLVERS)}, got {solver!r}")
    if not 1 <= substeps <= MAX_SUBSTEPS:
        raise ValueError(f"substeps must be a whole number from 1 to {MAX_SUBSTEPS}, got {substeps}")
    return model.with_solver(solver or model.solver, substeps)


class Followed:
    """A model open loop, its steps recorded where that changes nothing.

    Args:
        model: Any dynamics model, in double precision.
        recorded: Whether to try recording.
    """

    def __init__(self, model: DynamicsModel, recorded: bool = True):
        self._model, self._steps = model, stepping(model)
        if self._steps is not None and recorded:
            start = _recorded(model, self._steps, self._steps.start)
            follow = start if self._steps.follow is self._steps.start else None
            self._steps = replace(
                self._steps, start=start, follow=follow or _recorded(model, self._steps, self._steps.follow)
            )

    def once(self, state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
        """Take one step from each state: (N, D), (N, A), (N) -> (N, D)."""
        if self._steps is None:
            return self._model.predict_sequence(state, action.unsqueeze(-2), delta_t.unsqueeze(-1))[..., 0, :]
        return self._steps.start(state, action, delta_t, *self._steps.initial(state, action))[0]

    def energy(self, states: Tensor) -> Tensor:
        """Return the energy that the model has learned, up to an offset and a scale: (N, D) -> (N, 1)."""
        energy = getattr(self._model, "energy", None)
        if energy is None:
            raise ValueError(f"model must have learned an energy, {type(self._model).__name__} has none")
        return energy(states).unsqueeze(-1)

    def rollout(self, state: Tensor, actions: Tensor, delta_t: Tensor) -> Tensor:
        """Follow one start: (1, D), (T, A), (1) -> (T, D)."""
        if self._steps is None:
            return self._model.predict_sequence(state[0], actions, delta_t.expand(len(actions)))
        carry, advance, predicted = self._steps.initial(state, actions[:1]), self._steps.start, []
        for action in actions.split(1):
            state, carry = advance(state, action, delta_t, *carry)
            advance = self._steps.follow
            predicted.append(state)
        return torch.cat(predicted)


def _recorded(model: DynamicsModel, steps: Stepping, advance: Advance) -> Advance:
    """Record a step; return the step itself where a recorded one would not answer as it does."""
    with torch.inference_mode():
        try:
            recorded = traced(advance, *_example(model, steps, 2, TRACE_DELTA_T))
            for count, delta_t in ((1, 0.03), (3, 0.2)):
                example = _example(model, steps, count, delta_t)
                for own, other in zip(leaves_of(advance(*example))[0], leaves_of(recorded(*example))[0], strict=True):
                    if own.shape != other.shape or not torch.equal(own, other):
                        return advance
        except RuntimeError:
            return advance
    return recorded


def _example(model: DynamicsModel, steps: Stepping, count: int, delta_t: float) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(count)
    state = torch.randn(count, model.spec.state_dim, dtype=torch.float64, generator=generator)
    action = torch.zeros(count, model.spec.action_dim, dtype=torch.float64)
    return state, action, torch.full((count,), delta_t, dtype=torch.float64), *steps.initial(state, action)


def pack_arrays(arrays: Sequence[np.ndarray]) -> tuple[list[list[int]], bytes]:
    """Return the shapes of some arrays and all their numbers as one buffer of doubles."""
    return [list(a.shape) for a in arrays], b"".join(np.ascontiguousarray(a, dtype="<f8").tobytes() for a in arrays)
