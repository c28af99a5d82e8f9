"""What a visual model does at intervals that it was not trained at, in tests A and B of its frame sequences."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from tdlib.evaluation.visual.rollouts import (
    VisualRollout,
    encoded_truth,
    latent_nats,
    visual_backward_rollout,
    visual_open_loop_rollout,
    visual_reconstruction,
    visual_repeated_rollout,
    visual_teacher_forced,
)
from tdlib.evaluation.visual.scores import MODEL, baselines, copy_last, latent_statistics, visual_metrics_table
from tdlib.evaluation.visual.sequences import FrameSequences
from tdlib.models.visual import VisualWorldModel
from tdlib.models.visual.maps import MapPredictor

REPEATED = "model_repeated"  # several steps of its own interval per frame
TEACHER_FORCED = "model_teacher_forced"  # each frame from the true ones before it
RECONSTRUCTION = "model_reconstruction"  # true frames encoded and decoded, nothing predicted
BACK = "model_back"  # from the end back to the start
COPY_BACK = "copy_last_back"  # the end copied, where the way back begins
PROTOCOLS = ("A", "B")
TOLERANCE = 1e-4  # relative


class LatentTruth(NamedTuple):
    """States of true frames, read off frames that are as far apart as in training.

    Args:
        states: (S, n, event) of the start and what follows.
        times: (n,) since the start [s].
    """

    states: Tensor
    times: Tensor


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
        One row per protocol, rate and prediction: `model`; `model_repeated` of a map where the interval is a multiple
        of its own; `model_teacher_forced` and `model_reconstruction` where what is known has the interval that is
        asked for, and there too, of what integrates a field, `model_back` and `copy_last_back`: the way from the last
        frames back to the start, whose delta_t and horizon are negative; the baselines. Columns protocol,
        test_frequency, delta_t [s], horizon [s], prediction, scores over all times as `visual_metrics_table` has them,
        and of the model what `latent_statistics` says and latent_nats, how much the latent of a start says of its
        frames, mean over starts (nan of codes). In both tests the latents' truth is read off true frames that are as
        far apart as in training, at the times that have them, and is not known without sequences at that interval.

    Raises:
        ValueError: If a protocol is unknown.
    """
    check_protocols(sequences)
    truth, parts = latent_truth(model, sequences, device=device), []
    for (protocol, rate), asked in sequences.items():
        rolled = visual_open_loop_rollout(model, asked, device=device)
        predictions = {MODEL: rolled.images, **_beside(model, asked, device), **baselines(asked, mean_image)}
        scores = _over_all_times(scores_over_time(protocol, rate, asked, predictions))
        own = statistics_of(model, asked, rolled, truth)
        own["latent_nats"] = float(latent_nats(model, asked, device=device).mean())
        parts.append(scores.assign(**{name: scores["prediction"].map({MODEL: x}) for name, x in own.items()}))
        if _of_one_kind(asked) and not isinstance(model.predictor, MapPredictor):
            parts.append(_scored_back(model, protocol, rate, asked, device))
    return pd.concat(parts, ignore_index=True)


def check_protocols(sequences: Mapping[tuple[str, str], FrameSequences]) -> None:
    """Check the names of tests.

    Raises:
        ValueError: If one is unknown.
    """
    unknown = sorted({protocol for protocol, _ in sequences} - set(PROTOCOLS))
    if unknown:
        raise ValueError(f"protocol must be one of {list(PROTOCOLS)}, got {unknown}")


def scores_over_time(
    protocol: str, rate: str, asked: FrameSequences, predictions: Mapping[str, Tensor]
) -> pd.DataFrame:
    """Score predictions of one test: rows of `visual_metrics_table` with protocol, test_frequency, delta_t, horizon."""
    scores = visual_metrics_table(predictions, asked.truth, asked.times)
    scores.insert(0, "protocol", protocol)
    scores.insert(1, "test_frequency", rate)
    scores.insert(2, "delta_t", float(asked.steps.mean()))
    scores.insert(3, "horizon", float(asked.times[-1]))
    return scores


def latent_truth(
    model: VisualWorldModel,
    sequences: Mapping[tuple[str, str], FrameSequences],
    *,
    device: torch.device | str = "cpu",
) -> LatentTruth | None:
    """Read the true states off frames at the interval of training; None if no sequence has them."""
    step = float(model.train_delta_t)
    for asked in sequences.values():
        if bool(((asked.delta_t - step).abs() <= TOLERANCE * step).all()):
            times = torch.cat([asked.times.new_zeros(1), asked.times])
            return LatentTruth(encoded_truth(model, asked, device=device), times)
    return None


def statistics_of(
    model: VisualWorldModel, sequences: FrameSequences, rollout: VisualRollout, truth: LatentTruth | None
) -> dict[str, float]:
    """Return `latent_statistics` of a rollout, against the true states at the times that both have."""
    positions = model.options.latent_shape[0] // 2
    if truth is None:
        return latent_statistics(rollout, None, positions)
    times = torch.cat([sequences.times.new_zeros(1), sequences.times])
    close = (times.unsqueeze(1) - truth.times).abs() <= TOLERANCE * float(model.train_delta_t)
    steps, places = close.nonzero(as_tuple=True)
    if len(steps) < 2:  # the start alone
        return latent_statistics(rollout, None, positions)
    return latent_statistics(rollout, truth.states[:, places], positions, steps.tolist())


def _scored_back(
    model: VisualWorldModel, protocol: str, rate: str, asked: FrameSequences, device: torch.device | str
) -> pd.DataFrame:
    """Rows of the way back, and of a copy of where it begins."""
    rolled, back = visual_backward_rollout(model, asked, device=device)
    return _over_all_times(scores_over_time(protocol, rate, back, {BACK: rolled.images, COPY_BACK: copy_last(back)}))


def _over_all_times(scores: pd.DataFrame) -> pd.DataFrame:
    return scores[scores["time"].isna()].drop(columns="time")


def _of_one_kind(asked: FrameSequences) -> bool:
    """Whether what is known has the interval that is asked for."""
    steps = asked.delta_t
    return bool(((steps - steps[:, -1:]).abs() <= TOLERANCE * steps[:, -1:]).all())


def _beside(model: VisualWorldModel, asked: FrameSequences, device: torch.device | str) -> dict[str, Tensor]:
    """What else the model can be asked: its own step repeated, one step from true frames, and none."""
    found, ratio = {}, float(asked.steps.mean()) / float(model.train_delta_t)
    if isinstance(model.predictor, MapPredictor) and _whole(ratio) > 1:
        found[REPEATED] = visual_repeated_rollout(model, asked, _whole(ratio), device=device).images
    if _of_one_kind(asked):
        found[TEACHER_FORCED] = visual_teacher_forced(model, asked, device=device).images
        found[RECONSTRUCTION] = visual_reconstruction(model, asked, device=device).images
    return found


def _whole(ratio: float) -> int:
    """The ratio where it is a whole number, 0 where it is none."""
    return round(ratio) if abs(ratio - round(ratio)) < TOLERANCE * ratio else 0
