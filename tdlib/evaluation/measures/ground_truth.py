"""Chapter 0: what changes if the rate is changed in the simulator."""

import pandas as pd
import torch

from tdlib.core.facts import PLANT_RATES
from tdlib.core.seeding import torch_generator
from tdlib.core.specs import state_difference
from tdlib.core.time_grid import delta_t_of, num_steps
from tdlib.envs.gymnasium_physics import native_step, plant_change
from tdlib.systems import System

MOTION = 1.0  # [s] of a motion that is followed


def plant_change_table(system: System, *, seed: int = 0, num_samples: int = 4096) -> pd.DataFrame:
    """Error of one step of Gymnasium's integrator with its `dt` set to the control interval.

    Returns:
        Rows of env, test_frequency, dimension, relative_change (RMS error over RMS true change), n (samples before
        those that touch the speed limit are left out).
    """
    rows = []
    for rate in map(float, PLANT_RATES):
        generator = torch_generator(seed, "plant change", system.spec.name)
        change = plant_change(system, delta_t_of(rate), num_samples=num_samples, generator=generator)
        total = (change**2).mean().sqrt().unsqueeze(0)
        for name, value in zip((*system.spec.state_names, "all"), torch.cat([change, total]).tolist(), strict=True):
            rows.append({"env": system.spec.name, "test_frequency": f"{rate:g}", "dimension": name,
                         "relative_change": value, "n": num_samples})  # fmt: skip
    return pd.DataFrame(rows)


def plant_motions(system: System) -> pd.DataFrame:
    """One motion under a held input by the exact flow, and by Gymnasium's integrator with `dt` set to the interval.

    Returns:
        Rows of env, control_frequency, time [s], dimension, exact, simulated and off, their difference.
    """
    spec, names = system.spec, ("exact", "simulated", "off")
    shown = spec.state_names.index(system.plane[0])
    wanted = 0.5 * torch.tensor(spec.input_high, dtype=torch.float64)
    action = spec.nearest_action(wanted) if spec.discrete else wanted
    delta_ts = [delta_t_of(float(rate)) for rate in PLANT_RATES]
    counts = [num_steps(MOTION, delta_t) for delta_t in delta_ts]
    start, lengths = torch.tensor(system.start, dtype=torch.float64), torch.tensor(delta_ts, dtype=torch.float64)
    states = [start.expand(len(lengths), -1)]  # all rates at once, (R, D)
    for _ in range(max(counts)):
        states.append(native_step(system, states[-1], spec.held_input(action), lengths))
    clock = lengths.min() * torch.arange(max(counts) + 1)  # (T+1,) of the finest rate, which has the times of all
    exact_at = system.flow(start.expand(len(clock), -1), action.expand(len(clock), -1), clock)
    parts = []
    for r, (rate, count) in enumerate(zip(PLANT_RATES, counts, strict=True)):
        every = max(counts) // count
        times, exact, simulated = clock[::every], exact_at[::every], torch.stack(states[: count + 1])[:, r]
        values = (exact, simulated, state_difference(simulated, exact, spec))
        columns = {name: value[:, shown].numpy() for name, value in zip(names, values, strict=True)}
        place = {"env": spec.name, "control_frequency": rate, "dimension": system.plane[0]}
        parts.append(pd.DataFrame({"time": times.numpy(), **columns}).assign(**place))
    return pd.concat(parts, ignore_index=True)
