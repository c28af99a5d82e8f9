"""What an explorer shows, read from the page, and the same numbers by torch."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tdlib.core.time_grid import delta_t_of, steps_within
from tdlib.explorer.python.entries import DERIVED, TRUE_FIELD
from tdlib.explorer.python.pack import packed_model
from tdlib.explorer.python.page import motion_error
from tdlib.explorer.python.signals import held_inputs
from tdlib.explorer.python.true_field import TrueField
from tdlib.models.derived import Persistence
from tdlib.study.arms import Arm
from tdlib.study.phases.beliefs import BeliefPaths
from tdlib.study.phases.picture_paths import PicturePaths
from tdlib.systems import SYSTEMS
from tdlib.training import load_checkpoint

SETTLED = """element => {
  const explorer = element.tdExplorer, view = explorer && explorer.view();
  if (!view || element.hasAttribute("aria-busy")) return false;
  return JSON.stringify(view.state) === JSON.stringify(explorer.getState());
}"""
SHOWN = """element => {
  const view = element.tdExplorer.view(), rows = states => states.map(state => Array.from(state));
  return {
    state: view.state, delta_t: view.plan.deltaT, actions: Array.from(view.plan.actions), truth: rows(view.truthSteps),
    updates: element.tdExplorer.updates, milliseconds: element.tdExplorer.lastUpdateMs,
    arms: view.arms.map(arm => ({
      side: arm.side, entry: arm.entry, solver: arm.solver, substeps: arm.substeps, states: rows(arm.states),
      errors: Array.from(arm.errors),
      text: element.querySelector(`.td-x-arm[data-side=${arm.side}] .td-x-value`).textContent,
    })),
    readout: element.querySelector(".td-x-readout").textContent,
  };
}"""


def settle(page, selector: str = ".td-explorer"):
    """Wait until the picture is that of the present state; return the element."""
    element = page.wait_for_selector(selector, state="attached")
    page.wait_for_function(SETTLED, arg=element)
    return element


def shown(page, selector: str = ".td-explorer") -> dict:
    """Everything the explorer shows once it has settled."""
    return settle(page, selector).evaluate(SHOWN)


def set_state(page, **changes) -> dict:
    """Change parts of the state; a change of environment starts from its first view."""
    page.evaluate(
        """changes => {
          const explorer = document.querySelector(".td-explorer").tdExplorer;
          const base = changes.env ? tdExplorer.defaultState(changes.env) : explorer.getState();
          explorer.setState(Object.assign(base, changes));
        }""",
        changes,
    )
    page.wait_for_function(
        """changes => {
          const state = document.querySelector(".td-explorer").tdExplorer.getState();
          return Object.keys(changes).every(key => JSON.stringify(state[key]) === JSON.stringify(changes[key]));
        }""",
        arg=changes,
    )
    return shown(page)


def reference_model(env: str, arm: dict, models: Path, rounded: bool):
    """The torch model of one side: a checkpoint in double precision, for a page with its weights as they are packed."""
    entry = arm["entry"]
    if entry["method"] == "persistence":
        return Persistence(SYSTEMS[env].spec)
    if entry["id"] == TRUE_FIELD:
        return TrueField(SYSTEMS[env], arm["solver"], arm["substeps"])
    model = load_checkpoint(models.joinpath(*entry["path"].split("/")[-4:]))
    model = packed_model(model) if rounded else model.double()
    if entry["method"] in DERIVED:
        wrapper, *arguments = DERIVED[entry["method"]]
        model = wrapper(model, *arguments, delta_t_of(float(entry["train_frequency"])))
    if entry["solver"]:
        model = model.with_solver(arm["solver"], arm["substeps"])
    return model


def assert_equals_torch(seen: dict, models: Path, rounded: bool = True) -> None:
    """Compare truth, predictions, errors and readouts with torch's for the same state."""
    state, env = seen["state"], seen["state"]["env"]
    system, delta_t = SYSTEMS[env], delta_t_of(state["rate"])
    actions = held_inputs(state["inputs"], system.spec, delta_t, steps_within(1.0, delta_t))
    assert seen["delta_t"] == delta_t and seen["actions"] == actions
    start, held = torch.tensor(state["start"], dtype=torch.float64), torch.tensor(actions, dtype=torch.float64)[:, None]
    truth = [start]
    for action in held:
        truth.append(system.flow(truth[-1], action, delta_t))
    truth = torch.stack(truth[1:])
    _assert_close(seen["truth"], truth)
    for arm in seen["arms"]:
        with torch.inference_mode():
            predicted = reference_model(env, arm, models, rounded).predict_sequence(start, held, delta_t)
        _assert_close(arm["states"], predicted)
        error = motion_error(predicted, truth, start, system)
        assert abs(arm["errors"][-1] - error) <= 1e-6 * max(1, error)
        first = motion_error(predicted[:1], truth[:1], start, system)
        assert abs(arm["errors"][0] - first) <= 1e-6 * max(1, first)
        assert reads(arm["text"], first), f"{arm['text']!r} for {first}"
    milliseconds = re.match(r"([\d.]+) ms", seen["readout"])[1]
    assert reads(milliseconds, 1000 * delta_t)


