"""From predictions to scores: the cost of a plan is integrated over time, so it means the same at every rate."""

from collections.abc import Callable

import torch
from torch import Tensor

from tdlib.planning.knots import KnotClock
from tdlib.planning.planners import Objective


def cost_weights(clock: KnotClock, terminal_weight: float) -> Tensor:
    """Return the weight [s] of the cost after each model step, (T,): trapezoids, and a terminal weight at the end.

    The cost of the present state is the same for all plans and left out.
    """
    weights = torch.full((clock.num_steps,), clock.model_delta_t)
    weights[-1] = 0.5 * clock.model_delta_t + terminal_weight
    return weights


def prediction_objective(
    predict: Callable[[Tensor], Tensor],
    cost_rate: Callable[[Tensor, Tensor], Tensor],
    clock: KnotClock,
    time: float,
    terminal_weight: float,
) -> Objective:
    """Return the objective −Σ w_j c(ŝ_j, u_j) of plans made at `time` [s].

    Args:
        predict: Actions (..., P, T, A) of every model step -> states after each, (..., P, T, D).
        cost_rate: (states (..., D), actions (..., A)) -> (...) cost per second.
        clock: Knots and model steps.
        time: When the plan starts [s].
        terminal_weight: Time for which the last cost counts on [s].
    """
    held, weights = clock.held_knots(time), -cost_weights(clock, terminal_weight)
    every_step = held.tolist() == list(range(clock.num_knots))  # one knot per step: nothing to spread

    def objective(plans: Tensor) -> Tensor:
        actions = plans if every_step else plans.index_select(-2, held.to(plans.device))
        cost = cost_rate(predict(actions), actions)
        return (cost @ weights.to(cost)).to(plans.dtype)

    return objective
