"""Options of models with beliefs; the defaults are what the official code of MTS3 computes, oddities among them."""

from dataclasses import dataclass
from typing import ClassVar

from tdlib.core.facts import REFERENCE_DELTA_T
from tdlib.models.beliefs.forms import BELIEF_FORMS, OF_ONE_LEVEL, BeliefForm
from tdlib.models.beliefs.masks import APART
from tdlib.models.beliefs.networks import NORMS, VARIANCES
from tdlib.models.options import Options

FEEDS = ("posterior", "prior")
OBJECTIVES = ("nll", "mse")
WIDTHS = (
    "latent_dim", "hidden_dim", "control_hidden_dim", "set_hidden_dim", "decoder_hidden_dim", "action_embedding_dim",
)  # fmt: skip


@dataclass(frozen=True)
class BeliefOptions(Options):
    """What models with beliefs have in common.

    Args:
        latent_dim: d, length of each half of a latent state, on every level.
        hidden_dim: Width of the encoder of single observations.
        control_hidden_dim: Width of the effect of an input.
        set_hidden_dim: Width of encoders of sets.
        decoder_hidden_dim: Width of both nets of the decoder.
        norm: What encoders normalize, a name in `NORMS`.
        variance: What makes variances positive, a name in `VARIANCES`.
        initial_variance: Of both halves of the first belief on every level.
        initial_side: Side covariance of the first belief; 0 is a belief whose halves know nothing of each other.
        identity: Whether I is added to the matrix of the state's own motion.
        band: Largest |i − j| at which its blocks are not zero; 0 for any.
        num_basis: Matrices that the state mixes into one (locally linear); 0 for one that is not mixed.
        form: How Δt enters, a name in `BELIEF_FORMS` that the family has.
        action_embedding_dim: Length of the action embedding.
        sequence_length: Steps of a sequence in training.
        objective: What training lowers, a name in `OBJECTIVES`.
        dropped: Share of observations that are masked in training, one by one.
        dropped_windows: Largest share of windows that are masked in training as a whole; what it is at the start grows
            to this in the first part of training.
        mask_window: Steps of such a window.
        curriculum: Part of training after which the share of masked windows grows again; 0 for the largest at once.
    """

    forms: ClassVar[tuple[str, ...]] = OF_ONE_LEVEL
    latent_dim: int = 30
    hidden_dim: int = 120
    control_hidden_dim: int = 120
    set_hidden_dim: int = 240
    decoder_hidden_dim: int = 240
    norm: str = "none"
    variance: str = "softplus"
    initial_variance: float = 10.0
    initial_side: float = 1.0
    identity: bool = False
    band: int = 0
    num_basis: int = 0
    form: str = "none"
    action_embedding_dim: int = 8
    sequence_length: int = 50
    objective: str = "nll"
    dropped: float = 0.15
    dropped_windows: float = 0.75
    mask_window: int = 15
    curriculum: float = APART

    def __post_init__(self):
        super().__post_init__()
        for name in (*WIDTHS, "mask_window"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name in ("band", "num_basis"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        choices = (("norm", NORMS), ("variance", tuple(VARIANCES)), ("form", self.forms), ("objective", OBJECTIVES))
        for name, known in choices:
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {list(known)}, got {getattr(self, name)!r}")
        if not self.initial_variance > abs(self.initial_side):
            raise ValueError(
                f"initial_variance must be above |initial_side|, got {self.initial_variance} and {self.initial_side}"
            )
        for name in ("dropped", "dropped_windows", "curriculum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if self.sequence_length < 2:
            raise ValueError(f"sequence_length must be >= 2, got {self.sequence_length}")
        if self.time.flows and (self.identity or self.band or self.num_basis):
            raise ValueError(f"identity, band and num_basis are of a matrix per step, form {self.form!r} has none")

    @property
    def time(self) -> BeliefForm:
        """What the form says."""
        return BELIEF_FORMS[self.form]


@dataclass(frozen=True)
class HiPRSSMOptions(BeliefOptions):
    """Options of HiP-RSSM.

    Args:
        context_length: Observations at the start that the task is read off, as pairs of one and the next.
        both_ends: Whether a pair of observations counts only if its second is seen as well as its first; the official
            code asks for the first alone, so that a masked second one leaks into the task.
    """

    norm: str = "post"
    context_length: int = 30
    both_ends: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.context_length < 2:
            raise ValueError(f"context_length must be >= 2 for a pair, got {self.context_length}")
        if self.context_length > self.sequence_length:
            raise ValueError(
                f"context_length must be at most sequence_length, got {self.context_length} > {self.sequence_length}"
            )


@dataclass(frozen=True)
class MTS3Options(BeliefOptions):
    """Options of MTS3.

    Args:
        windows: Steps of the window of each slow level, the fastest first; each a multiple of the one before. Where
            they are counted in seconds, a step is one of 0.05 s.
        fewest_steps: Steps that a window of the fastest slow level has at least where they are counted in seconds; not
            more than `windows[0]` then, or windows at 0.05 s would last longer than is said.
        task_feed: Which belief of a window acts on the steps in it: the `posterior`, which has seen the window to its
            end, or the `prior`, which has seen none of it, as the published figure shows.
        abstract_action_covariance: Whether the uncertainty of an abstract action counts; the official code drops it.
        detach_between_windows: Whether the gradient through the fast belief is cut after every `windows[0]` steps of a
            sequence, which are the ends of the fastest windows where these are counted in steps.
    """

    forms: ClassVar[tuple[str, ...]] = tuple(BELIEF_FORMS)
    windows: tuple[int, ...] = (30,)
    fewest_steps: int = 4
    task_feed: str = "posterior"
    abstract_action_covariance: bool = False
    detach_between_windows: bool = True

    def __post_init__(self):
        super().__post_init__()
        if not self.windows or self.windows[0] < 2:
            raise ValueError(f"windows must be one or more of at least 2 steps, got {self.windows}")
        for shorter, longer in zip(self.windows, self.windows[1:], strict=False):
            if longer <= shorter or longer % shorter:
                raise ValueError(f"windows must each be a multiple of the one before, got {self.windows}")
        if self.fewest_steps < 1:
            raise ValueError(f"fewest_steps must be >= 1, got {self.fewest_steps}")
        if self.time.seconds and self.fewest_steps > self.windows[0]:
            raise ValueError(
                f"fewest_steps must be at most windows[0] = {self.windows[0]} where windows last for a time, got "
                f"{self.fewest_steps}"
            )
        if self.windows[-1] > self.sequence_length:
            raise ValueError(f"windows must be at most sequence_length, got {self.windows} > {self.sequence_length}")
        if self.task_feed not in FEEDS:
            raise ValueError(f"task_feed must be one of {list(FEEDS)}, got {self.task_feed!r}")

    @property
    def window_seconds(self) -> float:
        """How long the fastest windows last where they are counted in seconds [s]."""
        return self.windows[0] * REFERENCE_DELTA_T
