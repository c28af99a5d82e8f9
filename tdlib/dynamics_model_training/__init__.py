"""The history chapter's founding document by its own names: logs as windows, training, checkpoints, evaluation.

A thin layer over the library: its trainer, its checkpoints, its sets, its figures.
"""

from tdlib.dynamics_model_training.data_loader import DynamicsDataset, Examples
from tdlib.dynamics_model_training.nn_dynamics import NeuralNetworkDynamics
from tdlib.dynamics_model_training.train import load_trained_model, train_dynamics_model

__all__ = [
    "DynamicsDataset",
    "Examples",
    "NeuralNetworkDynamics",
    "load_trained_model",
    "train_dynamics_model",
]
