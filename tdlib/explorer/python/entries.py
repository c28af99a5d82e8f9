"""One model on offer as the explorer's script sees it: keys, words, rates, what derives from it, its limit.

The script itself knows no name of a model, a method or a form.
"""

from collections.abc import Mapping, Sequence

from tdlib.core.facts import CONTACTS, LOG_UNIFORM, MIXED, POOLED, SECONDS, TRAIN_RATES
from tdlib.core.time_grid import delta_t_of
from tdlib.figures.selection import shown_arms
from tdlib.figures.style import METHOD_LABELS, model_label
from tdlib.models import FIELDS
from tdlib.models.derived import NewtonIncrement, RecurrentRollout, RescaledIncrement
from tdlib.models.forms import FORMS, form_coefficients
from tdlib.study.arms import DERIVED_ARMS, PERSISTENCE, Arm

FIRST_RATE = 33.3  # [Hz]
# models A and B of the first view: always its own step, and several rates
FIRST_ARMS = {
    side: Arm(model, method, form, train_frequency=rate)
    for side, (model, method, form, rate) in (("a", shown_arms()[0]), ("b", shown_arms()[2]))
}
DERIVED: dict[str, tuple] = {  # what needs no training -> class, arguments between model and training step
    "rescaled": (RescaledIncrement,),
    "recurrent_rollout": (RecurrentRollout,),
    "newton_2": (NewtonIncrement, 2),
    "newton_3": (NewtonIncrement, 3),
}
OURS = tuple(map(float, TRAIN_RATES))  # of the main study
SERIES = {"newton_2": "Newton's series, order 2", "newton_3": "Newton's series, order 3"}
LONG_METHODS = {"baseline": "baseline (always its own step)", "persistence": "nothing moves"}
TRUE_FIELD = "true_field"  # the name in requests of what no training made
DATA_LABELS = {SECONDS: "equal seconds", POOLED: "states of all agents", CONTACTS: "contacts left in"}
SOLVER_LABELS = {"euler": "Euler", "rk4": "RK4"}


def entry_of(arm: Arm, support: tuple[float, float] | None = None, mixture: Sequence[float] = OURS) -> dict:
    """Describe the model of an arm.

    Args:
        arm: Its configuration.
        support: Shortest and longest training interval [s] where Δt was log-uniform.
        mixture: Rates [Hz] of the run that it is of, in which an arm of several rates was trained.

    Returns:
        Plain values: the arm's keys; `modelLabel`, `howLabel`, `label`, `rateLabel`, `rateShort`; `rates` and `range`
        [Hz] it was trained at; `solver` of a field, and whether it learns an `energy`; `derived`, changes that make the
        entries of what needs no training; `fixedStep` [s] of a map that always takes its own step; `limit`, see
        `limit_of`.
    """
    entry = {
        **arm.keys(),
        **_words(arm, mixture),
        "color": arm.method,
        **_rates(arm, support, mixture),
        "solver": arm.form if arm.model in FIELDS else None,
        "energy": arm.model in FIELDS and hasattr(FIELDS[arm.model], "energy"),
        "fixedStep": _fixed_step(arm),
        "limit": limit_of(arm, mixture),
    }
    return {**entry, "derived": [_derived(arm, method) for method in derives_from(arm)]}


def mixture_of(record: Mapping) -> tuple[float, ...]:
    """Return the rates [Hz] of the data that a checkpoint names; ours where it names none."""
    labels = [name.removesuffix("hz_train") for name in record.get("data_hashes", {}) if name.endswith("hz_train")]
    return tuple(sorted(float(label.replace("_", ".")) for label in labels)) or OURS


def _frequencies(arm: Arm, mixture: Sequence[float]) -> list[float]:
    """Training rates [Hz] of an arm of a run."""
    return list(mixture if arm.train_frequency == MIXED else arm.frequencies)


def derives_from(arm: Arm) -> list[str]:
    """Return the methods without training of their own that read an arm."""
    if arm.source != arm or arm.method != "baseline" or not arm.frequencies:
        return []
    return list(DERIVED) if set(DERIVED) <= {other.method for other in DERIVED_ARMS if other.model == arm.model} else []


def first_choices() -> dict:
    """Return what both homes show first, as the script chooses models: rate, models A and B, and the untrained."""
    wanted = {
        side: {"model": arm.model, "how": f"{arm.method}.{arm.form}.{arm.data}", "train_frequency": arm.train_frequency}
        for side, arm in FIRST_ARMS.items()
    }
    return {"rate": FIRST_RATE, **wanted, "untrained": [nothing_moves(), true_field()]}


def nothing_moves() -> dict:
    """Describe the prediction that nothing changes, which every system has."""
    return {**PERSISTENCE.keys(), "id": None, **_words(PERSISTENCE), "color": PERSISTENCE.method,
            "rates": [], "range": None, "solver": None,
            "fixedStep": None, "limit": None, "derived": []}  # fmt: skip


