"""Learned dynamics models: families by name, the contract they keep, and models derived without training."""

from tdlib.core.context import Batch, Context, Prediction
from tdlib.models.build import (
    DISCRETE,
    FIELDS,
    MODELS,
    build_model,
    find_family,
    model_options,
    models_reading,
    register_model,
)
from tdlib.models.contract import DynamicsModel, Needs, ParameterGroup, describe
from tdlib.models.derived import DERIVATIONS, NewtonIncrement, Persistence, RecurrentRollout, RescaledIncrement
from tdlib.models.families.ensemble import Ensemble
from tdlib.models.families.first_order_ode import FirstOrderODE
from tdlib.models.families.jump import JumpModel
from tdlib.models.families.lstm import LSTMModel
from tdlib.models.families.newtonian import NewtonianDynamicsModel
from tdlib.models.families.port_hamiltonian import PortHamiltonianModel
from tdlib.models.families.velocity import VelocityDynamicsModel
from tdlib.models.family import Arms, Family
from tdlib.models.forms import FORMS, StepForm, form_coefficients
from tdlib.models.ode import TrajectoryMatchingModel, field_family
from tdlib.models.options import SIZES, NetworkOptions, Options, layer_widths
from tdlib.models.trajectories import TrajectoryShootingModel
from tdlib.models.visual import (
    PREDICTOR_REGISTRY,
    LatentHamiltonianPredictor,
    LatentLSTMPredictor,
    LatentNewtonianPredictor,
    LatentODEPredictor,
    LatentPredictor,
    SpatialConvLSTMPredictor,
    SpatialHamiltonianPredictor,
    SpatialJumpPredictor,
    SpatialLSTMPredictor,
    SpatialNewtonianPredictor,
    SpatialODEPredictor,
    VisionDecoder,
    VisionEncoder,
    VisualOptions,
    VisualWorldModel,
)

FirstOrderODENet = FirstOrderODE  # by the name of seeds 002 and 003

__all__ = [
    "DERIVATIONS",
    "DISCRETE",
    "FIELDS",
    "FORMS",
    "MODELS",
    "PREDICTOR_REGISTRY",
    "SIZES",
    "Arms",
    "Batch",
    "Context",
    "DynamicsModel",
    "Ensemble",
    "Family",
    "FirstOrderODE",
    "FirstOrderODENet",
    "JumpModel",
    "LSTMModel",
    "LatentHamiltonianPredictor",
    "LatentLSTMPredictor",
    "LatentNewtonianPredictor",
    "LatentODEPredictor",
    "LatentPredictor",
    "Needs",
    "NetworkOptions",
    "NewtonIncrement",
    "NewtonianDynamicsModel",
    "Options",
    "ParameterGroup",
    "Persistence",
    "PortHamiltonianModel",
    "Prediction",
    "RecurrentRollout",
    "RescaledIncrement",
    "SpatialConvLSTMPredictor",
    "SpatialHamiltonianPredictor",
    "SpatialJumpPredictor",
    "SpatialLSTMPredictor",
    "SpatialNewtonianPredictor",
    "SpatialODEPredictor",
    "StepForm",
    "TrajectoryMatchingModel",
    "TrajectoryShootingModel",
    "VelocityDynamicsModel",
    "VisionDecoder",
    "VisionEncoder",
    "VisualOptions",
    "VisualWorldModel",
    "build_model",
    "describe",
    "field_family",
    "find_family",
    "form_coefficients",
    "layer_widths",
    "model_options",
    "models_reading",
    "register_model",
]
