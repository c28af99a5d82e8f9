"""How far a published model errs, by the published protocol: two windows are known, the rest of each is imagined."""

from itertools import pairwise

import pandas as pd
import torch

from tdlib.core.context import Context
from tdlib.core.time_grid import delta_t_of
from tdlib.data import TransitionDataset
from tdlib.evaluation.sliding import sliding_rmse
from tdlib.models import DynamicsModel
from tdlib.study.official_settings import Official, SettingError


def official_errors(setting: Official, model: DynamicsModel, dataset: TransitionDataset) -> pd.DataFrame:
    """Score predictions of what follows the known windows, in standard deviations of the training set's features.

    Sequences lie side by side in the episodes; the published ones are drawn, and may overlap.

    Args:
        setting: Whose window slides along the prediction, over so many sequences at most.
        model: A trained one.
        dataset: Test split.

    Returns:
        step (before which a window ends; 0 for the first step alone), time [s], window [s], rmse, n sequences.

    Raises:
        SettingError: If no episode is as long as a sequence.
    """
    rows, offsets = dataset.transitions_with_offsets(torch.float32)
    length, asked = setting.sequences.length, setting.evaluation
    firsts = [x for begin, end in pairwise(offsets.tolist()) for x in range(begin, end - length + 1, length)]
    if not firsts:
        raise SettingError(f"dataset must have an episode of {length} steps for {setting.name}, got none")
    index = torch.tensor(firsts[: asked.num_sequences]).unsqueeze(1) + torch.arange(length)
    state, action, following, delta_t = (x[index] for x in (rows.state, rows.action, rows.next_state, rows.delta_t))
    last = (
        asked.context_windows * setting.sequences.window - 1
    )  # row of the last observation, where a prediction starts
    there = torch.ones_like(delta_t[:, :last], dtype=torch.bool)
    past = Context(state[:, :last], action[:, :last], delta_t[:, :last], there)
    with torch.inference_mode():
        found = model.predict(state[:, last], action[:, last:], delta_t[:, last:], past).state[:, 1:]
        target, predicted = (model.scales.features(x) for x in (following[:, last + 1 :], found))
    steps, rmse = sliding_rmse(target, predicted, asked.sliding_window)
    interval = delta_t_of(dataset.control_frequency or setting.control_frequency)
    columns = {"step": steps, "time": steps * interval, "rmse": rmse}
    table = pd.DataFrame({name: x.tolist() for name, x in columns.items()})
    return table.assign(window=asked.sliding_window * interval, n=len(index))
