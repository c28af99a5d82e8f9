"""One long table of what was measured per seed: intervals, contrasts and predictions all read this one."""

from collections.abc import Mapping

import pandas as pd

from tdlib.core.facts import data_of
from tdlib.evaluation.tables import ARM_COLUMNS, ARM_DEFAULTS, at_time, frequency_label
from tdlib.study.limits import limit_of

ARM_AT_RATE = ["env", *ARM_COLUMNS, "test_frequency"]
KEYS = ["metric", *ARM_AT_RATE, "detail"]  # identify one number, up to the seed
COLUMNS = [*KEYS, "seed", "value", "n"]
ROLLOUT_TIMES = (0.5, 1.0)  # [s]
IMAGINED_TIMES = (0.5, 1.0, 3.0, 5.0, 10.0)  # [s] at which a window of a long prediction ends
SUCCESS = "control.success"  # the one measure that is a share of episodes
# shares of pairs or of trainings, which can be 0 and then have no logarithm
COVERAGE = ("coverage_50", "coverage_80", "coverage_95")
SHARES = (
    *(f"calibration.{name}" for name in COVERAGE), "ensemble.alarms", "ensemble.missed", "ablations.finite",
    "ablations.stopped", "ablations.refused",
)  # fmt: skip
BESIDE = ("ppo", "contacts", "shift")  # test sets that are quoted beside the pooled one
OF_ABLATIONS = (
    "train_loss", "val_loss", "gap", "grad_norm", "first_step", "last_step", "finite", "stopped", "refused",
    "off_circle",
)  # fmt: skip
OF_PICTURES = (
    "mse", "psnr", "ssim", "ball_error", "valid_time", "latent_error", "latent_nats", "q_motion", "energy_drift",
)  # fmt: skip
BESIDE_PICTURES = (  # what else is scored in pictures -> its name in metrics
    ("model_repeated", "repeated"), ("model_teacher_forced", "teacher_forced"),
    ("model_reconstruction", "reconstruction"), ("copy_last", "copy_last"), ("mean_image", "mean_image"),
    ("model_back", "back"), ("copy_last_back", "copy_back"),
)  # fmt: skip
LIMIT = "limit."  # begins the names of what perfect learning would score
BELOW_ZERO = (  # of the rest, an interval ends at 0
    "one_step.excess", "imagined.nll", "control.return", "control.regret",
    "field.divergence_error", "field.growth", "field.step_growth",
)  # fmt: skip


