"""Chapter 0: what changes if the rate is changed in the simulator, and what a held input is."""

import numpy as np
import pandas as pd
import torch

from tdlib.envs import System
from tdlib.envs.gymnasium_physics import GYMNASIUM_STEPS, plant_change
from tdlib.seeding import torch_generator
from tdlib.trajectories import delta_t_of, time_grid

RATES = (5.0, 10.0, 20.0, 50.0, 100.0, 200.0)


def plant_change_table(system: System, *, seed: int = 0, num_samples: int = 4096) -> pd.DataFrame:
    """Error of one step of Gymnasium's integrator with its `dt` set to the control interval.

    Returns:
        Rows of env, test_frequency, dimension, relative_change (RMS error over RMS true change), n (samples before
        those that touch the speed limit are left out).
    """
    rows = []
    for rate in RATES:
        generator = torch_generator(seed, "plant change", system.spec.name)
        change = plant_change(system, delta_t_of(rate), num_samples=num_samples, generator=generator)
        total = (change**2).mean().sqrt().unsqueeze(0)
        for name, value in zip((*system.spec.state_names, "all"), torch.cat([change, total]).tolist(), strict=True):
            rows.append({"env": system.spec.name, "test_frequency": f"{rate:g}", "dimension": name,
                         "relative_change": value, "n": num_samples})  # fmt: skip
    return pd.DataFrame(rows)


def zero_order_hold_table(
    system: System, *, control_frequency: float = 10.0, horizon: float = 1.0, fine: float = 0.002, seed: int = 0
) -> pd.DataFrame:
    """Follow one held random input exactly, on a fine clock and at the control rate, and by Gymnasium's own step.

    Returns:
        Rows of env, curve ("exact", "samples" or "gymnasium"), time [s], input (physical), and the state's dimensions.
    """
    spec, delta_t = system.spec, delta_t_of(control_frequency)
    times = time_grid(horizon, delta_t)
    unit = torch.rand(len(times) - 1, 1, dtype=torch.float64, generator=torch_generator(seed, "hold", spec.name))
    action = unit.round() if spec.discrete else spec.action_low + (spec.action_high - spec.action_low) * unit
    state = torch.tensor([[0.05] * spec.state_dim], dtype=torch.float64)
    naive, rows = state.clone(), []

    def add(curve: str, time: float, force: float, values: torch.Tensor) -> None:
        rows.append({"env": spec.name, "curve": curve, "time": time, "input": force,
                     **dict(zip(spec.state_names, values[0].tolist(), strict=True))})  # fmt: skip

    step = GYMNASIUM_STEPS.get(spec.name, GYMNASIUM_STEPS["CartPole-v1"])
    for begin, a in zip(times, action.unsqueeze(1), strict=False):
        force = float(system.physical_input(a))
        add("samples", begin, force, state)
        add("gymnasium", begin, force, naive)
        for since in np.arange(0, delta_t, fine):
            add("exact", begin + since, force, system.flow(state, a, float(since)) if since else state)
        state, naive = system.flow(state, a, delta_t), step(naive, system.physical_input(a), delta_t)
    for curve, values in (("samples", state), ("gymnasium", naive), ("exact", state)):
        add(curve, times[-1], force, values)
    return pd.DataFrame(rows)
