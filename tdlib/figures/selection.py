"""Which arms a figure with limited room shows; which models those are of, the registry of families says.

An arm of a family that says nothing of itself (one of your own) stands beside ours of the same method, form and rate;
one without a form, beside ours of any form.
"""

from collections.abc import Iterable, Sequence

import pandas as pd

from tdlib.core.facts import ARM_COLUMNS, FINEST, TRAIN_RATES
from tdlib.figures.style import METHOD_LABELS, NothingToDrawError, arm_label, known_models, model_label

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


def matrix_arms() -> Arms:
    """Rows of the heat maps: the key arms, those of one rate at every rate."""
    rated = {arm[:3] for arm in key_arms() if arm[3] == MAIN_RATE}
    rows = [[(*arm[:3], rate) for rate in TRAIN_RATES] if arm[:3] in rated else [arm] for arm in key_arms()]
    return [arm for group in rows for arm in group]


def limit_panels() -> Sequence[tuple[str, Arms, tuple[str, ...]]]:
    """Title, arms, and names of the limits drawn with them, of the panels that compare families with the limits."""
    baseline, rescaled, conditioned, mixed, _, field = key_arms()
    return (
        ("the step learned as it is", (baseline, *_among("baseline", "none")), ("fixed_step",)),
        ("scaled by Δt", (rescaled, conditioned), ("rescaled",)),
        ("trained at three rates", (mixed,), ("interpolation",)),
        ("a field by RK4", (field,), ()),
    )


def field_arms() -> Arms:
    """Fields of the figure of convergence: those that stand among others by RK4, then by Euler."""
    return (*_among("ode", "rk4"), *_among("ode", "euler"))


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
    """Keep the arms of default size and amount of data; persistence has neither.

    Raises:
        NothingToDrawError: If there is none, as in a cell of larger networks.
    """
    kept = table[table["size"].isin(("hidden64", "none")) & table["data"].isin(("transitions", "none"))]
    if kept.empty and len(table):
        raise NothingToDrawError("networks of another size, or parts of the data, are all that was chosen")
    return kept


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
    """Keep the given arms; where a run has none of them (cells of one model), as many of its first arms."""
    chosen = pick(table, arms)
    if len(chosen):
        return chosen
    parts = [rows for arm, rows in arms_in(table) if arm["model"] != "none"]
    return pd.concat(parts[: len(arms)], ignore_index=True) if parts else table


def name_arms(table: pd.DataFrame) -> pd.DataFrame:
    """Add the column `arm`: a name for legends that tells the arms of this table apart and says no more.

    A form is named where a model and method has several, a model where it is not the main one.
    """
    arms = table.drop_duplicates(ARM)
    forms = arms.groupby(["model", "method"])["form"].nunique()
    names = []  # in the order of the first rows of the arms
    for _, arm in arms.iterrows():
        single = forms[arm["model"], arm["method"]] == 1
        shown = arm.where(~(arm.index.isin(["form"]) & single), "none")
        name = arm_label(shown, with_model=arm["model"] != main_model())
        named = [arm["size"]] * (arm["size"] not in ("hidden64", "none"))
        named += [arm["data"]] * (arm["data"] not in ("transitions", "none"))
        names.append(name + f" ({', '.join(named)})" * bool(named))
    numbers = table.groupby(ARM, sort=False, dropna=False).ngroup()
    return table.assign(arm=pd.array(names, dtype="str").take(numbers.to_numpy()))


def forms_text(table: pd.DataFrame, wanted: Arms = ()) -> str:
    """Name the forms that legends leave out, with a leading space, and those wanted arms that are not among the rows.

    Args:
        table: The rows shown.
        wanted: Arms that a figure shows where they are; none are missed where it shows others in their place.
    """
    arms = name_arms(table.drop_duplicates(ARM))
    forms: dict[str, list[str]] = {}
    for _, arm in arms[arms["form"] != "none"].iterrows():
        what = model_label(arm["model"]) if arm["method"] == "ode" else METHOD_LABELS.get(arm["method"], arm["method"])
        if arm["form"] not in arm["arm"] and what not in forms.setdefault(arm["form"], []):
            forms[arm["form"]].append(what)
    said = "; ".join(f"{form} ({', '.join(those)})" for form, those in forms.items() if those)
    absent = _absent(arms, wanted)
    missing = f" Not among these results: {'; '.join(absent)}." * bool(absent)
    return f" Forms: {said}." * bool(said) + missing + " Other arms are in the tables."


def _absent(table: pd.DataFrame, wanted: Arms) -> list[str]:
    columns = ["model", "method", "form", "train_frequency"]
    there = set(zip(*(table[name] for name in columns), strict=True))
    trained = set(table["train_frequency"])
    keys = list(dict.fromkeys((*arm[:3], _instead(arm[3], trained)) for arm in wanted))
    if not there & set(keys):
        return []
    rows = [pd.Series(dict(zip(columns, key, strict=True))) for key in keys if key not in there]
    return [arm_label(row, with_model=row["model"] != main_model()) for row in rows]


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
