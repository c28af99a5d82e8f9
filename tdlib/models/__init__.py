"""Learned dynamics models: discrete maps, vector fields, baselines without training, ensembles and stacks."""

from tdlib.models.base import Context, DynamicsModel
from tdlib.models.build import DISCRETE, FIELDS, MODELS, SIZES, build_model, layer_widths, model_options
from tdlib.models.discrete import JumpModel, LSTMModel
from tdlib.models.ensemble import Ensemble
from tdlib.models.features_first import FeaturesFirst
from tdlib.models.fields import FirstOrderODE, NewtonianDynamicsModel, PortHamiltonianModel, VelocityDynamicsModel
from tdlib.models.forms import FORMS, StepForm, form_coefficients
from tdlib.models.no_training import Persistence, RecurrentRollout, RescaledIncrement
from tdlib.models.ode import TrajectoryMatchingModel, TrajectoryShootingModel
from tdlib.models.row_form import has_row_form
from tdlib.models.stack import Stack

__all__ = [
    "DISCRETE",
    "FIELDS",
    "FORMS",
    "MODELS",
    "SIZES",
    "Context",
    "DynamicsModel",
    "Ensemble",
    "FeaturesFirst",
    "FirstOrderODE",
    "JumpModel",
    "LSTMModel",
    "NewtonianDynamicsModel",
    "Persistence",
    "PortHamiltonianModel",
    "RecurrentRollout",
    "RescaledIncrement",
    "Stack",
    "StepForm",
    "TrajectoryMatchingModel",
    "TrajectoryShootingModel",
    "VelocityDynamicsModel",
    "build_model",
    "form_coefficients",
    "has_row_form",
    "layer_widths",
    "model_options",
]
