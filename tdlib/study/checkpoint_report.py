"""Checkpoints of one system, evaluated and compared: `report = evaluate_checkpoints(run, ["oscillator"])`.

Each model is rolled out open loop from the held-out starts of its own seed, at its own training interval, and at the
intervals of `dt_generalization`; energies are followed under inputs and losses and without either. `write_evaluation`
writes what belongs to one checkpoint, `write_report` what compares several:

    results/evaluations/<checkpoint>/  rollout.png energy.png dt_generalization.png eval_metrics.json
    reports/<time>/  summary.csv checkpoints.csv dt_generalization.csv rollout_comparison.png energy_comparison.png
                     dt_generalization.png mse_over_horizon.png

The founding documents write `eval_metrics.pt`: a pickle, which runs code when it is read; JSON holds the same numbers.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdlib.core.facts import ARM_COLUMNS, MIXED, TRANSITIONS
from tdlib.core.files import write_text
from tdlib.evaluation import dt_generalization, mse_over_horizon, write_table
from tdlib.evaluation.measures.energy import (
    DRIVEN,
    KINDS,
    UNFORCED,
    Energies,
    energies_along,
    energy_table,
    lacks_unforced,
    learned_energy,
    unforced,
)
from tdlib.evaluation.measures.generalization import DT_RATES, diverged, sequence_query
from tdlib.evaluation.sets.gather import gather_sequences
from tdlib.evaluation.sets.rollout_sets import RolloutSet
from tdlib.evaluation.sets.sequences import FIXED_STEPS
from tdlib.evaluation.sets.test_sets import TestSet
from tdlib.evaluation.tables import ARM_DEFAULTS, frequency_label
from tdlib.figures.physics import draw_dt_generalization, draw_energy, draw_mse_over_horizon, draw_sequence
from tdlib.figures.priors import SHOWN
from tdlib.figures.save import Drawing, save_drawing
from tdlib.figures.selection import main_model
from tdlib.figures.style import METHOD_LABELS, model_label
from tdlib.models import DynamicsModel
from tdlib.speed import Stack, predict_queries
from tdlib.study.inference import t_interval
from tdlib.study.layout import runs_root
from tdlib.study.phases.evaluate import load_test_set, main_rate
from tdlib.study.run import Run
from tdlib.study.selection import Selection, everything
from tdlib.systems import SYSTEMS, System
from tdlib.training.checkpoint import CURVES_FILE, MODEL_FILE, load_checkpoint

HORIZON = 50  # steps
IDENTITY = ["env", "arm", *ARM_COLUMNS, "checkpoint", "seed"]
SUMMARY = {  # column of the summary -> column of a checkpoint's numbers
    "train_loss": "train_loss",
    "open_loop_mse": "open_loop_mse",
    "energy_drift": "energy_drift",
    "relative_energy_drift": "relative_energy_drift",
    "unforced_drift": "unforced_drift",
}
ERRORS = ("train_loss", "open_loop_mse")  # whose means are geometric


@dataclass(frozen=True)
class CheckpointReport:
    """What was found of some checkpoints of one system; every table names the checkpoint, and its arm in words.

    Args:
        env: The system.
        horizon: Steps of the open-loop sequences.
        folders: Folder of each checkpoint by its short name.
        checkpoints: One row per checkpoint: delta_t [s] of its sequences, train_loss and val_loss, open_loop_mse,
            energy_drift [J], relative_energy_drift, true_energy_drift [J], unforced_drift [J], scaled_unforced_drift,
            n_diverged, n.
        horizons: mse at every step: time [s], mse, n.
        sequences: States of the first test sequence, predicted and true.
        energies: Energies along that sequence: kind, time, energy, energy_true, energy_learned.
        energy_drift: Rows of `energy_drift` along all sequences.
        dt_generalization: Rows of `dt_generalization`.
    """

    env: str
    horizon: int
    folders: Mapping[str, Path]
    checkpoints: pd.DataFrame
    horizons: pd.DataFrame
    sequences: pd.DataFrame
    energies: pd.DataFrame
    energy_drift: pd.DataFrame
    dt_generalization: pd.DataFrame

    @property
    def summary(self) -> pd.DataFrame:
        """One row per arm: means over its checkpoints (of errors geometric) with their 95 % t intervals, n of both."""
        parts = None
        for name, column in SUMMARY.items():
            found = over_checkpoints(self.checkpoints, column, ["env", "arm", *ARM_COLUMNS], logarithmic=name in ERRORS)
            named = {"mean": name, "low": f"{name}_low", "high": f"{name}_high", "bad": f"{name}_not_finite"}
            found = found.rename(columns=named).drop(columns=["n", "seeds"])
            parts = found if parts is None else parts.merge(found, on=["env", "arm", *ARM_COLUMNS])
        assert parts is not None
        counts = self.checkpoints.groupby("arm", sort=False).agg(n_checkpoints=("checkpoint", "size"), n=("n", "sum"))
        return parts.merge(counts.reset_index(), on="arm")

    @property
    def intervals(self) -> pd.DataFrame:
        """`dt_generalization` over checkpoints: one row per arm, protocol and interval."""
        keys = ["env", "arm", *ARM_COLUMNS, "protocol", "delta_t"]
        found = over_checkpoints(self.dt_generalization, "relative_error", keys, logarithmic=True)
        mse = over_checkpoints(self.dt_generalization, "mse", keys, logarithmic=True).rename(
            columns={"mean": "mse", "low": "mse_low", "high": "mse_high"}
        )
        grouped = self.dt_generalization.groupby(keys, sort=False)
        beside = grouped.agg(
            unaware=("unaware_error", "mean"), no_change_mse=("no_change_mse", "mean"), n_diverged=("n_diverged", "sum")
        ).reset_index()
        return found.merge(mse[[*keys, "mse", "mse_low", "mse_high"]], on=keys).merge(beside, on=keys)


def main_checkpoints(run: Run, env: str, chosen: Selection | None = None) -> list[Path]:
    """Return the checkpoints that the chapter compares: one arm of several rates per model, and the map of one rate.

    Args:
        run: Preset and folders.
        env: One of its systems.
        chosen: A part of the grid; None for all of it. All of its checkpoints if none of them is among those.
    """
    chosen = (chosen or everything(run)).on(env)
    members = [(arm, seed) for arm, seed in chosen.trained_members if arm.data == TRANSITIONS]
    main = [
        (arm, seed)
        for arm, seed in members
        if (arm.train_frequency == MIXED and arm.form == SHOWN.get(arm.method))
        or (arm.model, arm.method, arm.train_frequency) == (main_model(), "baseline", compared_rates(run)[0])
    ]
    return [run.layout.model_folder(env, arm.model, arm.folder, seed) for arm, seed in main or members]


def compared_rates(run: Run) -> tuple[str, tuple[str, str]]:
    """Return the middle training rate, and the coarsest and finest test rates [Hz]."""
    inside = sorted(run.preset.train_frequencies)[(len(run.preset.train_frequencies) - 1) // 2]
    coarse, fine = min(run.preset.test_frequencies), max(run.preset.test_frequencies)
    return frequency_label(inside), (frequency_label(coarse), frequency_label(fine))


def find_checkpoints(run: Run, names: Sequence[str | os.PathLike]) -> dict[str, Path]:
    """Find checkpoints by path or short name; a folder stands for all below it, and none is there twice.

    Args:
        run: Whose models short names begin at.
        names: Absolute paths, paths below the run's models (`oscillator/jump`), or such paths behind the name of
            another run (`quick/oscillator/jump`).

    Returns:
        Folder of each by its short name, unique: the path below the run's models, else below all runs, else the path.

    Raises:
        ValueError: If a name leads to no checkpoint; the message lists where it was looked for.
    """
    found: dict[Path, str] = {}
    for name in names:
        places = _places(run, Path(name))
        folders = [sorted({path.parent for path in place.rglob(MODEL_FILE)}) for place in places if place.is_dir()]
        folders += [[place.parent] for place in places if place.is_file()]
        chosen = next((several for several in folders if several), None)
        if chosen is None:
            looked = ", ".join(str(place) for place in places)
            raise ValueError(f"checkpoints must lead to a {MODEL_FILE}, {str(name)!r} does not: looked in {looked}")
        for folder in chosen:
            found.setdefault(folder.resolve(), _short_name(run, folder.resolve()))
    return {name: folder for folder, name in found.items()}


def evaluate_checkpoints(
    run: Run, checkpoints: Sequence[str | os.PathLike], *, horizon: int | None = None
) -> CheckpointReport:
    """Evaluate checkpoints of one system on the run's held-out sequences of their own seeds.

    Args:
        run: Its test sets are used, and its models are where short names begin.
        checkpoints: See `find_checkpoints`.
        horizon: Steps of the open-loop sequences; None: those of the preset, else 50.

    Raises:
        ValueError: If there is none, one is not found, or they are of different systems.
    """
    folders = find_checkpoints(run, checkpoints)
    if not folders:
        raise ValueError(f"checkpoints must name at least one, got {list(checkpoints)}")
    models = {name: load_checkpoint(folder, run.device) for name, folder in folders.items()}
    envs = {name: str(model.record["env"]) for name, model in models.items()}
    if len(set(envs.values())) > 1:
        firsts = ", ".join(f"{env} ({next(n for n in envs if envs[n] == env)})" for env in dict.fromkeys(envs.values()))
        raise ValueError(f"checkpoints must be of one system, got {firsts}")
    env, steps = next(iter(envs.values())), horizon or run.preset.evaluation.num_steps or HORIZON
    system, labels = SYSTEMS[run.select_environment(env)], _labels(models, folders)
    sets = {seed: load_test_set(run, env, seed) for seed in sorted({_seed(model) for model in models.values()})}
    parts: list[dict[str, pd.DataFrame]] = []
    for names in _alike(run, models, system):
        parts.append(_evaluate(run, {name: models[name] for name in names}, sets, system, steps))
    tables = {key: _named(pd.concat([part[key] for part in parts], ignore_index=True), labels) for key in parts[0]}
    numbers = tables.pop("checkpoints")
    losses = pd.DataFrame([{"checkpoint": name, **_losses(models[name], folders[name])} for name in folders])
    numbers = numbers.merge(losses, on="checkpoint")
    return CheckpointReport(env, steps, folders, checkpoints=numbers, **tables)


def write_evaluation(run: Run, report: CheckpointReport, checkpoint: str) -> Path:
    """Write rollout.png, energy.png, dt_generalization.png and eval_metrics.json of one checkpoint; return the folder.

    Args:
        run: Whose `results/evaluations` they go to.
        report: Of `evaluate_checkpoints`.
        checkpoint: Short name.

    Raises:
        ValueError: If the report has no such checkpoint.
    """
    if checkpoint not in report.folders:
        raise ValueError(f"checkpoint must be one of {list(report.folders)}, got {checkpoint!r}")
    own = _only(report, checkpoint)
    folder = run.layout.evaluations / checkpoint.strip("/").replace("/", "--")
    save_drawing(draw_sequence(own.sequences), folder / "rollout.png")
    if len(own.energies):
        save_drawing(draw_energy(own.energies), folder / "energy.png")
    save_drawing(draw_dt_generalization(own.intervals), folder / "dt_generalization.png")
    write_text(folder / "eval_metrics.json", json.dumps(_metrics(own), indent=1, allow_nan=False) + "\n")
    return folder


def write_report(run: Run, report: CheckpointReport, time: str | None = None) -> Path:
    """Write the comparison of all checkpoints to a new folder `reports/<time>/` of the run; return it.

    Args:
        run: Preset and folders.
        report: Of `evaluate_checkpoints`.
        time: Name of the folder; now if None. A folder that is there already gets a number behind it.
    """
    name = time or datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder, count = run.layout.reports / name, 1
    while folder.exists():
        count += 1
        folder = run.layout.reports / f"{name}_{count}"
    folder.mkdir(parents=True)
    write_table(folder / "summary.csv", report.summary)
    write_table(folder / "checkpoints.csv", report.checkpoints)
    write_table(folder / "dt_generalization.csv", report.intervals)
    for file, drawing in drawings(report).items():
        save_drawing(drawing, folder / file)
    return folder


def drawings(report: CheckpointReport) -> dict[str, Drawing]:
    """Draw the comparisons, by the name of their file; the sequences are those of each arm's first checkpoint."""
    firsts = report.checkpoints.groupby("arm", sort=False)["checkpoint"].first()
    first_seed = report.checkpoints["seed"].min()
    same = report.checkpoints[report.checkpoints["seed"] == first_seed]
    firsts = {**firsts, **same.groupby("arm", sort=False)["checkpoint"].first()}  # one truth for all that have it

    def of_firsts(table: pd.DataFrame) -> pd.DataFrame:
        shared = table[table["checkpoint"].isin(firsts.values())]
        return shared[shared["seed"] == shared["seed"].iloc[0]] if len(shared) else shared

    horizons = over_checkpoints(report.horizons, "mse", ["env", "arm", "model", "time"], logarithmic=True)
    found = {
        "rollout_comparison.png": draw_sequence(of_firsts(report.sequences)),
        "dt_generalization.png": draw_dt_generalization(report.intervals),
        "mse_over_horizon.png": draw_mse_over_horizon(horizons),
    }
    if len(report.energies):
        found["energy_comparison.png"] = draw_energy(of_firsts(report.energies))
    return found


