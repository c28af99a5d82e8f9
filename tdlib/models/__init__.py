"""Learned dynamics models: discrete maps, vector fields, baselines without training, ensembles and stacks."""

from tdlib.models.build import DISCRETE, FIELDS, MODELS, SIZES, build_model, layer_widths, model_options
from tdlib.models.contract import Context, DynamicsModel
from tdlib.models.discrete import JumpModel, LSTMModel
from tdlib.models.ensemble import Ensemble
from tdlib.models.fields import FirstOrderODE, NewtonianDynamicsModel, PortHamiltonianModel, VelocityDynamicsModel
from tdlib.models.forms import FORMS, StepForm, form_coefficients
from tdlib.models.no_training import Persistence, RecurrentRollout, RescaledIncrement
from tdlib.models.ode import TrajectoryMatchingModel, TrajectoryShootingModel

__all__ = [
    "DISCRETE",
    "FIELDS",
    "FORMS",
    "MODELS",
    "SIZES",
    "Context",
    "DynamicsModel",
    "Ensemble",
    "FirstOrderODE",
    "JumpModel",
    "LSTMModel",
    "NewtonianDynamicsModel",
    "Persistence",
    "PortHamiltonianModel",
    "RecurrentRollout",
    "RescaledIncrement",
    "StepForm",
    "TrajectoryMatchingModel",
    "TrajectoryShootingModel",
    "VelocityDynamicsModel",
    "build_model",
    "form_coefficients",
    "layer_widths",
    "model_options",
]
