"""What a visual world model is made of, and which of its parts are trained: frames to states, on by Δt, to frames."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import DynamicsModel, Needs, ParameterGroup, step_of
from tdlib.models.visual.autoencoders import StateTransform, VisionDecoder, VisionEncoder
from tdlib.models.visual.flat import Codebook, FlatDecoder, FlatEncoder
from tdlib.models.visual.layers import over_batch
from tdlib.models.visual.options import VisualOptions
from tdlib.models.visual.predictor import Memory
from tdlib.models.visual.predictors import build_predictor
from tdlib.models.visual.variational import Posterior

IMAGE_DIMS = 3


class Rollout(NamedTuple):
    """States after each of T steps, and what is remembered after the last.

    Args:
        states: (..., T, C, ...).
        memory: Of the predictor.
    """

    states: Tensor
    memory: Memory


class VisualComponents(DynamicsModel):
    """Encoder, map from latents to states, predictor, decoder; of the VQ-VAE a codebook in place of the map.

    Args:
        spec: Inputs of the environment; what it says about states is not used.
        options: See `VisualOptions`.

    Raises:
        ValueError: If the predictor moves another kind of latent, or sizes do not fit.
    """

    Options = VisualOptions
    options: VisualOptions

    def __init__(self, spec: EnvironmentSpec, options: VisualOptions | None = None):
        super().__init__(spec, options, own_scales=False)
        chosen = self.options
        self.encoder: nn.Module
        self.decoder: nn.Module
        if chosen.spatial:
            self.encoder, self.decoder = VisionEncoder(chosen), VisionDecoder(chosen)
        else:
            self.encoder, self.decoder = FlatEncoder(chosen, 1 if self.coded else 2), FlatDecoder(chosen)
        for coder in (self.encoder, self.decoder):  # channels side by side: convolutions take two thirds of the time
            coder.to(memory_format=torch.channels_last)
        self.state_transform = StateTransform(chosen) if chosen.spatial else nn.Identity()
        self.quantizer = Codebook(chosen) if self.coded else None
        self.predictor = build_predictor(spec, chosen)
        if self.coded and chosen.rollout_steps < chosen.context_length:
            raise ValueError(
                f"rollout_steps must be at least context_length = {chosen.context_length}, got {chosen.rollout_steps}"
            )
        window = chosen.window
        numbers = 0 if self.coded else self.latents_per_window * math.prod(chosen.latent_shape)
        self.needs = Needs(window=window, noise=math.ceil(numbers / window), images=True)

    @property
    def coded(self) -> bool:
        """Whether latents are rounded to codes."""
        return self.options.autoencoder == "vqvae"

    @property
    def latents_per_window(self) -> int:
        """How many latents of a training window are drawn."""
        return 1 if self.options.training_mode == "hgn" else self.options.rollout_steps + 1

    # --- frames to states and back -----------------------------------------------------------------------------------

    def windows(self, images: Tensor) -> Tensor:
        """Stack K frames in a row along channels: (..., F, 3, H, W) -> (..., F - K + 1, K·3, H, W).

        Window k shows frames k … k + K − 1, and its state belongs to the last of them.

        Raises:
            ValueError: If frames are of another shape, or fewer than K.
        """
        shape, count = self.options.image_shape, self.options.encoder_frames
        if images.ndim < IMAGE_DIMS + 1 or tuple(images.shape[-IMAGE_DIMS:]) != shape:
            raise ValueError(f"images must be (..., F, {shape[0]}, {shape[1]}, {shape[2]}), got {tuple(images.shape)}")
        if not images.is_floating_point():
            raise ValueError(f"images must be numbers in [0, 1], got {images.dtype}; divide pixels by 255")
        number = images.shape[-4] - count + 1
        if number < 1:
            raise ValueError(f"images must be at least encoder_frames = {count} in a row, got {images.shape[-4]}")
        return torch.cat([images[..., k : k + number, :, :, :] for k in range(count)], dim=-3)

    def posterior(self, images: Tensor) -> Posterior:
        """Encode every window of K frames: (..., F, 3, H, W) -> mu, logvar, each (..., F - K + 1, C, ...)."""
        return Posterior.of(*self.encoded(images))

    def encode(self, images: Tensor) -> Tensor:
        """Return the expected state of every window, (..., F, 3, H, W) -> (..., F - K + 1, C, ...).

        It is that of the latents' means; of the VQ-VAE the nearest code.
        """
        if self.quantizer is not None:
            return self.quantizer(self.encoded(images)[0]).code
        return self.transformed(self.posterior(images).mu)

    def transformed(self, latent: Tensor) -> Tensor:
        """Turn latents into states (..., C, ...), of spatial ones (q, p)."""
        return over_batch(self.state_transform, latent, self.event_dims)

    def decode(self, state: Tensor) -> Tensor:
        """Return what states look like: (..., C, ...) -> (..., 3, H, W) in [0, 1]; of spatial ones q alone is seen."""
        events = self.event_dims
        if self.options.spatial or self.options.split_latent and not self.coded:
            state = state.chunk(2, dim=-events)[0]
        return over_batch(self.decoder, state, events)

    @property
    def event_dims(self) -> int:
        """Axes of one latent."""
        return len(self.options.latent_shape)

    def encoded(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return what the encoder says of every window: (..., F, 3, H, W) -> (..., F - K + 1, C, ...) each."""
        windows = self.windows(images)
        lead = windows.shape[:-IMAGE_DIMS]
        found = self.encoder(windows.reshape(math.prod(lead), *windows.shape[-IMAGE_DIMS:]))
        return tuple(x.reshape(*lead, *x.shape[1:]) for x in found)

    # --- on by Δt ----------------------------------------------------------------------------------------------------

    def roll(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, memory: Memory = ()
    ) -> Rollout:
        """Predict open loop in latent space, predictions fed back.

        Args:
            state: (..., C, ...) start.
            actions: (..., T, A) held inputs.
            delta_t: (..., T) intervals [s], one number for all, or None.
            memory: What is known of the past; empty if nothing is.
        """
        carried = memory or self.predictor.begin(state)
        states = []
        for t in range(actions.shape[-2]):
            state, carried = self.advance(state, actions[..., t, :], step_of(delta_t, t), carried)
            states.append(state)
        return Rollout(torch.stack(states, dim=-1 - self.event_dims), carried)

    def advance(
        self, state: Tensor, action: Tensor, delta_t: Tensor | float | None, memory: Memory
    ) -> tuple[Tensor, Memory]:
        """Advance latent states by one interval: (..., C, ...), (..., A), (...) [s]."""
        state, memory = self.predictor.step(state, action, delta_t, memory)
        if self.quantizer is not None and self.options.requantize:
            state = self.quantizer(state).code
        return state, memory

    def energy(self, state: Tensor) -> Tensor:
        """Return the learned energy of latent states up to an affine scale: (..., C, ...) -> (...).

        Raises:
            ValueError: If the predictor has none.
        """
        if not self.predictor.has_energy:
            raise ValueError(f"predictor must have an energy, {self.options.predictor} has none")
        return self.predictor.energy(state)

    # --- what is trained ---------------------------------------------------------------------------------------------

    def parts(self) -> Iterator[tuple[str, nn.Module, bool]]:
        """Name, module, and whether it is trained, of every part."""
        chosen = self.options
        yield "encoder", self.encoder, chosen.train_encoder
        yield "decoder", self.decoder, chosen.train_decoder
        yield "state_transform", self.state_transform, chosen.trains_transform
        if self.quantizer is not None:
            yield "quantizer", self.quantizer, chosen.train_encoder
        yield "predictor", self.predictor, chosen.train_predictor

    def train(self, mode: bool = True) -> "VisualComponents":
        """Set training mode; what is frozen keeps the statistics of its batches too."""
        super().train(mode)
        for _, module, trained in self.parts():
            if not trained:
                module.eval()
        return self

    def parameter_groups(self) -> list[ParameterGroup]:
        """One optimizer over everything, or slower for encoder and decoder where they are trained apart."""
        apart = self.options.training_mode == "detached" and not self.coded
        slow = self.options.autoencoder_rate if apart else 1.0
        rates = {"encoder": slow, "decoder": slow}
        return [
            ParameterGroup((f"{name}.",), rates.get(name, 1.0), frozen=not trained) for name, _, trained in self.parts()
        ]
