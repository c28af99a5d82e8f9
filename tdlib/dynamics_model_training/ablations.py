"""The founding document's advice, tried: trainings of its model that differ in one thing each.

Its seven tips and its troubleshooting name a change and what it is good for. One training is plain; each of the others
has one thing changed for better or worse, and all are scored on the same held-out episodes. They train by
`tdlib.training.fit`, those of one shape as one stack, at the main rate of a run and on its episodes.
"""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from tdlib.core.seeding import numpy_generator
from tdlib.core.specs import EnvironmentSpec, state_difference
from tdlib.data import DatasetError, TransitionDataset, load_dataset, split_path
from tdlib.data.sources.csv import export_csv
from tdlib.dynamics_model_training.data_loader import DynamicsDataset, Examples
from tdlib.dynamics_model_training.evaluate import evaluate_model
from tdlib.dynamics_model_training.train import (
    FAMILY,
    in_physical_units,
    train_dynamics_model,
    untrained,
    window_budget,
)
from tdlib.dynamics_model_training.transforms import TransformedModel, angle_transform, positions_of
from tdlib.evaluation.tables import as_written, read_table
from tdlib.figures.selection import MAIN_RATE
from tdlib.models import DynamicsModel, build_model
from tdlib.study.arms import Arm
from tdlib.study.clock import part
from tdlib.study.phases.collect import ensure_collected, main_dataset_path
from tdlib.study.progress import Progress
from tdlib.study.provenance import Result, file_hash, sources_of
from tdlib.study.run import Run
from tdlib.training import FitResult, Trial, UnfinishedFit, fit, fit_key

TABLE = "ablations"
ARM = Arm(FAMILY, "baseline", train_frequency=MAIN_RATE)  # whose training it is that differs
BATCH = 32  # windows, as in the founding document
VALIDATED = 128  # windows each time
PLAIN, REFUSED = "plain", "a log with NaN"
FEW, NARROW, MORE = "few", "narrow", "more"  # episodes to train on


@dataclass(frozen=True)
class Ablation:
    """One training, by what differs from the plain one.

    Args:
        name: In tables.
        options: Of the GRU.
        windows: History and horizon, where they differ.
        width: Part of the memory's length.
        episodes: `few` of those there are, as many `narrow` ones, whose states stay nearest to zero, or `more`: all.
        relative: Whether coordinates are seen relative to the first row.
        angles: `turned`: seen as (cos, sin), which changes turn; `raw`: like any other position; `added`: changes add
            to (cos, sin).
        scaled: Whether states and changes are brought to unit scale.
        learning_rate: Factor, or for `boundless` none of use.
        schedule: See `Budget`.
        everywhere: Whether it is tried on all systems of a run, or only on the first.
    """

    name: str
    options: Mapping[str, object] = field(default_factory=dict)
    windows: Mapping[str, int] = field(default_factory=dict)
    width: float = 1.0
    episodes: str = FEW
    relative: bool = True
    angles: str = "turned"
    scaled: bool = True
    learning_rate: float = 1.0
    schedule: str = "constant"
    everywhere: bool = False


ABLATIONS = (
    Ablation(PLAIN, everywhere=True),
    # tips
    Ablation("narrow data", episodes=NARROW),
    Ablation("absolute coordinates", relative=False),
    Ablation("raw angles", angles="raw"),
    Ablation("history of one row", windows={"history_length": 1}, everywhere=True),
    Ablation("horizon of one step", windows={"prediction_horizon": 1}),
    Ablation("an eighth of the width", width=1 / 8),
    Ablation("cosine schedule", schedule="cosine"),
    Ablation("weight decay", options={"weight_decay": 0.1}),
    # troubles and their remedies, beside those above
    Ablation("unit scales", scaled=False),
    Ablation("high learning rate", learning_rate=100.0),
    Ablation("boundless learning rate", learning_rate=1e30),
    Ablation("more data", episodes=MORE),
    Ablation("dropout", options={"dropout": 0.2}),
    Ablation("pairs that add", angles="added"),
)


@dataclass(frozen=True)
class Case:
    """One ablation of one seed.

    Args:
        ablation: What differs.
        seed: Of data, weights and batches.
        trial: The network and what it is trained on.
        test: Held-out windows with its history, and the plain horizon.
    """

    ablation: Ablation
    seed: int
    trial: Trial
    test: Examples


