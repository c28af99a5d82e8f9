"""The published settings of MTS3 and its baselines, one file per data set in `params/official`, checked when read.

Groups are named as in the founding document: `default_mts3`, `default_acrkn`, `default_hiprssm`, and `learn` with
`default` and `default_rnn`.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tdlib.core.facts import SEQUENCE_SHARES
from tdlib.core.files import parse_yaml
from tdlib.core.specs import EnvironmentSpec
from tdlib.core.time_grid import delta_t_of
from tdlib.models import DynamicsModel, build_model
from tdlib.models.beliefs import BeliefOptions, HiPRSSMOptions, MTS3Options
from tdlib.study.presets import PRESET_FOLDER, PositiveFloat, PositiveInt, Rate, Share
from tdlib.training import Budget

FOLDER = PRESET_FOLDER / "official"
PATHS = {  # by import path, so that a setting loads whatever the study's own list of families is
    "mts3": "tdlib.models.families.mts3:MTS3Model",
    "acrkn": "tdlib.models.families.acrkn:AcRKNModel",
    "hip_rssm": "tdlib.models.families.hip_rssm:HiPRSSMModel",
}
PUBLISHED: dict[str, BeliefOptions] = {  # what the official code computes, where a setting's own options begin
    "mts3": MTS3Options(),
    "acrkn": BeliefOptions(norm="post"),
    "hip_rssm": HiPRSSMOptions(),
}
VALIDATED = (
    0.1  # of the training set, as many sequences more select the checkpoint: the official code takes the test set
)
CURRICULUM = {True: 5, False: 10}  # epochs between increases: whether there are 250 at most
FEW_EPOCHS = 250


class SettingError(ValueError):
    """A setting that makes no training; the message names key, rule and value."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Collected(_Section):
    """What gives data in the place of the published ones."""

    source: Literal["sequences", "mujoco"]
    name: str  # of a system, or of a machine of `tdlib.data.sources.mujoco`


class Sequences(_Section):
    """How episodes are cut: T = window · windows steps."""

    window: int = Field(strict=True, ge=2)  # H [steps]
    windows: int = Field(strict=True, ge=2)  # K
    train: PositiveInt | None = None  # sequences; None: not known
    test: PositiveInt | None = None

    @property
    def length(self) -> int:
        """Steps T of a sequence."""
        return self.window * self.windows

    @property
    def counts(self) -> dict[str, int] | None:
        """Sequences of each split, those of training and test as published; None where these are not known."""
        if self.train is None or self.test is None:
            return None
        return {"train": self.train, "val": max(1, round(VALIDATED * self.train)), "test": self.test}

    @property
    def shares(self) -> dict[str, float]:
        """Share of each split."""
        counts = self.counts or SEQUENCE_SHARES
        return {split: count / sum(counts.values()) for split, count in counts.items()}


class Evaluation(_Section):
    """What is predicted, and over which windows errors are taken."""

    context_windows: PositiveInt  # seen first; all after is predicted
    sliding_window: PositiveInt  # [steps]
    num_sequences: PositiveInt  # of the test set that errors are taken of


class Learn(_Section):
    """How a group of models is trained."""

    learning_rate: PositiveFloat
    epochs: PositiveInt
    batch: PositiveInt  # sequences
    clip: PositiveFloat
    dropped: Share  # of observations, one by one
    dropped_windows: float = Field(ge=0, lt=1)  # largest share of windows
    curriculum: bool  # whether that share grows to its largest


class Published(_Section):
    """One model of a set."""

    model: str
    learn: str  # a key of the setting's `learn`
    options: Mapping[str, Any]


