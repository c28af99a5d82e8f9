"""Which arms a figure with limited room shows; the only file of figures that knows a model by its name.

An arm of a model that is not named here (one of your own) stands beside ours of the same method, form and rate;
one without a form, beside ours of any form.
"""

from collections.abc import Iterable, Sequence

import pandas as pd

from tdlib.core.facts import ARM_COLUMNS, TRAIN_RATES

Arms = Sequence[tuple[str, str, str, str]]  # (model, method, form, train_frequency)
ARM = list(ARM_COLUMNS)
MAIN_MODEL = "jump"  # whose name is left out where an arm is named, since most arms are its
MAIN_RATE, FINEST = "20", TRAIN_RATES[-1]
SHOWN_ARMS: Arms = (  # one of each kind, for figures of single trajectories and states and for the axes of control
    (MAIN_MODEL, "baseline", "none", MAIN_RATE),
    (MAIN_MODEL, "rescaled", "none", MAIN_RATE),
    (MAIN_MODEL, "multi_resolution", "scaled_concat", "mixed"),
    ("newtonian", "ode", "rk4", MAIN_RATE),
)
KEY_ARMS: Arms = (  # figures 2 and 3
    *SHOWN_ARMS[:2],
    (MAIN_MODEL, "dt_conditioned", "scaled_concat", MAIN_RATE),
    SHOWN_ARMS[2],
    (MAIN_MODEL, "recurrent_rollout", "none", FINEST),
    SHOWN_ARMS[3],
)
METHOD_PANELS: tuple[tuple[str, Arms], ...] = (  # figure 1
    ("baseline", [(MAIN_MODEL, "baseline", "none", rate) for rate in TRAIN_RATES]),
    (
        "Δt-conditioned",
        [(MAIN_MODEL, "dt_conditioned", form, rate) for form in ("concat", "scaled_concat") for rate in TRAIN_RATES],
    ),
    ("rescaled increment", [(MAIN_MODEL, "rescaled", "none", rate) for rate in TRAIN_RATES]),
    ("recurrent rollout", [(MAIN_MODEL, "recurrent_rollout", "none", FINEST)]),
    (
        "multi-resolution",
        [(MAIN_MODEL, "multi_resolution", form, "mixed") for form in ("concat", "scaled_concat", "log_tau")],
    ),
    ("Newtonian ODE", [("newtonian", "ode", "rk4", rate) for rate in (*TRAIN_RATES, "mixed")]),
)
LIMIT_PANELS: tuple[tuple[str, Arms, tuple[str, ...]], ...] = (  # title, arms, names of the limits drawn with them
    (
        "unscaled forms, trained at 20 Hz",
        (
            (MAIN_MODEL, "baseline", "none", MAIN_RATE),
            (MAIN_MODEL, "dt_conditioned", "concat", MAIN_RATE),
            (MAIN_MODEL, "dt_conditioned", "log_tau", MAIN_RATE),
            ("lstm", "baseline", "none", MAIN_RATE),
        ),
        ("fixed_step",),
    ),
    (
        "scaled by Δt, trained at 20 Hz",
        (
            (MAIN_MODEL, "rescaled", "none", MAIN_RATE),
            (MAIN_MODEL, "dt_conditioned", "scaled_concat", MAIN_RATE),
            (MAIN_MODEL, "recurrent_rollout", "none", FINEST),
            ("first_order_ode", "ode", "euler", MAIN_RATE),
        ),
        ("rescaled",),
    ),
    (
        "three rates, mixed",
        tuple((MAIN_MODEL, "multi_resolution", f, "mixed") for f in ("concat", "scaled", "scaled_concat", "log_tau")),
        ("interpolation",),
    ),
    (
        "fields by RK4, trained at 20 Hz",
        tuple((field, "ode", "rk4", MAIN_RATE) for field in ("first_order_ode", "newtonian", "port_hamiltonian")),
        (),
    ),
)
ELSEWHERE = ("none", "velocity", "ensemble")  # no model; a control, declared; scored by a figure of its own
KNOWN = {*ELSEWHERE, *(arm[0] for _, arms, _ in LIMIT_PANELS for arm in arms)}


def rates_in(rates: Iterable[str]) -> list[str]:
    """Return those of the study's training rates that a table has; where it has none, its numbers, at most three."""
    there = set(map(str, rates))
    ours = [rate for rate in TRAIN_RATES if rate in there]
    return ours or sorted((rate for rate in there if _is_number(rate)), key=float)[:3]


def main_rate(trained: Iterable[str]) -> str:
    """Return the training rate that figures of one rate show: 20 Hz, or the middle one of a study with others."""
    return _instead(MAIN_RATE, trained)


def default_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the arms of default size and amount of data; persistence has neither."""
    return table[table["size"].isin(("hidden64", "none")) & table["data"].isin(("transitions", "none"))]


def main_arms(table: pd.DataFrame) -> pd.DataFrame:
    """Keep default arms of the main rate or mixed, the composed model of the finest, and arms without training."""
    table = default_sizes(table)
    composed = table["method"] == "recurrent_rollout"
    main = main_rate(table["train_frequency"])
    return table[table["train_frequency"].isin((main, "mixed", "")) | composed]


def pick(table: pd.DataFrame, arms: Arms) -> pd.DataFrame:
    """Keep the given arms in their order, then those of unknown models that stand beside one.

    Arms that are not in the table are left out.
    """
    table = default_sizes(table)
    trained = set(table["train_frequency"])
    arms = list(dict.fromkeys((*arm[:3], _instead(arm[3], trained)) for arm in arms))
    keys = list(zip(*(table[name] for name in ("model", "method", "form", "train_frequency")), strict=True))
    place = {arm: i for i, arm in enumerate(arms)}
    beside = {(arm[1], form, arm[3]): len(arms) + i for i, arm in enumerate(arms) for form in {"none", arm[2]}}
    found = [place.get(key, -1 if key[0] in KNOWN else beside.get(key[1:], -1)) for key in keys]
    chosen = table.assign(place=found).query("place >= 0").sort_values("place", kind="stable")
    return chosen.drop(columns="place").reset_index(drop=True)


def own_models(table: pd.DataFrame) -> list[str]:
    """Models of a table that no list here names, in its order."""
    return [model for model in dict.fromkeys(table["model"]) if model not in KNOWN]


def pick_or_first(table: pd.DataFrame, arms: Arms) -> pd.DataFrame:
    """Keep the given arms; where a run has none of them (cells of one model), its first four arms."""
    chosen = pick(table, arms)
    if len(chosen):
        return chosen
    parts = [rows for arm, rows in arms_in(table) if arm["model"] != "none"]
    return pd.concat(parts[: len(SHOWN_ARMS)], ignore_index=True) if parts else table


def arms_in(table: pd.DataFrame) -> list[tuple[pd.Series, pd.DataFrame]]:
    """Return (arm, its rows) for every arm of a table, in table order."""
    return [(rows.iloc[0], rows) for _, rows in table.groupby(ARM, sort=False)]


def _instead(rate: str, trained: Iterable[str]) -> str:
    """Return what a study with other training rates has in place of one of ours: its coarsest, middle, or finest."""
    there = sorted({each for each in trained if _is_number(each)}, key=float)
    if not there or rate in there or not _is_number(rate) or set(there) & set(TRAIN_RATES):
        return rate
    place = {TRAIN_RATES[0]: 0, FINEST: -1}.get(rate, (len(there) - 1) // 2)
    return there[place]


def _is_number(rate: str) -> bool:
    return rate.replace(".", "", 1).isdigit()
