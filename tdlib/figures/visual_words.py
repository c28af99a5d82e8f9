"""What is said of predicted pictures: names of models, gains over a copy of the last frame, causes where none is."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tdlib.evaluation.visual import CAUSES, unbeaten
from tdlib.figures.words import number_text

MODEL = "model"
PICTURED = "visual_world_model"  # the family whose arms are named by their predictor
LARGE, CODES = "hgn_64px", "vqvae"
NAMED = {LARGE: "64 px", CODES: "codes", "mean_energy": "energy averaged", "raw_kl": "divergence undivided"}
IN_TABLES = {  # what is predicted -> words above a column
    MODEL: "open loop", "model_repeated": "repeated", "model_teacher_forced": "one step",
    "model_reconstruction": "none", "copy_last": "copy of last", "mean_image": "mean image", "model_back": "back",
    "copy_last_back": "copy, back",
}  # fmt: skip
WHERE = ("protocol", "test_frequency")


def name_of(row: Mapping[str, Any]) -> str:
    """Name an arm for a legend: its predictor, or that it sees the state."""
    if row["model"] != PICTURED:
        return f"sees the state: {row['model']}"
    own = NAMED.get(row["method"])
    return row["form"].replace("_", " ") + (f", {own}" if own else "")


def with_names(table: pd.DataFrame) -> pd.DataFrame:
    """Add the column `name`, what an arm is called in legends."""
    keys = ["model", "method", "form"]
    names = {tuple(key): name_of(dict(zip(keys, key, strict=True))) for key in table[keys].drop_duplicates().to_numpy()}
    return table.assign(name=[names[key] for key in zip(*(table[key] for key in keys), strict=True)])


def gains_text(last: pd.DataFrame) -> str:
    """Say of each system which model of pictures errs least, beside a copy of the last frame."""
    if not (last["model"] == PICTURED).any():
        return "None of them reads pictures."
    found = _ratios(last)
    parts = []
    for env, own in found.groupby("env", sort=False):
        best = own.loc[own["ratio"].idxmin()]
        parts.append(f"on {env} {best['name']} errs {number_text(best['ratio'])} times")
    text = " and ".join(parts)
    return f"At the end {text} what a copy of the last frame does."


def with_causes(table: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return the tests in which a copy of the last frame is not beaten, with arms and causes in words.

    Args:
        table: Rows of `visual_dt_generalization`, if there are any.
    """
    if table is None:
        return None
    found = with_names(unbeaten(table))
    return found.assign(cause=found["cause"].map(CAUSES))[["env", "name", *WHERE, "ratio", "cause"]]


def unbeaten_text(table: pd.DataFrame) -> str:
    """Say which models of pictures do not beat a copy of the last frame at the rate of training, and why."""
    own = table[table["test_frequency"] == table["train_frequency"]]
    found = with_causes(own[own["protocol"] == "B"])
    if found is None or found.empty:
        return "At the rate of training each model of pictures errs less than a copy of the last frame."
    alike = found.groupby(["env", "cause"], sort=False)["name"]
    parts = [f"on {env} by {'; '.join(names)} ({cause})" for (env, cause), names in alike]
    return f"At the rate of training a copy of the last frame is not beaten {', '.join(parts)}."


def back_text(share: pd.DataFrame) -> str:
    """Say how much more fields err on the way back, at the median of them; nothing where none ran back."""
    if "model_back" not in share or (ratio := (share["model_back"] / share[MODEL]).dropna()).empty:
        return ""
    return f"Run back from the end, fields err {number_text(ratio.median())} times as much, at their median. "


def worst_text(table: pd.DataFrame) -> str:
    """Say at which rate, and in which test, models of pictures err most beside their own rate."""
    seen = table[(table["model"] == PICTURED) & (table["prediction"] == MODEL)]
    if seen.empty:
        return "None of them reads pictures."
    mean = seen.groupby(["env", "protocol", "test_frequency"])["mse"].mean()
    env, protocol, rate = mean.idxmax()
    return f"On the mean over models of pictures the error is largest on {env} in test {protocol} at {rate} Hz."


def _ratios(table: pd.DataFrame) -> pd.DataFrame:
    """Mean squared errors of models of pictures over those of a copy of the last frame, by system and arm."""
    seen = with_names(table[table["model"] == PICTURED])
    keys = ["env", "name"]
    mean = seen.groupby([*keys, "prediction"], sort=False)["mse"].mean().unstack("prediction")
    return mean.assign(ratio=mean[MODEL] / mean["copy_last"]).reset_index()
