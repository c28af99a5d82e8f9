"""Phase 3, closed loop: every arm plans on the real system at every rate, beside the oracle and random inputs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd

from tdlib.core.time_grid import delta_t_of, num_steps
from tdlib.evaluation.control.dynamics import Dynamics, Oracle, SideBySide
from tdlib.evaluation.control.episodes import (
    ControlResult,
    ControlSettings,
    control_parameters,
    control_rows,
    control_starts,
    evaluate_control,
)
from tdlib.evaluation.tables import ARM_DEFAULTS, frequency_label, read_table
from tdlib.figures.selection import shown_arms
from tdlib.planning import CEM, MPPI, RandomInputs
from tdlib.speed import prepared
from tdlib.study import clock
from tdlib.study.parts import ensure_members, member_name, rows_of
from tdlib.study.phases.stacks import load_stacks
from tdlib.study.phases.train import weight_hash
from tdlib.study.progress import Progress
from tdlib.study.provenance import Result, sources_of
from tdlib.study.run import Run
from tdlib.study.selection import NO_MODEL, Member, Selection, arms_of, everything
from tdlib.systems import SYSTEMS, System

LARGEST_BATCH = 512  # episodes run together; more only grow the working set
TABLE = "control_performance"
KeysAndDynamics = tuple[list[dict], Dynamics]  # of one stack
Ready = dict[int, KeysAndDynamics]  # by the stack's number
Oracles = dict[tuple[float, str], ControlResult]  # (control rate, planner) -> the true system's episodes


@dataclass(frozen=True)
class Setting:
    """Episodes that are run together, as they share their times.

    Args:
        rate: Control rate [Hz].
        planner: CEM or MPPI.
        arms: `all`, only the few of `shown_arms` (`axes`), or `none`.
        model_rate: Rate of the model step [Hz]; None is the control rate, and then the oracle runs beside the arms.
    """

    rate: float
    planner: CEM | MPPI
    arms: str = "all"
    model_rate: float | None = None


@clock.part("control")
def control_environment(run: Run, env: str, chosen: Selection | None = None) -> pd.DataFrame:
    """Run the closed-loop episodes that are missing; return control_performance rows of what was chosen.

    Args:
        run: Preset and folders.
        env: One of the preset's environments.
        chosen: A part of the grid; None for all of it.
    """
    env, chosen = run.select_environment(env), (chosen or everything(run)).on(env).acting
    models = (NO_MODEL, *chosen.models)
    wanted = {model: [] if model == NO_MODEL else chosen.members(model) for model in models}
    results = {model: _result(run, env, model) for model in models}
    reference = results[NO_MODEL][0]

    def make(missing: dict[str, list[Member]]) -> dict[str, dict[str, pd.DataFrame]]:
        stands = reference.is_current()
        rows = _all_rows(run, SYSTEMS[env], missing, with_references=not stands)
        if not stands:
            reference.record([run.save_part(TABLE, f"{env}-{NO_MODEL}", pd.DataFrame(rows.pop(NO_MODEL)))])
        return {model: {TABLE: pd.DataFrame(found)} for model, found in rows.items()}

    ensure_members(
        {model: result for model, result in results.items() if model != NO_MODEL},
        wanted,
        lambda model: _load(run, env, model),
        make,
        lambda model, tables: [run.save_part(TABLE, f"{env}-{model}", tables[TABLE])],
    )
    if not reference.is_current():
        make({})
    frames = [_load(run, env, NO_MODEL)[TABLE]]
    frames += [rows_of(_load(run, env, m)[TABLE], {member_name(*x) for x in wanted[m]}) for m in chosen.models]
    return pd.concat(frames, ignore_index=True)


def control_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean return, success and regret of each arm at each control rate, CEM with the model step of the control rate."""
    main = table[(table["planner"] != "mppi") & (table["model_frequency"] == table["control_frequency"])]
    keys = ["model", "method", "form", "train_frequency", "control_frequency"]
    return main.groupby(keys, sort=False)[["episode_return", "success", "regret"]].mean()


def _settings(run: Run) -> tuple[ControlSettings, CEM]:
    control = run.preset.control
    settings = ControlSettings(replan_interval=control.replan_seconds or 0.0, duration=control.episode_seconds)
    return settings, CEM(population=control.num_samples, num_iterations=control.num_iterations)


def _episodes(run: Run) -> int:
    return run.preset.control.episodes_per_seed


def _load(run: Run, env: str, model: str) -> dict[str, pd.DataFrame]:
    path = run.layout.part(TABLE, f"{env}-{model}")
    return {TABLE: read_table(path)} if path.is_file() else {}


def _result(run: Run, env: str, model: str) -> tuple[Result, dict[str, object]]:
    """Return the part of one model, and what each of its members depends on.

    The oracle's and the random inputs' episodes depend on no seed and no model.
    """
    models = [] if model == NO_MODEL else [model]
    result = Result(
        run.layout.part(TABLE, f"{env}-{model}").with_suffix(".yaml"),
        sources=sources_of(__name__, "tdlib.study.phases.stacks", "tdlib.study.arms", system=env, models=models),
        env=env,
        model=model,
        control=run.preset.control.model_dump(),
        axes=shown_arms(),
    )
    members: dict[str, object] = {
        member_name(arm, seed): weight_hash(run, env, arm, seed)
        for arm in arms_of(run.preset, env)
        for seed in run.preset.seeds
        if models and arm.model == model
    }
    return result, members


