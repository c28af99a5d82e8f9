"""Phase 3, closed loop: every arm plans on the real system at every rate, beside the oracle and random inputs.

A unit of work is one arm, seed and setting (control rate, model step, planner). All arms of a seed meet that seed's
starts, and so does its oracle, which meets further ones where a preset has few seeds: a mark needs more episodes than a
comparison in pairs. Rows are written while others are still being made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from tdlib.core.facts import ARM_COLUMNS
from tdlib.core.time_grid import delta_t_of, num_steps
from tdlib.evaluation.control.dynamics import Dynamics, Oracle, SideBySide
from tdlib.evaluation.control.episodes import ControlResult, ControlSettings, evaluate_control
from tdlib.evaluation.control.rows import control_rows, marked, marked_by_all, planner_limits
from tdlib.evaluation.control.starts import starts_of_seeds
from tdlib.evaluation.tables import ARM_DEFAULTS, MEMBER_COLUMNS, frequency_label
from tdlib.figures.selection import shown_arms
from tdlib.planning import MPPI, Planner, RandomInputs
from tdlib.speed import prepared
from tdlib.study import clock
from tdlib.study.parts import member_name, rows_of
from tdlib.study.phases.control_kept import TABLE, Kept
from tdlib.study.phases.stacks import load_stacks
from tdlib.study.phases.train import weight_hash
from tdlib.study.presets import Preset
from tdlib.study.progress import Progress
from tdlib.study.provenance import Result, sources_of
from tdlib.study.run import Run
from tdlib.study.selection import NO_MODEL, Member, Selection, arms_of, everything
from tdlib.systems import SYSTEMS, System

LARGEST_BATCH = 512  # episodes run together; more only grow the working set
ORACLE, RANDOM = "oracle", "random"
Returns = dict[tuple[str, str, int], list[float]]  # of the oracle, by control rate, planner and seed


@dataclass(frozen=True)
class Setting:
    """Episodes that are run together, as they share their times.

    Args:
        rate: Control rate [Hz].
        planner: Finds the plans.
        arms: `all`, only the few of `shown_arms` (`axes`), or `none`.
        model_rate: Rate of the model step [Hz]; None is the control rate, and then the oracle is run too.
    """

    rate: float
    planner: Planner
    arms: str = "all"
    model_rate: float | None = None

    @property
    def labels(self) -> tuple[str, str, str]:
        """Control rate, model step and planner as rows name them."""
        return frequency_label(self.rate), frequency_label(self.model_rate or self.rate), self.planner.name

    def covers(self, key: dict) -> bool:
        """Whether an arm of these key columns takes part."""
        return self.arms == "all" or self.arms == "axes" and on_axes(key)


@clock.part("control")
def control_environment(run: Run, env: str, chosen: Selection | None = None) -> pd.DataFrame:
    """Run the closed-loop episodes that are missing; return control_performance rows of what was chosen.

    Args:
        run: Preset and folders.
        env: One of the preset's environments.
        chosen: A part of the grid; None for all of it.
    """
    env, chosen = run.select_environment(env), (chosen or everything(run)).on(env).acting
    system, settings = SYSTEMS[env], control_settings(run, env)
    oracle = run_oracle(run, system, settings, chosen.seeds)
    main = settings[0].planner.name
    limits = planner_limits(oracle[oracle["method"] == ORACLE])
    parts = {model: _kept(run, env, model, settings) for model in chosen.models}
    members = [member for model in chosen.models for member in chosen.members(model)]
    batches = list(_batches(members, run.preset.control.episodes_per_seed))
    progress, done, total = Progress(f"control {env}"), 0, len(batches) * len(settings)
    for batch in batches:
        ready = Ready(run, env)
        for setting in settings:
            progress(done, total)
            done += 1
            lacking = [
                (arm, seed)
                for arm, seed in batch
                if setting.covers(arm.keys()) and parts[arm.model].lacks(unit_name(arm.keys(), seed, setting))
            ]
            for model, units, result, rows in _run(run, system, setting, ready.of(lacking), _returns(oracle)):
                parts[model].add(units, result, rows)
    progress(total, total)
    for part in parts.values():
        part.write(lambda table: marked(table, limits, main))
    frames = [oracle]
    for model, part in parts.items():
        frames.append(rows_of(part.table(), {member_name(*member) for member in chosen.members(model)}))
    made = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
    if chosen.label or not run.preset.taken:
        return made
    return marked_by_all(run.with_taken(TABLE, made, env))


def run_oracle(run: Run, system: System, settings: Sequence[Setting], seeds: Sequence[int]) -> pd.DataFrame:
    """Run what is missing of the oracle's and the random inputs' episodes of some seeds; return the rows that stand."""
    control = run.preset.control
    part = _kept(run, system.spec.name, NO_MODEL, settings)
    main = settings[0].planner.name
    for setting in (setting for setting in settings if setting.model_rate is None):
        inputs = replace(setting, planner=RandomInputs())
        for method, own, episodes in (
            (ORACLE, setting, oracle_episodes(run.preset, system, setting)),
            (RANDOM, inputs, control.episodes_per_seed),
        ):
            lacking = [seed for seed in seeds if part.lacks(unit_name(_key(method), seed, own))]
            if lacking:
                result = _episodes(run, system, own, Oracle(system), lacking, episodes)
                reference = result.episode_return
                if method == RANDOM:
                    found = _returns(part.table())
                    reference = _stacked(found, setting.rate, main, lacking, episodes)
                keys = [_key(method) | {"env": system.spec.name, "seed": seed} for seed in lacking]
                units = [unit_name(_key(method), seed, own) for seed in lacking]
                part.add(units, result, control_rows(result, keys, reference))
    part.write(lambda table: marked(table, planner_limits(table[table["method"] == ORACLE]), main))
    return part.table()


def control_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean return, success and regret of each arm at each control rate, with the model step of the control rate.

    An episode without a finite return leaves no mean; `planner_limited` says where even the oracle often fails.
    """
    main = table[(table["planner"] != "mppi") & (table["model_frequency"] == table["control_frequency"])]
    main = main.assign(planner_limited=main["planner_limited"].astype(str) == "True")  # empty where not decided
    grouped = main.groupby([*ARM_COLUMNS, "control_frequency"], sort=False)
    means = grouped[["episode_return", "success", "regret"]].mean(skipna=False) + 0.0  # without −0
    return means.assign(planner_limited=grouped["planner_limited"].any(), episodes=grouped.size())