def console_tables(report: CheckpointReport) -> str:
    """Return the summary and the error at every interval as plain text."""
    summary = report.summary
    shown = pd.DataFrame({"model": summary["arm"], "train loss": summary["train_loss"].map("{:.3g}".format)})
    for title, name in (("open-loop MSE", "open_loop_mse"), ("energy drift [J]", "energy_drift"),
                        ("relative", "relative_energy_drift"), ("unforced [J]", "unforced_drift")):  # fmt: skip
        shown[title] = [_with_interval(row, name) for _, row in summary.iterrows()]
    shown["n"] = [f"{row['n_checkpoints']} × {row['n'] // row['n_checkpoints']}" for _, row in summary.iterrows()]
    lines = [
        f"{report.env}: {report.horizon} steps open loop; mean (of errors geometric) [95 % t interval over checkpoints]"
    ]
    lines.append(shown.to_string(index=False))
    for protocol, rows in report.intervals.groupby("protocol", sort=False):
        wide = rows.pivot(index="arm", columns="delta_t", values="mse").loc[list(summary["arm"])].map("{:.3g}".format)
        wide.columns = pd.Index([f"Δt = {value:g} s" for value in wide.columns])
        lines += [f"\nMSE, {str(protocol).replace('_', ' ')}", wide.to_string()]
    return "\n".join(lines)


