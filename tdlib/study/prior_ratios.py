"""What the error of fields over that of the Δt-scaled network depends on: data, noise, friction, way of training."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tdlib.core.facts import MIXED, MODES, data_of, method_and_mode
from tdlib.figures.priors import SHOWN
from tdlib.figures.selection import main_model
from tdlib.study.arms import DEFAULT_SIZE
from tdlib.study.inference import Interval, t_interval

NETWORK = ("multi_resolution", SHOWN["multi_resolution"])  # method and form
DATA, NOISE, FRICTION, TRAINING = "data", "noise", "friction", "training"
LEVEL = ("factor", "order", "level")
AS_THEY_ARE = {DATA: 1.0, NOISE: 0.0, FRICTION: 1.0, TRAINING: 0.0}  # of the main arms; of training, the order
COLUMNS = [
    "env", *LEVEL, "test_frequency", "model", "error", "network", "ratio", "ci_low", "ci_high",
    "n_seeds", "n",
]  # fmt: skip
KEYS = ["env", "model", "method", "form", "data", "test_frequency"]


def prior_ratios(errors: pd.DataFrame | None, rates: Sequence[str]) -> pd.DataFrame:
    """Divide the one-step errors of varied fields of several rates by those of the network that is varied alike.

    A field that is trained in another way is divided by the main network. Main fields stand in every factor that their
    system has, as the level that nothing was changed at.

    Args:
        errors: one_step_errors; None if there are none.
        rates: Labels of the test rates.

    Returns:
        Rows of env, factor ("data", "noise", "friction", "training"), order of its levels, level in words,
        test_frequency, model, error and network (means over seeds), ratio (geometric mean over the seeds of both, with
        ci_low and ci_high, its 95 % t interval; nan where an error is not finite), n_seeds, n (pairs behind it).
    """
    if errors is None:
        return pd.DataFrame(columns=COLUMNS)
    kept = (errors["test_set"] == "pooled") & (errors["dimension"] == "all") & (errors["train_frequency"] == MIXED)
    kept &= (errors["size"] == DEFAULT_SIZE) & errors["test_frequency"].isin(rates)
    numbers = {key: rows.set_index("seed") for key, rows in errors[kept].groupby(KEYS, sort=False)}
    rows = []
    for key, own in numbers.items():
        env, model, _, _, data, rate = key
        network = numbers.get((env, main_model(), *NETWORK, data, rate))
        if model != main_model() and network is not None:
            place = {"env": env, "test_frequency": rate, "model": model} | _ratio(own, network)
            rows += [place | dict(zip(LEVEL, level, strict=True)) for level in _levels(key)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    varied = table.groupby(["env", "factor", "model"])["order"].transform("nunique") > 1
    return table[varied].sort_values(["env", "factor"], kind="stable", key=_placed).reset_index(drop=True)


def _levels(key: tuple) -> list[tuple[str, float, str]]:
    """Return factor, order and level in words of an arm: of a main arm for every factor, else of what was changed."""
    _, _, method, form, data, _ = key
    asked, mode = data_of(data), method_and_mode(method)[1]
    usual = SHOWN.get(method) == form
    levels = [
        (DATA, asked.share, "all" if asked.share == 1 else f"{100 * asked.share:g} %"),
        (NOISE, asked.noise, "none" if asked.noise == 0 else f"{100 * asked.noise:g} %"),
        (FRICTION, asked.friction, f"× {asked.friction:g}"),
        (TRAINING, 0.0 if usual else 1.0, form if mode == MODES[0] else mode),
    ]
    changed = [level for level in levels if level[1] != AS_THEY_ARE[level[0]]]
    return changed or levels


def _ratio(own: pd.DataFrame, network: pd.DataFrame) -> dict[str, float]:
    seeds = own.index.intersection(network.index)
    mine, theirs = (table.loc[seeds, "relative_error"].to_numpy(dtype=float) for table in (own, network))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = mine / theirs
    if np.isfinite(ratios).all() and (ratios > 0).all():
        found = t_interval(ratios, logarithmic=True)
    else:
        found = Interval(np.nan, np.nan, np.nan, len(ratios), len(ratios))
    ends = {"ratio": found.mean, "ci_low": found.ci_low, "ci_high": found.ci_high, "n_seeds": len(seeds)}
    return {"error": mine.mean(), "network": theirs.mean(), **ends, "n": int(own.loc[seeds, "n"].sum())}


def _placed(column: pd.Series) -> pd.Series:
    """Systems in the order they came, factors in ours."""
    places = list(AS_THEY_ARE) if column.name == "factor" else list(dict.fromkeys(column))
    return column.map(places.index)
