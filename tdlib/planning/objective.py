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
    outside: Callable[[Tensor], Tensor] | None = None,
    failure_cost: float | None = None,
) -> Objective:
    """Return the objective −Σ w_j c(ŝ_j, u_j) of plans made at `time` [s]; where an episode ends, so does its plan.

    Args:
        predict: Actions (..., P, T, A) of every model step -> states after each, (..., P, T, D).
        cost_rate: (states (..., D), actions (..., A)) -> (...) cost per second.
        clock: Knots and model steps.
        time: When the plan starts [s].
        terminal_weight: Time for which the last cost counts on [s].
        outside: States (..., D) -> (...) bool, whether an episode ends there; None if none ever does.
        failure_cost: Cost per second from the first such state on; what is predicted after it does not count. None
            counts on with what is predicted.
    """
    held, weights = clock.held_knots(time), -cost_weights(clock, terminal_weight)
    every_step = held.tolist() == list(range(clock.num_knots))  # one knot per step: nothing to spread

    def objective(plans: Tensor) -> Tensor:
        actions = plans if every_step else plans.index_select(-2, held.to(plans.device))
        states = predict(actions)
        cost = cost_rate(states, actions)
        if outside is not None and failure_cost is not None:
            ended = outside(states).to(torch.uint8).cummax(dim=-1).values.bool()
            cost = torch.where(ended, failure_cost, cost)
        return (cost @ weights.to(cost)).to(plans.dtype)

    return objective
