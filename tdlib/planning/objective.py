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
    terminal_cost: Callable[[Tensor], Tensor] | None = None,
) -> Objective:
    """Return the objective −Σ w_j c(ŝ_j, u_j) of plans made at `time` [s]; where an episode ends, so does its plan.

    With a terminal cost it is −Σ w_j c(ŝ_j, u_j) − T(ŝ_end), with the weights of `terminal_weight` = 0.

    Args:
        predict: Actions (..., P, T, A) of every model step -> states after each, (..., P, T, D).
        cost_rate: (states (..., D), actions (..., A)) -> (...) cost per second.
        clock: Knots and model steps.
        time: When the plan starts [s].
        terminal_weight: Time for which the last cost counts on [s] where there is no terminal cost.
        outside: States (..., D) -> (...) bool, whether an episode ends there; None if none ever does.
        failure_cost: Cost per second from the first such state on; what is predicted after it does not count. None
            counts on with what is predicted.
        terminal_cost: States (..., D) -> (...) cost of ending a plan there, wherever that is; None lets the last cost
            count on.
    """
    signal, weights = clock.signal(time), -cost_weights(clock, terminal_weight if terminal_cost is None else 0.0)

    def objective(plans: Tensor) -> Tensor:
        actions = signal(plans)
        states = predict(actions)
        cost = cost_rate(states, actions)
        if outside is not None and failure_cost is not None:
            ended = outside(states).to(torch.uint8).cummax(dim=-1).values.bool()
            cost = torch.where(ended, failure_cost, cost)
        score = cost @ weights.to(cost)
        if terminal_cost is not None:
            score = score - terminal_cost(states[..., -1, :])
        return score.to(plans.dtype)

    return objective
