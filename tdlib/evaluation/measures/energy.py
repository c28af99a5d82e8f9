"""Does a model keep the energy where nothing changes it, and follow it where inputs and losses do?

    drift  |E(x̂_t) − E(x_0)| [J],  relative drift  drift / (|E(x_0)| + 1e-8),  scaled drift  drift / σ_E

σ_E is the standard deviation of the starts' energies: the relative drift explodes where a start has next to none.
`driven` rollouts are those of the test set, under inputs and losses: their true energy changes too, and stands beside.
`unforced` ones begin at the same states without input, of the system that loses nothing, whose energy stays. A model
has never been told that the losses are gone: trained on a damped system, it drifts there by the damping it has learned.
The learned energy of a field that has one is known up to an affine scale, so that its drift is in units of its own
standard deviation over the starts, as the scaled drift is.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdlib.core.facts import FINEST
from tdlib.core.specs import least_action
from tdlib.evaluation.measures.measure import Measure, Skipped, Subject
from tdlib.evaluation.measures.rollout import kept_steps
from tdlib.evaluation.measures.take import Question, take
from tdlib.evaluation.sets.gather import TestSets, gather_rollouts, members_of
from tdlib.evaluation.sets.rollout_sets import RolloutSet
from tdlib.evaluation.sets.test_sets import TestSet
from tdlib.evaluation.tables import KEY_COLUMNS, Axes, Member, frequency_value, tidy
from tdlib.speed import Model, Query, Stack
from tdlib.systems import System

DRIVEN, UNFORCED = "driven", "unforced"
KINDS = (DRIVEN, UNFORCED)
TINY = 1e-8  # [J]
LearnedEnergy = Callable[[Tensor], Tensor]  # states (K|1, ..., D) -> (K, ...)


@dataclass(frozen=True)
class Energies:
    """Energies of S rollouts of K models, float64.

    Args:
        start: (K|1, S) of the starts [J].
        predicted: (K, S, T) along the predictions [J].
        truth: (K|1, S, T) along the truth [J].
        learned_start: (K, S) learned energy of the starts, without unit; None where the models have none.
        learned: (K, S, T) along the predictions.
    """

    start: Tensor
    predicted: Tensor
    truth: Tensor
    learned_start: Tensor | None = None
    learned: Tensor | None = None


def energy_drift(
    model: Model,
    test_sets: TestSets,
    system: System,
    members: Sequence[Member] | None = None,
    *,
    rates: Sequence[str] | None = None,
    kinds: Sequence[str] = KINDS,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Score the energy along rollouts of K models, driven and unforced, with the parameters of each rollout.

    Args:
        model: Stack of K models, or one model.
        test_sets: One test set, or one per seed.
        system: Declares the energy, and for `unforced` what it loses.
        members: K mappings with the key columns of each model.
        rates: Rates to use, by default those of the test sets that are no finer than 50 Hz.
        kinds: Some of `driven` and `unforced`; `unforced` is left out where a system has no action without input or
            does not say what it loses.
        device: Where the model is.

    Returns:
        Key columns, kind, time [s], change (mean of E(x̂_t) − E(x_0), with its sign), drift (mean size) [J],
        relative_drift, scaled_drift, true_change, true_drift [J], true_relative_drift, energy_error (RMS of predicted
        less true energy) [J], learned_drift (nan where nothing is learned), scale (σ_E) [J], n_diverged (rollouts whose
        energy is not finite; they make the means infinite), n starts.

    Raises:
        ValueError: If the system declares no energy, or a kind is unknown.
    """
    members = members_of(model, test_sets, system.spec.name, members)
    sets = {test_sets.seed: test_sets} if isinstance(test_sets, TestSet) else test_sets
    subject = Subject(model, members, sets, system, device)
    asked = [question for question in ask(subject, rates=rates, kinds=kinds) if not isinstance(question, Skipped)]
    return pd.concat(take(model, asked, len(members), device=device), ignore_index=True)


def ask(
    subject: Subject, *, rates: Sequence[str] | None = None, kinds: Sequence[str] = KINDS
) -> Iterator[Question[pd.DataFrame] | Skipped]:
    """Put `energy_drift` as questions, one per rate and kind."""
    system = subject.system
    if system is None or system.energy is None:
        raise ValueError("system must declare an energy, this one has none")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"kinds must be among {list(KINDS)}, got {unknown}")
    reason = lacks_unforced(system)
    if reason and UNFORCED in kinds:
        yield Skipped("unforced rollouts", reason)
    for rate in rates or [rate for rate in subject.test_set.rollouts if not frequency_value(rate) > float(FINEST)]:
        for kind in kinds:
            if kind == DRIVEN or not reason:
                yield _question(subject, system, rate, kind)


ENERGY = Measure("energy", ("energy_drift",), frozenset({"state", "energy", "rollouts"}), ask)


