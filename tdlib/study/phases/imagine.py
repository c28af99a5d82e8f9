"""Long predictions with their bands, as tables to draw: the first starts of each chosen arm at a few rates."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tdlib.evaluation.measures.imagined import HORIZON, NUM_WINDOWS, WINDOW, predict_with_spread
from tdlib.evaluation.measures.measure import Subject
from tdlib.evaluation.sets.gather import gather_imagined
from tdlib.evaluation.sets.imagination import Imagined
from tdlib.evaluation.tables import arm_of, frequency_label
from tdlib.models import find_family
from tdlib.study.phases.evaluate import load_test_set, main_rate
from tdlib.study.phases.stacks import load_stacks
from tdlib.study.run import Run
from tdlib.study.selection import Selection, everything
from tdlib.systems import SYSTEMS

STARTS = 2


def imagined_paths(run: Run, env: str, chosen: Selection | None = None, rates: Sequence[str] = ()) -> pd.DataFrame:
    """Predict far ahead from the first starts of the first seed, by all chosen arms that say how sure they are.

    Args:
        run: Preset and folders.
        env: One of its systems.
        chosen: A part of the grid; None for all of it.
        rates: Test rates; empty for the middle and the finest of training.

    Returns:
        Key columns, start, time [s] (negative where the path was known), and of each dimension `<name>` (nan where it
        was known), `<name>_spread` and `<name>_true`. Angles of the truth go on where the prediction's do.
    """
    chosen, seed = (chosen or everything(run)).on(env), run.preset.own_seeds[0]
    finest = frequency_label(max(run.preset.train_frequencies))
    labels = tuple(rates) or tuple(dict.fromkeys((main_rate(run), finest)))
    members = [
        (arm, own)
        for arm, own in chosen.trained_members
        if own == seed and "variance" in getattr(find_family(arm.model).model, "predicts", ())
    ]
    if not members:
        return pd.DataFrame()
    sets, tables = {seed: load_test_set(run, env, seed)}, []
    horizon = run.preset.evaluation.imagined or HORIZON
    for stack in load_stacks(run, env, members):
        keys = [arm_of(arm, own, env) for arm, own in stack.members]
        subject = Subject(stack.dynamics, keys, sets, SYSTEMS[env], run.device)
        found = gather_imagined(sets, keys, labels, NUM_WINDOWS * WINDOW, horizon)
        for rate, imagined in found.items():
            tables += _tables(subject, rate, _first(imagined))
    return pd.concat(tables, ignore_index=True)


def _first(imagined: Imagined) -> Imagined:
    """Keep the first starts: fields (1, S, ...)."""
    rollouts = imagined.rollouts
    kept = {name: getattr(rollouts, name)[:, :STARTS] for name in ("state", "actions", "delta_t", "states")}
    assert rollouts.context is not None  # the stretch that is known
    return Imagined(type(rollouts)(
        **kept, inside=None, times=rollouts.times, context=rollouts.context.map(lambda x: x[:, :STARTS])
    ))  # fmt: skip


def _tables(subject: Subject, rate: str, imagined: Imagined) -> list[pd.DataFrame]:
    found, rollouts, spec = predict_with_spread(subject, imagined), imagined.rollouts, subject.spec
    context = rollouts.context
    assert context is not None and found.variance is not None  # those without are not asked
    tables = []
    for k, member in enumerate(subject.members):
        for start in range(rollouts.state.shape[1]):
            before, steps = context.delta_t[0, start].numpy(), rollouts.delta_t[0, start].numpy()
            times = np.concatenate([np.cumsum(before) - before - before.sum(), np.cumsum(steps)])
            table = pd.DataFrame({"time": times.round(6)}).assign(**member, test_frequency=rate, start=start)
            nothing = np.full(len(before), np.nan)
            for i, name in enumerate(spec.state_names):
                predicted, true = found.state[k, start, :, i].numpy(), rollouts.states[0, start, :, i].numpy()
                if i in spec.angle_dims:  # the same turn
                    true = predicted + np.angle(np.exp(1j * (true - predicted)))
                known = context.states[0, start, :, i].numpy()
                table[name] = np.concatenate([nothing, predicted])
                table[f"{name}_spread"] = np.concatenate([nothing, found.variance[k, start, :, i].sqrt().numpy()])
                table[f"{name}_true"] = np.concatenate([known, true])
            tables.append(table)
    return tables
