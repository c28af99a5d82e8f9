"""What visual world models are trained by: one evidence lower bound, with a rollout in it or a predictor beside it.

    hgn       z₀ ~ q(z | first K frames), s₀ = f(z₀), s rolled out, all of it decoded: mean (x − x̂)² + β KL(z₀)
    detached  z ~ q(z | K frames) at every place; the same per frame, and |P(sg s_t, a_t, Δt) − sg s_(t+1)|²
    vqvae     codes in place of z: mean (x − x̂)² + codebook + commitment, and the predictor as in detached

Frames x_0 … x_T; a_t leads from x_t to x_(t+1). The state of the first window belongs to x_(K−1): that frame and those
after it are reconstructed, and inputs count from a_(K−1).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from tdlib.core.context import Batch
from tdlib.models.visual.components import VisualComponents
from tdlib.models.visual.flat import perplexity
from tdlib.models.visual.options import VisualOptions
from tdlib.models.visual.variational import Posterior, kl_divergence

Terms = dict[str, Tensor]


class Window(NamedTuple):
    """Training windows from the first frame that has a state.

    Args:
        target: (B, n, 3, H, W) frames, n = T − K + 2.
        actions: (B, n − 1, A) held from each to the next.
        delta_t: (B, n − 1) intervals [s].
        weight: (B, n) which frames count.
    """

    target: Tensor
    actions: Tensor
    delta_t: Tensor
    weight: Tensor


def terms_of(model: VisualComponents, batch: Batch, progress: Tensor) -> Terms:
    """Return the loss of a model and what it is made of.

    Args:
        model: The model, in training mode if batch statistics are to be taken.
        batch: Windows (B, T, ...) with images (B, T + 1, 3, H, W), and noise.
        progress: () share of training that is done.

    Returns:
        loss; reconstruction (mean squared error per value); of Gaussian latents kl (of one latent, without a floor) and
        kl_counted (with it) [nats]; prediction (mean squared error of latents), where the predictor has a loss of its
        own; of codes quantization and perplexity; each ().

    Raises:
        ValueError: If images or noise are missing, or images are of another shape.
    """
    if batch.images is None:
        raise ValueError("batch must hold images, which a visual model is trained on")
    window = window_of(batch, batch.images, model.options.encoder_frames)
    if model.coded:
        return _of_codes(model, batch.images, window)
    if model.options.training_mode == "hgn":
        return _rolled_out(model, batch, batch.images, window, progress)
    return _detached(model, batch, batch.images, window, progress)


def reconstructions(model: VisualComponents, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return frames of windows and what the loss sets beside them, of latents as expected: (B, n, 3, H, W) each.

    In mode hgn the first is encoded and decoded, the others predicted from it; in the others each is encoded by itself.

    Raises:
        ValueError: As `terms_of`.
    """
    if batch.images is None:
        raise ValueError("batch must hold images, which a visual model is trained on")
    frames = model.options.encoder_frames
    window, states = window_of(batch, batch.images, frames), model.encode(batch.images)
    if not model.coded and model.options.training_mode == "hgn":
        start = states.select(1, 0)
        states = torch.cat([start.unsqueeze(1), model.roll(start, window.actions, window.delta_t).states], dim=1)
    return window.target, model.decode(states)


def window_of(batch: Batch, images: Tensor, frames: int) -> Window:
    """Cut what comes before the first state off a batch; frames behind steps that do not count do not either."""
    first = frames - 1
    target = images[:, first:]
    weight = torch.ones(target.shape[:2], dtype=target.dtype, device=target.device)
    if batch.valid is not None:
        weight[:, 1:] = batch.valid[:, first:].to(weight)
        if first:
            weight[:, 0] = batch.valid[:, first - 1].to(weight)
    return Window(target, batch.action[:, first:], batch.delta_t[:, first:], weight)


