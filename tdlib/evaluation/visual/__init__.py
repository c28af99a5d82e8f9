"""Evaluation of visual world models: pictures, latents, other intervals, and the baselines beside them."""

from tdlib.evaluation.visual.generalization import PROTOCOLS, statistics_of, visual_dt_generalization_test
from tdlib.evaluation.visual.pictures import ball_error, centroid, psnr, ssim
from tdlib.evaluation.visual.rollouts import (
    VisualRollout,
    encoded_truth,
    visual_backward_rollout,
    visual_open_loop_rollout,
    visual_repeated_rollout,
)
from tdlib.evaluation.visual.scores import (
    BASELINES,
    baselines,
    compute_visual_metrics,
    latent_statistics,
    visual_metrics_table,
)
from tdlib.evaluation.visual.sequences import FrameSequences, frame_sequences

__all__ = [
    "BASELINES",
    "PROTOCOLS",
    "FrameSequences",
    "VisualRollout",
    "ball_error",
    "baselines",
    "centroid",
    "compute_visual_metrics",
    "encoded_truth",
    "frame_sequences",
    "latent_statistics",
    "psnr",
    "ssim",
    "statistics_of",
    "visual_backward_rollout",
    "visual_dt_generalization_test",
    "visual_metrics_table",
    "visual_open_loop_rollout",
    "visual_repeated_rollout",
]
