"""Which arms a figure with limited room shows; which models those are of, the registry of families says.

An arm of a family that says nothing of itself (one of your own) stands beside ours of the same method, form and rate;
one without a form, beside ours of any form.
"""

from collections.abc import Iterable, Sequence

import pandas as pd

from tdlib.core.facts import ARM_COLUMNS, FINEST, LOG_FORMS, TRAIN_RATES
from tdlib.figures.style import known_models, model_label

Arms = Sequence[tuple[str, str, str, str]]  # (model, method, form, train_frequency)
ARM = list(ARM_COLUMNS)
MAIN_RATE = "20"


def main_model() -> str:
    """The family whose name is left out where an arm is named, since most arms are its."""
    return _standing_for("maps")


def shown_arms() -> Arms:
    """One of each kind, for figures of single trajectories and states and for the axes of control."""
    main = main_model()
    return (
        (main, "baseline", "none", MAIN_RATE),
        (main, "rescaled", "none", MAIN_RATE),
        (main, "multi_resolution", "scaled_concat", "mixed"),
        (_standing_for("fields"), "ode", "rk4", MAIN_RATE),
    )


def key_arms() -> Arms:
    """Those of figures 2 and 3."""
    baseline, rescaled, mixed, field = shown_arms()
    conditioned = (main_model(), "dt_conditioned", "scaled_concat", MAIN_RATE)
    return baseline, rescaled, conditioned, mixed, (main_model(), "recurrent_rollout", "none", FINEST), field


def method_panels() -> Sequence[tuple[str, Arms]]:
    """Title and arms of the panels of figure 1."""
    main, field = main_model(), _standing_for("fields")
    forms = ("concat", "scaled_concat")
    return (
        ("baseline", [(main, "baseline", "none", rate) for rate in TRAIN_RATES]),
        ("Δt-conditioned", [(main, "dt_conditioned", form, rate) for form in forms for rate in TRAIN_RATES]),
        ("rescaled increment", [(main, "rescaled", "none", rate) for rate in TRAIN_RATES]),
        ("recurrent rollout", [(main, "recurrent_rollout", "none", FINEST)]),
        ("multi-resolution", [(main, "multi_resolution", form, "mixed") for form in (*forms, *LOG_FORMS)]),
        (model_label(field), [(field, "ode", "rk4", rate) for rate in (*TRAIN_RATES, "mixed")]),
    )


def limit_panels() -> Sequence[tuple[str, Arms, tuple[str, ...]]]:
    """Title, arms, and names of the limits drawn with them, of the panels that compare families with the limits."""
    main = main_model()
    forms = ("concat", "scaled", "scaled_concat", *LOG_FORMS)
    return (
        (
            "unscaled forms, trained at 20 Hz",
            (
                (main, "baseline", "none", MAIN_RATE),
                (main, "dt_conditioned", "concat", MAIN_RATE),
                *((main, "dt_conditioned", form, MAIN_RATE) for form in LOG_FORMS),
                *_among("baseline", "none"),
            ),
            ("fixed_step",),
        ),
        (
            "scaled by Δt, trained at 20 Hz",
            (
                (main, "rescaled", "none", MAIN_RATE),
                (main, "dt_conditioned", "scaled_concat", MAIN_RATE),
                (main, "recurrent_rollout", "none", FINEST),
                *_among("ode", "euler"),
            ),
            ("rescaled",),
        ),
        ("three rates, mixed", tuple((main, "multi_resolution", form, "mixed") for form in forms), ("interpolation",)),
        ("fields by RK4, trained at 20 Hz", _among("ode", "rk4"), ()),
    )


def is_placed(model: str) -> bool:
    """Whether a family says where it is shown; one that does not stands beside ours."""
    return model == "none" or (model in known_models() and known_models()[model].shown is not None)


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
    found = [place.get(key, -1 if is_placed(key[0]) else beside.get(key[1:], -1)) for key in keys]
    chosen = table.assign(place=found).query("place >= 0").sort_values("place", kind="stable")
    return chosen.drop(columns="place").reset_index(drop=True)


def own_models(table: pd.DataFrame) -> list[str]:
    """Models of a table that are not ours to place, in its order."""
    return [model for model in dict.fromkeys(table["model"]) if not is_placed(model)]


def pick_or_first(table: pd.DataFrame, arms: Arms) -> pd.DataFrame:
    """Keep the given arms; where a run has none of them (cells of one model), its first four arms."""
    chosen = pick(table, arms)
    if len(chosen):
        return chosen
    parts = [rows for arm, rows in arms_in(table) if arm["model"] != "none"]
    return pd.concat(parts[: len(shown_arms())], ignore_index=True) if parts else table


def arms_in(table: pd.DataFrame) -> list[tuple[pd.Series, pd.DataFrame]]:
    """Return (arm, its rows) for every arm of a table, in table order."""
    return [(rows.iloc[0], rows) for _, rows in table.groupby(ARM, sort=False)]


def _standing_for(kind: str) -> str:
    shown = {name: family.shown for name, family in known_models().items() if family.shown is not None}
    return next(name for name, own in shown.items() if own.stands_for == kind)


def _among(method: str, form: str) -> Arms:
    """Arms of the main rate of the families that stand among others in a method and form."""
    shown = {name: family.shown for name, family in known_models().items() if family.shown is not None}
    return tuple((name, method, form, MAIN_RATE) for name, own in shown.items() if (method, form) in own.among)


def _instead(rate: str, trained: Iterable[str]) -> str:
    """Return what a study with other training rates has in place of one of ours: its coarsest, middle, or finest."""
    there = sorted({each for each in trained if _is_number(each)}, key=float)
    if not there or rate in there or not _is_number(rate) or set(there) & set(TRAIN_RATES):
        return rate
    place = {TRAIN_RATES[0]: 0, FINEST: -1}.get(rate, (len(there) - 1) // 2)
    return there[place]


def _is_number(rate: str) -> bool:
    return rate.replace(".", "", 1).isdigit()