def control_settings(run: Run, env: str) -> list[Setting]:
    """What is run: all arms at the main rates; the few at further rates, at other model steps, and under MPPI.

    The planner is the preset's, which is the one that the system's task declares.
    """
    control = run.preset.control
    main, extra = control.frequencies, control.extra_frequencies
    own = run.preset.planner(env)
    others = [MPPI(population=control.num_samples)] if control.compare_mppi and own.name != MPPI.name else []
    steps = [(rate, step) for rate in main for step in main if step != rate and _fits(rate, step)]
    return [
        *(Setting(rate, own) for rate in main),
        *(Setting(rate, own, "axes") for rate in extra),
        *(Setting(rate, own, "axes", step) for rate, step in steps),
        *(Setting(rate, planner, "axes") for planner in others for rate in main),
        *(Setting(rate, planner, "none") for planner in others for rate in extra),
    ]


def oracle_episodes(preset: Preset, system: System, setting: Setting) -> int:
    """Return the oracle's episodes per seed: enough for a mark under the system's own planner, else as arms have."""
    own = setting.planner.name == system.planning.planner
    return preset.control.oracle_episodes(len(preset.seeds)) if own else preset.control.episodes_per_seed


def on_axes(key: dict) -> bool:
    """Whether an arm is one of the few whose training rate, model step, control rate and planner vary separately."""
    arm = (key["model"], key["method"], key["form"], key["train_frequency"])
    return arm in shown_arms() and key["size"] == "hidden64" and key["data"] == "transitions"


def unit_name(key: Mapping[str, object], seed: int, setting: Setting) -> str:
    """Name one arm, seed and setting as `UNIT_COLUMNS` of its rows do."""
    return "/".join([*(str(key[name]) for name in MEMBER_COLUMNS if name != "seed"), str(seed), *setting.labels])


class Ready:
    """Members of a batch as models that are ready to predict, loaded when they are first asked for."""

    def __init__(self, run: Run, env: str):
        self._run, self._env = run, env
        self._loaded: dict[tuple[Member, ...], list[tuple[tuple[Member, ...], Dynamics]]] = {}

    def of(self, members: Sequence[Member]) -> list[tuple[tuple[Member, ...], Dynamics]]:
        """Return stacks, each with its members."""
        key = tuple(members)
        if key not in self._loaded:
            models = dict.fromkeys(arm.model for arm, _ in members)
            self._loaded[key] = [
                (stack.members, prepared(stack.dynamics))
                for model in models
                for stack in load_stacks(
                    self._run, self._env, [member for member in members if member[0].model == model]
                )
            ]
        return self._loaded[key]


