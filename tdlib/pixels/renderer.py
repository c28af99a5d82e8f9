"""From states to frames, many at once: every body is a smooth disc at its exact place, also between pixels.

    light of a body = blur(mean over samples of clip(1 − clip(d − R, 0, 1)))
    frame = clip(background + Σ color · light)

d is the distance of a sample from the body's center and R its radius, both in samples. Averaging samples into pixels
and blurring (5 × 5, σ = 1 pixel) are linear and act on each axis alone, so both are one small matrix A: A mask Aᵀ. Only
the patch of pixels that a body's light can reach is computed; patches of a batch are added in one write.

    pixel = img_size (x + W) / 2W   from the left edge; y grows downwards.
"""

import functools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from tdlib.core.namespace import TORCH
from tdlib.core.specs import require_real
from tdlib.pixels.options import USUAL, RenderOptions, picture_of
from tdlib.systems import System, get_system

BLUR_REACH, BLUR_SIGMA = 2, 1.0  # [pixels]
CHUNK = 256  # frames whose patches are worked on at once: so many fit into a core's cache
LEVELS = 255


@torch.no_grad()
def render_states(
    system: System | str,
    states: Tensor,
    options: RenderOptions = USUAL,
    parameters: Tensor | None = None,
    *,
    dtype: torch.dtype = torch.uint8,
) -> Tensor:
    """Paint states: (..., D), (..., P) -> (..., C, H, W).

    Args:
        system: The system, or its name.
        states: Physical states; angles may be wrapped or not.
        options: Size, colors, quality, window.
        parameters: Those drawn per sequence, in the order of `spec.parameter_names`; nominal if None.
        dtype: `torch.uint8` for levels 0 .. 255, or a kind of float for numbers in [0, 1].

    Raises:
        TypeError: If states are whole numbers.
        ValueError: If the system has no picture, or a state has another size or is not finite.
    """
    system = get_system(system) if isinstance(system, str) else system
    if dtype != torch.uint8 and not dtype.is_floating_point:
        raise ValueError(f"dtype must be torch.uint8 or a kind of float, got {dtype}")
    places = body_places(system, states, options, parameters)  # (..., bodies, 2) pixels
    picture, count, batch = picture_of(system), places.shape[-2], states.shape[:-1]
    scale = options.img_size / (2 * options.window(picture))
    radii = [scale * radius for radius in options.radii(picture, system.named(parameters), count)]
    flat, (numbers, device) = places.reshape(-1, count, 2), (math.prod(batch), states.device)
    sizes = [torch.as_tensor(r, dtype=torch.float32, device=device).expand(batch).reshape(-1) for r in radii]
    top = float(LEVELS) if dtype == torch.uint8 else 1.0
    lights = [top * torch.tensor(color, dtype=torch.float32, device=device) for color in options.ball_colors(count)]
    background = top * torch.tensor(options.bg_color, dtype=torch.float32, device=device)
    background = background.round() if dtype == torch.uint8 else background
    empty = background.to(dtype)[:, None].expand(3, options.img_size**2).contiguous()
    frames = torch.empty(numbers, options.channels, options.img_size, options.img_size, dtype=dtype, device=device)
    for rows in _chunks(numbers):
        canvas = empty.repeat(len(flat[rows]), 1, 1)
        for i in range(count):
            behind = background[:, None] if i == 0 else None
            _add_body(canvas, flat[rows, i], sizes[i][rows], lights[i], behind, options)
        frames[rows].flatten(2).copy_(canvas if options.color else canvas.amax(dim=1, keepdim=True))
    return frames.reshape(*batch, *frames.shape[1:])


def render_state(system: System | str, state: Tensor, **options: object) -> Tensor:
    """Paint one state as a picture with channels last, (D,) -> (H, W, C) in [0, 1]; options as `RenderOptions` has."""
    return render_states(system, state, RenderOptions(**options), dtype=torch.float32).movedim(-3, -1)  # type: ignore[arg-type]


