"""The ten predictors by the founding documents' names: five of spatial latents, five of flat ones."""

from tdlib.core.specs import EnvironmentSpec
from tdlib.models.visual.fields import HamiltonianPredictor, NewtonianPredictor, ODEPredictor
from tdlib.models.visual.maps import JumpPredictor, LSTMPredictor
from tdlib.models.visual.options import VisualOptions
from tdlib.models.visual.predictor import Predictor
from tdlib.models.visual.spaces import Flat, Spatial


class SpatialJumpPredictor(JumpPredictor):
    """s' = s + ConvNet(s, e(a))."""

    Space = Spatial


class SpatialConvLSTMPredictor(LSTMPredictor):
    """A cell of convolutions, whose memory is read off at every position."""

    Space = Spatial


class SpatialODEPredictor(ODEPredictor):
    """ds/dt = ConvNet(s, e(a))."""

    Space = Spatial


class SpatialNewtonianPredictor(NewtonianPredictor):
    """dq/dt = p, dp/dt = ConvNet(q, p, e(a)) − γ p."""

    Space = Spatial


class SpatialHamiltonianPredictor(HamiltonianPredictor):
    """H = T(p) + V(q) of maps of channels."""

    Space = Spatial


class LatentPredictor(JumpPredictor):
    """s' = s + MLP(s, e(a)); for the VQ-VAE of the last `context_length` latents."""

    Space = Flat


class LatentLSTMPredictor(LSTMPredictor):
    """A fully connected cell."""

    Space = Flat


class LatentODEPredictor(ODEPredictor):
    """ds/dt = MLP(s, e(a))."""

    Space = Flat


class LatentNewtonianPredictor(NewtonianPredictor):
    """dq/dt = p, dp/dt = MLP(q, p, e(a)) − γ p."""

    Space = Flat


class LatentHamiltonianPredictor(HamiltonianPredictor):
    """H = T(p) + V(q) of vectors."""

    Space = Flat


SpatialLSTMPredictor = SpatialConvLSTMPredictor  # both names are in use
PREDICTOR_REGISTRY: dict[str, type[Predictor]] = {
    "spatial_jump": SpatialJumpPredictor,
    "spatial_lstm": SpatialConvLSTMPredictor,
    "spatial_ode": SpatialODEPredictor,
    "spatial_newtonian": SpatialNewtonianPredictor,
    "spatial_hamiltonian": SpatialHamiltonianPredictor,
    "latent_mlp": LatentPredictor,
    "latent_lstm": LatentLSTMPredictor,
    "latent_ode": LatentODEPredictor,
    "latent_newtonian": LatentNewtonianPredictor,
    "latent_hamiltonian": LatentHamiltonianPredictor,
}


def build_predictor(spec: EnvironmentSpec, options: VisualOptions) -> Predictor:
    """Make the predictor that the options name.

    Raises:
        ValueError: If there is none, or if it moves another kind of latent than the autoencoder makes.
    """
    if options.predictor not in PREDICTOR_REGISTRY:
        raise ValueError(f"predictor must be one of {list(PREDICTOR_REGISTRY)}, got {options.predictor!r}")
    wanted = Spatial if options.spatial else Flat
    fitting = [name for name, found in PREDICTOR_REGISTRY.items() if found.Space is wanted]
    if options.predictor not in fitting:
        raise ValueError(f"predictor must be one of {fitting} with {options.autoencoder}, got {options.predictor!r}")
    return PREDICTOR_REGISTRY[options.predictor](spec, options)
