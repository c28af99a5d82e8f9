"""How long and how fast to train: the budget is optimizer steps, equal for all arms."""

import math
from dataclasses import dataclass

LOSSES = ("increment", "next_state")
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class Budget:
    """Optimizer settings shared by all trials of a fit.

    Args:
        num_steps: Optimizer steps.
        learning_rate: Peak learning rate of Adam.
        batch_size: Transitions per step and model; a model that needs windows gets batch_size / window of them.
        warmup_fraction: Part of the steps with linearly growing learning rate.
        patience: Validations without improvement after which a model stops.
        num_validations: Validations spread evenly over the steps.
        validation_size: Most transitions of the validation split used per validation, drawn once per model.
        clip: Largest gradient norm of one model; longer gradients are shortened to it.
        loss: `increment` divides the error by Δt·σ, `next_state` by the standard deviation of the state (the seed's
            loss, an ablation: it weighs coarse steps more, and 50 Hz learns slowest).
        schedule: What the learning rate does after the warm-up: `cosine` decays to zero, `constant` stays.
    """

    num_steps: int
    learning_rate: float
    batch_size: int = 256
    warmup_fraction: float = 0.05
    patience: int = 10
    num_validations: int = 20
    validation_size: int = 1024
    clip: float = 10.0
    loss: str = "increment"
    schedule: str = "cosine"

    def __post_init__(self):
        for name in ("num_steps", "batch_size", "patience", "num_validations", "validation_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number >= 1, got {value!r}")
        for name in ("learning_rate", "clip"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive finite number, got {value!r}")
        if not 0 <= self.warmup_fraction < 1:
            raise ValueError(f"warmup_fraction must be in [0, 1), got {self.warmup_fraction!r}")
        for name, known in (("loss", LOSSES), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {list(known)}, got {getattr(self, name)!r}")

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of step 0 .. num_steps - 1: linear warm-up, then as `schedule` says."""
        warmup = round(self.warmup_fraction * self.num_steps)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        if self.schedule == "constant":
            return self.learning_rate
        progress = (step - warmup) / max(1, self.num_steps - warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    def validation_steps(self) -> set[int]:
        """Numbers of finished steps after which to validate; the last step is among them."""
        count = min(self.num_validations, self.num_steps)
        return {round((k + 1) * self.num_steps / count) for k in range(count)}


def windows_per_batch(batch_size: int, window: int) -> int:
    """Windows of `window` steps in a batch of `batch_size` transitions.

    Raises:
        ValueError: If the batch cannot be cut into windows.
    """
    if batch_size % window:
        raise ValueError(f"batch_size must be a multiple of the model's window, got {batch_size} and {window}")
    return batch_size // window
