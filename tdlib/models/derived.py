"""Models without training of their own: no change, a rescaled increment, Newton's series, a fine model composed.

They wrap any callable (state, action, delta_t) -> next_state: one model, a stack, the true flow, or a function that
returns its angles in (-pi, pi], which are continued from those it was given. `DERIVATIONS` says which of them are arms
of the study.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tdlib.core.facts import FINEST, TRAIN_RATES
from tdlib.core.specs import EnvironmentSpec, continued
from tdlib.models.contract import DynamicsModel
from tdlib.models.options import Options

OneStep = Callable[[Tensor, Tensor, Tensor], Tensor]  # a model, a stack, or the true flow
TOLERANCE = 1e-5  # relative; keeps floor(0.1 / 0.02) at 5 in single precision


def spec_of(model: OneStep) -> EnvironmentSpec:
    """The spec that a model or a stack has.

    Raises:
        ValueError: If it has none.
    """
    if not hasattr(model, "spec"):
        raise ValueError(f"spec must be given where the model has none, got {model!r}")
    return model.spec


class _OfOneStep(DynamicsModel):
    """What is made of a map Φ of the step h.

    Args:
        model: Φ, called with delta_t = h.
        train_delta_t: h [s].
        spec: Spec of the environment; by default the model's.
    """

    def __init__(self, model: OneStep, train_delta_t: float, spec: EnvironmentSpec | None = None):
        super().__init__(spec or spec_of(model), Options(train_delta_t), own_scales=False)
        self.model = model
        self._continues = hasattr(model, "spec")  # by contract; of any other callable nobody knows

    def once(self, state: Tensor, action: Tensor, step: Tensor) -> Tensor:
        """Φ_h, its angles continued from those of the state."""
        moved = self.model(state, action, step)
        return moved if self._continues else continued(moved, state, self.spec)


class Persistence(DynamicsModel):
    """x' = x: the prediction that nothing changes.

    Args:
        spec: State and action sizes and units of the environment.
    """

    def __init__(self, spec: EnvironmentSpec):
        super().__init__(spec, own_scales=False)

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        return self.broadcast(state, action, delta_t)[0]


class RescaledIncrement(_OfOneStep):
    """x' = x + (Δ/h)·(Φ_h(x, a) − x): the learned increment of step h, stretched or shrunk to the asked interval.

    Args:
        model: Φ, called with delta_t = h.
        train_delta_t: h [s].
        spec: Spec of the environment; by default the model's.
    """

    row_form = "rescaled"

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        state, action, asked = self.broadcast(state, action, delta_t)
        h = self.train_delta_t.to(asked)
        return state + (asked / h).unsqueeze(-1) * (self.once(state, action, h.expand_as(asked)) - state)


class NewtonIncrement(_OfOneStep):
    """x' = x + Σ_k C(Δ/h, k)·δᵏ, δᵏ the k-th forward difference of x, Φ_h(x), Φ_h(Φ_h(x)), ...; k = 1 … order.

    Order 1 is the rescaled increment. At whole multiples Δ = n·h the series ends at k = n, and an order of at least n
    gives Φ_h composed n times. Where Φ_h is the exact flow, the remainder is that of a polynomial of this order through
    the iterates, times the increment's rate of change; a fitted map's own rough error grows with the order.

    Args:
        model: Φ, called with delta_t = h.
        order: Last term of the series; 1, 2, 3, ...
        train_delta_t: h [s].
        spec: Spec of the environment; by default the model's.

    Raises:
        ValueError: If the order is not a whole number >= 1.

    Source:
        Newton's forward interpolation in the iterates of a map.
    """

    def __init__(self, model: OneStep, order: int, train_delta_t: float, spec: EnvironmentSpec | None = None):
        if isinstance(order, bool) or not isinstance(order, int) or order < 1:
            raise ValueError(f"order must be a whole number >= 1, got {order!r}")
        super().__init__(model, train_delta_t, spec)
        self.order = order

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        state, action, delta_t = self.broadcast(state, action, delta_t)
        h = self.train_delta_t.to(delta_t)
        step, ratio = h.expand_as(delta_t), (delta_t / h).unsqueeze(-1)
        iterates = [state]
        for _ in range(self.order):
            iterates.append(self.once(iterates[-1], action, step))
        predicted, binomial, differences = state, torch.ones_like(ratio), iterates
        for k in range(1, self.order + 1):
            differences = [after - before for before, after in zip(differences, differences[1:], strict=False)]
            binomial = binomial * (ratio - (k - 1)) / k  # C(Δ/h, k)
            predicted = predicted + binomial * differences[0]
        return predicted


class RecurrentRollout(_OfOneStep):
    """Φ_h composed floor(Δ/h) times, then its increment rescaled to what remains of Δ; the count may differ per sample.

    Args:
        model: Φ, called with delta_t = h.
        train_delta_t: h [s].
        spec: Spec of the environment; by default the model's.
    """

    branches_on_values = True
    row_form = "composed"

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        state, action, asked = self.broadcast(state, action, delta_t)
        h = self.train_delta_t.to(asked)
        ratio = (asked / h * (1 + TOLERANCE)).unsqueeze(-1)
        count = ratio.floor()
        remainder = (asked.unsqueeze(-1) / h - count).clamp(min=0)
        remainder = torch.where(remainder > TOLERANCE * ratio, remainder, torch.zeros_like(remainder))
        step = h.expand_as(asked)
        for k in range(int(count.max()) if count.numel() else 0):
            state = torch.where(k < count, self.once(state, action, step), state)
        if bool((remainder > 0).any()):
            state = state + remainder * (self.once(state, action, step) - state)
        return state


@dataclass(frozen=True)
class Derivation:
    """An arm without training of its own: what it makes of which trained arms.

    Args:
        wrap: Called as wrap(models, h, spec), `models` a model or a stack.
        rates: Training rates of the arms it reads; those are the arms that their family names it for.
        acts: Whether it is planned with.
    """

    wrap: Callable[[OneStep, float, EnvironmentSpec], DynamicsModel]
    rates: tuple[str, ...] = TRAIN_RATES
    acts: bool = True


def _newton(order: int) -> Derivation:
    # its cost is that of rescaling times the order, and planning is what costs most
    return Derivation(lambda model, h, spec: NewtonIncrement(model, order, h, spec), acts=False)


def _rescaled(model: Any, h: float, spec: EnvironmentSpec) -> DynamicsModel:
    """The increment of a map rescaled; a model that remembers does it itself, since it must be told each row once."""
    return model.with_form("scaled") if hasattr(model, "with_form") else RescaledIncrement(model, h, spec)


def _warped(model: Any, h: float, spec: EnvironmentSpec) -> DynamicsModel:
    return model.with_form("warped")


DERIVATIONS = {  # by the method's name in tables
    "rescaled": Derivation(_rescaled),
    "newton_2": _newton(2),
    "newton_3": _newton(3),
    "recurrent_rollout": Derivation(RecurrentRollout, rates=(FINEST,)),
    "warped": Derivation(_warped),
}
FOR_MAPS = ("rescaled", "newton_2", "newton_3", "recurrent_rollout")
FOR_MEMORIES = ("rescaled", "warped")