def _run(
    run: Run,
    system: System,
    setting: Setting,
    stacks: Sequence[tuple[tuple[Member, ...], Dynamics]],
    oracle: Returns,
) -> Iterator[tuple[str, list[str], ControlResult, list[dict]]]:
    """Run the members of some stacks side by side; yield model, units, their episodes, and rows."""
    if not stacks:
        return
    members = [member for own, _ in stacks for member in own]
    episodes, seeds = run.preset.control.episodes_per_seed, [seed for _, seed in members]
    dynamics = SideBySide([part for _, part in stacks], [len(own) for own, _ in stacks])
    result = _episodes(run, system, setting, dynamics, seeds, episodes)
    reference = _stacked(oracle, setting.rate, setting.planner.name, seeds, episodes)
    keys = [{"env": system.spec.name, **arm.keys(), "seed": seed} for arm, seed in members]
    rows = control_rows(result, keys, reference, setting.model_rate)
    for model in dict.fromkeys(arm.model for arm, _ in members):
        own = [m for m, (arm, _) in enumerate(members) if arm.model == model]
        units = [unit_name(members[m][0].keys(), members[m][1], setting) for m in own]
        yield model, units, result.members(own), [row for row in rows if row["model"] == model]


def _episodes(
    run: Run, system: System, setting: Setting, dynamics: Dynamics, seeds: Sequence[int], episodes: int
) -> ControlResult:
    """Run the episodes of one setting, one member per entry of `seeds`, from the starts of its seed."""
    return episodes_from(run, system, setting, dynamics, seeds, *starts_of_seeds(system, episodes, seeds))


def episodes_from(
    run: Run,
    system: System,
    setting: Setting,
    dynamics: Dynamics,
    seeds: Sequence[int],
    starts: Tensor,
    parameters: Tensor | None,
) -> ControlResult:
    """Run episodes as the preset and a setting say, from given starts (M, E, D) and parameters (M, E, P)."""
    control = run.preset.control
    return evaluate_control(
        dynamics,
        system,
        setting.rate,
        starts,
        num_members=len(seeds),
        seeds=seeds,
        parameters=parameters,
        planner=setting.planner,
        settings=ControlSettings(
            replan_interval=control.replan_seconds,
            duration=control.episode_seconds,
            model_delta_t=None if setting.model_rate is None else delta_t_of(setting.model_rate),
            device=run.device,
        ),
    )


def _kept(run: Run, env: str, model: str, settings: Sequence[Setting]) -> Kept:
    """Return what stands of one model, or of what has none."""
    models = [] if model == NO_MODEL else [model]
    roots = (__name__, "tdlib.study.phases.control_kept", "tdlib.study.phases.stacks", "tdlib.study.arms")
    result = Result(
        run.layout.part(TABLE, f"{env}-{model}").with_suffix(".yaml"),
        sources=sources_of(*roots, system=env, models=models),
        env=env,
        model=model,
        control=run.preset.control.model_dump(),
        axes=shown_arms(),
    )
    arms = [arm for arm in arms_of(run.preset, env) if models and arm.model == model and arm.acts]
    weights = {(arm, seed): weight_hash(run, env, arm, seed) for arm in arms for seed in run.preset.own_seeds_of(arm)}
    units: dict[str, object] = {}
    for setting in settings:
        if model == NO_MODEL and setting.model_rate is None:
            for seed in run.preset.own_seeds:
                units[unit_name(_key(ORACLE), seed, setting)] = oracle_episodes(run.preset, SYSTEMS[env], setting)
                units[unit_name(_key(RANDOM), seed, replace(setting, planner=RandomInputs()))] = None
        covered = {member: made for member, made in weights.items() if setting.covers(member[0].keys())}
        units |= {unit_name(arm.keys(), seed, setting): made for (arm, seed), made in covered.items()}
    return Kept(result, units, run, env, model)


def _key(method: str) -> dict[str, object]:
    return {**ARM_DEFAULTS, "method": method, "size": "none", "data": "none"}


def _returns(table: pd.DataFrame) -> Returns:
    """Collect the oracle's returns of each seed, in the order of its episodes, with the digits of the table."""
    own = table[table["method"] == ORACLE].sort_values("episode", kind="stable")
    cells = own.groupby(["control_frequency", "planner", "seed"], sort=False)["episode_return"]
    return {(rate, planner, int(seed)): returns.tolist() for (rate, planner, seed), returns in cells}


def _stacked(oracle: Returns, rate: float, planner: str, seeds: Sequence[int], episodes: int) -> Tensor:
    """Return the oracle's returns from the starts of each seed: (M, E)."""
    found = [oracle[frequency_label(rate), planner, seed][:episodes] for seed in seeds]
    return torch.tensor(found, dtype=torch.float64)


def _batches(members: Sequence[Member], episodes: int) -> Iterator[list[Member]]:
    """Split members so that no more than `LARGEST_BATCH` episodes run together.

    The parts are the same whatever stands already: what runs beside an episode decides its predictions' last bits.
    """
    size = max(1, LARGEST_BATCH // episodes)
    for begin in range(0, len(members), size):
        yield list(members[begin : begin + size])


def _fits(rate: float, model_rate: float) -> bool:
    """Whether one step is a whole multiple of the other."""
    slow, fast = max(delta_t_of(rate), delta_t_of(model_rate)), min(delta_t_of(rate), delta_t_of(model_rate))
    try:
        num_steps(slow, fast)
    except ValueError:
        return False
    return True
