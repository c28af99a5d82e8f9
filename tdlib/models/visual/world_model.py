"""The visual world model: reads frames and inputs, predicts frames that are Δt apart."""

from typing import NamedTuple

import torch
from torch import Tensor

from tdlib.core.context import Batch, Context, Prediction
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.family import Arms, Shown
from tdlib.models.visual.components import IMAGE_DIMS, VisualComponents
from tdlib.models.visual.objectives import Terms, terms_of
from tdlib.models.visual.options import VisualOptions
from tdlib.models.visual.predictor import Memory
from tdlib.models.visual.predictors import PREDICTOR_REGISTRY
from tdlib.models.visual.spaces import Flat, Spatial

COLLAPSING = ("mean_energy", "raw_kl")  # methods with a setting of the founding documents that lets latents collapse


class VisualCarry(NamedTuple):
    """What is carried from step to step.

    Args:
        frames: (..., K - 1, 3, H, W) seen before the start of the next step.
        image: (..., 3, H, W) predicted for that start.
        state: (..., C, ...) predicted for it.
        memory: Of the predictor; empty until a first state is known.
    """

    frames: Tensor
    image: Tensor
    state: Tensor
    memory: Memory


class VisualWorldModel(VisualComponents):
    """x̂(t + Δt) = D(P(f(E(x_(K frames))), a, Δt)).

    Where the contract speaks of a state, this model reads the frame at that time: (..., 3, H, W) in [0, 1]; a context
    holds the K − 1 frames before it, and more where the predictor remembers.

    Args:
        spec: Inputs of the environment.
        options: See `VisualOptions`.

    Source:
        Seeds 002 and 003; Toth et al. (2020), Hamiltonian generative networks, arXiv 1909.13789.
    """

    reads = ("image",)
    predicts: tuple[str, ...] = ("image",)
    stacks = False  # convolutions of one model fill a machine by themselves
    label = "visual world model"
    look = ()
    shown = Shown(on_page=())
    ARMS = (
        *(
            Arms(method, name, ("10",))
            for method, space in (("hgn", Spatial), ("hgn_64px", Spatial), ("two_phase", Flat))
            for name, found in PREDICTOR_REGISTRY.items()
            if found.Space is space
        ),
        Arms("vqvae", "latent_mlp", ("10",)),
        *(Arms(method, "spatial_hamiltonian", ("10",)) for method in COLLAPSING),
    )  # end to end, the same in larger pictures, on latents of a flat autoencoder trained before, on codes; collapsing

    def __init__(self, spec: EnvironmentSpec, options: VisualOptions | None = None):
        super().__init__(spec, options)
        if self.predictor.has_energy:
            self.predicts = ("image", "energy")

    # --- predicting --------------------------------------------------------------------------------------------------

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        """Predict the frame `delta_t` seconds after the last of K frames.

        Args:
            state: (..., K, 3, H, W) frames.
            action: (..., A) held input.
            delta_t: (...) interval [s]; None means `train_delta_t`.

        Returns:
            (..., 3, H, W).
        """
        known = self.encode(state)[..., -1, *(slice(None),) * self.event_dims]
        return self.decode(self.advance(known, action, delta_t, self.predictor.begin(known))[0])

    def initial(self, context: Context) -> VisualCarry:
        """Keep the last K − 1 frames, and step a predictor that was trained on sequences through what is known.

        Raises:
            ValueError: If the context holds fewer frames.
        """
        needed = self.options.encoder_frames - 1
        images, number = context.images, context.states.shape[-2]
        known = number if bool(context.mask.all()) else int(context.known.sum(dim=-1).min())
        if needed and (images is None or known < needed):
            found = "none" if images is None else known
            raise ValueError(f"context must hold images of the {needed} steps before the start, got {found}")
        if images is None:
            lead = context.mask.shape[:-1]
            empty = context.states.new_zeros(*lead, 0, *self.options.image_shape)
            return self._carry(empty, ())
        begin = images.shape[-4] - known
        images = images[..., begin:, :, :, :]
        memory: Memory = ()
        if self.options.training_mode == "detached" or self.coded:
            memory = self._stepped_through(images, context.actions[..., begin:, :], context.delta_t[..., begin:])
        return self._carry(images[..., known - needed :, :, :, :], memory)

    def step(
        self,
        carry: VisualCarry,
        action: Tensor,
        delta_t: Tensor | float | None = None,
        observed: Tensor | None = None,
    ) -> tuple[VisualCarry, Prediction]:
        """Advance by one interval; `observed` is the frame (..., 3, H, W) at its start."""
        state = carry.state if observed is None else self._seen(carry, observed)
        start = carry.image if observed is None else observed
        memory = carry.memory or self.predictor.begin(state)
        following, memory = self.advance(state, action, delta_t, memory)
        prediction = self._prediction(following)
        frames = _followed_by(carry.frames, start)[..., 1:, :, :, :]
        return VisualCarry(frames, prediction.image, following, memory), prediction

    def predict(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, context: Context | None = None
    ) -> Prediction:
        """Predict open loop in latent space and decode all at once; `state` is the starting frame, (..., 3, H, W)."""
        if context is None:
            number = state[..., 0, 0, :1]
            context = Context.empty(number, actions[..., 0, :])
        carry = self.initial(context)
        start = self._seen(carry, state)
        return self._prediction(self.roll(start, actions, delta_t, carry.memory).states)

    def _seen(self, carry: VisualCarry, frame: Tensor) -> Tensor:
        """The state of a frame and those before it: (..., 3, H, W) -> (..., C, ...)."""
        return self.encode(_followed_by(carry.frames, frame)).squeeze(-1 - self.event_dims)

    def _stepped_through(self, images: Tensor, actions: Tensor, delta_t: Tensor) -> Memory:
        if images.shape[-4] < self.options.encoder_frames:
            return ()
        states = self.encode(images)
        first, axis = self.options.encoder_frames - 1, states.ndim - 1 - self.event_dims
        memory = self.predictor.begin(states.select(axis, 0))
        for k in range(states.shape[axis] if memory else 0):
            at = first + k
            _, memory = self.predictor.step(states.select(axis, k), actions[..., at, :], delta_t[..., at], memory)
        return memory

    def _carry(self, frames: Tensor, memory: Memory) -> VisualCarry:
        lead = frames.shape[: -IMAGE_DIMS - 1]
        image, state = (frames.new_zeros(*lead, *x) for x in (self.options.image_shape, self.options.latent_shape))
        return VisualCarry(frames, image, state, memory)

    def _prediction(self, states: Tensor) -> Prediction:
        image = self.decode(states)
        energy = self.energy(states) if self.predictor.has_energy else None
        return Prediction(image.new_zeros(*image.shape[:-IMAGE_DIMS], 0), image=image, energy=energy)

    # --- training ----------------------------------------------------------------------------------------------------

    def loss(self, batch: Batch, progress: Tensor) -> Tensor:
        """Return the objective of the training mode, `terms` says of what."""
        return self.terms(batch, progress)["loss"]

    def terms(self, batch: Batch, progress: Tensor) -> Terms:
        """Return the loss and what it is made of, as `tdlib.models.visual.objectives` says."""
        return terms_of(self, batch, progress)


def _followed_by(frames: Tensor, frame: Tensor) -> Tensor:
    """Append a frame (..., 3, H, W) to those before it (..., F, 3, H, W), whose batch shape may be smaller."""
    return torch.cat([frames.expand(*frame.shape[:-IMAGE_DIMS], *frames.shape[-4:]), frame.unsqueeze(-4)], dim=-4)
