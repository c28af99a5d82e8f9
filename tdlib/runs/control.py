"""Phase 3, closed loop: every arm plans on the real system at every rate, beside the oracle and random inputs."""

from collections.abc import Sequence

import pandas as pd

from tdlib.envs import SYSTEMS, System
from tdlib.evaluation.control import (
    ControlResult,
    ControlSettings,
    Dynamics,
    Oracle,
    control_rows,
    control_starts,
    evaluate_control,
    recorded,
)
from tdlib.evaluation.tables import ARM_DEFAULTS, frequency_label, read_table, write_table
from tdlib.planning import CEM, MPPI, Planner, RandomInputs
from tdlib.runs.files import Stamp, source_hash
from tdlib.runs.progress import Progress
from tdlib.runs.run import Run
from tdlib.runs.stacks import StackOfArms, load_arm_stacks, training_hashes
from tdlib.trajectories import delta_t_of, num_steps

# the few arms whose training rate, model step and control rate vary separately, and which also run under MPPI
AXES_ARMS = (
    ("jump", "baseline", "none", "20"),
    ("jump", "rescaled", "none", "20"),
    ("jump", "multi_resolution", "scaled_concat", "mixed"),
    ("newtonian", "ode", "rk4", "20"),
)
NO_MODEL = "none"
Oracles = dict[tuple[float, str], ControlResult]  # (control rate, planner) -> the true system's episodes


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
    stamps = {
        NO_MODEL: _stamp(run, env, NO_MODEL),
        **{
            model: _stamp(run, env, model, seeds=seeds, weights=training_hashes(run, env, model, seeds))
            for model in models
        },
    }
    missing = [name for name, stamp in stamps.items() if not stamp.is_current()]
    if missing:
        system = SYSTEMS[env]
        progress = Progress(f"control {env}")
        oracles = _oracles(run, system)
        for i, name in enumerate(missing):
            progress(i, len(missing))
            rows = _reference_rows(run, system, oracles) if name == NO_MODEL else []
            for stack in [] if name == NO_MODEL else load_arm_stacks(run, env, [name], seeds):
                dynamics = recorded(stack.dynamics)
                for rate in run.preset.control.frequencies:
                    rows += _episodes_of(run, system, stack.keys, dynamics, rate, oracles)
                rows += _axes_rows(run, system, stack, oracles)
            write_table(run.layout.part("control_performance", f"{env}-{name}"), pd.DataFrame(rows))
            stamps[name].write()
        progress(len(missing), len(missing))
    parts = [read_table(run.layout.part("control_performance", f"{env}-{name}")) for name in stamps]
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


def _rates(run: Run) -> tuple[float, ...]:
    return (*run.preset.control.frequencies, *run.preset.control.extra_frequencies)


def _stamp(run: Run, env: str, name: str, **more: object) -> Stamp:
    return Stamp(
        run.layout.part("control_performance", f"{env}-{name}").with_suffix(".yaml"),
        control=run.preset.control.model_dump(),
        source=source_hash("envs", "planning", "evaluation", "models"),
        **more,
    )


def _oracles(run: Run, system: System) -> Oracles:
    """The oracle's episodes at every rate and under both planners."""
    settings, planner = _settings(run)
    starts = control_starts(system, _episodes(run))
    results = {}
    for rate in _rates(run):
        for chosen in _planners(run, planner):
            results[rate, chosen.name] = evaluate_control(
                Oracle(system), system, rate, starts, planner=chosen, settings=settings
            )
    return results


def _planners(run: Run, planner: CEM) -> list[Planner]:
    return [planner, MPPI(population=planner.population)] if run.preset.control.compare_mppi else [planner]


def _reference_rows(run: Run, system: System, oracles: Oracles) -> list[dict]:
    """Rows of the oracle and of random inputs; they do not depend on any training."""
    settings, _ = _settings(run)
    starts, env = control_starts(system, _episodes(run)), system.spec.name
    rows = []
    for (rate, planner), result in oracles.items():
        rows += control_rows(result, [_key(env, "oracle")], result)
        if planner == "cem":
            random = evaluate_control(Oracle(system), system, rate, starts, planner=RandomInputs(), settings=settings)
            rows += control_rows(random, [_key(env, "random")], result)
    return rows


def _key(env: str, method: str) -> dict[str, object]:
    return {**ARM_DEFAULTS, "env": env, "method": method, "size": "none", "data": "none"}


def _episodes_of(
    run: Run,
    system: System,
    keys: list[dict],
    dynamics: Dynamics,
    rate: float,
    oracles: Oracles,
    model_rate: float | None = None,
    planner: Planner | None = None,
) -> list[dict]:
    settings, cem = _settings(run)
    planner = planner or cem
    result = evaluate_control(
        dynamics,
        system,
        rate,
        control_starts(system, _episodes(run)),
        num_members=len(keys),
        planner=planner,
        settings=settings,
        model_delta_t=None if model_rate is None else delta_t_of(model_rate),
        device=run.device,
    )
    rows = control_rows(result, keys, oracles[rate, planner.name])
    return [{**row, "model_frequency": frequency_label(model_rate or rate)} for row in rows]


def _axes_rows(
    run: Run, system: System, stack: StackOfArms, oracles: Oracles
) -> list[dict]:
    """Rows of the few arms at further rates, at other model steps, and under MPPI."""
    chosen = stack.select(
        lambda key: (key["model"], key["method"], key["form"], key["train_frequency"]) in AXES_ARMS
        and key["size"] == "hidden64"
        and key["data"] == "transitions"
    )
    if chosen is None:
        return []
    rows, keys, dynamics = [], chosen.keys, recorded(chosen.dynamics)
    frequencies = run.preset.control.frequencies
    for rate in run.preset.control.extra_frequencies:
        rows += _episodes_of(run, system, keys, dynamics, rate, oracles)
    for rate in frequencies:
        for model_rate in frequencies:
            if model_rate != rate and _fits(rate, model_rate):
                rows += _episodes_of(run, system, keys, dynamics, rate, oracles, model_rate=model_rate)
    for planner in _planners(run, _settings(run)[1])[1:]:  # beside CEM, which every arm has run
        for rate in frequencies:
            rows += _episodes_of(run, system, keys, dynamics, rate, oracles, planner=planner)
    return rows


def _fits(rate: float, model_rate: float) -> bool:
    """Whether one step is a whole multiple of the other."""
    slow, fast = max(delta_t_of(rate), delta_t_of(model_rate)), min(delta_t_of(rate), delta_t_of(model_rate))
    try:
        num_steps(slow, fast)
    except ValueError:
        return False
    return True
