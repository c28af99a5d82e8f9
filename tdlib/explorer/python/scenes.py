"""The explorer's guided scenes: a question with answers to guess from, and the view that answers it.

A scene is data. The number of its reveal is computed from the models on show, in the page as in JupyterLab, and says
which answer is right; `expected` and `because` speak of the edition's models, and a test computes whether they do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache

from tdlib.explorer.python.entries import FIRST_ARMS, TRUE_FIELD
from tdlib.explorer.python.views import first_view
from tdlib.study.arms import Arm
from tdlib.systems import SYSTEMS, System


@dataclass(frozen=True)
class Scene:
    """One question.

    In texts a name in braces is computed: `{before.a}`, `{after.b}` are errors of the first step relative to the true
    motion in the views before and after; `{value}` is what is asked for; `{before.rate}` is a rate [Hz], `{after.rule}`
    is |1 − h/Δ| of A.

    Args:
        name: In links.
        title: On its button.
        question: One sentence that asks for a guess.
        answers: Two to four, from small values to large.
        bounds: Values between the answers, one fewer.
        measure: What is asked for: one name, or two whose quotient it is.
        before: View in which the question is asked, a link.
        after: View that answers it, a link.
        says: What came out.
        because: Why; said where the right answer is the expected one.
        expected: Which answer the edition's models give.
    """

    name: str
    title: str
    question: str
    answers: tuple[str, ...]
    bounds: tuple[float, ...]
    measure: tuple[str, ...]
    before: str
    after: str
    says: str
    because: str
    expected: int


def view_link(
    system: System, rate: float, a: Arm | str, b: Arm | str | None = None, **parts: int | Sequence[float]
) -> str:
    """Write a view as a link: a system's first start and input, and what differs from them.

    Args:
        system: What moves.
        rate: Rate that is asked for [Hz].
        a: Arm, or the name of a model that nobody trained.
        b: The same; None for no second model.
        **parts: Other parts of the link, for example `x0` or `substeps`.
    """
    fields = {"env": system.spec.name, "hz": f"{rate:g}", "a": _model(a), **({} if b is None else {"b": _model(b)})}
    for key, value in parts.items():
        fields[key] = str(value) if isinstance(value, int) else ",".join(f"{x:g}" for x in value)
    return "dt-explorer&" + "&".join(f"{key}={value}" for key, value in fields.items())


def _model(arm: Arm | str) -> str:
    if isinstance(arm, str):
        return f"{arm}~{arm}.none.transitions"
    return f"{arm.model}~{arm.method}.{arm.form}.{arm.data}~{arm.train_frequency}"


@cache
def scenes() -> tuple[Scene, ...]:
    """Return the scenes in their order; all show the first system from its first view."""
    system, one, several = next(iter(SYSTEMS.values())), FIRST_ARMS["a"], FIRST_ARMS["b"]
    rescaled = Arm(one.model, "rescaled", train_frequency=one.train_frequency)
    own, rest = one.frequencies[0], (first_view(system).start[0], *(0.0,) * (system.spec.state_dim - 1))

    def view(rate: float, a: Arm | str, b: Arm | str | None = None, **parts: int | Sequence[float]) -> str:
        return view_link(system, rate, a, b, **parts)

    return (
        Scene(
            name="step",
            title="Ask for another step",
            question="A learned the step of {before.rate} Hz; there its first step misses {before.a} of the true "
            "motion. How much does it miss at {after.rate} Hz?",
            answers=("Less than a tenth", "Between a tenth and all of it", "More than all of it"),
            bounds=(0.1, 1.0),
            measure=("after.a",),
            before=view(own, one),
            after=view(50, one),
            says="It misses {value} times the motion.",
            because="Asked for a shorter step it still takes its own, and overshoots: |1 − h/Δ| is {after.rule}. To "
            "say that nothing moves would miss 1.",
            expected=2,
        ),
        Scene(
            name="rescale",
            title="Mend it without training",
            question="At {before.rate} Hz A misses {before.a}. B is A with its increment multiplied by Δ/h, and "
            "nothing else. What share of the error is left?",
            answers=("Less than a tenth", "A tenth to a half", "More than a half"),
            bounds=(0.1, 0.5),
            measure=("after.b", "before.a"),
            before=view(50, one),
            after=view(50, one, rescaled),
            says="B misses {after.b}; a share of {value} is left.",
            because="What is left is how much the motion turns within one step, and what training left.",
            expected=0,
        ),
        Scene(
            name="rest",
            title="Start from rest",
            question="A is a map of one rate, its increment rescaled; where the state moves it misses {before.a}. How "
            "much larger is the error from rest?",
            answers=("About the same", "Two to five times", "More than five times"),
            bounds=(2.0, 5.0),
            measure=("after.a", "before.a"),
            before=view(50, rescaled),
            after=view(50, rescaled, x0=rest),
            says="From rest it misses {after.a}, which is {value} times as much.",
            because="From rest a position moves by Δ²/2 times its acceleration. Rescaling mends what grows with Δ, not "
            "what grows with Δ².",
            expected=2,
        ),
        Scene(
            name="between",
            title="Between and beyond",
            question="A saw several rates. At {before.rate} Hz, between them, it misses {before.a}. How much larger is "
            "the error at {after.rate} Hz, beyond them?",
            answers=("Not larger", "Up to three times", "More than three times"),
            bounds=(1.1, 3.0),
            measure=("after.a", "before.a"),
            before=view(33.3, several),
            after=view(5, several),
            says="There it misses {after.a}, {value} times as much.",
            because="Between its rates a smooth network interpolates. Beyond them nothing holds it.",
            expected=2,
        ),
        Scene(
            name="solver",
            title="A perfect field, a coarse solver",
            question="Nothing is learned here: A is the true field, solved by Euler at {before.rate} Hz, and misses "
            "{before.a}. What share of it is left with two substeps?",
            answers=("A quarter", "A half", "All of it"),
            bounds=(0.35, 0.75),
            measure=("after.a", "before.a"),
            before=view(10, TRUE_FIELD),
            after=view(10, TRUE_FIELD, substeps=2),
            says="It misses {after.a}: a share of {value} is left.",
            because="Euler is of first order: twice the substeps, half the error, down to zero here. A learned field "
            "has an error of its own, which no solver lowers; on the way the two may cancel, for one start and input.",
            expected=1,
        ),
    )


def scene_values() -> list[Mapping]:
    """Return the scenes as plain values for the page."""
    return [asdict(scene) for scene in scenes()]