def measure(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Gather every measure that the book quotes, one row per arm, test rate, detail and seed.

    Args:
        tables: Merged result tables by name; those that a run lacks are left out.

    Returns:
        Columns metric, env, the arm, test_frequency, detail, seed, value, n (values behind it).
    """
    parts = [
        *_one_step(tables.get("one_step_errors"), tables.get("limits")),
        *_rollouts(tables.get("rollout_errors")),
        *_consistency(tables.get("consistency_errors")),
        *_fields(tables.get("field_errors"), tables.get("field_poles")),
        *_control(tables.get("control_performance")),
        *_limits(tables.get("limits")),
        *_alarms(tables.get("ensemble_calibration")),
        *_energy(tables.get("energy_drift")),
        *_sequences(tables.get("dt_generalization")),
        *_known_rows(tables.get("known_rows")),
        *_imagined(tables.get("sliding_windows"), tables.get("interval_calibration")),
        *_ablations(tables.get("ablations")),
        *_visual(tables.get("visual_dt_generalization")),
    ]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def _long(table: pd.DataFrame, metric: str, column: str) -> pd.DataFrame:
    """One measure of a table that has a row per arm, rate, detail and seed."""
    return table.assign(metric=metric, value=table[column].astype(float))[COLUMNS]


def _one_step(errors: pd.DataFrame | None, limits: pd.DataFrame | None) -> list[pd.DataFrame]:
    if errors is None:
        return []
    every = errors[errors["dimension"] == "all"].assign(detail="")
    chosen = every[every["test_set"] == "pooled"]
    parts = [_long(chosen, f"one_step.{name}", name) for name in ("mse", "relative_error")]
    for name in BESIDE:
        parts.append(_long(every[every["test_set"] == name], f"one_step.{name}.relative_error", "relative_error"))
    if limits is not None and "seed" in limits:
        parts.append(_long(_excess(chosen, limits), "one_step.excess", "excess"))
    return parts


def _excess(errors: pd.DataFrame, limits: pd.DataFrame) -> pd.DataFrame:
    """Errors minus what the exact flow scores in the same form on the same pairs, of arms that have such a limit."""
    errors = errors[[data_of(name).friction == 1 for name in errors["data"]]]  # the limits are of the system as it is
    arms = errors[["method", "form", "train_frequency"]].drop_duplicates()
    names = [limit_of(*arm) for arm in arms.itertuples(index=False, name=None)]
    named = errors.merge(arms.assign(limit=names).dropna(subset="limit"), on=list(arms))
    reference = limits[["env", "limit", "train_frequency", "test_frequency", "seed", "relative_error"]]
    keys = ["env", "limit", "train_frequency", "test_frequency", "seed"]
    both = named.merge(reference.rename(columns={"relative_error": "reference"}), on=keys)
    return both.assign(excess=both["relative_error"] - both["reference"])


def _rollouts(errors: pd.DataFrame | None) -> list[pd.DataFrame]:
    if errors is None:
        return []
    chosen = errors[errors["dimension"] == "all"]
    limited = chosen.groupby("env")["truncated"].transform("any")  # scored until the truth leaves its limits
    chosen = chosen[chosen["truncated"] | ~limited]
    chosen = pd.concat([at_time(chosen, time).assign(detail=f"{time:g}") for time in ROLLOUT_TIMES])
    return [_long(chosen, "rollout.relative_error", "relative_error")]


def _consistency(errors: pd.DataFrame | None) -> list[pd.DataFrame]:
    if errors is None:
        return []
    detail = errors["fine_frequency"] + "->" + errors["coarse_frequency"]
    errors = errors.assign(detail=detail, test_frequency=errors["coarse_frequency"])
    return [_long(errors, f"consistency.{name}", name) for name in ("defect", "relative_error")]


def _fields(errors: pd.DataFrame | None, poles: pd.DataFrame | None) -> list[pd.DataFrame]:
    """Errors of velocity fields, and how far the fastest growing pole of each equilibrium is off [1/s]."""
    parts = []
    if errors is not None:
        parts += [
            _long(errors.assign(detail=""), f"field.{name}", name) for name in ("relative_error", "divergence_error")
        ]
    if poles is not None:
        first = poles[poles["pole"] == 0].assign(detail=lambda table: table["equilibrium"], n=1)
        for name, column in (("growth", "real"), ("step_growth", "real_step")):
            parts.append(_long(first.assign(off=first[column] - first["real_true"]), f"field.{name}", "off"))
    return parts


def _control(episodes: pd.DataFrame | None) -> list[pd.DataFrame]:
    """Mean over the episodes of each seed, the planner's and model's steps as the main comparison has them."""
    if episodes is None:
        return []
    main = episodes[
        (episodes["planner"] != "mppi") & (episodes["model_frequency"] == episodes["control_frequency"])
    ].assign(detail="")
    parts = []
    for name, column in (("return", "episode_return"), ("success", "success"), ("regret", "regret")):
        valued = main.dropna(subset=[column]).assign(value=lambda table, c=column: table[c].astype(float))
        means = valued.groupby([*ARM_AT_RATE, "detail", "seed"], sort=False)["value"].agg(["mean", "size"])
        means = means.rename(columns={"mean": "value", "size": "n"}).reset_index()
        parts.append(means.assign(metric=f"control.{name}")[COLUMNS])
    return parts


def _energy(drifts: pd.DataFrame | None) -> list[pd.DataFrame]:
    """Drifts at the end of rollouts, in standard deviations of the starts' energies; `driven` or `unforced`."""
    if drifts is None:
        return []
    last = drifts[drifts["time"] == drifts.groupby(["env", "test_frequency"])["time"].transform("max")]
    named = last.assign(detail=last["kind"], energy_error=last["energy_error"] / last["scale"])
    return [_long(named, f"energy.{name}", name) for name in ("scaled_drift", "energy_error")]


def _sequences(errors: pd.DataFrame | None) -> list[pd.DataFrame]:
    """Open-loop errors over as many steps, or over as much time, at every interval."""
    if errors is None:
        return []
    named = errors.assign(test_frequency=(1 / errors["delta_t"]).map(frequency_label), detail=errors["protocol"])
    return [_long(named, f"sequences.{name}", name) for name in ("mse", "relative_error")]


def _known_rows(errors: pd.DataFrame | None) -> list[pd.DataFrame]:
    """One-step errors of models with a memory after different pasts."""
    if errors is None:
        return []
    return [_long(errors.assign(detail=errors["past"]), "known_rows.relative_error", "relative_error")]


def _imagined(windows: pd.DataFrame | None, intervals: pd.DataFrame | None) -> list[pd.DataFrame]:
    """Long predictions at a few times, and how often the truth lies in their intervals; `hidden_rmse` is a limit."""
    parts = []
    if windows is not None:
        kept = windows[windows["time"].isin(IMAGINED_TIMES)]
        kept = kept.assign(detail=kept["time"].map(frequency_label))
        names = ("rmse", "nll", "hidden_rmse")
        parts += [_long(kept.dropna(subset=[name]), f"imagined.{name}", name) for name in names]
    if intervals is not None:
        named = intervals.assign(detail=intervals["span"])
        parts += [_long(named, f"calibration.{name}", name) for name in (*COVERAGE, "spread")]
    return parts


def _ablations(trainings: pd.DataFrame | None) -> list[pd.DataFrame]:
    """What trainings that differ in one thing came to; columns that say nothing of one are left out."""
    if trainings is None:
        return []
    named = trainings.assign(detail=trainings["ablation"])
    return [_long(named.dropna(subset=[name]), f"ablations.{name}", name) for name in OF_ABLATIONS]


def _visual(scores: pd.DataFrame | None) -> list[pd.DataFrame]:
    """Scores of predicted pictures by test, A or B, and squared errors of what stands beside them."""
    if scores is None:
        return []
    named = scores.assign(detail=scores["protocol"])
    own = named[named["prediction"] == "model"]
    parts = [_long(own.dropna(subset=[name]), f"visual.{name}", name) for name in OF_PICTURES if name in own]
    for prediction, name in BESIDE_PICTURES:
        parts.append(_long(named[named["prediction"] == prediction], f"visual.{name}.mse", "mse"))
    return parts


def _limits(limits: pd.DataFrame | None) -> list[pd.DataFrame]:
    if limits is None or "seed" not in limits:
        return []
    nowhere = {name: ARM_DEFAULTS["model"] for name in ARM_COLUMNS if name != "train_frequency"}
    detail = limits["detail"] if "detail" in limits else ""
    names = {**nowhere, "method": "exact", "detail": detail, "metric": LIMIT + limits["limit"]}
    named = limits.assign(**names)
    return [named.rename(columns={"relative_error": "value"})[COLUMNS]]


def _alarms(table: pd.DataFrame | None) -> list[pd.DataFrame]:
    """Share of an ensemble's alarms, and of the failing pairs that raise none; not in tables of older source."""
    if table is None or "n_alarms" not in table:
        return []
    every = table[(table["bin"] == "all") & (table["n_tested"] > 0)].assign(detail="")
    parts = []
    for name, count, of in (("alarms", "n_alarms", "n_tested"), ("missed", "n_missed", "n_failures")):
        rows = every[every[of] > 0]
        parts.append(
            _long(rows.assign(n=rows[of].astype(int), share=rows[count] / rows[of]), f"ensemble.{name}", "share")
        )
    return parts