def _all_rows(
    run: Run, system: System, members: dict[str, list[Member]], *, with_references: bool
) -> dict[str, list[dict]]:
    """Rows of the members of each model, and of the references: all act side by side, one setting after the other."""
    stacks = [(model, stack) for model, own in members.items() for stack in load_stacks(run, system.spec.name, own)]
    chosen = [stack.select(on_axes) for _, stack in stacks]
    ready: dict[str, Ready] = {
        "all": {i: (stack.keys, prepared(stack.dynamics)) for i, (_, stack) in enumerate(stacks)},
        "axes": {i: (stack.keys, prepared(stack.dynamics)) for i, stack in enumerate(chosen) if stack is not None},
        "none": {},
    }
    found: list[list[dict]] = [[] for _ in stacks]
    oracles: Oracles = {}
    settings = [setting for setting in control_settings(run) if ready[setting.arms] or with_references]
    progress = Progress(f"control {system.spec.name}")
    for done, setting in enumerate(settings):
        progress(done, len(settings))
        for i, more in _episodes_of(run, system, setting, ready[setting.arms], oracles):
            found[i] += more
    progress(len(settings), len(settings))
    rows = {NO_MODEL: _reference_rows(run, system, oracles)} if with_references else {}
    rows |= {model: [] for model in members}
    for (model, _), part in zip(stacks, found, strict=True):
        rows[model] += part
    return rows


def control_settings(run: Run) -> list[Setting]:
    """What is run: all arms at the main rates; the few at further rates, at other model steps, and under MPPI."""
    main, extra = run.preset.control.frequencies, run.preset.control.extra_frequencies
    cem, *others = _planners(run, _settings(run)[1])
    steps = [(rate, step) for rate in main for step in main if step != rate and _fits(rate, step)]
    return [
        *(Setting(rate, cem) for rate in main),
        *(Setting(rate, cem, "axes") for rate in extra),
        *(Setting(rate, cem, "axes", step) for rate, step in steps),
        *(Setting(rate, planner, "axes") for planner in others for rate in main),
        *(Setting(rate, planner, "none") for planner in others for rate in extra),
    ]


def _planners(run: Run, planner: CEM) -> list[CEM | MPPI]:
    return [planner, MPPI(population=planner.population)] if run.preset.control.compare_mppi else [planner]


def _reference_rows(run: Run, system: System, oracles: Oracles) -> list[dict]:
    """Rows of the oracle and of random inputs; they do not depend on any training."""
    settings, _ = _settings(run)
    starts, drawn = control_starts(system, _episodes(run)), control_parameters(system, _episodes(run))
    env = system.spec.name
    rows = []
    for rate in (*run.preset.control.frequencies, *run.preset.control.extra_frequencies):
        for planner in _planners(run, _settings(run)[1]):
            result = oracles[rate, planner.name]
            rows += control_rows(result, [_key(env, "oracle")], result)
        # random inputs beside the oracle under CEM
        common = {"parameters": drawn, "settings": settings}
        random = evaluate_control(Oracle(system), system, rate, starts, planner=RandomInputs(), **common)
        rows += control_rows(random, [_key(env, "random")], oracles[rate, "cem"])
    return rows


def _key(env: str, method: str) -> dict[str, object]:
    return {**ARM_DEFAULTS, "env": env, "method": method, "size": "none", "data": "none"}


def _episodes_of(
    run: Run, system: System, setting: Setting, arms: Ready, oracles: Oracles
) -> Iterator[tuple[int, list[dict]]]:
    """Run one setting; yield the rows of each arm's stack. The oracle's episodes are kept in `oracles`.

    Args:
        run: Preset and folders.
        system: The real system.
        setting: Rates and planner.
        arms: Key columns and dynamics of each stack that takes part, by its number.
        oracles: What the regrets are taken against.
    """
    step = None if setting.model_rate is None else delta_t_of(setting.model_rate)
    settings = replace(_settings(run)[0], model_delta_t=step, device=run.device)
    starts = control_starts(system, _episodes(run))
    of_oracle = (setting.rate, setting.planner.name)
    batches = list(_batches(arms, len(starts)))
    if setting.model_rate is None:
        batches[0] = {NO_MODEL: ([_key(system.spec.name, "oracle")], Oracle(system)), **batches[0]}
    for batch in batches:
        if not batch:
            continue
        counts = [len(keys) for keys, _ in batch.values()]
        result = evaluate_control(
            SideBySide([dynamics for _, dynamics in batch.values()], counts),
            system,
            setting.rate,
            starts,
            num_members=sum(counts),
            parameters=control_parameters(system, len(starts)),
            planner=setting.planner,
            settings=settings,
        )
        begin = 0
        for (number, (keys, _)), count in zip(batch.items(), counts, strict=True):
            part = result.members(slice(begin, begin + count))
            begin += count
            if isinstance(number, str):  # the oracle
                oracles[of_oracle] = part
                continue
            label = frequency_label(setting.model_rate or setting.rate)
            yield number, [{**row, "model_frequency": label} for row in control_rows(part, keys, oracles[of_oracle])]


def _batches(arms: Ready, episodes: int) -> Iterator[dict[int | str, KeysAndDynamics]]:
    """Split arms so that no more than `LARGEST_BATCH` episodes run together, unless one stack alone has more."""
    batch: dict[int | str, KeysAndDynamics] = {}
    size = 0
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
    return arm in shown_arms() and key["size"] == "hidden64" and key["data"] == "transitions"


def _fits(rate: float, model_rate: float) -> bool:
    """Whether one step is a whole multiple of the other."""
    slow, fast = max(delta_t_of(rate), delta_t_of(model_rate)), min(delta_t_of(rate), delta_t_of(model_rate))
    try:
        num_steps(slow, fast)
    except ValueError:
        return False
    return True