def body_places(system: System, states: Tensor, options: RenderOptions, parameters: Tensor | None = None) -> Tensor:
    """Place the centers of the bodies in a frame: (..., D) -> (..., bodies, 2) pixels from the left and upper edge.

    Raises:
        TypeError: If states are whole numbers.
        ValueError: If the system has no picture, or a state has another size or is not finite.
    """
    picture = picture_of(system)
    require_real(states, "states")
    if not states.ndim or states.shape[-1] != system.spec.state_dim:
        rule = f"states of {system.spec.name} must have a last axis of {system.spec.state_dim}"
        raise ValueError(f"{rule}, got shape {tuple(states.shape)}")
    if not bool(states.isfinite().all()):
        raise ValueError(f"states of {system.spec.name} must be finite, got {states[~states.isfinite()][0].item()}")
    found = picture.places(states.unbind(-1), system.named(parameters), TORCH)
    columns = [x if isinstance(x, Tensor) else torch.full_like(states[..., 0], x) for x in found]
    places = torch.stack(torch.broadcast_tensors(*columns), dim=-1).unflatten(-1, (-1, 2))
    window = options.window(picture)
    turned = places * places.new_tensor((1.0, -1.0))  # rows of a frame go down
    pixels = options.img_size * (turned + window) / (2 * window)
    return pixels.floor() + 0.5 if options.founded else pixels


def _chunks(count: int) -> Iterator[slice]:
    return (slice(first, first + CHUNK) for first in range(0, count, CHUNK))


def _add_body(
    canvas: Tensor, center: Tensor, radius: Tensor, light: Tensor, behind: Tensor | None, options: RenderOptions
) -> None:
    """Add one body's light to each frame in place: (n, 3, H W), (n, 2) pixels, (n,) pixels, (3,) levels.

    Args:
        canvas: Changed.
        center: Of the body, from the left and upper edge.
        radius: Of the body.
        light: What it adds at its center.
        behind: (3, 1) color of the whole canvas; None if it has others, which are then read from it.
        options: Size and samples.
    """
    size, samples = options.img_size, options.samples
    reach = math.ceil(float(radius.max()) + 1 / samples) + BLUR_REACH
    side = min(2 * reach + 1, size)
    corner = (center.floor() - reach).clamp(0, size - side)  # a patch that lies in the frame
    offset = (center - corner).float().clamp(-3.0 * size, 4.0 * size)  # a body far outside has no light here
    steps = torch.arange((side + 2 * BLUR_REACH) * samples, dtype=torch.float32, device=center.device)
    apart = (steps + 0.5) / samples - BLUR_REACH - offset.unsqueeze(-1)  # (n, 2, K) pixels
    x, y = apart.square_().unbind(dim=1)
    mask = (y.unsqueeze(-1) + x.unsqueeze(-2)).sqrt_()  # (n, K, K) distances
    mask.neg_().add_(radius[:, None, None]).mul_(samples).add_(1.0).clamp_(0.0, 1.0)
    smooth = _smoothing(side, samples).to(center.device)
    patch = smooth.T @ (mask @ smooth)  # (n, rows, columns)
    index = corner.long()
    lines = torch.arange(side, device=center.device)
    columns, rows = index[:, 0, None] + lines, index[:, 1, None] + lines
    place = (size * rows.unsqueeze(-1) + columns.unsqueeze(-2)).flatten(1)  # (n, side²)
    place = place.unsqueeze(1).expand(-1, 3, -1)
    total = light[:, None] * patch.flatten(1).unsqueeze(1)
    total += canvas.gather(2, place) if behind is None else behind
    if canvas.dtype == torch.uint8:
        canvas.scatter_(2, place, total.round_().clamp_(max=LEVELS).to(torch.uint8))
    else:
        canvas.scatter_(2, place, total.clamp_(max=1.0).to(canvas.dtype))


@functools.lru_cache(maxsize=64)
def _smoothing(side: int, samples: int) -> Tensor:
    """Matrix that turns samples of one axis into blurred pixels: ((side + 2 · reach) samples, side)."""
    taps = torch.exp(-(torch.arange(-BLUR_REACH, BLUR_REACH + 1, dtype=torch.float64) ** 2) / (2 * BLUR_SIGMA**2))
    taps = taps / taps.sum() / samples
    pixel = torch.arange((side + 2 * BLUR_REACH) * samples) // samples
    tap = pixel[:, None] - torch.arange(side)
    inside = (tap >= 0) & (tap < len(taps))
    return torch.where(inside, taps[tap.clamp(0, len(taps) - 1)], 0.0).float()