def over_checkpoints(table: pd.DataFrame, value: str, by: Sequence[str], *, logarithmic: bool = False) -> pd.DataFrame:
    """Mean over checkpoints with its 95 % t interval: mean, low, high, seeds (finite ones), bad (others), n.

    Args:
        table: Rows of single checkpoints.
        value: Column of the values, none of them negative; ends are cut at 0.
        by: Columns of what is told apart.
        logarithmic: Take mean and interval of the logarithms, as for errors, where all values are positive.

    Returns:
        One row each; one finite value has no interval, none has no mean.
    """
    rows = []
    for key, group in table.groupby(list(by), sort=False):
        values = group[value].to_numpy(dtype=float)
        finite = values[np.isfinite(values)]
        found = {"mean": np.nan, "low": np.nan, "high": np.nan}
        if len(finite):
            interval = t_interval(finite, logarithmic=logarithmic and bool((finite > 0).all()))
            found = {"mean": interval.mean, "low": np.maximum(interval.ci_low, 0.0), "high": interval.ci_high}
        counts = {"seeds": len(finite), "bad": len(values) - len(finite), "n": int(group["n"].min())}
        rows.append({**dict(zip(by, key, strict=True)), **found, **counts})
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "seeds", "bad", "n"])


# --- finding ----------------------------------------------------------------------------------------------------------


