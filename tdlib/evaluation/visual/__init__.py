"""Evaluation of visual world models: pictures, latents, other intervals, and the baselines beside them."""

from tdlib.evaluation.visual.causes import CAUSES, unbeaten
from tdlib.evaluation.visual.films import Films, film_motions
from tdlib.evaluation.visual.generalization import (
    PROTOCOLS,
    LatentTruth,
    latent_truth,
    statistics_of,
    visual_dt_generalization_test,
)
from tdlib.evaluation.visual.pictures import ball_error, centroid, psnr, ssim
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
    "CAUSES",
    "PROTOCOLS",
    "Films",
    "FrameSequences",
    "LatentTruth",
    "VisualRollout",
    "ball_error",
    "baselines",
    "centroid",
    "compute_visual_metrics",
    "encoded_truth",
    "film_motions",
    "frame_sequences",
    "latent_nats",
    "latent_statistics",
    "latent_truth",
    "psnr",
    "ssim",
    "statistics_of",
    "unbeaten",
    "visual_backward_rollout",
    "visual_dt_generalization_test",
    "visual_metrics_table",
    "visual_open_loop_rollout",
    "visual_reconstruction",
    "visual_repeated_rollout",
    "visual_teacher_forced",
]
