"""The analytic limits of a run: what perfect learning would score on the same test states."""

from collections.abc import Sequence

import pandas as pd
import torch

from tdlib.core.time_grid import delta_t_of
from tdlib.evaluation.tables import frequency_label, read_table
from tdlib.study.limits import fixed_step_limit, interpolation_limit, rescaled_limit
from tdlib.study.phases.collect import data_hashes
from tdlib.study.phases.evaluate import load_test_set
from tdlib.study.provenance import Result, sources_of
from tdlib.study.run import Run
from tdlib.systems import SYSTEMS

INTERPOLATING_FORMS = ("concat", "scaled", "scaled_concat", "log_tau")


def limit_curves(run: Run, env: str, seeds: Sequence[int] = ()) -> pd.DataFrame:
    """Compute the limits on the pooled test states of all seeds, once per run.

    Args:
        run: Preset and folders.
        env: One of the preset's environments.
        seeds: Some of the preset's seeds, whose limits are computed and not kept; empty for all.

    Returns:
        Rows of env, limit ("fixed_step", "rescaled", "interpolation <form>"), train_frequency, test_frequency,
        relative_error, n (states).
    """
    env, seeds = run.select_environment(env), run.select_seeds(seeds)
    if seeds != run.preset.seeds:
        return _curves(run, env, seeds)
    path = run.layout.part("limits", env)
    result = Result(
        path.with_suffix(".yaml"),
        sources=sources_of(__name__, "tdlib.study.phases.evaluate", "tdlib.study.limits", system=env),
        env=env,
        seeds=seeds,
        evaluation=run.preset.evaluation.model_dump(),
        rates=run.preset.test_frequencies,
        data=data_hashes(run, env, seeds, "test"),
    )
    if not result.is_current():
        result.record([run.save_part("limits", env, _curves(run, env, seeds))])
    return read_table(path)


def _curves(run: Run, env: str, seeds: Sequence[int]) -> pd.DataFrame:
    system = SYSTEMS[env]
    pairs = [load_test_set(run, env, seed).pairs["pooled"] for seed in seeds]
    state = torch.cat([part.state[0] for part in pairs])
    action = torch.cat([part.action[0] for part in pairs])
    trained = [delta_t_of(rate) for rate in run.preset.train_frequencies]
    rows = []

    def add(limit: str, train: str, test: float, value: float) -> None:
        rows.append(
            {
                "env": env,
                "limit": limit,
                "train_frequency": train,
                "test_frequency": frequency_label(test),
                "relative_error": value,
                "n": len(state),
            }
        )

    for test in run.preset.test_frequencies:
        delta_t = delta_t_of(test)
        for train, h in zip(run.preset.train_frequencies, trained, strict=True):
            label = frequency_label(train)
            add("fixed_step", label, test, fixed_step_limit(system, state, action, h, delta_t))
            add("rescaled", label, test, rescaled_limit(system, state, action, h, delta_t))
        for form in INTERPOLATING_FORMS if len(trained) > 1 else ():
            value = interpolation_limit(system, state, action, delta_t, form, trained)
            add(f"interpolation {form}", "mixed", test, value)
    return pd.DataFrame(rows)
