"""The explorer of pictures: what a camera saw and what a model predicts, side by side at the Δt of a slider.

Frames travel as sheets, one row of pictures of one size, whose levels are rounded to multiples of four: what is drawn
is off by two of 255 at most. A page has those that torch found for some models and motions at every rate of its slider.
"""

import base64
import io
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from PIL import Image

from tdlib.evaluation.visual import PROTOCOLS
from tdlib.explorer.python.found import FoundExplorer, found_element, open_found
from tdlib.figures.style import arm_label
from tdlib.study.arms import Arm
from tdlib.study.phases.picture_paths import PicturePath, PicturePaths
from tdlib.study.run import Missing, Run
from tdlib.study.selection import Selection

PAGE_STARTS = 3  # of a page, if they fit
SIZE_LIMIT = 1_200_000  # [bytes] of a page's file
FILLED = 0.95  # of it, beside what stands around sheets and numbers
GRAIN = 4  # levels that become one
FORMAT = "WEBP"
DIGITS = 4  # of an error
TEST_WORDS = {"A": "A: seen at the interval of training", "B": "B: seen at the interval that is asked for"}


def sheet(frames: np.ndarray) -> str:
    """Write frames side by side, as a picture without loss in base64: (N, C, H, W) in [0, 1]."""
    count, _, height, width = frames.shape
    colors = np.broadcast_to(frames, (count, 3, height, width))
    levels = np.clip((colors * 255 / GRAIN).round() * GRAIN, 0, 255).astype(np.uint8)
    row = levels.transpose(2, 0, 3, 1).reshape(height, count * width, 3)
    buffer = io.BytesIO()
    Image.fromarray(row).save(buffer, format=FORMAT, lossless=True, method=6)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def packed_numbers(path: PicturePath) -> dict:
    """Write the numbers of a prediction, for the page's script; where no ball is predicted its distance is null."""
    errors = {name: [float(f"{x:.{DIGITS}g}") for x in values] for name, values in path.errors.items()}
    ball = [round(float(x), 2) if np.isfinite(x) else None for x in path.ball]
    return {"times": path.times.tolist(), "errors": errors, "ball": ball}


def header(paths: PicturePaths, arms: Sequence[Arm], starts: Sequence[int]) -> dict:
    """Say what there is to choose."""
    return {
        "env": paths.env,
        "arms": [arm_label(pd.Series(arm.keys()), with_rate=False) for arm in arms],  # all of one model and rate
        "starts": list(starts),
        "rates": list(paths.rates),
        "tests": [TEST_WORDS[test] for test in PROTOCOLS],
        "first": {"arm": 0, "rate": paths.train_rate},
        "trained": paths.train_rate,
    }


def page_content(paths: PicturePaths) -> dict:
    """Return what a page reads: sheets and errors of the page's arms at all rates, in both tests.

    Motions are as many as fit, that with the most change first. A sheet holds the frames of all rates, one rate behind
    the other; with the numbers of each stand the name of its true sheet and where its true and predicted frames begin.
    """
    arms, starts = paths.page_arms(), list[int]()
    sheets: dict[str, str] = {}
    numbers: dict[str, dict] = {}
    for start in paths.by_change()[:PAGE_STARTS]:
        own, told = _of_start(paths, arms, start, len(starts))
        size = sum(map(len, (*sheets.values(), *own.values()))) + len(json.dumps({**numbers, **told}))
        if starts and size > FILLED * SIZE_LIMIT:
            break
        starts, sheets, numbers = [*starts, start], sheets | own, numbers | told
    return {**header(paths, arms, starts), "sheets": sheets, "numbers": numbers}


def _of_start(paths: PicturePaths, arms: Sequence[Arm], start: int, place: int) -> tuple[dict[str, str], dict]:
    """Return the sheets and numbers of one motion, the number `place` of a page."""
    sheets: dict[str, str] = {}
    numbers: dict[str, dict] = {}
    for t, test in enumerate(PROTOCOLS):
        for i, arm in enumerate(arms):
            found = _at_rates(paths, arm, start, test)
            known = len(found[0].truth) - len(found[0].predicted)  # arms that are shown as many have the same truth
            truth, own = f"{place}|{t}, {known} known", f"{i}|{place}|{t}"
            sheets[own] = sheet(np.concatenate([path.predicted for path in found]))
            if truth not in sheets:
                sheets[truth] = sheet(np.concatenate([path.truth for path in found]))
            counts = np.cumsum([[0, 0], *([len(path.truth), len(path.predicted)] for path in found)], axis=0).tolist()
            for rate, path, begins in zip(paths.rates, found, counts[:-1], strict=True):
                numbers[f"{own}|{rate}"] = {**packed_numbers(path), "truth": truth, "begins": begins}
    return sheets, numbers


def _at_rates(paths: PicturePaths, arm: Arm, start: int, test: str) -> list[PicturePath]:
    return [paths.path(arm, start, rate, test) for rate in paths.rates]


class PictureExplorer(FoundExplorer):
    """Choose a model, a motion, a test and Δt, and see its pictures; torch predicts them when asked.

    Args:
        paths: What there is to choose.
    """

    kind, offers, limit = "pictures", PicturePaths, SIZE_LIMIT
    lacking = "no model that sees some"
    paths: PicturePaths

    def header(self) -> dict:
        return header(self.paths, self.paths.arms, self.paths.starts)

    def answer(self, request: Mapping) -> dict:
        """Predict {arm, start, test, rate}: numbers of the lists in `config`, and a rate [Hz]."""
        arm, start = self.paths.arms[int(request["arm"])], self.paths.starts[int(request["start"])]
        path = self.paths.path(arm, start, request["rate"], PROTOCOLS[int(request["test"])])
        sheets = {"truth": sheet(path.truth), "predicted": sheet(path.predicted), "begins": [0, 0]}
        return {**sheets, "numbers": packed_numbers(path)}

    def page_content(self) -> dict:
        return page_content(self.paths)

    def page_element(self) -> str:
        """Return the element for a page without a kernel, with a table for readers without scripts."""
        return page_element(self.paths)


def page_element(paths: PicturePaths) -> str:
    """Return the element that a page's script turns into the explorer; without scripts it is a table."""
    arm, start = paths.page_arms()[0], paths.by_change()[0]
    head = [
        "Δt [ms]",
        "rate [Hz]",
        *(f"MSE per value, test {test}" for test in PROTOCOLS),
        "of a copy of the last frame",
    ]
    rows = []
    for rate in paths.rates:
        errors = [paths.path(arm, start, rate, test).errors for test in PROTOCOLS]
        values = [*(each["model"] for each in errors), errors[0]["copy_last"]]
        rows.append([f"{1000 / rate:.3g}", f"{rate:g}", *(f"{value.mean():.2g}" for value in values)])
    label = arm_label(pd.Series(arm.keys()), with_model=True)
    return found_element("pictures", paths.env, f"{label}, one motion of {paths.env}", head, rows)


def open_pictures(run: Run, env: str, chosen: Selection, family: str) -> PictureExplorer | Missing:
    """Open the explorer of a run's pictures, with the arguments of `open_found`."""
    return open_found(PictureExplorer, run, env, chosen, family)
