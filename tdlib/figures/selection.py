"""Which arms a figure with limited room shows: those trained at 20 Hz or on mixed rates, and the derived ones."""

from collections.abc import Sequence

import pandas as pd

ARM = ["model", "method", "form", "size", "data", "train_frequency"]
MAIN_RATE = "20"


def default_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the arms of default size and amount of data; persistence has neither."""
    return table[table["size"].isin(("hidden64", "none")) & table["data"].isin(("transitions", "none"))]


def main_arms(table: pd.DataFrame) -> pd.DataFrame:
    """Keep default arms trained at 20 Hz or mixed, the composed 50 Hz model, and arms without training."""
    table = default_sizes(table)
    composed = table["method"] == "recurrent_rollout"
    return table[table["train_frequency"].isin((MAIN_RATE, "mixed", "")) | composed]


def pick(table: pd.DataFrame, arms: Sequence[tuple[str, str, str, str]]) -> pd.DataFrame:
    """Keep arms given as (model, method, form, train_frequency), in that order; those not in the table are left out."""
    table = default_sizes(table)
    parts = [
        table[(table["model"] == model) & (table["method"] == method) & (table["form"] == form)
              & (table["train_frequency"] == rate)]
        for model, method, form, rate in arms
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True) if parts else table.iloc[:0]


def pick_or_first(table: pd.DataFrame, arms: Sequence[tuple[str, str, str, str]]) -> pd.DataFrame:
    """Keep the given arms; where a run has none of them (cells of one model), its first four arms."""
    chosen = pick(table, arms)
    if len(chosen):
        return chosen
    parts = [rows for arm, rows in arms_in(table) if arm["model"] != "none"]
    return pd.concat(parts[: len(SHOWN_ARMS)], ignore_index=True) if parts else table


def arms_in(table: pd.DataFrame) -> list[tuple[pd.Series, pd.DataFrame]]:
    """Return (arm, its rows) for every arm of a table, in table order."""
    return [(rows.iloc[0], rows) for _, rows in table.groupby(ARM, sort=False)]


SHOWN_ARMS = (  # one of each kind, for figures of single trajectories and states
    ("jump", "baseline", "none", MAIN_RATE),
    ("jump", "rescaled", "none", MAIN_RATE),
    ("jump", "multi_resolution", "scaled_concat", "mixed"),
    ("newtonian", "ode", "rk4", MAIN_RATE),
)
