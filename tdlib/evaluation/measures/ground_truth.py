"""Chapter 0: what changes if the rate is changed in the simulator."""

import pandas as pd
import torch

from tdlib.core.facts import PLANT_RATES
from tdlib.core.seeding import torch_generator
from tdlib.core.time_grid import delta_t_of
from tdlib.envs.gymnasium_physics import plant_change
from tdlib.systems import System


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
