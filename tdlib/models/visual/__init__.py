"""Visual world models: frames to latent states, what moves these by Δt, and frames again."""

from tdlib.models.visual.autoencoders import StateTransform, VisionDecoder, VisionEncoder
from tdlib.models.visual.flat import Codebook, FlatDecoder, FlatEncoder
from tdlib.models.visual.options import VisualOptions
from tdlib.models.visual.predictors import (
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
)
from tdlib.models.visual.variational import Posterior, kl_divergence
from tdlib.models.visual.world_model import VisualWorldModel

__all__ = [
    "PREDICTOR_REGISTRY",
    "Codebook",
    "FlatDecoder",
    "FlatEncoder",
    "LatentHamiltonianPredictor",
    "LatentLSTMPredictor",
    "LatentNewtonianPredictor",
    "LatentODEPredictor",
    "LatentPredictor",
    "Posterior",
    "SpatialConvLSTMPredictor",
    "SpatialHamiltonianPredictor",
    "SpatialJumpPredictor",
    "SpatialLSTMPredictor",
    "SpatialNewtonianPredictor",
    "SpatialODEPredictor",
    "StateTransform",
    "VisionDecoder",
    "VisionEncoder",
    "VisualOptions",
    "VisualWorldModel",
    "kl_divergence",
]
