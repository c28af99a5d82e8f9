"""Phase 3, closed loop: every arm plans on the real system at every rate, beside the oracle and random inputs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from tdlib.core.time_grid import delta_t_of, num_steps
from tdlib.evaluation.control.dynamics import Dynamics, Oracle, SideBySide
from tdlib.evaluation.control.episodes import (
    ControlResult,
    ControlSettings,
    control_rows,
    control_starts,
    evaluate_control,
)
from tdlib.evaluation.tables import ARM_DEFAULTS, frequency_label, read_table
from tdlib.figures.selection import SHOWN_ARMS
from tdlib.planning import CEM, MPPI, Planner, RandomInputs
from tdlib.speed import prepared
from tdlib.study import clock as parts
from tdlib.study.phases.stacks import load_arm_stacks
from tdlib.study.phases.train import weight_hashes
from tdlib.study.progress import Progress
from tdlib.study.provenance import Result, sources_of
from tdlib.study.run import Run
from tdlib.systems import SYSTEMS, System

LARGEST_BATCH = 512  # episodes run together; more only grow the working set
NO_MODEL = "none"
Oracles = dict[tuple[float, str], ControlResult]  # (control rate, planner) -> the true system's episodes


@dataclass(frozen=True)
class Cell:
    """Episodes that are run together, as they share their times.

    Args:
        rate: Control rate [Hz].
        planner: CEM or MPPI.
        arms: `all`, only the few of `SHOWN_ARMS` (`axes`), or `none`.
        model_rate: Rate of the model step [Hz]; None is the control rate, and then the oracle runs beside the arms.
    """

    rate: float
    planner: Planner
    arms: str = "all"
    model_rate: float | None = None


@parts.part("control")
def control_environment(
    run: Run, env: str, models: Sequence[str] | None = None, seeds: Sequence[int] | None = None
) -> pd.DataFrame:
    """Run the closed-loop episodes that are missing; return control_performance rows of the chosen models.

    Args:
        run: Preset and folders.
        env: One of the preset's environments.
        models: Some of the preset's models; None or empty for all.
        seeds: Some of the preset's seeds; None or empty for all.
    """
    env, models, seeds = run.select_environment(env), run.select_models(models), run.select_seeds(seeds)
    results = {name: _result(run, env, name, seeds) for name in (NO_MODEL, *models)}
    missing = [name for name, result in results.items() if not result.is_current()]
    if missing:
        rows = _all_rows(run, SYSTEMS[env], missing, seeds)
        for name in missing:
            part = run.save_part("control_performance", f"{env}-{name}", pd.DataFrame(rows[name]))
            results[name].record([part])
    parts = [read_table(run.layout.part("control_performance", f"{env}-{name}")) for name in results]
    return pd.concat(parts, ignore_index=True)


def control_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean return, success and regret of each arm at each control rate, CEM with the model step of the control rate."""
    main = table[(table["planner"] != "mppi") & (table["model_frequency"] == table["control_frequency"])]
    keys = ["model", "method", "form", "train_frequency", "control_frequency"]
    return main.groupby(keys, sort=False)[["episode_return", "success", "regret"]].mean()


def _settings(run: Run) -> tuple[ControlSettings, Planner]:
    control = run.preset.control
    settings = ControlSettings(replan_interval=control.replan_seconds or 0.0, duration=control.episode_seconds)
    return settings, CEM(population=control.num_samples, num_iterations=control.num_iterations)


def _episodes(run: Run) -> int:
    return run.preset.control.episodes_per_seed


def _result(run: Run, env: str, name: str, seeds: Sequence[int]) -> Result:
    """Return the part of one model; the oracle's and the random inputs' depend on no seed and no model."""
    models = [] if name == NO_MODEL else [name]
    return Result(
        run.layout.part("control_performance", f"{env}-{name}").with_suffix(".yaml"),
        sources=sources_of(__name__, "tdlib.study.phases.stacks", "tdlib.study.arms", system=env, models=models),
        env=env,
        model=name,
        control=run.preset.control.model_dump(),
        seeds=seeds if models else [],
        axes=SHOWN_ARMS,
        weights=weight_hashes(run, env, models, seeds),
    )


def _all_rows(run: Run, system: System, names: Sequence[str], seeds: Sequence[int]) -> dict[str, list[dict]]:
    """Rows of each named part: all arms and the oracle act side by side, one cell after the other."""
    stacks = [
        (name, stack)
        for name in names
        if name != NO_MODEL
        for stack in load_arm_stacks(run, system.spec.name, [name], seeds)
    ]
    chosen = [stack.select(on_axes) for _, stack in stacks]
    ready = {
        "all": {i: (stack.keys, prepared(stack.dynamics)) for i, (_, stack) in enumerate(stacks)},
        "axes": {i: (stack.keys, prepared(stack.dynamics)) for i, stack in enumerate(chosen) if stack is not None},
        "none": {},
    }
    found: list[list[dict]] = [[] for _ in stacks]
    oracles: Oracles = {}
    cells = [cell for cell in control_cells(run) if ready[cell.arms] or NO_MODEL in names]
    progress = Progress(f"control {system.spec.name}")
    for done, cell in enumerate(cells):
        progress(done, len(cells))
        for i, rows in _episodes_of(run, system, cell, ready[cell.arms], oracles):
            found[i] += rows
    progress(len(cells), len(cells))
    rows = {name: [] for name in names}
    if NO_MODEL in rows:
        rows[NO_MODEL] = _reference_rows(run, system, oracles)
    for (name, _), part in zip(stacks, found, strict=True):
        rows[name] += part
    return rows