def _places(run: Run, name: Path) -> list[Path]:
    if name.is_absolute():
        return [name]
    first, *rest = name.parts
    return [run.layout.models / name, runs_root() / first / "models" / Path(*rest)]


def _short_name(run: Run, folder: Path) -> str:
    if folder.is_relative_to(models := run.layout.models.resolve()):
        return folder.relative_to(models).as_posix()
    if folder.is_relative_to(runs := runs_root()):
        first, *rest = folder.relative_to(runs).parts
        return Path(first, *rest[1:]).as_posix() if rest[:1] == ["models"] else Path(first, *rest).as_posix()
    return folder.as_posix()


def _seed(model: DynamicsModel) -> int:
    return int(str(model.record["seed"]))


def _labels(models: Mapping[str, DynamicsModel], folders: Mapping[str, Path]) -> pd.DataFrame:
    """Key columns and arm in words of every checkpoint; arms of several runs that are called alike name their place."""
    keys = [{name: str(model.record[name]) for name in ARM_COLUMNS} for model in models.values()]
    table = pd.DataFrame(keys).assign(checkpoint=list(models), seed=[_seed(model) for model in models.values()])
    place = [Path(name).parent.as_posix() for name in models]
    table["arm"] = _words(table)
    alike = table.assign(place=place).groupby("arm")["place"].transform("nunique") > 1
    table["arm"] = [f"{arm} ({where})" if also else arm for arm, where, also in
                    zip(table["arm"], place, alike, strict=True)]  # fmt: skip
    return table


