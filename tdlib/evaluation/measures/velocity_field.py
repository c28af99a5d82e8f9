"""Learned and true velocity fields on a grid of states, for pictures of what a field has learned."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from tdlib.evaluation.tables import Axes, Member, tidy
from tdlib.models import DynamicsModel
from tdlib.speed import Stack
from tdlib.systems import System


def velocity_field(
    model: Stack | DynamicsModel,
    system: System,
    members: Sequence[Member],
    *,
    points: int = 13,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Evaluate fields on the system's plane of states, others zero, with zero force (discrete: action 1).

    Args:
        model: Stack of K fields, or one model with a `derivative`.
        system: True field.
        members: K mappings with the key columns of each model.
        points: Grid points per axis.
        device: Where the model is.

    Returns:
        Rows of key columns, horizontal and vertical (names of the plane's dimensions), x, y, and the components of the
        learned (dx, dy) and true (dx_true, dy_true) velocity [unit/s].
    """
    spec = system.spec
    names, widths = system.plane, system.plane_widths
    i, j = (spec.state_names.index(name) for name in names)
    x, y = np.meshgrid(*(np.linspace(-width, width, points) for width in widths))
    state = torch.zeros(1, x.size, spec.state_dim, dtype=torch.float64)
    state[..., i], state[..., j] = torch.from_numpy(x.ravel()), torch.from_numpy(y.ravel())
    action = torch.full((1, x.size, spec.action_dim), 1.0 if spec.discrete else 0.0, dtype=torch.float64)
    true = system.derivative(state, system.spec.held_input(action))
    with torch.inference_mode():
        learned = model.derivative(state.to(device, torch.float32), action.to(device, torch.float32)).cpu().double()
    axes: Axes = {"test_frequency": [""], "point": np.arange(x.size)}
    values = {"x": state[..., i], "y": state[..., j], "dx": learned[..., i], "dy": learned[..., j],
              "dx_true": true[..., i], "dy_true": true[..., j]}  # fmt: skip
    table = tidy(members, axes, {name: v.unsqueeze(1).numpy() for name, v in values.items()})
    return table.assign(horizontal=names[0], vertical=names[1])