@part("training")
def ablate(run: Run, env: str, seeds: Sequence[int] | None = None) -> pd.DataFrame:
    """Train what is missing and return one row per ablation and seed.

    Args:
        run: Its preset says with `ablations` how large they are; without, none are made.
        env: One of its environments.
        seeds: Some of its seeds; None or empty for all.

    Returns:
        The arm's key columns, test_frequency, ablation, seed, and where they are known

        | column | meaning |
        |---|---|
        | train_loss, val_loss | at the end, (Δt·σ)² |
        | gap | their ratio, held-out over training |
        | grad_norm | mean gradient norm before clipping, of the first quarter of the steps (of all if there are few) |
        | first_step, last_step | relative error of the first and the last step of the plain horizon, best weights |
        | finite, stopped | 1 and 0 if the training ended, 0 and 1 if a loss was not finite |
        | refused | 1 if the data were refused before training |
        | off_circle | RMS distance of predicted (cos, sin) from the unit circle at the last step |
        | n | windows scored |
    """
    env, chosen, settings = run.select_environment(env), run.select_seeds(seeds), run.preset.ablations
    if settings is None:
        return pd.DataFrame()
    ensure_collected(run, env, chosen)
    table = pd.concat([_ablate_seed(run, env, seed) for seed in chosen], ignore_index=True)
    if chosen == run.preset.own_seeds:  # a part of the seeds would take the place of all
        run.save_part(TABLE, env, table)
        return run.with_taken(TABLE, table, env)
    return table


def _ablate_seed(run: Run, env: str, seed: int) -> pd.DataFrame:
    """Return the rows of one seed, which lie in a file of their own: cells of a grid make them side by side."""
    path = run.layout.part(TABLE, f"{env}-seed{seed}")
    result = Result(
        path.with_suffix(".yaml"),
        sources=sources_of(__name__, system=env, models=[FAMILY]),
        env=env,
        ablations=run.preset.ablations.model_dump() if run.preset.ablations else None,
        first=env == run.preset.environments[0],
        num_examples=run.preset.evaluation.num_pairs,
        learning_rate=run.preset.training.learning_rate,
        data=[file_hash(path) for path in _paths(run, env, seed).values()],
    )
    if not result.is_current():
        rows = as_written(pd.DataFrame(_rows(run, env, seed, result.made_from["data"])))
        result.record([run.save_part(TABLE, f"{env}-seed{seed}", rows)])
    return read_table(path)


