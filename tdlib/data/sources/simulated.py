"""Rows of sets whose truth a system computes, and what such a set says about its origin."""

import numpy as np
from torch import Tensor

from tdlib.data.observations import observe
from tdlib.data.schema import continue_angles
from tdlib.systems import IntervalOutcome, System


def simulated_rows(
    system: System,
    state: Tensor,
    action: Tensor,
    delta_t: Tensor,
    t: Tensor,
    parameters: Tensor | None = None,
    outcome: IntervalOutcome | None = None,
) -> dict[str, np.ndarray]:
    """Simulate one interval per row, unless its outcome is known, and return all columns of the schema."""
    if outcome is None:
        outcome = system.simulate(state, action, delta_t, parameters)
    wrapped, next_state = continue_angles(state.numpy(), outcome.next_state.numpy(), system.spec)
    return {
        "observation": observe(wrapped, system.spec, None if parameters is None else parameters.numpy()),
        "state": wrapped,
        "action": action.numpy(),
        "reward": outcome.reward.numpy(),
        "next_state": next_state,
        "terminated": outcome.exit_time.isfinite().numpy(),
        "truncated": np.zeros(len(state), dtype=bool),
        "exit_time": outcome.exit_time.numpy(),
        "limit_hit": outcome.limit_hit.numpy(),
        "t": t.numpy(),
        "delta_t": delta_t.numpy(),
    }


def origin_of(system: System, seed: int | None, policy: str) -> dict[str, str | int | float]:
    """Return the attributes that say how a simulated set came about."""
    origin: dict[str, str | int | float] = {
        "policy": policy,
        "integrator": system.integrator,
        "sim_step": system.max_substep,
    }
    return origin if seed is None else {"seed": seed, **origin}