def _words(table: pd.DataFrame) -> list[str]:
    """Name arms by their models, and by no more of the rest than tells them apart."""
    rates = table["train_frequency"].nunique() > 1
    kinds = table.groupby("model")[["method", "form"]].transform(lambda column: column.nunique() > 1).any(axis=1)
    words = []
    for (_, row), also in zip(table.iterrows(), kinds, strict=True):
        kind = [METHOD_LABELS.get(row["method"], row["method"]), row["form"]] if also else []
        rate = row["train_frequency"]
        rest = [f"{rate} Hz" if rate[:1].isdigit() else rate] if rates else []
        rest += [row[name] for name in ("size", "data") if row[name] != ARM_DEFAULTS[name]]
        words.append(", ".join([model_label(row["model"]), *(x for x in kind if x != "none"), *rest]))
    return words


def _named(table: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Give rows, which name their checkpoint in place of a model, the checkpoint's key columns."""
    rest = table.drop(columns=[name for name in (*ARM_COLUMNS, "seed") if name != "model" and name in table])
    full = rest.rename(columns={"model": "checkpoint"}).merge(labels, on="checkpoint", how="left")
    return full[[*IDENTITY, *(name for name in full if name not in IDENTITY)]]


def _only(report: CheckpointReport, checkpoint: str) -> CheckpointReport:
    names = ("checkpoints", "horizons", "sequences", "energies", "energy_drift", "dt_generalization")
    tables = {name: getattr(report, name) for name in names}
    own = {name: table[table["checkpoint"] == checkpoint] for name, table in tables.items()}
    return CheckpointReport(report.env, report.horizon, {checkpoint: report.folders[checkpoint]}, **own)


def _alike(run: Run, models: Mapping[str, DynamicsModel], system: System) -> list[list[str]]:
    """Group checkpoints that predict as one stack, at one rate."""
    groups: dict[tuple, list[str]] = {}
    for name, model in models.items():
        groups.setdefault((model.structure(), own_rate(run, model, system)), []).append(name)
    return list(groups.values())


def own_rate(run: Run, model: DynamicsModel, system: System) -> str:
    """Return the rate of a checkpoint's sequences: its training rate; of several, the system's or the middle one."""
    there = [frequency_label(rate) for rate in run.preset.test_frequencies]
    wanted = [str(model.record["train_frequency"]), frequency_label(1 / system.delta_t)]
    return next((rate for rate in wanted if rate in there), main_rate(run))


# --- evaluating -------------------------------------------------------------------------------------------------------


def _evaluate(
    run: Run, models: Mapping[str, DynamicsModel], sets: Mapping[int, TestSet], system: System, horizon: int
) -> dict[str, pd.DataFrame]:
    """Tables of some checkpoints of one structure and rate, which stand in the column of the model."""
    stack, spec = Stack(list(models.values())), system.spec
    first = next(iter(models.values()))
    rate = own_rate(run, first, system)
    members = [
        {"env": spec.name, "model": name, "train_frequency": str(model.record["train_frequency"]), "seed": _seed(model)}
        for name, model in models.items()
    ]
    there = next(iter(sets.values())).rollouts
    rates = tuple(dict.fromkeys([*(other for other in DT_RATES if other in there), rate]))
    every = gather_sequences(sets, members, rates, horizon, with_context=first.has_memory)
    own = next(one for one in every if (one.protocol, one.rate) == (FIXED_STEPS, rate))
    kinds = [kind for kind in KINDS if system.energy is not None and (kind == DRIVEN or not lacks_unforced(system))]
    asked = {DRIVEN: own.rollouts} | ({UNFORCED: unforced(own.rollouts, system)} if UNFORCED in kinds else {})
    queries = [sequence_query(type(own)(own.protocol, own.rate, rollouts, {})) for rollouts in asked.values()]
    predicted = dict(zip(asked, predict_queries(stack, queries, device=run.device), strict=True))
    times = own.rollouts.times.numpy()
    mse = mse_over_horizon(predicted[DRIVEN], own.rollouts.states, spec).mean(dim=-1)  # (K, T)
    learned = learned_energy(stack, run.device)
    energies = {kind: energies_along(predicted[kind], asked[kind], kind, system, learned) for kind in kinds}
    drifts = [energy_table(found, kind, times, members, rate) for kind, found in energies.items()]
    drift = pd.concat(drifts, ignore_index=True) if drifts else pd.DataFrame({"model": []})
    lost = diverged(predicted[DRIVEN], own, spec).sum(dim=1)
    base = [{"env": spec.name, "model": name} for name in models]
    numbers, horizons, sequences, along = [], [], [], []
    for k, row in enumerate(base):
        count = predicted[DRIVEN].shape[1]
        ends = {kind: _end(drift, row["model"], kind) for kind in kinds}
        numbers.append({**row, "delta_t": own.delta_t, "open_loop_mse": _infinite(mse[k].mean()),
                        **_drifts(ends), "n_diverged": int(lost[k]), "n": count})  # fmt: skip
        horizons.append(pd.DataFrame({**row, "time": times, "mse": mse[k].numpy(), "n": count}))
        sequences.append(_first_sequence(row, predicted[DRIVEN][k, 0], own.rollouts, k, spec.state_names, own.delta_t))
        along += [_first_energies(row, found, kind, times, k) for kind, found in energies.items()]
    return {
        "checkpoints": pd.DataFrame(numbers),
        "horizons": pd.concat(horizons, ignore_index=True),
        "sequences": pd.concat(sequences, ignore_index=True),
        "energies": pd.concat(along, ignore_index=True) if along else pd.DataFrame({"env": [], "model": []}),
        "energy_drift": drift,
        "dt_generalization": dt_generalization(
            stack, sets, spec, members, rates=rates, num_steps=horizon, device=run.device
        ),
    }


def _end(drift: pd.DataFrame, checkpoint: str, kind: str) -> pd.Series:
    rows = drift[(drift["model"] == checkpoint) & (drift["kind"] == kind)]
    return rows.loc[rows["time"].idxmax()]


def _drifts(ends: Mapping[str, pd.Series]) -> dict[str, float]:
    driven, free = ends.get(DRIVEN), ends.get(UNFORCED)

    def of(row: pd.Series | None, name: str) -> float:
        return float("nan") if row is None else float(row[name])

    return {
        "energy_drift": of(driven, "drift"),
        "relative_energy_drift": of(driven, "relative_drift"),
        "true_energy_drift": of(driven, "true_drift"),
        "unforced_drift": of(free, "drift"),
        "scaled_unforced_drift": of(free, "scaled_drift"),
        "learned_unforced_drift": of(free, "learned_drift"),
    }


def _first_sequence(
    row: dict, predicted: Tensor, rollouts: RolloutSet, k: int, names: Sequence[str], delta_t: float
) -> pd.DataFrame:
    """States of the first start, from the start on: predicted (T, D)."""
    start, truth = (x[min(k, len(x) - 1), 0] for x in (rollouts.state, rollouts.states))
    found, true = (torch.cat([start.unsqueeze(0), states]).numpy() for states in (predicted, truth))
    columns = {"time": np.append(0.0, rollouts.times.numpy())}
    columns |= {name: found[:, i] for i, name in enumerate(names)}
    columns |= {f"{name}_true": true[:, i] for i, name in enumerate(names)}
    return pd.DataFrame({**row, "delta_t": delta_t, "start": 0, **columns})


def _first_energies(row: dict, energies: Energies, kind: str, times: np.ndarray, k: int) -> pd.DataFrame:
    """Energies along the first start; the learned one in the scale of the true energies of all starts."""
    start = energies.start[min(k, len(energies.start) - 1)]
    truth = energies.truth[min(k, len(energies.truth) - 1), 0]
    learned = np.full(len(times) + 1, np.nan)
    if energies.learned is not None and energies.learned_start is not None:
        begun = energies.learned_start[k]
        moved = torch.cat([begun[:1], energies.learned[k, 0]]) - begun[0]
        learned = (start[0] + moved * start.std() / begun.std()).numpy()
    columns = {
        "time": np.append(0.0, times),
        "energy": torch.cat([start[:1], energies.predicted[k, 0]]).numpy(),
        "energy_true": torch.cat([start[:1], truth]).numpy(),
        "energy_learned": learned,
    }
    return pd.DataFrame({**row, "kind": kind, "start": 0, **columns})


def _losses(model: DynamicsModel, folder: Path) -> dict[str, float]:
    """Training and validation loss at the step whose weights were kept; nan where there are no curves."""
    metrics = model.record.get("metrics", {})
    losses = {"train_loss": float("nan"), "val_loss": float(metrics.get("best_val_loss", float("nan")))}
    if (folder / CURVES_FILE).is_file():
        curves = pd.read_csv(folder / CURVES_FILE)
        kept = curves[curves["step"] <= metrics.get("best_step", curves["step"].max())]["train_loss"].dropna()
        losses["train_loss"] = float(kept.iloc[-1]) if len(kept) else float("nan")
    return losses


# --- writing ----------------------------------------------------------------------------------------------------------


def _metrics(report: CheckpointReport) -> dict[str, object]:
    """All numbers of one checkpoint; what is not finite is null."""
    row = report.checkpoints.iloc[0]
    return {
        **_plain(row),
        "horizon": report.horizon,
        "mse_over_horizon": [_plain(r) for _, r in report.horizons[["time", "mse"]].iterrows()],
        "energy_drift": [_plain(r.drop(IDENTITY)) for _, r in report.energy_drift.iterrows()],
        "dt_generalization": [_plain(r.drop(IDENTITY)) for _, r in report.dt_generalization.iterrows()],
    }


def _plain(row: pd.Series) -> dict[str, object]:
    values = {name: value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
    return {
        str(name): None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in values.items()
    }


def _with_interval(row: pd.Series, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    text = f"{row[name]:.3g}" + (f" [{low:.2g}, {high:.2g}]" if np.isfinite([low, high]).all() else "")
    lost = int(row[f"{name}_not_finite"])
    return text + (f", {lost} not finite" if lost else "")


def _infinite(number: Tensor) -> float:
    return float(number.nan_to_num(nan=torch.inf, posinf=torch.inf))
