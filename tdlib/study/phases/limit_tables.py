"""The analytic limits of a run: what perfect learning would score on the same test pairs, for every train × test rate.

A measured error minus the limit of its arm and seed is its excess: what training, data and capacity answer for.
"""

import contextlib
from collections.abc import Iterator, Sequence

import pandas as pd
from torch import Tensor

from tdlib.core.facts import FRICTION, LOG_FORMS, MIXED
from tdlib.core.time_grid import delta_t_of, num_steps
from tdlib.data import DatasetError
from tdlib.evaluation.measures.consistency import FREQUENCY_PAIRS, NUM_PAIRS
from tdlib.evaluation.sets.pairs import PairSet
from tdlib.evaluation.tables import frequency_label, read_table
from tdlib.study.limits import (
    defect_limit,
    fixed_step_limit,
    hidden_parameter_limit,
    interpolation_limit,
    newton_limit,
    rescaled_limit,
    typical,
)
from tdlib.study.phases.collect import data_hashes
from tdlib.study.phases.evaluate import load_pairs
from tdlib.study.provenance import Result, answers_for, commit_of_memory, sources_of
from tdlib.study.run import Run
from tdlib.study.selection import arms_of
from tdlib.systems import SYSTEMS, System

NEWTON_ORDERS = (2, 3)
Limit = tuple[str, str, str, str, float, int]  # limit, train and test rate, detail, value, number of pairs
INTERPOLATING_FORMS = ("concat", "scaled", "scaled_concat", *LOG_FORMS)


def limit_curves(run: Run, env: str, seeds: Sequence[int] = ()) -> pd.DataFrame:
    """Compute the limits on the pooled test pairs of each seed, once per run; of series and forms that an arm has.

    Args:
        run: Preset and folders.
        env: One of the preset's environments.
        seeds: Some of the preset's seeds; empty for all.

    Returns:
        Rows of env, limit ("fixed_step", "rescaled", "newton_<order>", "interpolation <form>"; of systems whose
        parameters are drawn "hidden_parameters", the others then at their mean, and with "friction<factor>" before it
        where variations ask for other losses; these with "shift" before them on the states of another policy, where
        there are; "defect fixed_step", "defect rescaled"), train_frequency,
        test_frequency, detail (the two rates of a defect), seed, relative_error, n (pairs; those that touch a limit
        that a simulator clips at are left out, as in the tests).
    """
    env, seeds = run.select_environment(env), run.select_seeds(seeds)
    path = run.layout.part("limits", env)
    result = Result(
        path.with_suffix(".yaml"),
        sources=sources_of(__name__, "tdlib.study.phases.evaluate", "tdlib.study.limits", system=env),
        env=env,
        evaluation=run.preset.evaluation.model_dump(exclude_none=True),
        rates=run.preset.test_frequencies,
        frictions=run.preset.frictions(env),
    )
    made_from: dict[str, object] = {}
    for seed in run.preset.own_seeds:
        with contextlib.suppress(DatasetError):  # another seed need not be there yet
            made_from[str(seed)] = data_hashes(run, env, [seed], "test")
    standing = result.standing(made_from)
    answers_for(result.stamp, map(str, seeds))
    if missing := [seed for seed in seeds if str(seed) not in standing]:
        parts = [_curves(run, env, missing).assign(git_commit=commit_of_memory())]
        if standing:
            before = read_table(path)
            parts.append(before[before["seed"].astype(str).isin(standing)])
        table = pd.concat(parts, ignore_index=True).sort_values("seed", kind="stable")
        now = standing | set(map(str, missing))
        files = [run.save_part("limits", env, table, shared=True)]
        result.record(files, members={seed: data for seed, data in made_from.items() if seed in now})
    table = read_table(path)
    own = table[table["seed"].isin(seeds)].reset_index(drop=True)
    return run.with_taken("limits", own, env) if seeds == run.preset.own_seeds else own