def kl_weight(options: VisualOptions, progress: Tensor, frames: Tensor | int) -> Tensor:
    """β as far as it has grown, if it is normalized per value of the frames decoded from one latent: () -> ().

    Args:
        options: Of the model.
        progress: () share of training that is done.
        frames: How many there are, on average over a batch's latents where some do not count.
    """
    grown = (progress / options.beta_warmup).clamp(max=1.0) if options.beta_warmup else torch.ones_like(progress)
    channels, height, width = options.image_shape
    return options.beta * grown / (frames * channels * height * width if options.kl_normalize else 1)


def _rolled_out(model: VisualComponents, batch: Batch, images: Tensor, window: Window, progress: Tensor) -> Terms:
    posterior = model.posterior(images[:, : model.options.encoder_frames])
    start = model.transformed(posterior.sample(_noise(batch, posterior.mu)).squeeze(1))
    rolled = model.roll(start, window.actions, window.delta_t).states
    terms = _reconstructed(model, torch.cat([start.unsqueeze(1), rolled], dim=1), window)
    terms |= _divergence(model, posterior, window.weight[:, :1])
    counted = window.weight.sum() / window.weight[:, 0].sum().clamp(min=1)  # frames of each latent
    cost = kl_weight(model.options, progress, counted.clamp(min=1)) * terms["kl_counted"]
    return {"loss": terms["reconstruction"] + cost, **terms}


def _detached(model: VisualComponents, batch: Batch, images: Tensor, window: Window, progress: Tensor) -> Terms:
    posterior = model.posterior(images)
    states = model.transformed(posterior.sample(_noise(batch, posterior.mu)))
    terms = _reconstructed(model, states, window) | _divergence(model, posterior, window.weight)
    loss = terms["reconstruction"] + kl_weight(model.options, progress, 1) * terms["kl_counted"]
    return _with_predictor(model, loss, terms, states, window, 0)


def _of_codes(model: VisualComponents, images: Tensor, window: Window) -> Terms:
    assert model.quantizer is not None
    quantized = model.quantizer(model.encoded(images)[0])
    terms = _reconstructed(model, quantized.code, window)
    terms["quantization"] = _share(quantized.loss, window.weight)
    terms["perplexity"] = perplexity(quantized.index, model.options.n_codebook, window.weight)
    loss = terms["reconstruction"] + terms["quantization"]
    return _with_predictor(model, loss, terms, quantized.code, window, model.options.context_length - 1)


def _with_predictor(
    model: VisualComponents, loss: Tensor, terms: Terms, states: Tensor, window: Window, first: int
) -> Terms:
    """Add the predictor's squared error on states that it does not change, from place `first` on."""
    if not model.options.predictor_weight:
        return {"loss": loss, **terms}
    known = states.detach()
    error = model.predictor(known[:, :-1], window.actions, window.delta_t) - known[:, 1:]
    terms["prediction"] = _mean(error[:, first:].square(), window.weight[:, 1 + first :])
    return {"loss": loss + model.options.predictor_weight * terms["prediction"], **terms}


def _reconstructed(model: VisualComponents, states: Tensor, window: Window) -> Terms:
    return {"reconstruction": _mean((model.decode(states) - window.target).square(), window.weight)}


def _divergence(model: VisualComponents, posterior: Posterior, weight: Tensor) -> Terms:
    floors = {"kl": 0.0, "kl_counted": model.options.free_bits}
    found = {name: kl_divergence(posterior, model.event_dims, floor) for name, floor in floors.items()}
    return {name: _share(x, weight) for name, x in found.items()}


def _noise(batch: Batch, like: Tensor) -> Tensor:
    """The first of a batch's random numbers, in the shape of latents (B, n, C, ...)."""
    if batch.noise is None:
        raise ValueError("batch must hold noise, from which latents are drawn")
    return batch.noise.flatten(1)[:, : like[0].numel()].reshape(like.shape)


def _mean(squared: Tensor, weight: Tensor) -> Tensor:
    """Mean over events, then over places (B, n) as far as they count: (B, n, ...) -> ()."""
    return _share(squared.flatten(2).mean(dim=-1), weight)


def _share(values: Tensor, weight: Tensor) -> Tensor:
    """Mean over places as far as they count, 0 where none does: (B, n) -> ()."""
    return (values * weight).sum() / weight.sum().clamp(min=1)
