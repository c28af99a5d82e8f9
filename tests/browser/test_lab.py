"""The explorer and a live figure in JupyterLab: a server of our own, their notebooks, sliders moved in the browser."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from conftest import Watch, open_window
from playwright.sync_api import TimeoutError
from torch_reference import (
    assert_beliefs_equal_torch,
    assert_equals_torch,
    assert_pictures_equal_torch,
    believed,
    pictured,
    settle,
    shown,
)

from tdlib.publish.edition import PUBLISHED
from tdlib.study.layout import ROOT
from tdlib.study.phases.beliefs import BeliefPaths
from tdlib.study.phases.picture_paths import PicturePaths
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms

BIN = Path(sys.executable).parent
TOKEN = "browser-test"
EXPLORER, PLANT, BELIEFS, PICTURES = "07_explorer.ipynb", "00_ground_truth.ipynb", "beliefs.ipynb", "pictures.ipynb"
OPEN_BELIEFS = """from tdlib.explorer.python.beliefs import open_beliefs
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms

run = open_run("mts3_smoke")
open_beliefs(run, "pendulum", select_arms(run, models=["acrkn", "mts3"]), "mts3")
"""  # as the chapter's notebook does, whose other cells take longer
OPEN_PICTURES = """from tdlib.explorer.python.pictures import open_pictures
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms

