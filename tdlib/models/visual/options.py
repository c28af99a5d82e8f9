"""Options of visual world models: names and numbers of the founding documents, and what of them was found to matter."""

import math
from dataclasses import dataclass

from tdlib.core.odeint import METHODS
from tdlib.core.solvers import SOLVERS
from tdlib.models.forms import FORMS
from tdlib.models.options import Options

AUTOENCODERS = ("spatial_bvae", "flat_bvae", "vqvae")
TRAINING_MODES = ("hgn", "detached")
NORMS = ("batch", "group", "none")
POOLS = ("sum", "avg")
AUTO = "auto"
REDUCTION = 8  # pixels of an image per position of a spatial latent, along each side
FLAT_REDUCTION = 16  # of the flat encoder's four strides

POSITIVE = (
    "img_size", "channels", "latent_channels", "spatial_size", "hidden_channels", "decoder_channels", "latent_dim",
    "flat_hidden_dim", "n_codebook", "context_length", "encoder_frames", "rollout_steps", "action_embedding_dim",
    "substeps",
)  # fmt: skip


@dataclass(frozen=True)
class VisualOptions(Options):
    """What a visual world model is made of and how it is trained.

    Args:
        predictor: What moves the latent state on, a key of `PREDICTOR_REGISTRY`.
        autoencoder: What makes states of frames and frames of states, a name in `AUTOENCODERS`; spatial predictors
            move the states of `spatial_bvae`, flat ones (`latent_...`) those of the others.
        training_mode: `hgn` rolls one encoded state out and decodes all of it; `detached` encodes every window and
            trains the predictor on states that it does not change. The VQ-VAE is trained as `detached` is. The first of
            two phases, `train_predictor=False, predictor_weight=0`, is for `detached`.
        img_size: Side of an image [pixels], 8 · spatial_size of a spatial latent.
        channels: 3 of a color image, 1 of a gray one.
        encoder_frames: Frames that a state is read off, one after the other; a single one shows no motion.
        context_length: Latents that the predictor of the VQ-VAE reads, the newest first.
        rollout_steps: Steps of a training window after the first encoded frame.
        latent_channels: Channels of a spatial latent, half of them positions and half momenta.
        spatial_size: Side of a spatial latent.
        hidden_channels: Width of spatial predictors and of the map from latents to states.
        encoder_widths: Channels of the encoder after each halving.
        decoder_channels: Channels of the decoder.
        flat_widths: Channels of the flat encoder after each halving, and of its mirror image.
        norm: What the encoders normalize, a name in `NORMS`; `group` has no statistics of a batch.
        latent_dim: Length of a flat latent and of a code.
        flat_hidden_dim: Width of flat predictors.
        split_latent: Whether the flat decoder sees the first half of the latent alone.
        n_codebook: Codes of the VQ-VAE.
        commitment_beta: Weight that holds the encoder to its codes.
        requantize: Whether a rollout of the VQ-VAE goes on from the code nearest to what was predicted.
        beta: Weight of the KL divergence.
        kl_normalize: Whether the divergence is divided by the number of values that are decoded from the latent, as
            the reconstruction's mean over them is: 1 is then the weight of an evidence lower bound with σ² = ½. The
            founding documents' 0.001 is not divided, and lets latents collapse.
        beta_warmup: Share of training in which the weight grows to `beta`.
        free_bits: Least divergence per element that counts [nats].
        predictor_weight: Weight of the predictor's own loss, in modes that have one.
        autoencoder_rate: Learning rate of encoder and decoder in `detached`, relative to the predictor's.
        action_embedding_dim: Length of an embedded action.
        integration_method: Solver of predictors that integrate, of `tdlib.core.solvers` or torchdiffeq; `auto` is
            leapfrog for a Hamiltonian and rk4 for other fields. With damping leapfrog is of first order in Δt.
        substeps: Equal solver steps inside every interval.
        form: How maps see Δt, a name in `tdlib.models.forms.FORMS`.
        damping_init: Logarithm of the damping at the start [1/s].
        energy_pool: Whether an energy is the sum over positions or their mean, which barely moves anything.
        quadratic_prior: Whether energies are corrections to those of an oscillator.
        period: Of that oscillator at the start [s].
        train_encoder: Whether the encoder is trained; what is not trained keeps its batch statistics too.
        train_decoder: Whether the decoder is trained.
        train_predictor: Whether the predictor is trained. The map from latents to states is if any of them is.

    Raises:
        ValueError: If a value breaks a rule.
    """

    predictor: str = "spatial_jump"
    autoencoder: str = "spatial_bvae"
    training_mode: str = "hgn"
    img_size: int = 64
    channels: int = 3
    encoder_frames: int = 2
    context_length: int = 3
    rollout_steps: int = 16
    latent_channels: int = 32
    spatial_size: int = 8
    hidden_channels: int = 64
    encoder_widths: tuple[int, ...] = (32, 64, 128)
    decoder_channels: int = 64
    flat_widths: tuple[int, ...] = (32, 64, 128, 256)
    norm: str = "batch"
    latent_dim: int = 32
    flat_hidden_dim: int = 128
    split_latent: bool = False
    n_codebook: int = 512
    commitment_beta: float = 0.25
    requantize: bool = False
    beta: float = 0.1
    kl_normalize: bool = True
    beta_warmup: float = 0.1
    free_bits: float = 0.0
    predictor_weight: float = 1.0
    autoencoder_rate: float = 0.1
    action_embedding_dim: int = 8
    integration_method: str = AUTO
    substeps: int = 1
    form: str = "none"
    damping_init: float = -1.0
    energy_pool: str = "sum"
    quadratic_prior: bool = True
    period: float = 3.0
    train_encoder: bool = True
    train_decoder: bool = True
    train_predictor: bool = True

    def __post_init__(self):
        super().__post_init__()
        for name in POSITIVE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        methods = (AUTO, *SOLVERS, *METHODS)
        choices = (("autoencoder", AUTOENCODERS), ("training_mode", TRAINING_MODES), ("norm", NORMS), ("form", FORMS),
                   ("energy_pool", POOLS), ("integration_method", methods))  # fmt: skip
        for name, known in choices:
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {list(known)}, got {getattr(self, name)!r}")
        for name in ("beta", "free_bits", "predictor_weight", "commitment_beta"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be finite and not negative, got {getattr(self, name)}")
        for name in ("autoencoder_rate", "period"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be finite and positive, got {getattr(self, name)}")
        if not math.isfinite(self.damping_init):
            raise ValueError(f"damping_init must be finite, got {self.damping_init}")
        if not 0 <= self.beta_warmup < 1:
            raise ValueError(f"beta_warmup must be in [0, 1), got {self.beta_warmup}")
        self._check_sizes()
        self._check_training()

    def _check_training(self) -> None:
        coded = self.autoencoder == "vqvae"
        if self.training_mode == "hgn" and not (coded or self.train_predictor or self.predictor_weight):
            rule = "must be 'detached' to train encoder and decoder by themselves (train_predictor=False, "
            raise ValueError(f"training_mode {rule}predictor_weight=0), got 'hgn', which decodes what is rolled out")
        if self.rollout_steps + self.encoder_frames < 3:
            rule = "rollout_steps must be at least 2 with encoder_frames = 1, so that a training window has two steps"
            raise ValueError(f"{rule}, got {self.rollout_steps}")

    def _check_sizes(self) -> None:
        for name, count in (("encoder_widths", 3), ("flat_widths", 4)):
            if len(getattr(self, name)) != count or min(getattr(self, name)) < 1:
                raise ValueError(f"{name} must be {count} numbers of channels >= 1, got {getattr(self, name)}")
        if self.spatial:
            if self.latent_channels % 2:
                raise ValueError(f"latent_channels must be even, half of them momenta, got {self.latent_channels}")
            wanted = REDUCTION * self.spatial_size
            if self.img_size != wanted:
                raise ValueError(f"img_size must be {REDUCTION} * spatial_size = {wanted}, got {self.img_size}")
        elif self.img_size % FLAT_REDUCTION:
            raise ValueError(f"img_size must be a multiple of {FLAT_REDUCTION} here, got {self.img_size}")
        elif self.split_latent and self.latent_dim % 2:
            raise ValueError(f"latent_dim must be even to be split, got {self.latent_dim}")

    @property
    def spatial(self) -> bool:
        """Whether a latent is a map with channels, and not a vector."""
        return self.autoencoder == "spatial_bvae"

    @property
    def window(self) -> int:
        """Steps of a training window: those of the rollout, and those between the frames that are encoded."""
        return self.rollout_steps + self.encoder_frames - 1

    @property
    def frames_before(self) -> int:
        """Frames before the start of a prediction that are read: for its state, and for those that are remembered."""
        remembered = self.context_length - 1 if self.autoencoder == "vqvae" else 0
        return self.encoder_frames - 1 + remembered

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one latent: (C, h, w) or (D,)."""
        if self.spatial:
            return (self.latent_channels, self.spatial_size, self.spatial_size)
        return (self.latent_dim,)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one image: (channels, height, width)."""
        return (self.channels, self.img_size, self.img_size)

    @property
    def trains_transform(self) -> bool:
        """Whether the map from latents to states is trained: with whatever stands on either side of it."""
        return self.train_encoder or self.train_decoder or self.train_predictor

    def solver(self, hamiltonian: bool) -> str:
        """Return the solver's name."""
        if self.integration_method != AUTO:
            return self.integration_method
        return "leapfrog" if hamiltonian else "rk4"