class Official(_Section):
    """The settings of one data set."""

    name: str
    collect: Collected
    observed: str  # what the published set shows
    observation_dim: PositiveInt
    action_dim: PositiveInt
    control_frequency: Rate
    sequences: Sequences
    evaluation: Evaluation
    learn: Mapping[str, Learn]
    models: Mapping[str, Published]

    @model_validator(mode="after")
    def _fits_together(self) -> "Official":
        for name, published in self.models.items():
            if published.learn not in self.learn:
                raise ValueError(f"models.{name}.learn must be one of {list(self.learn)}, got {published.learn!r}")
            if published.model not in PATHS:
                raise ValueError(f"models.{name}.model must be one of {list(PATHS)}, got {published.model!r}")
        if self.evaluation.context_windows >= self.sequences.windows:
            raise ValueError(
                f"evaluation.context_windows must be below sequences.windows = {self.sequences.windows}, got "
                f"{self.evaluation.context_windows}"
            )
        if self.evaluation.sliding_window > self.horizon:
            raise ValueError(
                f"evaluation.sliding_window must be at most the {self.horizon} steps predicted, got "
                f"{self.evaluation.sliding_window}"
            )
        return self

    @property
    def horizon(self) -> int:
        """Steps that are predicted after the context."""
        return self.sequences.length - self.evaluation.context_windows * self.sequences.window

    def published(self, model: str) -> tuple[Published, Learn]:
        """Return a model's group and how it learns.

        Raises:
            SettingError: If there is no such model.
        """
        if model not in self.models:
            raise SettingError(f"model of {self.name} must be one of {list(self.models)}, got {model!r}")
        return self.models[model], self.learn[self.models[model].learn]

    def build(self, model: str, spec: EnvironmentSpec, seed: int, delta_t: float | None = None) -> DynamicsModel:
        """Build a model as the official code has it, of the published sizes; only that held inputs are embedded first.

        Args:
            model: A key of `models`.
            spec: What it is trained on.
            seed: Of its weights.
            delta_t: Interval of its data [s]; the published one if None.
        """
        published, learn = self.published(model)
        window, every = self.sequences.window, CURRICULUM[learn.epochs <= FEW_EPOCHS] / learn.epochs
        options: dict[str, Any] = dataclasses.asdict(PUBLISHED[published.model]) | {
            "sequence_length": self.sequences.length, "mask_window": window, "dropped": learn.dropped,
            "dropped_windows": learn.dropped_windows, "curriculum": every if learn.curriculum else 0.0,
            "train_delta_t": delta_t_of(self.control_frequency) if delta_t is None else delta_t,
        }  # fmt: skip
        options |= {"windows": (window,)} if published.model == "mts3" else {}
        return build_model(PATHS[published.model], spec, seed=seed, **options | dict(published.options))

    def budget(self, model: str, num_sequences: int | None = None) -> Budget:
        """Return the published training: Adam at a constant rate, an epoch a pass over the sequences.

        Args:
            model: A key of `models`.
            num_sequences: Of the training set; the published number if None.

        Raises:
            SettingError: If neither is known.
        """
        _, learn = self.published(model)
        count = self.sequences.train if num_sequences is None else num_sequences
        if count is None:
            raise SettingError(f"num_sequences of {self.name} must be given: its number is not known, got None")
        steps = learn.epochs * math.ceil(count / learn.batch)
        return Budget(
            steps, learn.learning_rate, batch_size=learn.batch * self.sequences.length, warmup_fraction=0.0,
            patience=learn.epochs, num_validations=min(learn.epochs, steps), clip=learn.clip, schedule="constant",
        )  # fmt: skip


def official_names() -> list[str]:
    """Return the data sets that there are settings of."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_official(name: str) -> Official:
    """Read and check the settings of a data set.

    Raises:
        SettingError: If there are none, or a key is unknown or missing, or a value breaks its rule.
    """
    if name not in official_names():
        raise SettingError(f"name must be one of {official_names()}, got {name!r}")
    return check_official((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), name)


def check_official(text: str, name: str) -> Official:
    """Check settings; as `load_official` on what a file holds."""
    try:
        return Official.model_validate(parse_yaml(text))
    except yaml.YAMLError as error:
        raise SettingError(f"settings {name} must be valid YAML: {error}") from error
    except ValidationError as error:
        said = [f"{'.'.join(map(str, x['loc'])) or name}: {x['msg']}, got {x['input']!r}" for x in error.errors()]
        raise SettingError(f"settings {name} make no training:\n" + "\n".join(said)) from error
