"""What a visual model does at intervals that it was not trained at, in tests A and B of its frame sequences."""

from collections.abc import Mapping

import pandas as pd
import torch
from torch import Tensor

from tdlib.evaluation.visual.rollouts import (
    VisualRollout,
    encoded_truth,
    visual_open_loop_rollout,
    visual_repeated_rollout,
)
from tdlib.evaluation.visual.scores import MODEL, baselines, latent_statistics, visual_metrics_table
from tdlib.evaluation.visual.sequences import FrameSequences
from tdlib.models.visual import VisualWorldModel
from tdlib.models.visual.maps import MapPredictor

REPEATED = "model_repeated"  # several steps of its own interval per frame
PROTOCOLS = ("A", "B")
TOLERANCE = 1e-4  # relative


def visual_dt_generalization_test(
    model: VisualWorldModel,
    sequences: Mapping[tuple[str, str], FrameSequences],
    mean_image: Tensor,
    *,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Score a visual model at several intervals, open loop, in both tests, beside the two baselines.

    Args:
        model: The model.
        sequences: (protocol, test rate) -> what is known and asked; the protocol is a name in `PROTOCOLS`.
        mean_image: (C, H, W) of the training frames.
        device: Where the model is.

    Returns:
        One row per protocol, rate and prediction (`model`; `model_repeated` of a map where the interval is a multiple
        of its own; the baselines): protocol, test_frequency, delta_t [s], horizon [s], prediction, scores over all
        times as `visual_metrics_table` has them, and of the model what `latent_statistics` says.

    Raises:
        ValueError: If a protocol is unknown.
    """
    unknown = sorted({protocol for protocol, _ in sequences} - set(PROTOCOLS))
    if unknown:
        raise ValueError(f"protocol must be one of {list(PROTOCOLS)}, got {unknown}")
    parts = []
    for (protocol, rate), asked in sequences.items():
        rolled = visual_open_loop_rollout(model, asked, device=device)
        predictions = {MODEL: rolled.images, **baselines(asked, mean_image)}
        ratio = float(asked.steps.mean()) / float(model.train_delta_t)
        if isinstance(model.predictor, MapPredictor) and _whole(ratio) > 1:
            predictions[REPEATED] = visual_repeated_rollout(model, asked, _whole(ratio), device=device).images
        scores = visual_metrics_table(predictions, asked.truth, asked.times)
        scores = scores[scores["time"].isna()].drop(columns="time")
        scores.insert(0, "protocol", protocol)
        scores.insert(1, "test_frequency", rate)
        scores.insert(2, "delta_t", float(asked.steps.mean()))
        scores.insert(3, "horizon", float(asked.times[-1]))
        own = statistics_of(model, asked, rolled, device=device)
        parts.append(scores.assign(**{name: scores["prediction"].map({MODEL: x}) for name, x in own.items()}))
    return pd.concat(parts, ignore_index=True)


def statistics_of(
    model: VisualWorldModel, sequences: FrameSequences, rollout: VisualRollout, *, device: torch.device | str = "cpu"
) -> dict[str, float]:
    """Return `latent_statistics` of a rollout; the truth is encoded where all its frames are equally far apart."""
    steps = sequences.delta_t
    alike = bool(((steps - steps[:, -1:]).abs() <= TOLERANCE * steps[:, -1:]).all())
    encoded = encoded_truth(model, sequences, device=device) if alike else None
    return latent_statistics(rollout, encoded, model.options.latent_shape[0] // 2)


def _whole(ratio: float) -> int:
    """The ratio where it is a whole number, 0 where it is none."""
    return round(ratio) if abs(ratio - round(ratio)) < TOLERANCE * ratio else 0
