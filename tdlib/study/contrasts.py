"""The declared contrasts: what is compared, what was predicted before any run, and on which measure.

Each compares the relative one-step error of two arms on the pooled test set, as a ratio a / b. In each environment they
are one family for Holm's correction, equivalence tests among them. Anything else in the book is exploratory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tdlib.study.verdicts import Claim

FAMILY_LIMIT = 12  # contrasts of one environment: with 12 seeds all can be confirmed, and with 9
LESS, GREATER, EQUAL = "less", "greater", "equal"


@dataclass(frozen=True)
class ArmAtRate:
    """One arm at one test rate.

    Args:
        model: Model of the arm.
        method: Its method.
        form: Its form, or the solver of an ODE.
        train_frequency: Training rate as tables write it.
        test_frequency: Test rate as tables write it.
        data: What it is trained on, as tables write it.
    """

    model: str
    method: str
    form: str
    train_frequency: str
    test_frequency: str
    data: str = "transitions"

    def __str__(self) -> str:
        form = "" if self.form == "none" else f" {self.form}"
        data = "" if self.data == "transitions" else f" ({self.data})"
        return f"{self.model} {self.method}{form}{data} {self.train_frequency} → {self.test_frequency} Hz"


@dataclass(frozen=True)
class Contrast:
    """A comparison with its prediction.

    Args:
        name: Short name.
        question: The question of the founding document that it answers, or the theory it tests.
        a: Arm in the numerator.
        b: Arm in the denominator.
        expected: "less" (a errs less), "greater", or "equal" (within the margin).
        margin: Factor within which two errors count as equal.
        elsewhere: What is expected in environments where it is something else, by name.
    """

    name: str
    question: str
    a: ArmAtRate
    b: ArmAtRate
    expected: str
    margin: float = 1.1
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def expected_in(self, env: str) -> str:
        """What is expected in one environment."""
        return self.elsewhere.get(env, self.expected)

    def claim_in(self, env: str) -> Claim:
        """The range of the ratio a / b that is claimed in one environment."""
        ranges = {LESS: (0.0, 1.0), GREATER: (1.0, float("inf")), EQUAL: (1 / self.margin, self.margin)}
        return Claim(*ranges[self.expected_in(env)])


def _jump(method: str, form: str, train: str, test: str, data: str = "transitions") -> ArmAtRate:
    return ArmAtRate("jump", method, form, train, test, data)


CONTRASTS = (
    Contrast(
        "coverage at the same rate",
        "Q1: is it the rate, or the states that an agent of that rate visits?",
        _jump("baseline", "none", "50", "50", "pooled"),
        _jump("baseline", "none", "50", "50"),
        LESS,
        margin=1.5,
        elsewhere={"CartPoleContinuous-v1": EQUAL},  # random inputs, in seconds, at every rate
    ),
    Contrast(
        "concat Δt, one rate",
        "Q2: a constant Δt input cannot be learned from",
        _jump("dt_conditioned", "concat", "20", "50"),
        _jump("baseline", "none", "20", "50"),
        EQUAL,
    ),
    Contrast(
        "Δt-scaled, one rate",
        "Q2: the form, not the input, carries over",
        _jump("dt_conditioned", "scaled_concat", "20", "50"),
        _jump("baseline", "none", "20", "50"),
        LESS,
    ),
    Contrast(
        "mixed against one rate",
        "Q3: is multi-resolution training better?",
        _jump("multi_resolution", "scaled_concat", "mixed", "10"),
        _jump("dt_conditioned", "scaled_concat", "20", "10"),
        LESS,
    ),
    Contrast(
        "unscaled form at 100 Hz",
        "Q3: forms without the factor Δt fail towards Δt → 0",
        _jump("multi_resolution", "concat", "mixed", "100"),
        _jump("multi_resolution", "scaled_concat", "mixed", "100"),
        GREATER,
    ),
    Contrast(
        "log τ at 100 Hz",
        "theory: log-type forms extrapolate worst",
        _jump("multi_resolution", "log_tau", "mixed", "100"),
        _jump("multi_resolution", "scaled_concat", "mixed", "100"),
        GREATER,
    ),
    Contrast(
        "rescaling for free",
        "the missing cheap baseline",
        _jump("rescaled", "none", "20", "50"),
        _jump("baseline", "none", "20", "50"),
        LESS,
    ),
    Contrast(
        "composing the 50 Hz map",
        "composition is exact for the true flow, rescaling is first order",
        _jump("recurrent_rollout", "none", "50", "10"),
        _jump("rescaled", "none", "50", "10"),
        LESS,
    ),
    Contrast(
        "ODE against rescaling",
        "does continuous time beat the cheap baseline?",
        ArmAtRate("newtonian", "ode", "rk4", "20", "10"),
        _jump("rescaled", "none", "20", "10"),
        LESS,
    ),
    Contrast(
        "RK4 against Euler",
        "an Euler-trained field is a discrete map",
        ArmAtRate("first_order_ode", "ode", "rk4", "20", "10"),
        ArmAtRate("first_order_ode", "ode", "euler", "20", "10"),
        LESS,
    ),
    Contrast(
        "physics prior",
        "Botev et al.: priors barely beat a plain field; with p = v this one is wrong about CartPole",
        ArmAtRate("port_hamiltonian", "ode", "rk4", "20", "10"),
        ArmAtRate("first_order_ode", "ode", "rk4", "20", "10"),
        EQUAL,
        margin=1.5,
        elsewhere={"CartPole-v1": GREATER, "CartPoleContinuous-v1": GREATER},
    ),
    Contrast(
        "log-uniform against three rates",
        "few knots or the form?",
        _jump("multi_resolution", "scaled_concat", "loguniform", "33.3"),
        _jump("multi_resolution", "scaled_concat", "mixed", "33.3"),
        EQUAL,
        margin=1.5,  # both are fitting errors: less than this is a matter of a few more steps
    ),
)
