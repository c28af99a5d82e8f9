"""Predictions written before the run: what `book/predictions.yaml` says, as numbers that a check can hold or refute.

A check is one number per seed, (left − minus) / over, and the range in which its mean over seeds must lie:

    - what: "{train} → {test} Hz"                    # the words of its row
      pairs: [[20, 50], [50, 20]]                    # one check each, {train} and {test} replaced
      left: {metric: one_step.relative_error, model: jump, method: baseline, train: "{train}", test: "{test}"}
      over: {metric: limit.fixed_step, train: "{train}", test: "{test}"}
      near: 1                                        # or between: [0.9, 1.1], below: 1.1, above: 0.9
      tolerance: 0.05

A query names columns of the table of measurements; size and data are those of the main arms unless it says otherwise.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tdlib.data.sources.partly_seen import is_partly_seen
from tdlib.study.arms import DEFAULT_SIZE
from tdlib.study.layout import PREDICTED, ROOT
from tdlib.study.measurements import SHARES, SUCCESS
from tdlib.study.verdicts import Claim
from tdlib.systems import SYSTEMS

PREDICTIONS = ROOT / PREDICTED
TABLE = "predictions"  # name of the table of verdicts
COLUMN_OF = {"train": "train_frequency", "test": "test_frequency"}
QUERY_KEYS = ("metric", "env", "model", "method", "form", "size", "data", "train", "test", "detail")
PREDICTION_KEYS = {"name", "title", "statement", "source", "env", "checks"}
CHECK_KEYS = {
    "what",
    "env",
    "pairs",
    "left",
    "over",
    "minus",
    "near",
    "tolerance",
    "between",
    "below",
    "above",
    "starts",
}
MAIN_ARM = {"size": DEFAULT_SIZE, "data": "transitions"}
Query = dict[str, str]  # column -> value


@dataclass(frozen=True)
class Check:
    """One number that a prediction speaks about.

    Args:
        prediction: Name of the prediction.
        env: Environment, or a short text if the check compares environments.
        what: What is measured, in words.
        left: Which number.
        over: What it is divided by; None if it stands alone.
        minus: What is taken off before; None for nothing.
        claim: Where the number lies.
        expected: The claim in words.
        starts: Fewest episodes that can decide.
    """

    prediction: str
    env: str
    what: str
    left: Query
    over: Query | None
    minus: Query | None
    claim: Claim
    expected: str
    starts: int

    @property
    def queries(self) -> list[Query]:
        """Every number that the check needs."""
        return [query for query in (self.left, self.over, self.minus) if query is not None]

    @property
    def share(self) -> bool:
        """Whether the number is a share of episodes."""
        return self.left["metric"] == SUCCESS

    @property
    def logarithmic(self) -> bool:
        """Whether mean and interval are those of the logarithm: errors and their ratios, which are positive."""
        return not self.share and self.minus is None and self.left["metric"] not in SHARES


@dataclass(frozen=True)
class Prediction:
    """A statement with its checks.

    Args:
        name: Key.
        title: A few words.
        statement: Markdown, with the formula.
        source: Where the statement comes from.
        checks: The numbers it speaks about.
    """

    name: str
    title: str
    statement: str
    source: str
    checks: tuple[Check, ...]


def load_predictions(path: Path = PREDICTIONS) -> dict[str, Prediction]:
    """Read and check the file; predictions by name, in its order.

    Raises:
        ValueError: If a key is unknown or missing, a name stands twice, or a check has no condition.
    """
    result: dict[str, Prediction] = {}
    for item in yaml.safe_load(path.read_text(encoding="utf-8")):
        _only(item, PREDICTION_KEYS, f"prediction {item.get('name')!r}")
        name = item["name"]
        if name in result:
            raise ValueError(f"prediction {name!r} stands twice")
        checks = tuple(
            _check(name, env, raw, pair)
            for raw in item["checks"]
            for env in raw.get("env", item.get("env", []))
            for pair in raw.get("pairs", [None])
        )
        if not checks:
            raise ValueError(f"prediction {name!r} must have a check, and that an env")
        places = [(check.env, check.what) for check in checks]
        if len(set(places)) < len(places):
            raise ValueError(f"checks of prediction {name!r} must differ in what they say or in their env")
        result[name] = Prediction(name, item["title"], item["statement"], item["source"], checks)
    return result


def predictions_on(environments: Collection[str]) -> dict[str, Prediction]:
    """Return the predictions of which at least one check speaks of some environments or sets, or compares several."""
    return {
        name: found
        for name, found in load_predictions().items()
        if any(check.env in environments or _compares(check.env) for check in found.checks)
    }


def _compares(env: str) -> bool:
    """Whether a check's environment is a short text for several, no name of one."""
    return env not in SYSTEMS and not is_partly_seen(env)


def _check(name: str, env: str, raw: Mapping, pair: tuple | None) -> Check:
    _only(raw, CHECK_KEYS, f"a check of prediction {name!r}")
    words = {} if pair is None else {"{train}": str(pair[0]), "{test}": str(pair[1])}
    claim, expected = _claim(name, raw)
    sides = {side: _query(name, env, raw[side], words) if side in raw else None for side in ("over", "minus")}
    left = _query(name, env, raw["left"], words)
    return Check(
        name,
        env,
        _filled(raw["what"], words),
        left,
        sides["over"],
        sides["minus"],
        claim,
        expected,
        raw.get("starts", 0),
    )


def _claim(name: str, raw: Mapping) -> tuple[Claim, str]:
    given = [key for key in ("near", "between", "below", "above") if key in raw]
    if len(given) != 1 or ("near" in raw) != ("tolerance" in raw):
        raise ValueError(
            f"a check of prediction {name!r} must have near and tolerance, between, below or above, got {given}"
        )
    if "near" in raw:
        near, spread = raw["near"], raw["tolerance"]
        return Claim(near * (1 - spread), near * (1 + spread)), f"{near:.3g} ± {spread:.0%}"
    if "between" in raw:
        low, high = raw["between"]
        return Claim(low, high), f"{low:.3g} to {high:.3g}".replace("-", "−")
    if "below" in raw:
        return Claim(-math.inf, raw["below"]), f"below {raw['below']:.3g}"
    return Claim(raw["above"], math.inf), f"above {raw['above']:.3g}"


def _query(name: str, env: str, raw: Mapping, words: Mapping[str, str]) -> Query:
    _only(raw, set(QUERY_KEYS), f"a query of prediction {name!r}")
    given = {COLUMN_OF.get(key, key): _filled(str(value), words) for key, value in raw.items()}
    main = MAIN_ARM if given.get("model", "none") != "none" else {}
    return {"env": env, **main, **given}


def _filled(text: str, words: Mapping[str, str]) -> str:
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text


def _only(raw: Mapping, known: set[str], where: str) -> None:
    unknown = set(raw) - known
    if unknown:
        raise ValueError(f"{where} has unknown keys {sorted(unknown)}; known are {sorted(known)}")
