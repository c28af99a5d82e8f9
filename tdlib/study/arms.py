"""The arms of the study: which configurations are trained, and which derive from a trained one without training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tdlib.core.facts import ARM_COLUMNS
from tdlib.core.facts import TRAIN_RATES as TRAIN_FREQUENCIES
from tdlib.core.seeding import derive_seed
from tdlib.core.specs import EnvironmentSpec
from tdlib.core.time_grid import delta_t_of
from tdlib.models import FIELDS, MODELS, SIZES, DynamicsModel, build_model
from tdlib.models.forms import REFERENCE_DELTA_T

MIXED, LOG_UNIFORM = "mixed", "loguniform"
FINEST = TRAIN_FREQUENCIES[-1]  # [Hz]; the rate whose baseline is composed


@dataclass(frozen=True)
class Arm:
    """One trained configuration, without environment and seed.

    Args:
        model: Key in `MODELS`, or `none`.
        method: baseline, dt_conditioned, multi_resolution, ode; derived: persistence, rescaled, recurrent_rollout.
        form: A name in `FORMS`; for the method `ode` its solver.
        size: Key in `SIZES`.
        data: `transitions` (equally many in every arm) or `seconds` (equally many seconds of experience).
        train_frequency: `10`, `20`, `50` [Hz], `mixed`, `loguniform`, or empty where nothing is trained.
    """

    model: str
    method: str
    form: str = "none"
    size: str = "hidden64"
    data: str = "transitions"
    train_frequency: str = ""

    @property
    def folder(self) -> str:
        """Folder name, for example `dt_conditioned_scaled_concat_20hz`; what is not the default comes last."""
        if self.model == "none":
            return self.method
        rate = self.train_frequency
        parts = [self.method] + ([self.form] if self.form != "none" else [])
        if rate == MIXED:
            parts += [rate] if self.method == "ode" else []
        elif rate:
            parts += [rate if rate == LOG_UNIFORM else f"{rate}hz"]
        parts += [self.size] if self.size != "hidden64" else []
        parts += [self.data] if self.data != "transitions" else []
        return "_".join(parts)

    @property
    def frequencies(self) -> tuple[float, ...]:
        """Training rates [Hz]; empty for log-uniform Δt and for what is not trained."""
        if self.train_frequency == MIXED:
            return tuple(float(f) for f in TRAIN_FREQUENCIES)
        return (float(self.train_frequency),) if self.train_frequency not in ("", LOG_UNIFORM) else ()

    @property
    def train_delta_t(self) -> float:
        """Training step [s]; the reference of 0.05 s for several rates."""
        return delta_t_of(self.frequencies[0]) if len(self.frequencies) == 1 else REFERENCE_DELTA_T

    @property
    def source(self) -> "Arm | None":
        """The trained arm that a derived arm reads; itself for a trained arm, None for persistence."""
        if self.method in ("rescaled", "recurrent_rollout"):
            return replace(self, method="baseline")
        return None if self.model == "none" else self

    def keys(self) -> dict[str, str]:
        """The arm's key columns in table order."""
        return {name: getattr(self, name) for name in ARM_COLUMNS}


def build_arm(arm: Arm, spec: EnvironmentSpec, seed: int) -> DynamicsModel:
    """Build the untrained model of an arm; arms of one model and size start from the same weights per seed (paired).

    Raises:
        ValueError: If the arm is not trained, or a name in it is unknown.
    """
    if arm.source != arm:
        raise ValueError(f"arm must be a trained one, got {arm}")
    how = "solver" if arm.model in FIELDS else "form"
    options = {how: arm.form, "size": arm.size, "train_delta_t": arm.train_delta_t}
    return build_model(arm.model, spec, seed=derive_seed(seed, spec.name, arm.model, arm.size, "weights"), **options)


def trained_arms(models: Sequence[str] | None = None, sizes: Sequence[str] = ("hidden64",)) -> list[Arm]:
    """Every trained arm of the study.

    Args:
        models: Names of models to keep; None keeps all.
        sizes: Sizes of the jump model; every size beyond hidden64 adds baselines and the mixed scaled_concat arm.

    Raises:
        ValueError: If a name is unknown; the message lists the valid ones.
    """
    _check_names("models", models or (), MODELS)
    _check_names("sizes", sizes, SIZES)
    arms = []
    if "hidden64" in sizes:
        arms += _jump_arms() + _lstm_arms() + _field_arms() + _ensemble_arms()
    for size in sizes:
        if size != "hidden64":
            arms += [Arm("jump", "baseline", size=size, train_frequency=f) for f in TRAIN_FREQUENCIES]
            arms += [Arm("jump", "multi_resolution", "scaled_concat", size=size, train_frequency=MIXED)]
    return [arm for arm in arms if models is None or arm.model in models]


PERSISTENCE = Arm("none", "persistence", size="none", data="none")
DERIVED_ARMS: tuple[Arm, ...] = (
    PERSISTENCE,
    *(Arm("jump", "rescaled", train_frequency=f) for f in TRAIN_FREQUENCIES),
    Arm("jump", "recurrent_rollout", train_frequency=FINEST),
)


def all_arms(models: Sequence[str] | None = None, sizes: Sequence[str] = ("hidden64",)) -> list[Arm]:
    """Trained arms and the derived arms whose source is among them; persistence is always there."""
    trained = trained_arms(models, sizes)
    return [arm for arm in DERIVED_ARMS if arm.source is None or arm.source in trained] + trained


def _jump_arms() -> list[Arm]:
    rates = TRAIN_FREQUENCIES
    arms = [Arm("jump", "baseline", train_frequency=f) for f in rates]
    arms += [
        Arm("jump", "dt_conditioned", form, train_frequency=f)
        for form in ("concat", "scaled_concat", "log_tau")
        for f in rates
    ]
    arms += [
        Arm("jump", "multi_resolution", form, train_frequency=f)
        for f in (MIXED, LOG_UNIFORM)
        for form in ("concat", "scaled", "scaled_concat", "log_tau")
    ]
    return arms + [Arm("jump", "baseline", data="seconds", train_frequency=f) for f in rates if f != FINEST]


def _lstm_arms() -> list[Arm]:
    arms = [Arm("lstm", "baseline", train_frequency=f) for f in TRAIN_FREQUENCIES]
    arms += [Arm("lstm", "dt_conditioned", form, train_frequency="20") for form in ("concat", "scaled_concat")]
    return arms + [Arm("lstm", "multi_resolution", form, train_frequency=MIXED) for form in ("concat", "scaled_concat")]


def _field_arms() -> list[Arm]:
    arms = []
    for field in FIELDS:
        arms += [Arm(field, "ode", "rk4", train_frequency=f) for f in (*TRAIN_FREQUENCIES, MIXED, LOG_UNIFORM)]
        arms += [Arm(field, "ode", "euler", train_frequency=f) for f in TRAIN_FREQUENCIES]
    return arms


def _ensemble_arms() -> list[Arm]:
    return [
        Arm("ensemble", "dt_conditioned", "scaled_concat", train_frequency="20"),
        Arm("ensemble", "multi_resolution", "scaled_concat", train_frequency=MIXED),
    ]


def _check_names(argument: str, names: Sequence[str], valid: dict) -> None:
    unknown = [name for name in names if name not in valid]
    if unknown:
        raise ValueError(f"{argument} must be among {list(valid)}, got {unknown}")