def true_field() -> dict:
    """Describe the true field in a solver that one chooses, which every system has."""
    return {
        **nothing_moves(),
        "model": TRUE_FIELD, "method": TRUE_FIELD, "id": TRUE_FIELD, "color": "ode", "solver": "euler",
        "modelLabel": "true field", "howLabel": "nothing learned, solved in steps", "label": "true field",
    }  # fmt: skip


def limit_of(arm: Arm, mixture: Sequence[float] = OURS) -> dict | None:
    """Describe what perfect learning would still get wrong; the script follows it along a rollout.

    | kind | one step |
    |---|---|
    | map | exact at its training steps `nodes`, between them s(Δ) = step · (1, Δ, log10 Δ + 5) in front |
    | composed | the exact map of its training step, composed |
    | series | Newton's series in iterates of that map, to an order |
    | true_field | the true field in the solver that is asked for |
    | euler_field | Euler with the field that its training step makes exact |
    """
    if not arm.frequencies:
        return None
    nodes = [delta_t_of(rate) for rate in _frequencies(arm, mixture)]
    step = "its training rates" if len(nodes) > 1 else f"{1000 * nodes[0]:.3g} ms"
    if arm.model in FIELDS:
        field = FIELDS[arm.model]
        if arm.form == "euler":
            if not getattr(field, "fits_any_field", False):
                return None
            text = "Euler with the field that its training step makes exact"
            return {"kind": "euler_field", "nodes": nodes, "text": text}
        if not getattr(field, "fits_truth", True):
            return None
        return {"kind": "true_field", "text": "the true field in this solver"}
    if arm.method == "recurrent_rollout":
        return {"kind": "composed", "nodes": nodes, "text": f"the exact map of {step}, composed"}
    if arm.method in SERIES:
        order = DERIVED[arm.method][1]
        return {"kind": "series", "nodes": nodes, "order": order, "text": f"iterates of the exact map of {step}"}
    if arm.method == "rescaled":
        return _map_limit(nodes, (0.0, 0.0, 1.0, 0.0), f"the exact map of {step}, rescaled")
    if arm.form == "none":
        return _map_limit(nodes, (0.0, 1.0, 0.0, 0.0), f"the exact map of {step}")
    if arm.form not in FORMS:
        return None
    return _map_limit(nodes, form_coefficients(arm.form, nodes[0]), f"exact at {step}, {arm.form} between")


def _map_limit(nodes: list[float], coefficients: tuple[float, ...], text: str) -> dict:
    return {"kind": "map", "nodes": nodes, "sees": coefficients[0] != 0, "step": coefficients[1:], "text": text}


def _derived(arm: Arm, method: str) -> dict:
    """What is different in the entry of an arm that reads this one."""
    own = Arm(arm.model, method, arm.form, arm.size, arm.data, arm.train_frequency)
    wrapper, *arguments = DERIVED[method]
    return {
        "method": method, "derive": method, "wrapper": [wrapper.__name__, *arguments, own.train_delta_t],
        "color": "rescaled" if method in SERIES else method,
        "fixedStep": None, "limit": limit_of(own), "derived": [], **_words(own),
    }  # fmt: skip


def _fixed_step(arm: Arm) -> float | None:
    return arm.train_delta_t if arm.method == "baseline" and arm.form == "none" and arm.frequencies else None


def _words(arm: Arm, mixture: Sequence[float] = OURS) -> dict[str, str]:
    model, rate = model_label(arm.model), arm.train_frequency
    method = {**METHOD_LABELS, **SERIES}.get(arm.method, arm.method)
    how = LONG_METHODS.get(arm.method, method)
    if arm.model in FIELDS:
        method = SOLVER_LABELS.get(arm.form, arm.form)
        how = f"trained with {method}"
    elif arm.form != "none":
        how, method = f"{how}, {arm.form}", f"{method} {arm.form}"
    if arm.data in DATA_LABELS:
        how, method = f"{how}, {DATA_LABELS[arm.data]}", f"{method} ({DATA_LABELS[arm.data]})"
    several = ", ".join(f"{each:g}" for each in mixture) + " Hz"
    rates = {MIXED: several, LOG_UNIFORM: "Δt log-uniform", "": "–"}.get(rate, f"{rate} Hz")
    return {
        "modelLabel": model,
        "howLabel": how,
        "rateLabel": rates,
        "rateShort": {MIXED: "mixed", LOG_UNIFORM: "log-unif.", "": "–"}.get(rate, rate),
        "label": LONG_METHODS["persistence"] if arm.model == "none" else f"{model} {method}, {rates}",
    }


def _rates(arm: Arm, support: tuple[float, float] | None, mixture: Sequence[float]) -> dict:
    rates = _frequencies(arm, mixture)
    if rates:
        return {"rates": rates, "range": [min(rates), max(rates)]}
    low, high = support or (0.005, 0.2)
    return {"rates": [], "range": [1 / high, 1 / low]}


def arm_of(config: Mapping) -> Arm:
    """Return the arm that a model's configuration names."""
    return Arm(**{key: str(config[key]) for key in Arm.__dataclass_fields__ if key in config})
