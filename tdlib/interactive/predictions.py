"""What the explorer shows: one start, one constant input, the truth, and what each model predicts at a chosen Δt."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from tdlib.envs import System
from tdlib.models import DynamicsModel
from tdlib.trajectories import delta_t_of, steps_within

TRUTH_STEP = 0.01  # [s]; fine enough that the truth looks smooth


class Exploration:
    """Predictions of several models from one start under a constant input, over one second.

    Args:
        system: The true system.
        models: Name shown to the reader -> model.
        start: (D,) physical start.
        action: Held input, physical value or index.
        horizon: Length [s].
    """

    def __init__(
        self,
        system: System,
        models: Mapping[str, DynamicsModel],
        start: Sequence[float],
        action: float,
        horizon: float = 1.0,
    ):
        if not models:
            raise ValueError("models must name at least one model, got none")
        self.system, self.models, self.horizon = system, dict(models), horizon
        self.start = torch.tensor([list(start)], dtype=torch.float64)
        self.action = torch.tensor([[float(action)]], dtype=torch.float64)
        if self.start.shape[-1] != system.spec.state_dim:
            raise ValueError(f"start must have {system.spec.state_dim} numbers, got {list(start)}")
        self.dimension = system.spec.angle_dims[0]

    @property
    def label(self) -> str:
        """Name and unit of the plotted dimension."""
        spec = self.system.spec
        return f"{spec.state_names[self.dimension]} [{spec.state_units[self.dimension]}]"

    def truth(self) -> tuple[np.ndarray, np.ndarray]:
        """Times [s] and true values of the plotted dimension, (T+1,) each."""
        return self._follow(self.system.flow, TRUTH_STEP, torch.float64)

    def predict(self, name: str, control_frequency: float) -> tuple[np.ndarray, np.ndarray]:
        """Times [s] and predicted values of the plotted dimension at one rate, (T+1,) each.

        Raises:
            ValueError: If the model is unknown or the rate is not a positive number.
        """
        if name not in self.models:
            raise ValueError(f"name must be one of {list(self.models)}, got {name!r}")
        return self._follow(self.models[name], delta_t_of(control_frequency), torch.float32)

    def error(self, name: str, control_frequency: float) -> float:
        """RMS error over the predicted times, relative to the RMS true change since the start."""
        times, predicted = self.predict(name, control_frequency)
        true_times, truth = self.truth()
        expected = np.interp(times, true_times, truth)[1:]
        return float(np.sqrt(np.mean((predicted[1:] - expected) ** 2) / np.mean((expected - truth[0]) ** 2)))

    def _follow(self, step: object, delta_t: float, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
        state, action = self.start.to(dtype), self.action.to(dtype)
        interval = torch.full((1,), delta_t, dtype=dtype)
        values = [state]
        with torch.inference_mode():
            for _ in range(steps_within(self.horizon, delta_t)):
                state = step(state, action, interval)
                values.append(state)
        column = torch.cat(values)[:, self.dimension].double().numpy()
        return np.arange(len(values)) * delta_t, column