def lacks_unforced(system: System) -> str | None:
    """Why a system has no unforced rollouts without losses; None if it has."""
    if system.lossless is None:
        return "needs a system that declares what it loses"
    if bool(system.spec.held_input(least_action(system.spec)).any()):
        return "needs an action without input"
    return None


def unforced(rollouts: RolloutSet, system: System) -> RolloutSet:
    """The same starts without input; the truth is not followed, its energy stays."""
    idle = least_action(system.spec).expand(rollouts.actions.shape)
    return replace(rollouts, actions=idle)


def energies_along(
    predicted: Tensor, rollouts: RolloutSet, kind: str, system: System, learned: LearnedEnergy | None = None
) -> Energies:
    """Evaluate energies along rollouts, with the parameters of each.

    Args:
        predicted: (K, S, T, D) states.
        rollouts: The truth, every field (K|1, S, ...).
        kind: `driven`, or `unforced` for rollouts of `unforced`, by the energy of the system that loses nothing.
        system: Declares the energy.
        learned: Of `learned_energy`.
    """
    drawn = rollouts.parameters
    if kind == UNFORCED:
        drawn, system = system.drawn_without_losses(drawn), system.without_losses()
    along = None if drawn is None else drawn.unsqueeze(2)
    start = system.total_energy(rollouts.state, drawn)
    found = system.total_energy(predicted.double(), along)
    still = kind == UNFORCED
    truth = (
        start.unsqueeze(2).expand(-1, -1, predicted.shape[2]) if still else system.total_energy(rollouts.states, along)
    )
    if learned is None:
        return Energies(start, found, truth)
    with torch.no_grad():
        return Energies(start, found, truth, learned(rollouts.state), learned(predicted.double()))


def learned_energy(model: Model, device: torch.device | str = "cpu") -> LearnedEnergy | None:
    """Return the learned energies of K models in double precision; None where they have none."""
    if not callable(getattr(getattr(model, "template", model), "energy", None)):
        return None
    exact = cast(Stack, copy.deepcopy(model)).double()
    return lambda state: exact.energy(state.to(device, torch.float64)).cpu()


def energy_table(
    energies: Energies, kind: str, times: np.ndarray, members: Sequence[Member], rate: str
) -> pd.DataFrame:
    """Rows of `energy_drift`, one per member and time (T,) [s]."""
    start, scale = energies.start.unsqueeze(2), energies.start.std(dim=1)  # (K|1, S, 1), (K|1,)
    change, true_change = energies.predicted - start, energies.truth - start
    size, true_size = _sizes(change), true_change.abs()
    share = 1 / (start.abs() + TINY)
    if energies.learned is None or energies.learned_start is None:
        own = torch.full_like(change[:, 0], torch.nan)
    else:
        spread = energies.learned_start.std(dim=1)
        own = _sizes(energies.learned - energies.learned_start.unsqueeze(2)).mean(dim=1) / spread.unsqueeze(1)
    values = {
        "change": change.mean(dim=1),
        "drift": size.mean(dim=1),
        "relative_drift": (size * share).mean(dim=1),
        "scaled_drift": size.mean(dim=1) / scale.unsqueeze(1),
        "true_change": true_change.mean(dim=1),
        "true_drift": true_size.mean(dim=1),
        "true_relative_drift": (true_size * share).mean(dim=1),
        "energy_error": _sizes(energies.predicted - energies.truth).square().mean(dim=1).sqrt(),
        "learned_drift": own,
        "scale": scale.unsqueeze(1),
        "n_diverged": (~energies.predicted.isfinite()).sum(dim=1),
    }
    axes: Axes = {"test_frequency": [rate], "time": np.round(times, 6)}
    shaped = {name: x.unsqueeze(1).numpy() for name, x in values.items()}
    table = tidy(members, axes, {**shaped, "n": energies.start.shape[1]})
    table.insert(len(KEY_COLUMNS), "kind", kind)
    return table


def _question(subject: Subject, system: System, rate: str, kind: str) -> Question[pd.DataFrame]:
    rollouts = gather_rollouts(subject.test_sets, subject.members, rate, with_context=subject.remembers)
    rollouts = unforced(rollouts, system) if kind == UNFORCED else rollouts
    (predicted,) = yield [Query(rollouts.state, rollouts.actions, rollouts.delta_t, rollouts.context)]
    steps = torch.from_numpy(kept_steps(rollouts.times.numpy()))
    kept = replace(rollouts, states=rollouts.states[:, :, steps])
    found = energies_along(predicted[:, :, steps], kept, kind, system, learned_energy(subject.model, subject.device))
    return energy_table(found, kind, rollouts.times[steps].numpy(), subject.members, rate)


def _sizes(differences: Tensor) -> Tensor:
    """Absolute values; what is not finite is infinitely large."""
    return differences.abs().nan_to_num(nan=torch.inf, posinf=torch.inf)