run = open_run("visual_smoke")
open_pictures(run, "oscillator", select_arms(run, methods=["hgn"]), "visual")
"""
MODELS = PUBLISHED / "models"  # what the notebook opens where nobody names a preset


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab over copies of two notebooks; its whole process group ends with the tests."""
    folder = tmp_path_factory.mktemp("lab")
    for name in (EXPLORER, PLANT):
        shutil.copy2(ROOT / "notebooks" / name, folder / name)
    for name, text in ((BELIEFS, OPEN_BELIEFS), (PICTURES, OPEN_PICTURES)):
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text)]), folder / name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        name: str(folder / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    environment = {**os.environ, **own, "OMP_NUM_THREADS": "1", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    asked = subprocess.run(["make", "-n", "--no-print-directory", "lab"], cwd=ROOT, capture_output=True, text=True)
    words = shlex.split(asked.stdout.splitlines()[-1])
    assert words[1:4] == ["-m", "jupyterlab", "notebooks"]
    command = [
        sys.executable, *words[1:3], str(folder), *words[4:], "--no-browser", "--allow-root",
        "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}",
        # nothing outside is asked: no news, no look for updates, no list of extensions
        "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    log = (folder / "lab.log").open("w")
    server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=2).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "lab.log").read_text()[-2000:]
                time.sleep(0.25)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # kernels are its children
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        log.close()


def start_kernel(lab: str, name: str) -> None:
    """A notebook's session, begun before a page asks for it: the page joins it, and nobody has a kernel to choose."""
    asked = {"path": name, "name": name, "type": "notebook", "kernel": {"name": "python3"}}
    header = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
    made = urllib.request.Request(f"{lab}/api/sessions", json.dumps(asked).encode(), header)
    urllib.request.urlopen(made, timeout=60).close()


PROMPTS = """() => Array.from(
  document.querySelectorAll(".jp-NotebookPanel .jp-CodeCell .jp-InputArea-prompt"), prompt => prompt.textContent)"""


def run_all_cells(page, told: list[str]) -> None:
    """Run a notebook from its first cell to its last; asked again where Lab let a cell go that it had taken.

    While a page still joins its kernel, Lab may run the first cells and forget the others: their prompts are empty.
    """
    end = time.monotonic() + 240
    while time.monotonic() < end:
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        still = 0
        while still < 10:  # seconds with nothing running and a cell left out
            prompts = page.evaluate(PROMPTS)
            if all(re.search("[0-9]", prompt) for prompt in prompts):
                return
            still = 0 if any("*" in prompt for prompt in prompts) else still + 1
            assert time.monotonic() < end, f"cells still run: {prompts}; {told}"
            time.sleep(1)
        told.append(f"cells left out: {prompts}")
    pytest.fail(f"the kernel takes no cell; {told}")


def run_notebook(browser, watching, lab, name):
    """Open a notebook, alone in its workspace, and run all its cells."""
    # Lab itself asks for what need not be there: settings of this user, other server extensions
    watching.expected += ["Failed to load resource", "ERR_ABORTED"]
    start_kernel(lab, name)
    address = f"{lab}/lab/workspaces/{Path(name).stem}/tree/{name}?token={TOKEN}"
    page = open_window(browser, watching, address, width=1400, server=lab)
    page.set_default_timeout(60_000)
    told = []  # what Lab asked in a window of its own, which takes every click until it is answered

    def answer(dialog):
        try:
            told.append(f"Lab asked {dialog.inner_text(timeout=2000)!r}")
            dialog.locator(".jp-mod-accept").click(timeout=2000)
        except TimeoutError as error:  # it went by itself, or takes no answer yet and is asked about again
            told.append(str(error).splitlines()[0])

    # another question may follow at once, and Playwright would wait for the first to go without answering it
    page.add_locator_handler(page.locator("dialog.jp-Dialog").first, answer, no_wait_after=True)
    try:
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", state="attached")
        page.locator(".jp-NotebookPanel .jp-CodeCell").first.click()
        run_all_cells(page, told)
    except TimeoutError as error:
        pytest.fail(f"{error}; {told}")
    return page


def slider_rate(page, live: str) -> float:
    """The rate at the place of the slider [Hz]."""
    place = page.locator(live).get_by_label("Δt, the length of one step").input_value()
    return page.evaluate("place => tdExplorer.rateAt(Number(place))", place)


def test_the_explorer_moves_in_jupyterlab_and_equals_torch(lab, browser, report):
    watching = Watch()
    page = run_notebook(browser, watching, lab, EXPLORER)
    live = ".jp-NotebookPanel .td-explorer-live"
    try:
        page.wait_for_selector(live, timeout=120_000)
    except TimeoutError:
        pytest.fail("no explorer; the cells say: " + page.locator(".jp-NotebookPanel").inner_text()[-3000:])
    settle(page, live)
    first = shown(page, live)
    page.locator(".jp-NotebookPanel").get_by_text("models of the edition in book/published").first.wait_for()
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    paths = [arm["entry"]["path"] for arm in first["arms"]]  # seen from the repository, where the kernel starts
    assert all(path.startswith("book/published/models/") for path in paths), paths
    assert_equals_torch(first, MODELS, rounded=False)

    slider = page.locator(live).get_by_label("Δt, the length of one step")
    slider.scroll_into_view_if_needed()
    slider.focus()
    times = []
    for key in ["ArrowRight"] * 6 + ["ArrowLeft"] * 3 + ["End", "Home"]:
        slider.press(key)
        seen = shown(page, live)
        times.append(seen["milliseconds"])
    assert seen["state"]["rate"] == 5
    assert_equals_torch(seen, MODELS, rounded=False)
    page.locator(live).get_by_role("button", name="50 Hz", exact=True).click()
    seen = shown(page, live)
    assert seen["state"]["rate"] == 50
    assert_equals_torch(seen, MODELS, rounded=False)
    for _ in range(7):
        slider.press("ArrowLeft")
        times.append(shown(page, live)["milliseconds"])
    page.locator(live).get_by_label("Model A", exact=True).select_option("jump")
    assert_equals_torch(shown(page, live), MODELS, rounded=False)
    # run, system, seed and checkpoints are chosen by widgets, and the explorer follows
    chosen = page.locator(".jp-NotebookPanel .widget-dropdown", has_text="checkpoint of A").locator("select")
    # JupyterLab draws no cell that is out of sight, so these have no inner text until one scrolls there
    text = next(t for t in chosen.locator("option").all_text_contents() if t.startswith("newtonian/ode_rk4_20hz"))
    chosen.select_option(label=text)
    page.wait_for_function(
        "live => document.querySelector(live).tdExplorer.getState().a.model === 'newtonian'", arg=live
    )
    seen = shown(page, live)
    assert seen["arms"][0]["entry"]["train_frequency"] == "20" and seen["state"]["rate"] == slider_rate(page, live)
    assert_equals_torch(seen, MODELS, rounded=False)
    assert watching.unexpected() == []
    median, longest = sorted(times)[len(times) // 2], max(times)
    report(
        f"explorer in JupyterLab, slider to picture: {median:.0f} ms (median of {len(times)}, longest {longest:.0f})"
    )
    page.context.close()


def test_a_live_figure_follows_its_rate_in_jupyterlab(lab, browser, report):
    watching = Watch()
    page = run_notebook(browser, watching, lab, PLANT)
    figure = page.locator(".jp-OutputArea-output", has=page.locator(".widget-slider"))
    handle = figure.get_by_role("slider")
    handle.wait_for(timeout=120_000)
    begins = """words => document.querySelector(".jp-OutputArea-output .widget-html img").alt.startsWith(words)"""
    shown, times, off = {figure.locator("img").get_attribute("src")}, [], []
    for rate in ("20", "50", "100"):
        handle.focus()
        started = time.perf_counter()
        handle.press("ArrowRight")
        page.wait_for_function(begins, arg=f"Chosen: Pendulum-v1, at {rate} Hz. After 1 s")
        times.append(1e3 * (time.perf_counter() - started))
        shown.add(figure.locator("img").get_attribute("src"))
        off.append(float(re.search(r"is off by ([\d.e-]+)", figure.locator("figcaption").inner_text())[1]))
    assert len(shown) == 4 and off == sorted(off, reverse=True) and off[-1] < off[0]  # short steps are near the flow
    figure.locator("select").select_option(label="CartPole-v1")
    page.wait_for_function(begins, arg="Chosen: CartPole-v1, at 100 Hz. After 1 s")
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert watching.unexpected() == []
    median, longest = sorted(times)[1], max(times)
    report(f"live figure in JupyterLab, key to picture: {median:.0f} ms (median of 3, longest {longest:.0f})")
    page.context.close()


def test_beliefs_follow_their_slider_in_jupyterlab_and_equal_torch(lab, browser):
    watching, box = Watch(), ".jp-NotebookPanel .td-beliefs"
    page = run_notebook(browser, watching, lab, BELIEFS)
    page.wait_for_selector(f"{box} canvas", timeout=120_000)
    run = open_run("mts3_smoke")
    paths = BeliefPaths(run, "pendulum", select_arms(run, models=["acrkn", "mts3"]))
    assert_beliefs_equal_torch(believed(page, box), paths, paths.arms)
    slider = page.locator(box).get_by_label("Δt, the length of one step")
    slider.scroll_into_view_if_needed()
    for key, rate in (("Home", 5), ("ArrowRight", 10), ("End", 50)):
        slider.press(key)
        found = believed(page, box)
        assert found["wanted"]["rate"] == rate
        assert_beliefs_equal_torch(found, paths, paths.arms)
    page.locator(box).get_by_label("Model", exact=True).select_option(index=0)
    found = believed(page, box)
    assert (
        len(found["levels"]) == 1
        and f"At {found['wanted']['rate']} Hz" in page.locator(f"{box} [role=status]").inner_text()
    )
    assert_beliefs_equal_torch(found, paths, paths.arms)
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert watching.unexpected() == []
    page.context.close()


def test_pictures_follow_their_slider_in_jupyterlab_and_equal_torch(lab, browser):
    watching, box = Watch(), ".jp-NotebookPanel .td-pictures"
    page = run_notebook(browser, watching, lab, PICTURES)
    page.wait_for_selector(f"{box} canvas", timeout=120_000)
    run = open_run("visual_smoke")
    paths = PicturePaths(run, "oscillator", select_arms(run, methods=["hgn"]))
    assert_pictures_equal_torch(pictured(page, box), paths, paths.arms, paths.starts)
    slider = page.locator(box).get_by_label("Δt, the length of one step")
    slider.scroll_into_view_if_needed()
    for key, rate in (("Home", 2), ("ArrowRight", 4), ("End", 20)):
        slider.press(key)
        found = pictured(page, box)
        assert found["wanted"]["rate"] == rate
        assert_pictures_equal_torch(found, paths, paths.arms, paths.starts)
    page.locator(box).get_by_label("Motion", exact=True).select_option(index=2)
    page.locator(box).get_by_label("Test", exact=True).select_option(index=1)
    found = pictured(page, box)
    assert found["wanted"] == {"arm": 0, "start": 2, "test": 1, "rate": 20}
    assert "in test B" in page.locator(f"{box} [role=status]").inner_text()
    assert_pictures_equal_torch(found, paths, paths.arms, paths.starts)
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert watching.unexpected() == []
    page.context.close()
