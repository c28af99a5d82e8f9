"""What goes into a fit and what comes out of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pandas as pd
import torch
from torch import Tensor

from tdlib.core.transitions import Transitions
from tdlib.models import DynamicsModel

CURVE_COLUMNS = ("step", "train_loss", "val_loss", "grad_norm", "learning_rate")


class Named(Protocol):
    """What training needs to know of an arm: how to call it in messages."""

    @property
    def model(self) -> str:
        """Name of its family."""

    @property
    def folder(self) -> str:
        """Name of its folder there."""


@dataclass(frozen=True)
class Trial:
    """One model to train, with its own data and random stream.

    Args:
        arm: What it is.
        seed: Seed of its batches (its weights are drawn when the model is built).
        model: Untrained model; trained in place.
        train: One set per training rate; batches draw the rate uniformly. Share set objects between trials: the
            table of a stack holds each object once.
        val: One set per training rate, of the own rates only.
        train_offsets: Episode offsets (E + 1) of every training set; models trained on windows need them, and their
            sets must be contiguous in time within an episode.
        val_offsets: Episode offsets of every validation set.
        keeps_scales: Whether the model keeps the scales it has, as one that was trained before must.
    """

    arm: Named
    seed: int
    model: DynamicsModel
    train: Sequence[Transitions]
    val: Sequence[Transitions]
    train_offsets: Sequence[Tensor] | None = None
    val_offsets: Sequence[Tensor] | None = None
    keeps_scales: bool = False

    @property
    def label(self) -> str:
        """Name in messages, for example `jump/baseline_20hz/seed0`."""
        return f"{self.arm.model}/{self.arm.folder}/seed{self.seed}"

    @property
    def state_scale(self) -> Tensor:
        """Standard deviation of the training states per dimension, (D,) [unit]; a constant one keeps 1."""
        std = torch.cat([part.state for part in self.train]).std(dim=0)
        return torch.where(std > 1e-8, std, torch.ones_like(std))

    def check(self) -> None:
        """Find what would fail later.

        Raises:
            ValueError: If data are missing, empty, of another shape, or have action indices out of range.
        """
        spec, needs = self.model.spec, self.model.needs
        for name, parts, offsets in (
            ("train", self.train, self.train_offsets),
            ("val", self.val, self.val_offsets),
        ):
            if not parts or any(len(part) == 0 for part in parts):
                raise ValueError(f"{name} must hold at least one set and no empty one, for {self.label}")
            for part in parts:
                shapes = (tuple(part.state.shape[1:]), tuple(part.action.shape[1:]))
                if shapes != ((spec.state_dim,), (spec.action_dim,)):
                    raise ValueError(
                        f"{name} must have states (N, {spec.state_dim}) and actions (N, {spec.action_dim}) "
                        f"for {self.label}, got {tuple(part.state.shape)} and {tuple(part.action.shape)}"
                    )
                wanted = {"observation": needs.observations, "parameters": needs.parameters, "frames": needs.images}
                for column in (name for name, needed in wanted.items() if needed):
                    if getattr(part, column, None) is None:
                        raise ValueError(f"{name} must hold {column}, which the model needs, for {self.label}")
                count = spec.num_actions
                if count is not None and not bool(((part.action >= 0) & (part.action < count)).all()):
                    valid = f"0 .. {count - 1}"
                    raise ValueError(f"{name} must have action indices in {valid}, for {self.label}")
            if needs.window > 1 and (offsets is None or len(offsets) != len(parts)):
                raise ValueError(f"{name}_offsets must hold the episode offsets of every set, for {self.label}")
            for part, offset in zip(parts, offsets or (), strict=False):
                if int(offset[0]) != 0 or int(offset[-1]) != len(part):
                    raise ValueError(
                        f"{name}_offsets must run from 0 to {len(part)} for {self.label}, "
                        f"got {int(offset[0])} to {int(offset[-1])}"
                    )


@dataclass(frozen=True)
class FitResult:
    """A finished trial.

    Args:
        trial: Its model holds the best weights seen.
        curves: Step, mean training loss since the last row, validation loss, mean gradient norm before clipping,
            learning rate. Losses are mean squared errors in units of (Δt·σ)².
        best_step: Optimizer steps behind the kept weights.
        best_val_loss: Their validation loss.
        stopped: `budget`, `patience` or `non_finite`.
        seconds: Wall time of the model's stack, divided by the stack's models [s].
    """

    trial: Trial
    curves: pd.DataFrame = field(repr=False)
    best_step: int
    best_val_loss: float
    stopped: str
    seconds: float

    @property
    def model(self) -> DynamicsModel:
        """The trained model."""
        return self.trial.model


def delta_t_support(parts: Sequence[Transitions]) -> list[float]:
    """Smallest and largest training interval [s]; a checkpoint records it."""
    return [min(float(p.delta_t.min()) for p in parts), max(float(p.delta_t.max()) for p in parts)]


def combine(trial: Trial, results: Sequence[FitResult]) -> FitResult:
    """Bundle the results of an ensemble's members: mean curves, latest best step, worst reason to stop."""
    rows = pd.concat([result.curves for result in results])
    curves = rows.groupby("step", as_index=False).mean()[list(CURVE_COLUMNS)]
    reasons = [result.stopped for result in results]
    stopped = next(reason for reason in ("non_finite", "budget", "patience") if reason in reasons)
    losses = [result.best_val_loss for result in results]
    return FitResult(
        trial,
        curves,
        max(result.best_step for result in results),
        math.fsum(losses) / len(losses),
        stopped,
        math.fsum(result.seconds for result in results),
    )
