"""The explorer's element on a published page: what readers without scripts see instead, and the train × test table.

The figure and its table hold the same numbers that the script shows in its first view: rollouts of models A and B over
one second, and the errors of their first steps at the study's rates, from the same start under the same held input.
"""

import html
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdlib.core.files import stored
from tdlib.core.specs import state_difference
from tdlib.core.time_grid import delta_t_of, steps_within
from tdlib.explorer.python.answers import Answers
from tdlib.explorer.python.checkpoints import Checkpoint
from tdlib.explorer.python.entries import FIRST_ARMS, FIRST_RATE, entry_of
from tdlib.explorer.python.signals import held_inputs
from tdlib.explorer.python.views import view_values
from tdlib.figures.style import METHOD_LABELS, state_label
from tdlib.systems import SYSTEMS, System

HORIZON = 1.0  # [s]
RATES = (5, 10, 16, 20, 25, 33.3, 50, 100, 200)  # [Hz]
HEATMAP_SOURCE = "results/metrics/statistics.csv"  # said in the map's caption
END = "<!-- end of explorer -->"  # by which a page's builder finds the whole element
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 300, 56, 628, 34, 258  # of the static figure

Find = Callable[..., tuple[str, Checkpoint]]


@dataclass(frozen=True)
class StaticRollout:
    """One model over one second at one rate.

    Args:
        times: (T+1,) [s].
        states: (T+1, D) predicted, the start first.
        error: Of the first step: error over true change, root mean square over dimensions.
    """

    times: np.ndarray
    states: np.ndarray
    error: float


def page_element(env: str, answers: Answers, find: Find, view: str = "") -> str:
    """Return the element that a page's script turns into the explorer.

    Args:
        env: Environment of the first view.
        answers: Predicts.
        find: Finds a model by the keys of its arm.
        view: Link text of the first view.
    """
    shown = f' data-view="{html.escape(view)}"' if view else ""
    return (
        f'<div class="td-explorer" data-env="{html.escape(env)}"{shown}>\n<div class="td-explorer-fallback">\n'
        f"{static_view(env, answers, find)}\n</div>\n</div>{END}"
    )


