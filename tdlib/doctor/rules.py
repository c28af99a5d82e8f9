"""From symptoms to a verdict and a remedy: one table, read from above, whose last line is that it cannot be told.

A rule looks at the findings and returns its evidence in words, or nothing. What a trial repairs is taken for what is
wrong only if the error falls by much, surely, and to something a learned model has; two different repairs that do
equally well are no verdict.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from tdlib.doctor.ask import DEGREE, EVEN, OTHER_STEPS
from tdlib.doctor.findings import Findings

FEW_ROWS = 30
OTHER_RATE = 0.02  # relative; between a label and the stamps
OTHER_PACE = 0.06  # relative; the trapezoid of velocities errs by some percent at slow rates
OTHER_SCALE = 0.1  # relative; parameters that were learned some percent off do as much
REMOVED = 0.05  # of the change; what a repair must take off an error, in quadrature
SCALES, MOST_LEFT = ("scaled", "proportional"), 0.7  # share of an error that a scale may leave to count as its repair
SURE = 5.0  # standard errors
REPAIRED = 0.5  # an error above is not that of a repaired model
EQUAL = 0.9  # two errors whose ratio lies above are equal
USABLE = 0.35  # an error below is that of a model that works
MAP = 0.05  # a response below is that of a map of one step
FOLLOWS = (1.2, 1.8)  # responses of a model that follows the interval; 1.5 is proportional
CONSISTENT = 0.05  # a defect below is that of a flow
UNLEARNED = 0.6  # a correlation below
TOLD = 1.15  # times the floor of noise; an error below shows nothing but noise

Symptom = Callable[[Findings], str | None]


@dataclass(frozen=True)
class Rule:
    """One line of the table.

    Args:
        name: Of the verdict.
        symptom: Evidence in words where it applies.
        verdict: What is wrong, in a sentence.
        remedy: What to do about it.
        healthy: Whether nothing is wrong at this rate.
        repair: Name of the trial that mends it; empty if no trial does.
    """

    name: str
    symptom: Symptom
    verdict: str
    remedy: str
    healthy: bool = False
    repair: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the doctor says.

    Args:
        rule: The line that applies.
        evidence: Its symptom in numbers.
        expected_error: Error that the remedy leaves on this log; nan if that was not tried.
        also: Verdicts of further lines that apply, with their evidence.
    """

    rule: Rule
    evidence: str
    expected_error: float
    also: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Of the verdict."""
        return self.rule.name


def judge(findings: Findings) -> Verdict:
    """Read the table from above; the first line whose symptom shows is the verdict."""
    applying = [(rule, evidence) for rule in RULES if (evidence := rule.symptom(findings)) is not None]
    first, evidence = applying[0]
    expected = findings.tried.get(first.repair, findings.error if first.healthy else math.nan)
    also = tuple((rule.name, said) for rule, said in applying[1:] if rule is not CANNOT_TELL and not rule.healthy)
    return Verdict(first, evidence, expected, also)


def repairs(findings: Findings, trial: str) -> bool:
    """Whether what was tried takes enough off the error, surely, and leaves what a learned model has."""
    if trial not in findings.tried:
        return False
    after, before = findings.tried[trial], findings.error
    removed = math.sqrt(max(before**2 - after**2, 0.0))
    if trial in SCALES and after > MOST_LEFT * before:
        return False  # any error that nothing explains makes a smaller scale fit a little better
    return removed >= REMOVED and findings.sure[trial] >= SURE and after <= max(REPAIRED, TOLD * findings.floor)


def _best(findings: Findings) -> str | None:
    """The trial that repairs best, or nothing where none does or two kinds do equally well."""
    kinds = {name: kind for kind, names in TRIALS.items() for name in names if _meant(findings, name)}
    able = sorted((name for name in kinds if repairs(findings, name)), key=lambda name: findings.tried[name])
    if not able:
        return None
    best = able[0]
    rivals = [name for name in able if kinds[name] != kinds[best]]
    equal = rivals and findings.tried[best] > EQUAL * findings.tried[rivals[0]]
    return None if equal else best


def _meant(findings: Findings, trial: str) -> bool:
    """Whether a trial differs from what was asked: a scale of 1 or a shift of 0 is none."""
    if trial == "scaled":
        return findings.scale > 0 and abs(math.log(findings.scale)) > OTHER_SCALE
    if trial == "proportional":
        return findings.spread > OTHER_RATE and findings.scale > 0
    return trial != "shifted" or findings.shift != 0


TRIALS = {  # kind of fault -> what mends it
    "scale": ("scaled",),
    "interval": ("proportional",),
    "unit": tuple(f"degrees in the {where}{which}" for where in ("log", "model") for which in ("", ", positions")),
    "wrap": ("wrapped",),
    "solver": ("euler",),
    "clock": ("shifted",),
    "stamps": (EVEN,),
}  # fmt: skip


def _too_little(f: Findings) -> str | None:
    if f.rows < FEW_ROWS:
        return f"{f.rows} rows are too few"
    return None if f.moving else "nothing in the log changes"


def _leaps(f: Findings) -> str | None:
    if not f.jumps:
        return None
    return "; ".join(
        f"{name} leaps by a whole turn in {100 * share:.2g} % of the rows" for name, share in f.jumps.items()
    )


def _degrees(f: Findings) -> str | None:
    low, high = f.pace
    for factor, which in ((1 / DEGREE, "positions are in degrees"), (DEGREE, "velocities are in degrees")):
        if low > 0 and abs(math.log(low / factor)) < 3 * OTHER_PACE and abs(math.log(high / factor)) < 3 * OTHER_PACE:
            return f"positions go {math.sqrt(low * high):.3g} times as far as velocities say: {which}"
    best = _best(f)
    if best not in TRIALS["unit"]:
        return None
    return f"with {best} made right the error falls from {f.error:.2g} to {f.tried[best]:.2g}"


def _label(f: Findings) -> str | None:
    said = []
    if math.isfinite(f.label) and abs(math.log(f.stamps.rate / f.label)) > OTHER_RATE:
        said.append(f"labeled {f.label:.4g} Hz, its stamps say {f.stamps.rate:.4g} Hz")
    low, high = f.pace
    agrees = _usable(f) and f.response >= MAP  # it follows the interval, so it would not under a wrong one
    if low > 0 and not agrees and (low > 1 + OTHER_PACE or high < 1 - OTHER_PACE):
        true = f.stamps.rate / math.sqrt(low * high)
        said.append(f"positions go {low:.3g} to {high:.3g} times as far as velocities say: rows come at {true:.4g} Hz")
    return "; ".join(said) or None


def _noise(f: Findings) -> str | None:
    if f.clean or not f.moving or TOLD * f.error < f.floor:  # a model that errs less shows that it is motion
        return None
    worst = max(f.noise[name] for name in f.moving)
    return f"noise is {min(f.noise[n] for n in f.moving):.2g} to {worst:.2g} of the change over one row"


def _of_its_step(f: Findings) -> bool:
    """Whether the scale that fits is that of the step it was trained at; unknown steps may be any."""
    if not math.isfinite(f.train_delta_t):
        return True
    asked, fits = (math.log(f.train_delta_t / step) for step in (f.delta_t, f.delta_t / f.scale))
    return abs(asked) > OTHER_SCALE and abs(fits) <= abs(asked) / 2


def _gain(f: Findings) -> str | None:
    if _best(f) != "scaled" or _of_its_step(f):
        return None
    return (
        f"its changes fit when multiplied by {f.scale:.3g}, and the steps do not say so: trained at "
        f"{f.train_delta_t:.3g} s, asked for {f.delta_t:.3g} s; the error falls from {f.error:.2g} to "
        f"{f.tried['scaled']:.2g}"
    )


def _rate(f: Findings) -> str | None:
    if _best(f) != "scaled" or not _of_its_step(f):
        return None
    at = f.delta_t / f.scale
    told = f"; it was trained at {f.train_delta_t:.3g} s" if math.isfinite(f.train_delta_t) else ""
    return (
        f"its changes fit when multiplied by {f.scale:.3g}: a step of {at:.3g} s asked for {f.delta_t:.3g} s{told}; "
        f"the error falls from {f.error:.2g} to {f.tried['scaled']:.2g}"
    )


def _interval(f: Findings) -> str | None:
    if _best(f) != "proportional":
        return None
    return (
        f"intervals differ by {100 * f.spread:.2g} %, its changes by {f.response:.2g} of themselves from half a step "
        f"to two; in proportion to the interval the error falls from {f.error:.2g} to {f.tried['proportional']:.2g}"
    )


def _bursts(f: Findings) -> str | None:
    if _best(f) != EVEN:
        return None
    return (
        f"rows come in bursts, {f.stamps.rate:.4g} Hz by their number and {f.stamps.bursts:.4g} Hz by most intervals; "
        f"asked for one interval of {f.delta_t:.3g} s the error falls from {f.error:.2g} to {f.tried[EVEN]:.2g}"
    )


def _wrapped(f: Findings) -> str | None:
    return (
        f"told wrapped angles it errs by {f.tried['wrapped']:.2g}, not {f.error:.2g}" if _best(f) == "wrapped" else None
    )


def _euler(f: Findings) -> str | None:
    if _best(f) != "euler" or not FOLLOWS[0] < f.response < FOLLOWS[1]:
        return None
    return f"one Euler step of its field errs by {f.tried['euler']:.2g}, its own solver by {f.error:.2g}"


def _shifted(whole: bool) -> Symptom:
    def symptom(f: Findings) -> str | None:
        if _best(f) != "shifted" or f.shift < 0 or whole != float(f.shift).is_integer():
            return None
        return _by_shift(f)

    return symptom


def _ahead(f: Findings) -> str | None:
    return _by_shift(f) if _best(f) == "shifted" and f.shift < 0 else None


def _by_shift(f: Findings) -> str:
    way = "older" if f.shift > 0 else "younger"
    by = f"{abs(f.shift):g} rows ({abs(f.shift) * f.delta_t:.3g} s)"
    return f"with inputs {by} {way} the error falls from {f.error:.2g} to {f.tried['shifted']:.2g}"


def _usable(f: Findings) -> bool:
    floor = f.floor if TOLD * f.error >= f.floor else 0.0  # one that it undercuts is motion, and excuses nothing
    return f.error <= max(USABLE, TOLD * floor) and (f.correlation >= UNLEARNED or f.error <= USABLE)


def _follows(f: Findings) -> bool:
    """Whether its change grows with the interval, or, where that bends it, two half steps are one."""
    return FOLLOWS[0] <= f.response <= FOLLOWS[1] or (f.response >= MAP and f.defect < CONSISTENT)


def _healthy_map(f: Findings) -> str | None:
    if not _usable(f) or f.response >= MAP or (math.isnan(f.response) and OTHER_STEPS not in f.refused):
        return None
    said = f"it errs by {f.error:.2g} of the change"
    if OTHER_STEPS in f.refused:
        return f"{said}, and refuses {OTHER_STEPS}: {f.refused[OTHER_STEPS]}"
    return f"{said}, and asked for {OTHER_STEPS} it answers the same"


def _healthy_field(f: Findings) -> str | None:
    if not _usable(f) or not _follows(f):
        return None
    return f"it errs by {f.error:.2g} of the change; two half steps differ from one by {f.defect:.2g}"


def _misread(f: Findings) -> str | None:
    if not _usable(f) or not f.response >= MAP or _follows(f):
        return None
    return (
        f"it errs by {f.error:.2g} here, but from half a step to two its change grows by {f.response:.2g} of itself, "
        f"not by some 1.5; two half steps differ from one by {f.defect:.2g}"
    )


def _unlearned(f: Findings) -> str | None:
    if f.error < 2 * USABLE or f.correlation >= UNLEARNED or _best(f) is not None:
        return None
    return (
        f"it errs by {f.error:.2g} of the change; its changes correlate with the recorded ones by {f.correlation:.2g}"
    )


def _undecided(f: Findings) -> str | None:
    able = [name for names in TRIALS.values() for name in names if _meant(f, name) and repairs(f, name)]
    between = f"; {' and '.join(able)} mend it about equally well" if len(able) > 1 else ""
    return f"it errs by {f.error:.2g} of the change, where noise makes at most about {f.floor:.2g}{between}"


CANNOT_TELL = Rule(
    "cannot tell",
    _undecided,
    "The log does not say what is wrong.",
    "Record longer, with inputs that move every state, or ask about another log.",
)
RULES = (
    Rule("too little", _too_little, "There is too little in the log to judge by.", "Record longer, and move."),
    Rule(
        "angle leaps",
        _leaps,
        "An angle is recorded wrapped and was not declared as an angle.",
        "Declare it (angles=[...]); give the model its sine and cosine.",
    ),
    Rule(
        "degrees",
        _degrees,
        "Angles are in degrees on one side and in radians on the other.",
        "Say the unit (units={...: 'deg'}), and the set is given radians.",
    ),
    Rule(
        "label wrong",
        _label,
        "The log does not have the rate that it is said to have.",
        "Correct the label; a model trained on it knows a step of another length.",
    ),
    Rule(
        "noise floor",
        _noise,
        "Over one row the sensors' noise is larger than the change.",
        "Make the log coarser (tdlib.data.decimate) until changes stand out, and judge or train there.",
    ),
    Rule(
        "stamps in bursts",
        _bursts,
        "Rows are stamped when they were sent, some at a time, not when they were measured.",
        "Take equal intervals over the span of rows (their number over the time), or record the sensor's own stamps.",
        repair=EVEN,
    ),
    Rule(
        "other rate",
        _rate,
        "The model knows a step of another length than the log's.",
        "Rescale its increment by Δ/h; compose it where Δ is a whole multiple of h; else train at this rate.",
        repair="scaled",
    ),
    Rule(
        "other gain",
        _gain,
        "The model's changes are too large or too small by a factor that its training step does not explain.",
        "Compare units and gains of inputs and states, and the plant, with those that it was trained on.",
        repair="scaled",
    ),
    Rule(
        "interval ignored",
        _interval,
        "Intervals differ and the model answers as if they did not.",
        "Rescale its increment by each row's Δ/h, and train a form that multiplies by Δ.",
        repair="proportional",
    ),
    Rule(
        "angle not wrapped",
        _wrapped,
        "The model knows angles of one turn, and is told more.",
        "Wrap its input to (−π, π] and add the turns back.",
        repair="wrapped",
    ),
    Rule(
        "Euler learned",
        _euler,
        "The field was learned through one Euler step, and is right under that step alone.",
        "Run it with one Euler step of its training length, or train it through RK4.",
        repair="euler",
    ),
    Rule(
        "input shifted",
        _shifted(whole=True),
        "Inputs act later than the log says, by whole rows: a delay, or rows that belong to each other's neighbors.",
        "Shift the inputs by that many rows, in training and in use alike: a delay line.",
        repair="shifted",
    ),
    Rule(
        "input clock",
        _shifted(whole=False),
        "Inputs act later than the log says, by part of a row: two clocks that differ, or an actuator that lags.",
        "Correct the offset before topics are aligned, or give the model what acted a part of a row before.",
        repair="shifted",
    ),
    Rule(
        "input late in the log",
        _ahead,
        "Inputs act earlier than the log says: a row holds what acted before it, or its stamps are late.",
        "Give each row the input recorded that much later, in training and in use alike; a delay line makes it worse.",
        repair="shifted",
    ),
    Rule(
        "healthy map",
        _healthy_map,
        "The model is right at this rate, and a map of one step.",
        "Keep the rate; at another, rescale its increment.",
        healthy=True,
    ),
    Rule(
        "healthy field",
        _healthy_field,
        "The model is right at this rate and follows the interval.",
        "Nothing; check coarser rates below.",
        healthy=True,
    ),
    Rule(
        "interval misread",
        _misread,
        "The model is right at this rate, but what it makes of Δt was never trained.",
        "Ask it for its training step alone and rescale, or train on several rates.",
    ),
    Rule(
        "not learned",
        _unlearned,
        "The model does not know this plant.",
        "Train it, or check that states and inputs are those it was trained on, in their order.",
    ),
    CANNOT_TELL,
)
