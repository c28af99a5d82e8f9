"""Import a log, train on it, and read how models err at the log's own intervals."""

import numpy as np
import torch

from tdlib.data import split_episodes
from tdlib.data.sources.csv import import_csv
from tdlib.evaluation import diagnose
from tdlib.models import build_model, find_family
from tdlib.study.arms import Arm
from tdlib.training import Budget, Trial, fit

ARMS = (
    Arm("jump", "baseline", "none", train_frequency="recorded"),
    Arm("jump", "dt_conditioned", "scaled_concat", train_frequency="recorded"),
    Arm("newtonian", "ode", "rk4", train_frequency="recorded"),
)


def read_log(folder, num_steps=400, seed=0):
    log = import_csv(folder, name="SevenJoints", irregular=True)  # intervals differ
    splits = split_episodes(log, seed=seed)  # by file, never by row
    train, val = (splits[name].transitions(torch.float32) for name in ("train", "val"))
    step, trials = float(np.median(log.delta_t)), []
    for arm in ARMS:
        options = {find_family(arm.model).form_option: arm.form, "train_delta_t": step}
        model = build_model(arm.model, log.spec, seed=seed, **options)
        trials.append(Trial(arm, seed, model, [train], [val]))
    fit(trials, Budget(num_steps, learning_rate=3e-3))
    return {trial.arm: diagnose(trial.model, splits["test"]) for trial in trials}