def believed(page, selector: str) -> dict:
    """What an explorer of beliefs shows once it has the answer to its present choice."""
    page.wait_for_function(
        """selector => {
          const explorer = (document.querySelector(selector) || {}).tdBeliefs, view = explorer && explorer.view();
          return view && ["arm", "start", "rate"].every(key => view.wanted[key] === explorer.state[key]);
        }""",
        arg=selector,
    )
    return page.evaluate("selector => document.querySelector(selector).tdBeliefs.view()", selector)


def assert_beliefs_equal_torch(seen: dict, paths: BeliefPaths, arms: Sequence[Arm]) -> None:
    """Compare mean, spread and what each level knows with torch's, in steps of 1/65535 of their range."""
    wanted = seen["wanted"]
    path = paths.path(arms[wanted["arm"]], wanted["start"], wanted["rate"])
    np.testing.assert_allclose(seen["times"], path.times, atol=1e-9)
    pairs = [(np.array(seen["mean"]).T, path.mean), (np.array(seen["spread"]).T, path.spread)]
    for level, own in zip(seen["levels"], path.levels, strict=True):
        np.testing.assert_allclose(level["windows"], own.windows, atol=1e-9)
        pairs += [(np.array(level["known"]), own.known), (np.array(level["size"]), own.size)]
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=0, atol=max(float(np.ptp(expected)) / 65535, 1e-9))


def pictured(page, selector: str) -> dict:
    """What an explorer of pictures shows once it has answered its present choice, and the pixels of all frames."""
    page.wait_for_function(
        """selector => {
          const explorer = (document.querySelector(selector) || {}).tdPictures, view = explorer && explorer.view();
          return view && ["arm", "start", "test", "rate"].every(key => view.wanted[key] === explorer.state[key]);
        }""",
        arg=selector,
    )
    return page.evaluate(
        """selector => {
          const view = document.querySelector(selector).tdPictures.view();
          const counts = [view.times.length, view.ball.length];
          const pixels = view.sheets.map((sheet, which) => {
            const canvas = document.createElement("canvas"), side = sheet.naturalHeight, width = counts[which] * side;
            Object.assign(canvas, {width: width, height: side});
            const c = canvas.getContext("2d");
            c.drawImage(sheet, view.begins[which] * side, 0, width, side, 0, 0, width, side);
            return Array.from(c.getImageData(0, 0, width, side).data);
          });
          const {wanted, times, errors, ball} = view;
          return {wanted, times, errors, ball, pixels, side: view.sheets[0].naturalHeight};
        }""",
        selector,
    )


def assert_pictures_equal_torch(seen: dict, paths: PicturePaths, arms: Sequence[Arm], starts: Sequence[int]) -> None:
    """Compare true and predicted frames with torch's, within two of 255 levels, and errors in their digits."""
    wanted, side = seen["wanted"], seen["side"]
    path = paths.path(arms[wanted["arm"]], starts[wanted["start"]], wanted["rate"], "AB"[wanted["test"]])
    np.testing.assert_allclose(seen["times"], path.times, atol=1e-9)
    for pixels, frames in zip(seen["pixels"], (path.truth, path.predicted), strict=True):
        shown = np.array(pixels).reshape(side, -1, side, 4).transpose(1, 3, 0, 2)[:, :3] / 255
        np.testing.assert_allclose(shown, frames, atol=2.01 / 255)
    for name, values in path.errors.items():
        np.testing.assert_allclose(seen["errors"][name], values, rtol=1e-3)
    ball = np.array([np.nan if x is None else x for x in seen["ball"]])
    np.testing.assert_allclose(ball, path.ball, atol=0.01)


def _assert_close(numbers: list, expected: torch.Tensor) -> None:
    """Equal to 1e-6 of the size of the numbers; a rollout that leaves the window grows them."""
    difference = (torch.tensor(numbers, dtype=torch.float64) - expected).abs()
    assert float((difference / expected.abs().clamp(min=1)).max()) < 1e-6


def reads(text: str, value: float) -> bool:
    """Whether a printed number is the value, rounded to the digits that are printed."""
    if text.startswith("<"):
        return value < float(text[1:])
    if text.startswith("over"):
        return value >= float(text.split()[1])
    digits = len(text.partition(".")[2])
    return abs(float(text) - value) <= 0.5001 * 10**-digits
