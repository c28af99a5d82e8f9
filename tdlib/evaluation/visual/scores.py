"""Scores of visual predictions, beside what two trivial ones score: the mean image, and the last frame seen."""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from tdlib.evaluation.visual.pictures import ball_error, ground_of, mean_absolute_error, mean_squared_error, psnr, ssim
from tdlib.evaluation.visual.rollouts import VisualRollout
from tdlib.evaluation.visual.sequences import FrameSequences

LOST = 0.025  # of the mean square of what stands out: from this error on a prediction is no longer valid
MODEL, MEAN_IMAGE, COPY_LAST = "model", "mean_image", "copy_last"
BASELINES = (MEAN_IMAGE, COPY_LAST)


def compute_visual_metrics(predicted: Tensor, truth: Tensor, ground: Tensor | None = None) -> dict[str, Tensor]:
    """Score pictures one by one.

    Args:
        predicted: (..., T, C, H, W) in [0, 1].
        truth: (..., T, C, H, W).
        ground: (C,) its color; by default the truth's median.

    Returns:
        mse, mae, psnr [dB], ssim and ball_error [pixels] (nan where no ball is predicted), (..., T) each; and
        valid_steps (...), how many steps come before the first whose MSE exceeds 0.025 of the mean square, over the
        sequence, of the truth's differences from its ground.

    Raises:
        ValueError: If shapes differ.

    Source:
        Valid prediction time: Botev et al. (2021), Which priors matter? They divide by the mean square of the truth,
        whose ground is black; of a gray one the ground would be most of it, and the mean image valid throughout.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted must have the truth's shape {tuple(truth.shape)}, got {tuple(predicted.shape)}")
    ground = ground_of(truth) if ground is None else ground.to(truth)
    mse = mean_squared_error(predicted, truth)
    bright = mean_squared_error(ground.view(-1, 1, 1).expand_as(truth), truth).mean(dim=-1, keepdim=True)
    lost = ~(mse <= LOST * bright)
    return {
        "mse": mse,
        "mae": mean_absolute_error(predicted, truth),
        "psnr": psnr(mse),
        "ssim": ssim(predicted, truth),
        "ball_error": ball_error(predicted, truth, ground),
        "valid_steps": (lost.long().cumsum(dim=-1) == 0).sum(dim=-1),
    }


def baselines(sequences: FrameSequences, mean_image: Tensor) -> dict[str, Tensor]:
    """Return what knows no motion: the mean image (C, H, W) of training, and the start; (S, T, C, H, W) each."""
    truth = sequences.truth
    return {
        MEAN_IMAGE: mean_image.to(truth).expand_as(truth),
        COPY_LAST: copy_last(sequences),
    }


def copy_last(sequences: FrameSequences) -> Tensor:
    """Return the start as often as frames are asked for, (S, T, C, H, W)."""
    return sequences.start.unsqueeze(1).expand_as(sequences.truth)


def visual_metrics_table(
    predictions: Mapping[str, Tensor], truth: Tensor, times: Tensor, ground: Tensor | None = None
) -> pd.DataFrame:
    """Score several predictions of the same frames against time.

    Args:
        predictions: Name -> (S, T, C, H, W).
        truth: (S, T, C, H, W).
        times: (T,) since the start [s], negative of a rollout back in time.
        ground: (C,) its color.

    Returns:
        One row per prediction and time, and one of all times (time nan): prediction, time [s], mse, mae, psnr, ssim,
        ball_error [pixels] (of those with a ball), ball_lost (share without one), valid_time (mean time that is valid,
        in the row of all times) [s], n.
    """
    rows = []
    elapsed = torch.cat([times.new_zeros(1), times.abs()])  # of a rollout back in time too
    for name, predicted in predictions.items():
        found = compute_visual_metrics(predicted.to(truth), truth, ground)
        valid = float(elapsed[found.pop("valid_steps")].mean())
        places = [(float(t), slice(k, k + 1)) for k, t in enumerate(times)] + [(float("nan"), slice(None))]
        for time, steps in places:
            values = {column: x[:, steps] for column, x in found.items()}
            error = values.pop("ball_error")
            rows.append({
                "prediction": name,
                "time": time,
                **{column: float(x.mean()) for column, x in values.items()},
                "ball_error": float(error.nanmean()),
                "ball_lost": float(error.isnan().double().mean()),
                "valid_time": valid if time != time else float("nan"),
                "n": len(truth),
            })  # fmt: skip
    return pd.DataFrame(rows)


def latent_statistics(
    rollout: VisualRollout, encoded: Tensor | None, positions: int, steps: Sequence[int] | None = None
) -> dict[str, float]:
    """Say whether latents move, stay with the truth's, and keep their energy: detectors of models that do nothing.

    Args:
        rollout: Predictions.
        encoded: (S, n, event) states of true frames, the start's first; None where nothing is known of them.
        positions: How many of the channels are positions.
        steps: (n,) after how many steps of the rollout these are, 0 first; all T + 1 if left out.

    Returns:
        q_motion (RMS way of positions from the start over RMS spread of the starts: far below 1 nothing moves),
        latent_mse (per element, against the truth's), latent_error (its root over the RMS spread of the truth's),
        energy_mean, energy_std (over starts), energy_time_std (over time, of each rollout), energy_drift (RMS change to
        the end over energy_std); nan where there is nothing to measure.
    """
    position = rollout.latents[:, :, :positions]
    spread = (position[:, 0] - position[:, 0].mean(dim=0)).square().mean().sqrt()
    moved = (position[:, 1:] - position[:, :1]).square().mean().sqrt()
    found = {"q_motion": float(moved / spread), "latent_mse": float("nan"), "latent_error": float("nan")}
    if encoded is not None:
        predicted = rollout.latents if steps is None else rollout.latents[:, list(steps)]
        gap = (predicted - encoded)[:, 1:].square().mean()
        wide = (encoded - encoded.mean(dim=(0, 1))).square().mean()
        found |= {"latent_mse": float(gap), "latent_error": float((gap / wide).sqrt())}
    names = ("energy_mean", "energy_std", "energy_time_std", "energy_drift")
    if rollout.energy is None:
        return found | dict.fromkeys(names, float("nan"))
    energy = rollout.energy.double()
    std = energy[:, 0].std() if len(energy) > 1 else energy.new_tensor(float("nan"))  # of one clip there is none
    drift = (energy[:, -1] - energy[:, 0]).square().mean().sqrt() / std
    values = (energy.mean(), std, energy.std(dim=1).mean(), drift)
    return found | dict(zip(names, map(float, values), strict=True))