def control_cells(run: Run) -> list[Cell]:
    """What is run: all arms at the main rates; the few at further rates, at other model steps, and under MPPI."""
    main, extra = run.preset.control.frequencies, run.preset.control.extra_frequencies
    cem, *others = _planners(run, _settings(run)[1])
    steps = [(rate, step) for rate in main for step in main if step != rate and _fits(rate, step)]
    return [
        *(Cell(rate, cem) for rate in main),
        *(Cell(rate, cem, "axes") for rate in extra),
        *(Cell(rate, cem, "axes", step) for rate, step in steps),
        *(Cell(rate, planner, "axes") for planner in others for rate in main),
        *(Cell(rate, planner, "none") for planner in others for rate in extra),
    ]


def _planners(run: Run, planner: CEM) -> list[Planner]:
    return [planner, MPPI(population=planner.population)] if run.preset.control.compare_mppi else [planner]


def _reference_rows(run: Run, system: System, oracles: Oracles) -> list[dict]:
    """Rows of the oracle and of random inputs; they do not depend on any training."""
    settings, _ = _settings(run)
    starts, env = control_starts(system, _episodes(run)), system.spec.name
    rows = []
    for rate in (*run.preset.control.frequencies, *run.preset.control.extra_frequencies):
        for planner in _planners(run, _settings(run)[1]):
            result = oracles[rate, planner.name]
            rows += control_rows(result, [_key(env, "oracle")], result)
        # random inputs beside the oracle under CEM
        random = evaluate_control(Oracle(system), system, rate, starts, planner=RandomInputs(), settings=settings)
        rows += control_rows(random, [_key(env, "random")], oracles[rate, "cem"])
    return rows


def _key(env: str, method: str) -> dict[str, object]:
    return {**ARM_DEFAULTS, "env": env, "method": method, "size": "none", "data": "none"}


def _episodes_of(
    run: Run, system: System, cell: Cell, arms: dict[int, tuple[list[dict], Dynamics]], oracles: Oracles
) -> Iterator[tuple[int, list[dict]]]:
    """Run one cell; yield the rows of each arm's stack. The oracle's episodes are kept in `oracles`.

    Args:
        run: Preset and folders.
        system: The real system.
        cell: Rates and planner.
        arms: Key columns and dynamics of each stack that takes part, by its number.
        oracles: What the regrets are taken against.
    """
    settings, _ = _settings(run)
    starts = control_starts(system, _episodes(run))
    of_oracle = (cell.rate, cell.planner.name)
    batches = list(_batches(arms, len(starts)))
    if cell.model_rate is None:
        batches[0] = {NO_MODEL: ([_key(system.spec.name, "oracle")], Oracle(system)), **batches[0]}
    for batch in batches:
        if not batch:
            continue
        counts = [len(keys) for keys, _ in batch.values()]
        result = evaluate_control(
            SideBySide([dynamics for _, dynamics in batch.values()], counts),
            system,
            cell.rate,
            starts,
            num_members=sum(counts),
            planner=cell.planner,
            settings=settings,
            model_delta_t=None if cell.model_rate is None else delta_t_of(cell.model_rate),
            device=run.device,
        )
        begin = 0
        for (number, (keys, _)), count in zip(batch.items(), counts, strict=True):
            part = result.members(slice(begin, begin + count))
            begin += count
            if number == NO_MODEL:
                oracles[of_oracle] = part
                continue
            rows = control_rows(part, keys, oracles[of_oracle])
            yield number, [{**row, "model_frequency": frequency_label(cell.model_rate or cell.rate)} for row in rows]


def _batches(arms: dict[int, tuple[list[dict], Dynamics]], episodes: int) -> Iterator[dict]:
    """Split arms so that no more than `LARGEST_BATCH` episodes run together, unless one stack alone has more."""
    batch, size = {}, 0
    for number, (keys, dynamics) in arms.items():
        if batch and size + len(keys) * episodes > LARGEST_BATCH:
            yield batch
            batch, size = {}, 0
        batch[number] = (keys, dynamics)
        size += len(keys) * episodes
    yield batch


def on_axes(key: dict) -> bool:
    """Whether an arm is one of the few whose training rate, model step, control rate and planner vary separately."""
    arm = (key["model"], key["method"], key["form"], key["train_frequency"])
    return arm in SHOWN_ARMS and key["size"] == "hidden64" and key["data"] == "transitions"


def _fits(rate: float, model_rate: float) -> bool:
    """Whether one step is a whole multiple of the other."""
    slow, fast = max(delta_t_of(rate), delta_t_of(model_rate)), min(delta_t_of(rate), delta_t_of(model_rate))
    try:
        num_steps(slow, fast)
    except ValueError:
        return False
    return True
