"""How long the page's explorer takes from slider to picture, in Chromium; run it alone or through `run.py`.

One update = truth, rollouts of A and B, both fields and every picture. The page is the smoke run's, so the weights are
of smoke size in training, not in shape.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "browser")]

from conftest import LAYOUT, MAKE_PAGES, Watch, chromium, open_window  # noqa: E402
from harness import Row  # noqa: E402
from torch_reference import set_state, settle, shown  # noqa: E402

from tdlib.core.files import write_text  # noqa: E402
from tdlib.study.layout import runs_root  # noqa: E402

DEAREST = {  # the families whose step costs most
    "the first view": {},
    "port-Hamiltonian RK4 and LSTM": {
        "a": {"model": "port_hamiltonian", "how": "ode.rk4.transitions", "train_frequency": "20"},
        "b": {"model": "lstm", "how": "baseline.none.transitions", "train_frequency": "20"},
    },
}
GOALS = {20.0: 16.0, 50.0: 16.0, 200.0: 33.0}  # [ms] at a rate [Hz]


def rows(device: str = "cpu", quick: bool = False) -> list[Row]:
    """Median time of an update while the slider moves, at three rates; nothing if there is no browser or no page."""
    if chromium() is None or not (LAYOUT.html / "index.html").is_file():
        print(f"no browser or no pages: {MAKE_PAGES}")
        return []
    from playwright.sync_api import sync_playwright

    found, repeats = [], 8 if quick else 40
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = open_window(browser, Watch(), (LAYOUT.html / "notebooks/07_explorer.html").as_uri())
        version = browser.version
        settle(page)
        for name, models in DEAREST.items():
            for rate in GOALS:
                set_state(page, **models, rate=rate)
                slider, times = page.get_by_label("Δt, the length of one step"), []
                slider.focus()
                for k in range(repeats):
                    slider.press("ArrowLeft" if k % 2 == 0 else "ArrowRight")
                    times.append(shown(page)["milliseconds"])
                median = sorted(times)[len(times) // 2]
                title = f"explorer, slider to picture, {name}, {rate:g} Hz (goal {GOALS[rate]:g} ms)"
                browser_name = f"Chromium {version}"
                found.append(Row(title, median, None, "ms / update", None, None, 1, browser_name, repeats=repeats))
        browser.close()
    return found


def main() -> None:
    """Print and save to `runs/bench/browser.json`."""
    found = rows(quick="--quick" in sys.argv)
    for row in found:
        print(row.line())
    write_text(runs_root() / "bench" / "browser.json", json.dumps([asdict(row) for row in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
