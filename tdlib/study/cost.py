"""What a preset asks for, counted from its numbers, and what that costs where unit costs were measured.

    seconds = Σ over kinds of work: count × measured seconds per unit

The counts follow from the preset alone: transitions collected, optimizer steps times models, test transitions
predicted, transitions imagined by planners. They are upper bounds where a run may stop early (a member whose validation
no longer improves, an episode that ends). Unit costs come from `tests/benchmarks/bench_scaling.py` on the machine
itself.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from tdlib.core.facts import MODES, method_and_mode
from tdlib.core.time_grid import delta_t_of, steps_within
from tdlib.data.sources.mujoco import MACHINES
from tdlib.data.sources.partly_seen import parts_of_name
from tdlib.data.sources.ppo_settings import has_ppo
from tdlib.evaluation.control.plans import knot_clock
from tdlib.evaluation.measures.imagined import NUM_WINDOWS, WINDOW
from tdlib.evaluation.sets.schedules import nominal_delta_t
from tdlib.models import find_family
from tdlib.planning import Planner, inputs_of, planning_steps
from tdlib.study.arms import Arm
from tdlib.study.chapters import STUDY, load_chapter
from tdlib.study.chapters.expected import sees_pictures
from tdlib.study.layout import RunLayout, runs_root
from tdlib.study.phases.control import control_settings, oracle_episodes
from tdlib.study.picture_cost import drawn_unit, num_frames, picture_work
from tdlib.study.presets import Preset
from tdlib.study.run import Run
from tdlib.study.selection import arms_of
from tdlib.systems import SYSTEMS

KINDS = ("collection", "training", "evaluation", "control")  # one phase of the grid each
TRAIN_SHARE = 0.7  # of the transitions are the training split
SHIFT_SHARE = 4  # a quarter of the pairs are of the other policy
ORACLE = "oracle"


def family(arm: Arm) -> str:
    """Name what decides the cost of one step of an arm: the network, and the solver of a field."""
    known = find_family(arm.model)
    if known.form_option == "solver":
        return f"{arm.model} {arm.form}"
    return f"{arm.model} {arm.size}" if any(arms.larger for arms in known.arms) else arm.model


def training_unit(arm: Arm) -> str:
    """Name what decides the cost of one optimizer step: that of `family`, and a mode that is not the usual one.

    A batch of windows that are rolled out, or one that is rolled out and back, costs more than one of transitions.
    """
    _, mode = method_and_mode(arm.method)
    return family(arm) if mode == MODES[0] else f"{family(arm)}, {mode}"


def preset_work(preset: Preset) -> pd.DataFrame:
    """Count the work of a preset alone: kind, env, model, what, count (one row per kind, environment and family)."""
    work = [(env, *each) for env in preset.environments for each in _work_of(preset, env)]
    work += [(name, *each) for name in preset.seen_sets for each in _work_seen(preset, name)]
    rows = [
        {"kind": kind, "env": env, "model": model, "what": what, "count": count}
        for env, kind, model, what, count in work
    ]
    return pd.DataFrame(rows).groupby(["kind", "env", "model", "what"], sort=False, as_index=False)["count"].sum()


def optimizer_steps(preset: Preset, size: str) -> int:
    """Optimizer steps of one member; of a budget in epochs, for the set with most transitions."""
    return preset.training.steps(size, TRAIN_SHARE * preset.collection.num_transitions)


def num_test_transitions(preset: Preset, env: str) -> int:
    """Transitions that one model predicts for one seed: pairs of all sets and rates, rollouts, the chapter's own."""
    evaluation = preset.evaluation
    rates = [*map(str, preset.test_frequencies), "irregular"]
    pairs = evaluation.num_pairs * (len(rates) + len(preset.train_frequencies))
    pairs += max(1, evaluation.num_pairs // SHIFT_SHARE) * len(rates) if has_ppo(env) else 0
    pairs += evaluation.num_pairs * len(rates) if SYSTEMS[env].clips else 0  # those with contacts
    steps = evaluation.num_starts * sum(steps_within(evaluation.horizon, nominal_delta_t(rate)) for rate in rates)
    return pairs + steps + load_chapter(preset.chapter).own_transitions(preset, env)


def num_planned_transitions(
    preset: Preset, env: str, rate: float, planner: Planner, model_rate: float | None = None
) -> int:
    """Transitions that a planner imagines in one episode.

    Args:
        preset: Length of episodes and time between plans.
        env: Environment; its task declares horizon and knots.
        rate: Control rate [Hz].
        planner: Scores plans.
        model_rate: Rate of the model step [Hz]; None is the control rate.
    """
    control, system, delta_t = preset.control, SYSTEMS[env], delta_t_of(rate)
    clock = knot_clock(system, delta_t, delta_t_of(model_rate or rate))
    plans = len(planning_steps(steps_within(control.episode_seconds, delta_t), delta_t, control.replan_seconds))
    return plans * planner.num_scored(inputs_of(system.spec), clock.num_knots) * clock.num_steps


def predict(preset: Preset, units: pd.DataFrame) -> pd.DataFrame:
    """Predict the CPU seconds of every row of `preset_work`; NaN where no unit cost was measured.

    Args:
        preset: What is asked for.
        units: Columns kind, what, seconds, of one device.
    """
    return (
        preset_work(preset)
        .merge(units[["kind", "what", "seconds"]], on=["kind", "what"], how="left")
        .assign(cpu_seconds=lambda table: table["count"] * table["seconds"])
    )


def predicted_hours(presets: Sequence[Preset], units: pd.DataFrame, cores: int) -> dict[str, float]:
    """Predict hours of runs side by side: `cpu` in all, and `wall` on some cores, at least the longest chain of jobs.

    What was not measured counts for nothing; `unmeasured` lists it.
    """
    tables = [(preset, predict(preset, units)) for preset in presets]
    cpu = sum(table["cpu_seconds"].sum() for _, table in tables)
    chain = max(_longest_chain(preset, rows) for preset, table in tables for _, rows in table.groupby("env"))
    return {"cpu": cpu / 3600, "wall": max(cpu / cores, chain) / 3600}


def unmeasured(presets: Sequence[Preset], units: pd.DataFrame) -> list[str]:
    """Name the work of some presets that no unit cost was measured of."""
    table = pd.concat([predict(preset, units) for preset in presets])
    missing = table[table["seconds"].isna()]
    return list(dict.fromkeys(missing["kind"] + ": " + missing["what"]))


def load_units(path: Path | None = None) -> dict[str, pd.DataFrame]:
    """Load the measured unit costs by device; empty if there are none.

    Args:
        path: `scaling.json`; None for that of the last `make bench`.
    """
    path = path or runs_root() / "bench" / "scaling.json"
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return {device: pd.DataFrame(found["units"]) for device, found in content.items() if found.get("units")}


def growth_exponent(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Fit y = c·x^p by least squares in logarithms; return p and its 95 % interval.

    Raises:
        ValueError: If there are fewer than three points, or one is not positive.
    """
    if len(x) < 3 or len(x) != len(y) or min(*x, *y) <= 0:
        raise ValueError(f"x and y must be at least three pairs of positive numbers, got {list(x)} and {list(y)}")
    fit = stats.linregress(np.log(x), np.log(y))
    half = stats.t.ppf(0.975, len(x) - 2) * fit.stderr
    return float(fit.slope), float(fit.slope - half), float(fit.slope + half)


def _work_of(preset: Preset, env: str) -> Iterator[tuple[str, str, str, int]]:
    """Yield (kind, model, what, count) of one environment."""
    seeds, collection = len(preset.own_seeds), preset.collection
    sets = seeds * len(preset.train_frequencies)
    if has_ppo(env):
        yield "collection", "", "PPO transitions", sets * collection.num_transitions
    random = "random transitions" if collection.sequence_length is None else "sequence transitions"
    worlds = 1 + len(preset.frictions(env))
    transitions = worlds * sets * collection.num_random_transitions
    planned = round(preset.planned_share(env) * transitions)
    yield "collection", "", random, transitions - planned
    if planned:
        yield "collection", "", "planned transitions", planned
    yield from picture_work(preset, env, optimizer_steps(preset, "hidden64"))
    arms = [arm for arm in arms_of(preset, env) if arm.source is None or not sees_pictures(arm)]
    for arm in (arm for arm in arms if arm.source == arm):
        yield (
            "training",
            arm.model,
            training_unit(arm),
            len(preset.own_seeds_of(arm)) * optimizer_steps(preset, arm.size),
        )
    chapter = load_chapter(preset.chapter)
    for arm, steps in chapter.own_steps(preset, env).items():
        yield "training", arm.model, training_unit(arm), seeds * steps
    for arm in arms:
        if arm.source is not None:
            own, unit, count = len(preset.own_seeds_of(arm)), family(arm), num_test_transitions(preset, env)
            if preset.pictures is not None:  # what is asked there is drawn, and nothing else is asked
                unit, count = drawn_unit(unit), num_frames(preset)
            yield "evaluation", arm.model, unit, own * count
            yield "evaluation", arm.model, f"{unit}, per model", own
    if not chapter.controls(preset, env):
        return
    for setting in control_settings(Run(preset, RunLayout.of(preset.name)), env):
        each = num_planned_transitions(preset, env, setting.rate, setting.planner, setting.model_rate)
        if setting.model_rate is None:
            yield "control", "", ORACLE, seeds * oracle_episodes(preset, SYSTEMS[env], setting) * each
        for arm in arms:
            if arm.acts and chapter.plans(arm) and setting.covers(arm.keys()):
                episodes = len(preset.own_seeds_of(arm)) * preset.control.episodes_per_seed
                yield "control", arm.model, family(arm), episodes * each


def _work_seen(preset: Preset, name: str) -> Iterator[tuple[str, str, str, int]]:
    """Yield (kind, model, what, count) of one partly seen set: what drives it, its one rate, and long predictions."""
    group, seeds = preset.seen_sets[name], len(preset.seeds_seen(name))
    driven, _ = parts_of_name(name)
    if driven in SYSTEMS:
        yield "collection", "", "random transitions", seeds * group.num_transitions
    else:
        machine = MACHINES[driven]
        yield "collection", "", f"{machine.env_id} transitions", seeds * group.num_transitions
        if machine.scripted is None:
            yield "collection", "", f"{machine.env_id} decisions learned from", seeds * group.training_decisions
    steps = steps_within(NUM_WINDOWS * WINDOW + group.imagined, delta_t_of(group.rate))
    for arm in (arm for arm in arms_of(preset, name) if arm.source == arm):
        yield "training", arm.model, training_unit(arm), seeds * optimizer_steps(preset, arm.size)
        yield "evaluation", arm.model, family(arm), seeds * preset.evaluation.num_starts * steps
        yield "evaluation", arm.model, f"{family(arm)}, per model", seeds


def _longest_chain(preset: Preset, rows: pd.DataFrame) -> float:
    """Seconds of the jobs of one environment that wait for each other."""
    seconds, count = {}, preset.seeds_per_cell
    for kind in KINDS:
        parts = rows[rows["kind"] == kind].groupby("model")["cpu_seconds"].sum()
        if count is None or (preset.chapter != STUDY and kind not in KINDS[:2]):
            seconds[kind] = parts.sum()  # in one job
        elif kind == KINDS[0]:
            seconds[kind] = parts.sum() / len(preset.own_seeds)
        elif preset.chapter == STUDY:
            seconds[kind] = parts.max()  # one block of seeds after the other
        else:
            seconds[kind] = parts.max() * min(1.0, count / len(preset.own_seeds))
    first, second, *rest = (seconds[kind] for kind in KINDS)
    return first + second + max(rest)
