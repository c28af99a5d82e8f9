"""The explorer of beliefs: mean and band, windows, and what each level knows, against Δt; in JupyterLab and on a page.

A page has what torch found for some models and starts at every rate of its slider.
"""

import base64
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tdlib.explorer.python.found import FoundExplorer, found_element, open_found
from tdlib.figures.style import arm_label, state_label
from tdlib.study.arms import Arm
from tdlib.study.phases.beliefs import RATES, BeliefPath, BeliefPaths
from tdlib.study.run import Missing, Run
from tdlib.study.selection import Selection

PAGE_STARTS = 1  # an edition has room for
SIZE_LIMIT = 200_000  # [bytes] of a page's file
FIRST_RATE = 20  # [Hz]
SPREAD = 2.0  # standard deviations of a band on each side
LEVELS = 65535  # steps of a packed number
FAR = 5.0  # ranges of the truth beyond which a prediction is cut: nothing of it is in the picture


def packed(values: np.ndarray) -> list:
    """Write finite numbers in sixteen bits each: [low, step, base64], value = low + step · k."""
    low = float(values.min(initial=np.inf)) if len(values) else 0.0
    step = (float(values.max()) - low) / LEVELS if len(values) else 0.0
    steps = np.zeros(len(values)) if step == 0 else np.round((values - low) / step)
    return [low, step, base64.b64encode(steps.astype("<u2").tobytes()).decode("ascii")]


def packed_truth(path: BeliefPath) -> list:
    """Write the true states, one entry per dimension."""
    return [packed(column) for column in path.truth.T]


def packed_path(path: BeliefPath) -> dict:
    """Write what a model predicts and knows, for the page's script."""
    low, high = path.truth.min(axis=0), path.truth.max(axis=0)
    reach = FAR * np.maximum(high - low, 1e-3)
    mean = np.nan_to_num(path.mean, nan=np.inf, posinf=np.inf, neginf=-np.inf).clip(low - reach, high + reach)
    spread = np.nan_to_num(path.spread, nan=np.inf).clip(0, reach)
    levels = [
        {"windows": level.windows.tolist(), "known": packed(level.known), "size": packed(level.size)}
        for level in path.levels
    ]
    numbers = {"mean": [packed(x) for x in mean.T], "spread": [packed(x) for x in spread.T]}
    return {"before": path.known_steps, **numbers, "levels": levels}


def header(paths: BeliefPaths, arms: Sequence[Arm], starts: Sequence[int]) -> dict:
    """Say what there is to choose, and how far pictures reach."""
    spec, finest = paths.spec, [paths.path(arms[0], start, max(RATES)).truth for start in starts]
    margins = [0.3 * np.maximum(np.ptp(truth, axis=0), 1e-3) for truth in finest]
    return {
        "env": paths.env,
        "arms": [arm_label(pd.Series(arm.keys()), with_model=True) for arm in arms],
        "starts": list(starts),
        "rates": list(RATES),
        "first": {"arm": list(arms).index(paths.page_arms()[-1]), "rate": FIRST_RATE},
        "ahead": paths.ahead,
        "states": [state_label(name, spec.name) for name in spec.state_names],
        "angles": list(spec.angle_dims),
        "limits": [
            np.stack([truth.min(axis=0) - margin, truth.max(axis=0) + margin], axis=1).tolist()
            for truth, margin in zip(finest, margins, strict=True)
        ],
    }


def page_content(paths: BeliefPaths) -> dict:
    """Return what a page reads: what torch found for the page's arms and starts at all rates."""
    arms, starts = paths.page_arms(), paths.starts[:PAGE_STARTS]
    truth: dict[str, list] = {}
    found: dict[str, dict] = {}
    for i, arm in enumerate(arms):
        for place, start in enumerate(starts):
            for rate in RATES:
                path = paths.path(arm, start, rate)
                found[f"{i}|{place}|{rate}"] = packed_path(path)
                truth.setdefault(f"{place}|{rate}", packed_truth(path))
    return {**header(paths, arms, starts), "truth": truth, "paths": found}


class BeliefExplorer(FoundExplorer):
    """Choose a model, a start and Δt, and see its belief; torch follows it when asked.

    Args:
        paths: What there is to choose.
    """

    kind, offers, limit = "beliefs", BeliefPaths, SIZE_LIMIT
    lacking = "no model with levels"
    paths: BeliefPaths

    def header(self) -> dict:
        return header(self.paths, self.paths.arms, self.paths.starts)

    def answer(self, request: Mapping) -> dict:
        """Follow {arm, start, rate}: numbers of the lists in `config`, and a rate [Hz]."""
        arm = self.paths.arms[int(request["arm"])]
        path = self.paths.path(arm, self.paths.starts[int(request["start"])], request["rate"])
        return {"path": packed_path(path), "truth": packed_truth(path)}

    def page_content(self) -> dict:
        return page_content(self.paths)

    def page_element(self) -> str:
        """Return the element for a page without a kernel, with a table for readers without scripts."""
        return page_element(self.paths)


def page_element(paths: BeliefPaths) -> str:
    """Return the element that a page's script turns into the explorer; without scripts it is a table."""
    arm, start = paths.page_arms()[-1], paths.starts[0]
    found = {rate: paths.path(arm, start, rate) for rate in RATES}
    slow = len(found[FIRST_RATE].levels) - 1
    names = ["fast level", *(f"slow level {i}" if slow > 1 else "slow level" for i in range(1, slow + 1))]
    known = [f"{name}, after the last look [bits per pair]" for name in names]
    head = ["Δt [ms]", "rate [Hz]", "truth within the band [%]", *known]
    rows = [
        [f"{1000 / rate:.3g}", str(rate), f"{100 * held(path, paths.spec.angle_dims):.0f}"]
        + [f"{level.known[path.known_steps]:.2f}" for level in path.levels]
        for rate, path in found.items()
    ]
    label = arm_label(pd.Series(arm.keys()), with_model=True)
    return found_element("beliefs", paths.env, f"{label}, one start of {paths.env}", head, rows)


def held(path: BeliefPath, angle_dims: Sequence[int] = ()) -> float:
    """Share of true values within the band, over dimensions and all times after 0."""
    error = path.truth[-len(path.mean) :] - path.mean
    error[:, list(angle_dims)] = np.angle(np.exp(1j * error[:, list(angle_dims)]))
    return float((np.abs(error) <= SPREAD * path.spread).mean())


def open_beliefs(run: Run, env: str, chosen: Selection, family: str) -> BeliefExplorer | Missing:
    """Open the explorer of a run's beliefs, with the arguments of `open_found`."""
    return open_found(BeliefExplorer, run, env, chosen, family)
