"""A trained network as the dynamics that a controller plans with: `NeuralNetworkDynamics.load_params(model, path)`.

The controller keeps the history that was carried out and hands it to every rollout; the network moves one step at a
time. `network` is the model itself, which `tdlib.evaluation.evaluate_control` takes.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from tdlib.core.context import Context
from tdlib.core.specs import EnvironmentSpec, least_action
from tdlib.dynamics_model_training.train import load_trained_model
from tdlib.dynamics_model_training.transforms import TransformedModel, angle_transform
from tdlib.models import DynamicsModel
from tdlib.models.record import Record
from tdlib.systems import SYSTEMS, System
from tdlib.training import save_checkpoint


class NeuralNetworkDynamics:
    """Steps of a trained network, each read off the history of states and inputs before it.

    Args:
        model: The real system.
        network: From `train_dynamics_model` or `load_trained_model`.
        config: What its checkpoint says.

    Raises:
        ValueError: If the network is of another task, other states or inputs, or does not predict physical states.
    """

    def __init__(self, model: System, network: DynamicsModel, config: dict):
        self.model, self.network, self.config = model, network, config
        _check_task(model.spec, network.spec)

    @classmethod
    def load_params(
        cls,
        model: System,
        path: Path | str,
        *,
        transform_fn: Callable[[Tensor], Tensor] | None = None,
        inverse_fn: Callable[[Tensor], Tensor] | None = None,
        apply_delta_fn: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> "NeuralNetworkDynamics":
        """Load a checkpoint for a system; where it was trained with functions of yours, these are given again.

        Raises:
            ValueError: See `load_trained_model`, and the class.
        """
        network, config = load_trained_model(
            path, transform_fn=transform_fn, inverse_fn=inverse_fn, apply_delta_fn=apply_delta_fn
        )
        return cls(model, network, config)

    def save_params(self, path: Path | str) -> Path:
        """Write the checkpoint to a folder; the ending `.pkl` is left out."""
        network = self.network.model if isinstance(self.network, TransformedModel) else self.network
        path = Path(path)
        return save_checkpoint(path.with_suffix("") if path.suffix == ".pkl" else path, network, self.config)

    def get_config(self) -> dict:
        """Return what the checkpoint says: dimensions, indices, settings, losses."""
        return Record(self.config).plain()

    @property
    def delta_t(self) -> float:
        """Interval of a step [s]: that of the training."""
        return float(self.network.train_delta_t)

    def transform_state(self, state: Tensor) -> Tensor:
        """Return a state as the network sees it, before coordinates are taken relative: (..., D) -> (..., F)."""
        spec = self.network.spec
        if isinstance(self.network, TransformedModel):
            return self.network.transform.features(state, spec)
        return angle_transform(self.config["angle_indices"]).features(state, spec)

    def initialize_state_history(self, state: Tensor) -> Context:
        """Return the history of a start: this state (..., D) at rest under no input in all H - 1 rows before it.

        Zeros instead would be a history that no training has shown: an angle has no cosine and sine of zero.
        """
        length = self.config["history_length"] - 1
        shape = (*state.shape[:-1], length)
        return Context(
            states=state.unsqueeze(-2).expand(*shape, state.shape[-1]),
            actions=least_action(self.model.spec).to(state).expand(*shape, -1),
            delta_t=torch.full(shape, self.delta_t, dtype=state.dtype, device=state.device),
            mask=torch.ones(shape, dtype=torch.bool, device=state.device),
        )

    def update_state_history(self, history: Context, state: Tensor, action: Tensor) -> Context:
        """Append what was seen and done, (..., D) and (..., A), and drop the oldest row."""
        if history.states.shape[-2] == 0:
            return history
        return dataclasses.replace(
            history,
            states=torch.cat([history.states[..., 1:, :], state.unsqueeze(-2)], dim=-2),
            actions=torch.cat([history.actions[..., 1:, :], action.unsqueeze(-2)], dim=-2),
        )

    def step(self, state: Tensor, action: Tensor, history: Context) -> tuple[Tensor, Context]:
        """Predict the next state (..., D) and return the history with this step in it."""
        following = self.network.predict_sequence(state, action.unsqueeze(-2), self.delta_t, history)[..., 0, :]
        return following, self.update_state_history(history, state, action)


def _check_task(system: EnvironmentSpec, found: EnvironmentSpec) -> None:
    """A checkpoint must be of this system: of its name where that is a system's, and of its states and inputs."""
    if found.name in SYSTEMS and found.name != system.name:
        raise ValueError(f"path must be a checkpoint of {system.name}, got one of {found.name}")
    for name in ("state_dim", "action_dim", "angle_dims", "position_dims", "velocity_dims"):
        own, wanted = getattr(found, name), getattr(system, name)
        if own != wanted:
            raise ValueError(f"path must be a checkpoint with the {name} of {system.name}, {wanted}, got {own}")
