"""The declared contrasts: what is compared, what was predicted before any run, and on which measure.

Each compares the relative one-step error of two arms on the pooled test set, as a ratio a / b, in every environment.
Anything else in the book is exploratory.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ArmAtRate:
    """One arm at one test rate.

    Args:
        model: Model of the arm.
        method: Its method.
        form: Its form, or the solver of an ODE.
        train_frequency: Training rate as tables write it.
        test_frequency: Test rate as tables write it.
    """

    model: str
    method: str
    form: str
    train_frequency: str
    test_frequency: str

    def __str__(self) -> str:
        form = "" if self.form == "none" else f" {self.form}"
        return f"{self.model} {self.method}{form} {self.train_frequency} → {self.test_frequency} Hz"


@dataclass(frozen=True)
class Contrast:
    """A comparison with its prediction.

    Args:
        name: Short name.
        question: The question of the founding document that it answers, or the theory it tests.
        a: Arm in the numerator.
        b: Arm in the denominator.
        expected: "less" (a errs less), "greater", or "equal" (within 10 %).
    """

    name: str
    question: str
    a: ArmAtRate
    b: ArmAtRate
    expected: str


def _jump(method: str, form: str, train: str, test: str) -> ArmAtRate:
    return ArmAtRate("jump", method, form, train, test)


CONTRASTS = (
    Contrast(
        "off-rate baseline",
        "Q1: does the training rate matter?",
        _jump("baseline", "none", "20", "50"),
        _jump("baseline", "none", "20", "20"),
        "greater",
    ),
    Contrast(
        "concat Δt, one rate",
        "Q2: a constant Δt input cannot be learned from",
        _jump("dt_conditioned", "concat", "20", "50"),
        _jump("baseline", "none", "20", "50"),
        "equal",
    ),
    Contrast(
        "Δt-scaled, one rate",
        "Q2: the form, not the input, carries over",
        _jump("dt_conditioned", "scaled_concat", "20", "50"),
        _jump("baseline", "none", "20", "50"),
        "less",
    ),
    Contrast(
        "mixed against one rate",
        "Q3: is multi-resolution training better?",
        _jump("multi_resolution", "scaled_concat", "mixed", "10"),
        _jump("dt_conditioned", "scaled_concat", "20", "10"),
        "less",
    ),
    Contrast(
        "unscaled form at 100 Hz",
        "Q3: forms without the factor Δt fail towards Δt → 0",
        _jump("multi_resolution", "concat", "mixed", "100"),
        _jump("multi_resolution", "scaled_concat", "mixed", "100"),
        "greater",
    ),
    Contrast(
        "log τ at 100 Hz",
        "theory: log-type forms extrapolate worst",
        _jump("multi_resolution", "log_tau", "mixed", "100"),
        _jump("multi_resolution", "scaled_concat", "mixed", "100"),
        "greater",
    ),
    Contrast(
        "rescaling for free",
        "the missing cheap baseline",
        _jump("rescaled", "none", "20", "50"),
        _jump("baseline", "none", "20", "50"),
        "less",
    ),
    Contrast(
        "composing the 50 Hz map",
        "composition is exact for the true flow, rescaling is first order",
        _jump("recurrent_rollout", "none", "50", "10"),
        _jump("rescaled", "none", "50", "10"),
        "less",
    ),
    Contrast(
        "ODE against rescaling",
        "does continuous time beat the cheap baseline?",
        ArmAtRate("newtonian", "ode", "rk4", "20", "10"),
        _jump("rescaled", "none", "20", "10"),
        "less",
    ),
    Contrast(
        "RK4 against Euler",
        "an Euler-trained field is a discrete map",
        ArmAtRate("first_order_ode", "ode", "rk4", "20", "10"),
        ArmAtRate("first_order_ode", "ode", "euler", "20", "10"),
        "less",
    ),
    Contrast(
        "physics prior",
        "Botev et al.: priors barely beat a plain field",
        ArmAtRate("port_hamiltonian", "ode", "rk4", "20", "10"),
        ArmAtRate("first_order_ode", "ode", "rk4", "20", "10"),
        "equal",
    ),
    Contrast(
        "log-uniform against three rates",
        "few knots or the form?",
        _jump("multi_resolution", "scaled_concat", "loguniform", "33.3"),
        _jump("multi_resolution", "scaled_concat", "mixed", "33.3"),
        "equal",
    ),
)