def static_view(env: str, answers: Answers, find: Find) -> str:
    """Return the figure of the first view and the table of its errors at the study's rates, as HTML."""
    system = SYSTEMS[env]
    names = _models(env, find)
    rollouts = {
        label: {rate: static_rollout(system, answers, name, rate) for rate in RATES} for label, name in names.items()
    }
    head = "".join(f'<th scope="col">{rate:g} Hz</th>' for rate in RATES)
    rows = "".join(
        f'<tr><th scope="row">{html.escape(label)}</th>' + "".join(f"<td>{_text(r.error)}</td>" for r in row.values())
        + "</tr>"
        for label, row in rollouts.items()
    )  # fmt: skip
    figure = _figure(system, FIRST_RATE, {label: row[FIRST_RATE] for label, row in rollouts.items()})
    return (
        f"<figure>{figure}<figcaption>Truth (line) and predictions at {FIRST_RATE:g} Hz over one second."
        "</figcaption></figure>\n"
        "<table><caption>Error of the first step, relative to the true motion, by asked rate</caption>"
        f'<thead><tr><th scope="col">model</th>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )


def static_rollout(system: System, answers: Answers, name: str, rate: float) -> StaticRollout:
    """Predict the first view's second with one model at one rate [Hz] and score it against the truth."""
    spec, delta_t = system.spec, delta_t_of(rate)
    first = view_values(system)
    actions = held_inputs(first["inputs"], spec, delta_t, steps_within(HORIZON, delta_t))
    start = torch.tensor(first["start"], dtype=torch.float64)
    job = {"kind": "rollout", "id": name, "states": [first["start"]], "actions": actions, "deltaT": delta_t}
    predicted = torch.from_numpy(answers.answer(spec.name, job))
    reached = system.flow(start, torch.tensor(actions[0], dtype=torch.float64).reshape(-1), delta_t)
    error = motion_error(predicted[:1], reached[None], start, system)
    times = np.arange(len(actions) + 1) * delta_t
    return StaticRollout(times, torch.cat([start[None], predicted]).numpy(), error)


def motion_error(predicted: Tensor, truth: Tensor, start: Tensor, system: System) -> float:
    """RMS error over RMS true change since the start, over moving dimensions: (T, D), (T, D), (D,) -> number."""
    squared = (state_difference(predicted, truth, system.spec) ** 2).sum(dim=0)
    change = ((truth - start) ** 2).sum(dim=0)
    return float((squared / change)[change > 1e-18].mean().sqrt())


def heatmap_rows(statistics: pd.DataFrame) -> dict[str, list[dict]]:
    """Take the one-step relative errors of hidden-64 arms at the study's rates from `statistics.csv`.

    Returns:
        Environment -> rows with the arm's keys, `values`, one per rate of the map, and the number of `seeds`.
    """
    table = statistics[
        (statistics["metric"] == "one_step.relative_error")
        & statistics["detail"].isna()
        & statistics["size"].isin(["hidden64", "none"])
    ].copy()
    keys = ["env", "model", "method", "form", "data", "train_frequency"]
    table["train_frequency"] = table["train_frequency"].fillna("").astype(str)
    labels = [f"{rate:g}" for rate in RATES]
    rows: dict[str, list[dict]] = {}
    for arm, group in table.groupby(keys, sort=False):
        values = dict(zip(group["test_frequency"].astype(str), group["mean"], strict=True))
        if all(label in values and math.isfinite(values[label]) for label in labels):
            row = dict(zip(keys[1:], arm[1:], strict=True))
            told = {"values": [float(f"{values[x]:.5g}") for x in labels], "seeds": int(group["n_seeds"].max())}
            rows.setdefault(arm[0], []).append({**row, **told})
    return rows


def page_script(
    statistics: pd.DataFrame | None,
    models_folders: Sequence[str],
    environments: Sequence[str] = (),
    seeds: Mapping[str, Sequence[int]] | None = None,
) -> str:
    """Return the script that tells every explorer of a book about its run.

    Args:
        statistics: The run's `statistics.csv`, read by `read_statistics`; None leaves the map to be computed.
        models_folders: Folders of the models in Python lines, seen from the repository, in the order of the weights'.
        environments: Those whose models the page carries; empty for all that the engine knows.
        seeds: Environment -> seeds of its models, the first one first; None for one seed each.
    """
    known: dict = {"models": list(models_folders)}
    if environments:
        known["environments"] = list(environments)
    if seeds:
        known["seeds"] = {env: list(own) for env, own in seeds.items()}
    if statistics is not None:
        known |= {"heatmap": heatmap_rows(statistics), "heatmapNote": HEATMAP_SOURCE}
    return f"globalThis.tdExplorerPage = {json.dumps(known, separators=(',', ':'), allow_nan=False)};\n"


def read_statistics(path: Path) -> pd.DataFrame | None:
    """Read a `statistics.csv`, or what an edition made of it, with its rates as labels; None if there is none."""
    path = stored(path)
    if not path.is_file():
        return None
    return pd.read_csv(path, dtype={"train_frequency": str, "test_frequency": str}, low_memory=False)


def _models(env: str, find: Find) -> dict[str, str]:
    """The first view's models A and B: label -> name in requests; what a run does not have is left out."""
    names = {}
    for side, arm in FIRST_ARMS.items():
        try:
            name, _ = find(env, **arm.keys())
        except ValueError:
            continue
        words = entry_of(arm)
        names[f"{side.upper()}: {METHOD_LABELS.get(arm.method, arm.method)}, trained at {words['rateLabel']}"] = name
    return names


def _text(error: float) -> str:
    """Write an error in as many digits as the explorer's script does."""
    if not math.isfinite(error):
        return "–"
    if error < 0.0005:
        return "&lt;0.001"
    if error >= 1000:
        return "over 1000"
    return f"{error:.{0 if error >= 9.95 else 1 if error >= 0.995 else 2 if error >= 0.0995 else 3}f}"


def _figure(system: System, rate: float, rollouts: Mapping[str, StaticRollout]) -> str:
    """Draw the shown dimension as SVG in the theme's colors, so that it follows light and dark."""
    first = view_values(system)
    d, delta_t = first["dim"], 0.01
    inputs = held_inputs(first["inputs"], system.spec, delta_t, round(HORIZON / delta_t))
    states = [torch.tensor(first["start"], dtype=torch.float64)]
    for action in inputs:
        states.append(system.flow(states[-1], torch.tensor(action, dtype=torch.float64).reshape(-1), delta_t))
    truth = torch.stack(states)[:, d].numpy()
    margin = max(0.7 * float(truth.max() - truth.min()), 0.3)
    low, high = float(truth.min()) - margin, float(truth.max()) + margin

    def points(times: np.ndarray, values: np.ndarray) -> list[tuple[float, float]]:
        shown = np.clip(np.nan_to_num(values, nan=high), low, high)
        x = LEFT + (RIGHT - LEFT) * times / HORIZON
        y = BOTTOM - (BOTTOM - TOP) * (shown - low) / (high - low)
        return [(round(float(a), 1), round(float(b), 1)) for a, b in zip(x, y, strict=True)]

    def line(path: Sequence[tuple[float, float]], color: str, more: str) -> str:
        text = " ".join(f"{x},{y}" for x, y in path)
        return f'<polyline fill="none" stroke="var(--td-{color}, currentColor)" {more} points="{text}"/>'

    parts = []
    for k in range(6):
        value = low + (high - low) * k / 5
        (x, y), time = points(np.array([HORIZON * k / 5]), np.array([value]))[0], HORIZON * k / 5
        parts.append(f'<path d="M{LEFT} {y}H{RIGHT}" stroke="var(--td-grid, #ddd)"/>')
        parts.append(f'<text x="{x}" y="{BOTTOM + 18}" text-anchor="middle">{time:.1f}</text>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:.1f}</text>')
    parts += [line(points(np.arange(len(truth)) * delta_t, truth), "truth", 'stroke-width="4"')]
    for rollout, color, dash in zip(rollouts.values(), ("baseline", "multi-resolution"), ("", "6 4"), strict=False):
        path = points(rollout.times, rollout.states[:, d])
        parts.append(line(path, color, f'stroke-width="2" stroke-dasharray="{dash}"'))
        shape = (
            '<circle cx="{0}" cy="{1}" r="3.4" fill="{2}"/>'
            if not dash
            else ('<path d="M{0} {1}m-3-3h6v6h-6z" fill="var(--td-background, #fff)" stroke="{2}" stroke-width="1.6"/>')
        )
        parts += [shape.format(x, y, f"var(--td-{color}, currentColor)") for x, y in path]
    parts.append(f'<text x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 36}" text-anchor="middle">time [s]</text>')
    parts.append(f'<text x="4" y="14">{state_label(system.spec.state_names[d], system.spec.name)}</text>')
    said = "; ".join(f"{label}, error of the first step {_text(r.error)}" for label, r in rollouts.items())
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" font-size="13" fill="currentColor" '
        f'aria-label="Motion over one second at {rate:g} Hz. {html.escape(said)}">{"".join(parts)}</svg>'
    )