def _curves(run: Run, env: str, seeds: Sequence[int]) -> pd.DataFrame:
    rows = []
    for seed in seeds:
        sets = load_pairs(run, env, seed)
        found = [*_limits(run, SYSTEMS[env], sets["pooled"]), *_defects(run, typical(SYSTEMS[env]), sets["pooled"])]
        if "shift" in sets:
            found += [(f"shift {row[0]}", *row[1:]) for row in _limits(run, SYSTEMS[env], sets["shift"])]
        for factor in run.preset.frictions(env):
            system, pairs = SYSTEMS[env].with_losses(factor), load_pairs(run, env, seed, factor)["pooled"]
            labels = map(frequency_label, run.preset.test_frequencies if system.parameter_ranges else ())
            hidden = [_hidden(system, pairs, label, *_kept(system, pairs, label)) for label in labels]
            found += [(f"{FRICTION}{factor:g} {row[0]}", *row[1:]) for row in hidden]
        for limit, train, test, detail, value, count in found:
            rows.append(
                {
                    "env": env,
                    "limit": limit,
                    "train_frequency": train,
                    "test_frequency": test,
                    "detail": detail,
                    "seed": seed,
                    "relative_error": value,
                    "n": count,
                }
            )
    return pd.DataFrame(rows)


def _limits(run: Run, system: System, pairs: PairSet) -> Iterator[Limit]:
    rates, arms = _trained_rates(run), arms_of(run.preset)
    trained = [h for _, h in rates]
    orders = [order for order in NEWTON_ORDERS if f"newton_{order}" in {arm.method for arm in arms}]
    forms = [form for form in INTERPOLATING_FORMS if form in {arm.form for arm in arms}]
    drawn, system = system, typical(system)
    for test in run.preset.test_frequencies:
        label, delta_t = frequency_label(test), delta_t_of(test)
        state, action = _kept(system, pairs, label)
        if drawn.parameter_ranges:
            yield _hidden(drawn, pairs, label, state, action)
        for train, h in rates:
            yield "fixed_step", train, label, "", fixed_step_limit(system, state, action, h, delta_t), len(state)
            yield "rescaled", train, label, "", rescaled_limit(system, state, action, h, delta_t), len(state)
            for order in orders:
                value = newton_limit(system, state, action, h, delta_t, order)
                yield f"newton_{order}", train, label, "", value, len(state)
        for form in forms if len(trained) > 1 else ():
            value = interpolation_limit(system, state, action, delta_t, form, trained)
            yield f"interpolation {form}", MIXED, label, "", value, len(state)


def _hidden(system: System, pairs: PairSet, label: str, state: Tensor, action: Tensor) -> Limit:
    """What the exact flow at the mean of the drawn parameters scores on pairs that count."""
    truth = pairs.increment[pairs.rates.index(label)][_keeps(system, pairs, label)]
    value = hidden_parameter_limit(system, state, action, delta_t_of(float(label)), truth)
    return "hidden_parameters", "", label, "", value, len(state)


def _defects(run: Run, system: System, pairs: PairSet) -> Iterator[Limit]:
    rates = _trained_rates(run)
    for fine, coarse in FREQUENCY_PAIRS:
        if fine not in pairs.rates or coarse not in pairs.rates:
            continue
        state, action = _kept(system, pairs, coarse, NUM_PAIRS)
        delta_t = delta_t_of(float(coarse))
        count = num_steps(delta_t, delta_t_of(float(fine)))
        for train, h in rates:
            for name, rescaled in (("fixed_step", False), ("rescaled", True)):
                value = defect_limit(system, state, action, h, delta_t, count, rescaled=rescaled)
                yield f"defect {name}", train, coarse, f"{fine}->{coarse}", value, len(state)


def _trained_rates(run: Run) -> list[tuple[str, float]]:
    """Labels and steps [s] of the training rates."""
    return [(frequency_label(rate), delta_t_of(rate)) for rate in run.preset.train_frequencies]


def _kept(system: System, pairs: PairSet, label: str, count: int | None = None) -> tuple[Tensor, Tensor]:
    """States and inputs of the pairs, the first `count`, that count."""
    place, kept = pairs.rates.index(label), _keeps(system, pairs, label, count)
    return pairs.state[place, :count][kept], pairs.action[place, :count][kept]


def _keeps(system: System, pairs: PairSet, label: str, count: int | None = None) -> Tensor:
    """Whether a pair counts: where a simulator clips, those that touch no limit within one interval; impacts count."""
    hit = pairs.limit_hit[pairs.rates.index(label), :count]
    return ~hit if system.clips else hit.new_ones(hit.shape)