def _rows(run: Run, env: str, seed: int, data: object) -> list[dict[str, object]]:
    """Train and score every ablation of one seed, which comes with the hashes of its data."""
    settings, rows = run.preset.ablations, []
    assert settings is not None  # the caller has looked
    cases = _cases(run, env, seed)
    groups: dict[tuple, list[Case]] = {}
    for case in cases:
        own = case.ablation
        groups.setdefault((case.trial.model.needs.window, own.learning_rate, own.schedule), []).append(case)
    progress, done = Progress(f"ablations of {env}"), 0
    num_validations = min(4, max(1, settings.num_steps // 25))  # a few steps are not worth several
    for (window, factor, schedule), alike in groups.items():
        rate = run.preset.training.learning_rate * factor
        budget = window_budget(window, settings.num_steps, rate, BATCH, schedule, num_validations, VALIDATED)
        names = [case.ablation.name for case in alike]
        made_from = dataclasses.asdict(budget), settings.model_dump(), names, seed, data
        unfinished = UnfinishedFit(run.layout.unfinished, fit_key(TABLE, env, *made_from))
        results = fit([case.trial for case in alike], budget, run.device, unfinished=unfinished)
        rows += [
            _row(case, result, run.preset.evaluation.num_pairs) for case, result in zip(alike, results, strict=True)
        ]
        unfinished.clear()
        progress(done := done + len(alike), len(cases))
    if env == run.preset.environments[0]:
        rows.append(_refusal(load_dataset(_paths(run, env, seed)["train"]), seed))
    order = [*(ablation.name for ablation in ABLATIONS), REFUSED]
    keys = {"env": env, **ARM.keys(), "test_frequency": MAIN_RATE}
    return [keys | row for row in sorted(rows, key=lambda row: order.index(str(row["ablation"])))]


def _paths(run: Run, env: str, seed: int) -> dict[str, Path]:
    whole = main_dataset_path(run, env, float(MAIN_RATE), seed)
    return {split: split_path(whole, split) for split in ("train", "val", "test")}


def _cases(run: Run, env: str, seed: int) -> list[Case]:
    """Build the networks of one seed with their data."""
    settings = run.preset.ablations
    assert settings is not None
    sets = {split: load_dataset(path) for split, path in _paths(run, env, seed).items()}
    chosen = tried_on(sets["train"].spec, first=env == run.preset.environments[0])
    plain = {"history_length": settings.history_length, "prediction_horizon": settings.prediction_horizon}
    return [_case(ablation, sets, plain, settings.num_episodes, settings.hidden_size, seed) for ablation in chosen]


def tried_on(spec: EnvironmentSpec, first: bool) -> list[Ablation]:
    """Return what is tried on a system; on the first of a run more than on the others."""
    return [x for x in ABLATIONS if (first or x.everywhere) and (x.angles == "turned" or spec.angle_dims)]


def _case(
    ablation: Ablation,
    sets: Mapping[str, TransitionDataset],
    plain: dict[str, int],
    num_episodes: int,
    hidden_size: int,
    seed: int,
) -> Case:
    spec = sets["train"].spec
    positions = positions_of(spec)
    coordinates = [i for i, dim in enumerate(positions) if dim not in spec.angle_dims] if ablation.relative else []
    functions: dict[str, Any] = {}
    if ablation.angles == "added":
        added = angle_transform([i for i, dim in enumerate(positions) if dim in spec.angle_dims])
        functions = {"transform_fn": added.transform_fn, "inverse_fn": added.inverse_fn}

    def examples(dataset: TransitionDataset, windows: Mapping[str, Any], raw: bool = False) -> Examples:
        if raw:
            dataset = dataclasses.replace(dataset, spec=dataclasses.replace(dataset.spec, angle_dims=()))
        return DynamicsDataset(dataset, coordinates, **windows, **functions).examples

    raw, windows = ablation.angles == "raw", {**plain, **ablation.windows}
    episodes = sets["train"].select_episodes(chosen_episodes(sets["train"], ablation.episodes, num_episodes, seed))
    train, val = (examples(dataset, windows, raw) for dataset in (episodes, sets["val"]))
    options = {"hidden_dim": max(1, round(hidden_size * ablation.width)), "form": ARM.form, **ablation.options}
    pretrained = None
    if not ablation.scaled:  # a model that keeps the scales it was built with, which are one
        own = options | windows | {"relative": train.relative}
        pretrained = build_model(FAMILY, train.model_spec, seed=seed, **own)
    trial = untrained(train, val, ablation.name, seed, pretrained=pretrained, **options)
    return Case(
        ablation, seed, trial, examples(sets["test"], {**windows, "prediction_horizon": plain["prediction_horizon"]})
    )


def chosen_episodes(dataset: TransitionDataset, which: str, count: int, seed: int) -> np.ndarray:
    """Return the numbers of episodes to train on: `more` for all, `few` at random, or as many `narrow` ones."""
    if which == MORE:
        return np.arange(dataset.num_episodes)
    if which == FEW:
        return np.sort(numpy_generator(seed, "ablations", dataset.spec.name).permutation(dataset.num_episodes)[:count])
    off = state_difference(torch.from_numpy(dataset.state), torch.zeros(dataset.spec.state_dim), dataset.spec)
    distance = (off / off.std(dim=0)).square().sum(dim=1).numpy()
    means = np.add.reduceat(distance, dataset.episode_offsets[:-1]) / dataset.episode_lengths
    return np.sort(np.argsort(means, kind="stable")[:count])


def _row(case: Case, result: FitResult, num_examples: int) -> dict[str, object]:
    """Score one training on held-out windows."""
    network = in_physical_units(result.model.eval(), case.test)
    found = evaluate_model(network, case.test, num_examples, case.seed)
    errors, curves = found.per_step("relative_error"), result.curves
    last = curves.iloc[-1]
    finite = result.stopped != "non_finite"
    return {
        "ablation": case.ablation.name,
        "seed": case.seed,
        "train_loss": last["train_loss"] if finite else np.nan,
        "val_loss": last["val_loss"] if finite else np.nan,
        "gap": last["val_loss"] / last["train_loss"] if finite else np.nan,
        "grad_norm": curves["grad_norm"].iloc[1] if finite else np.nan,
        "first_step": errors[0],
        "last_step": errors[-1],
        "finite": float(finite),
        "stopped": float(not finite),
        "refused": 0.0,
        "off_circle": _off_circle(network, case.test, num_examples),
        "n": int(found.steps["n"].iloc[0]),
    }


@torch.no_grad()
def _off_circle(network: DynamicsModel, examples: Examples, num_examples: int) -> float:
    """RMS distance of predicted pairs from the unit circle at the last step; NaN where a model has angles itself."""
    if not isinstance(network, TransformedModel):
        return np.nan
    see, spec = network.transform, network.spec
    start, actions, delta_t, context = examples.windows(range(min(len(examples), num_examples))).query()
    asked = see.features(start, spec), actions, delta_t, see.context(context, spec)
    last = network.model.predict_sequence(*asked)[:, -1]
    first = [i + sum(j < i for j in spec.angle_dims) for i in spec.angle_dims]
    length = torch.stack([torch.hypot(last[:, i], last[:, i + 1]) for i in first])
    return float((length - 1).square().mean().sqrt())


def _refusal(dataset: TransitionDataset, seed: int) -> dict[str, object]:
    """Write logs, spoil one number of one of them, and see whether a training begins."""
    with tempfile.TemporaryDirectory() as folder:
        logs = export_csv(dataset.select_episodes([0, 1]), Path(folder) / "logs")
        path = sorted(logs.iterdir())[0]
        lines = path.read_text(encoding="utf-8").splitlines()
        cells = lines[1].split(",")
        lines[1] = ",".join([*cells[:-1], "nan"])
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        try:
            train_dynamics_model(logs, "spoiled", [0], [], num_epochs=1, checkpoint_dir=Path(folder) / "checkpoints")
            refused = 0.0
        except DatasetError:
            refused = 1.0
    return {"ablation": REFUSED, "seed": seed, "refused": refused, "n": 1}
