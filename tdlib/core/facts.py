"""What the study decides once: its rates, by the names that tables and folders give them, and what names an arm."""

from dataclasses import dataclass

TRAIN_RATES = ("10", "20", "50")  # [Hz] those models are trained at
MIXED, LOG_UNIFORM = "mixed", "loguniform"  # all of these rates; intervals between the coarsest and the finest
FINEST = TRAIN_RATES[-1]  # the rate whose one-step map is composed to coarser ones
REFERENCE_DELTA_T = 0.05  # [s] the step of what is trained at several rates
RATES = ("5", "10", "16", "20", "25", "33.3", "50", "100", "200", "irregular")  # those they are tested at
PLANT_RATES = ("5", "10", "20", "50", "100", "200")  # those at which chapter 0 looks at a simulator's own step
TRANSITIONS, SECONDS, POOLED, CONTACTS = "transitions", "seconds", "pooled", "contacts"  # what arms are trained on
PERCENT = "pct"  # ends the name of a part of the data: `transitions_10pct`
LOG_FORMS = ("log_tau", "log_tau_scaled")  # forms whose step is logarithmic in Δt: as published, and input scaled
MODES = ("matching", "shooting", "reversible")  # how a model is trained: the last two end the name of an arm's method
REVERSAL_WEIGHT = 1.0  # of the penalty on flows that do not run back, in the mode named for it: as much as the error
ARM_COLUMNS = ("model", "method", "form", "size", "data", "train_frequency")  # of every table, in this order
NOISE, FRICTION = "noise", "friction"  # begin what a name of data says besides: `transitions_noise10pct`, `…_friction0`

TRAIN_FREQUENCIES = tuple(float(rate) for rate in TRAIN_RATES)  # [Hz]
NOMINAL_DELTA_T = {33.3: 0.03}  # a rate quoted with rounded digits stands for this exact interval [s]
GOOD_AT_OWN_STEP = 0.1  # an error above a tenth of the true change at the own step: the field is not learned
FAILURES = (
    0.5,
    1.0,
)  # a relative error above one fails: half of the change missed; no better than predicting no change
FALSE_ALARMS = 0.05  # share of known pairs on which an alarm is set to sound
SPLIT_SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}  # of the episodes
SEQUENCE_SHARES = {"train": 0.80, "val": 0.10, "test": 0.10}  # of sequences of one length
CONTEXT_STEPS = 8  # true steps of past that a model with memory is given
ROLLOUT_HOLD = 0.2  # [s] one random input; a multiple of the intervals of 5, 10, 20, 25, 50, 100 and 200 Hz
ROLLOUT_HOLDS = {"33.3": 0.6, "16": 0.1875}  # [s] for rates whose intervals do not divide it


def part_of_data(data: str, share: float) -> str:
    """Name a share of a kind of data: `transitions`, 0.1 -> `transitions_10pct`."""
    return f"{data}_{100 * share:g}{PERCENT}"


def with_noise_in_name(data: str, noise: float) -> str:
    """Name data whose states have errors of this share of their spread: 0.1 -> `transitions_noise10pct`."""
    return f"{data}_{NOISE}{100 * noise:g}{PERCENT}"


def with_friction_in_name(data: str, friction: float) -> str:
    """Name data of a system with this many times the losses: 0 -> `transitions_friction0`."""
    return f"{data}_{FRICTION}{friction:g}"


@dataclass(frozen=True)
class Data:
    """What a name of data says; see the functions above.

    Args:
        kind: `transitions`, `seconds`, `pooled`, `contacts`.
        share: Of the data.
        noise: Standard deviation of the states' errors, as a share of each coordinate's own.
        friction: Times the losses of the system.
    """

    kind: str
    share: float = 1.0
    noise: float = 0.0
    friction: float = 1.0


def data_of(name: str) -> Data:
    """Read such a name: `transitions_10pct` -> Data(`transitions`, share=0.1); what is not named is as it is."""
    kind, _, rest = name.rpartition("_")
    if kind and rest.startswith(FRICTION):
        return Data(kind, friction=float(rest.removeprefix(FRICTION)))
    if not kind or not rest.endswith(PERCENT):
        return Data(name)
    percent = rest.removesuffix(PERCENT)
    if percent.startswith(NOISE):
        return Data(kind, noise=float(percent.removeprefix(NOISE)) / 100)
    return Data(kind, share=float(percent) / 100)


def method_and_mode(method: str) -> tuple[str, str]:
    """Split the name of a method: `ode_shooting` -> (`ode`, `shooting`); what names no mode is of the first one."""
    name, _, mode = method.rpartition("_")
    return (name, mode) if name and mode in MODES else (method, MODES[0])


def env_folder(name: str) -> str:
    """Return the folder of an environment: `Pendulum-v1` -> `Pendulum_v1`."""
    return name.replace("-", "_")
