"""How a discrete model uses Δt: x̂ = x + s(Δt)·σ·g(z(x), e(a), gain·Δt), s(Δt) = constant + linear·Δt + log·τ(Δt).

τ(Δt) = log10 Δt + 5 is TAWM's. The coefficients are numbers in a buffer, so one stack trains models of different forms.
"""

import math

import torch
from torch import Tensor, nn

from tdlib.core.facts import LOG_FORMS, REFERENCE_DELTA_T

LOG_OFFSET = 5.0  # τ is zero at 10 µs
FORMS = ("none", "concat", "scaled", "scaled_concat", *LOG_FORMS)


def form_coefficients(form: str, train_delta_t: float) -> tuple[float, float, float, float]:
    """Return (gain [1/s], constant [s], linear [1], log [s]) of a named form.

    | form | Δt input | s(Δt) |
    |---|---|---|
    | none | – | h, whatever Δt is asked for |
    | concat | Δt / 0.05 s | h |
    | scaled | – | Δt |
    | scaled_concat | Δt / 0.05 s | Δt |
    | log_tau | Δt in s | h·τ(Δt)/τ(h) |
    | log_tau_scaled | Δt / 0.05 s | h·τ(Δt)/τ(h) |

    `log_tau` is the published form, whose input moves by hundredths where that of the others moves by ones;
    `log_tau_scaled` tells the step from the scale of the input.

    Args:
        form: Name in `FORMS`.
        train_delta_t: Training step h [s]; 0.05 s for training sets of several rates.

    Raises:
        ValueError: If the form is unknown or h is not a positive time.

    Source:
        `log_tau`: Nhu, Son, Lin (2025), Time-Aware World Model, their code's `world_model.py`.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {list(FORMS)}, got {form!r}")
    h = float(train_delta_t)
    if not (math.isfinite(h) and h > 10**-LOG_OFFSET):
        raise ValueError(f"train_delta_t must be a finite time above 10 µs [s], got {train_delta_t}")
    gain = 1.0 / REFERENCE_DELTA_T  # not the data's std: that of one rate's intervals is zero
    log = h / (math.log10(h) + LOG_OFFSET)
    return {
        "none": (0.0, h, 0.0, 0.0),
        "concat": (gain, h, 0.0, 0.0),
        "scaled": (0.0, 0.0, 1.0, 0.0),
        "scaled_concat": (gain, 0.0, 1.0, 0.0),
        "log_tau": (1.0, 0.0, 0.0, log),
        "log_tau_scaled": (gain, 0.0, 0.0, log),
    }[form]


def step_size(coefficients: Tensor, delta_t: Tensor) -> Tensor:
    """Return s(Δt) of forms by their coefficients: (..., 4), (...) [s] -> (...) [s]."""
    _, constant, linear, log = coefficients.unbind(dim=-1)
    tau = torch.log10(delta_t.clamp(min=10**-LOG_OFFSET)) + LOG_OFFSET  # the clamp keeps 0·τ finite at Δt = 0
    return constant + linear * delta_t + log * tau


class StepForm(nn.Module):
    """The form's coefficients as a buffer (double, so that a double model computes with exact decimals).

    Args:
        form: Name in `FORMS`.
        train_delta_t: Training step [s].
    """

    def __init__(self, form: str, train_delta_t: float):
        super().__init__()
        values = form_coefficients(form, train_delta_t)
        self.register_buffer("coefficients", torch.tensor(values, dtype=torch.float64))

    def forward(self, delta_t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the network's Δt input and the step s(Δt) [s]: (...) -> (..., 1), (..., 1)."""
        coefficients = self.coefficients.to(delta_t.dtype)
        return (coefficients[0] * delta_t).unsqueeze(-1), step_size(coefficients, delta_t).unsqueeze(-1)
