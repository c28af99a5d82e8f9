"""The explorer of pictures in a real browser: the chapter's page shows what torch predicts, at the Δt of its slider."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from torch_reference import assert_pictures_equal_torch, pictured

from tdlib.study.phases.picture_paths import PicturePaths
from tdlib.study.run import open_run

ENV = "oscillator"
BOX = f".td-pictures[data-env={ENV}]"


@pytest.fixture(scope="module")
def paths():
    return PicturePaths(open_run("visual_smoke"), ENV)


@pytest.mark.parametrize(("width", "dark"), [(375, True), (1100, False)])
def test_the_page_shows_pictures_at_the_rate_of_its_slider(html, new_page, paths, width, dark):
    page = new_page((html / "book/visual.html").as_uri(), width=width, dark=dark)
    file = page.locator(f"script[src$='{ENV}-pictures.js']")
    assert file.count() == 0  # read once somebody looks
    box = page.locator(BOX)
    box.scroll_into_view_if_needed()
    first = pictured(page, BOX)
    assert file.count() == 1 and page.locator(f"{BOX} .td-explorer-fallback").is_hidden()
    assert first["wanted"] == {"arm": 0, "start": 0, "test": 0, "rate": 10}
    arms, starts = paths.page_arms(), paths.by_change()
    assert_pictures_equal_torch(first, paths, arms, starts)
    slider, words = box.get_by_label("Δt, the length of one step"), page.locator(f"{BOX} [role=status]")
    for key, rate in (("ArrowRight", 16), ("End", 20), ("Home", 2)):
        slider.press(key)
        found = pictured(page, BOX)
        assert found["wanted"]["rate"] == rate and words.inner_text().startswith(f"At {rate} Hz (trained at 10 Hz)")
        assert_pictures_equal_torch(found, paths, arms, starts)
    box.get_by_label("Model", exact=True).select_option(index=1)
    box.get_by_label("Test", exact=True).select_option(index=1)
    box.get_by_role("button", name="5 Hz", exact=True).click()
    found = pictured(page, BOX)
    assert found["wanted"] == {"arm": 1, "start": 0, "test": 1, "rate": 5}
    assert_pictures_equal_torch(found, paths, arms, starts)
    axe = Axe().run(page, {"include": [[BOX]]}, {"preload": False, "resultTypes": ["violations"]})
    grave = [each for each in axe.response["violations"] if each["impact"] in ("serious", "critical")]
    assert [(each["id"], each["nodes"][0]["html"]) for each in grave] == []
    box.get_by_label("Time", exact=True).press("End")
    assert "step 5 of 5" in words.inner_text()
    shown = (
        box.get_by_role("img")
        .nth(1)
        .evaluate(
            """canvas => {
          const c = canvas.getContext("2d"), side = canvas.height;
          const at = k => (k + 0.5) * side / 32;
          return Array.from({length: 32}, (_, y) => Array.from({length: 32}, (_, x) =>
            Array.from(c.getImageData(at(x), at(y), 1, 1).data).slice(0, 3)));
        }"""
        )
    )
    last = paths.path(arms[1], starts[0], 5, "B").predicted[-1].transpose(1, 2, 0)  # as large squares on the screen
    np.testing.assert_allclose(np.array(shown) / 255, last, atol=3 / 255)
    box.get_by_role("button", name="Play").click()
    page.wait_for_function("text => !document.querySelector('.td-pictures [role=status]').textContent.includes(text)",
                           arg="step 5 of 5")  # fmt: skip
    box.get_by_role("button", name="Stop").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_a_page_of_the_run_has_a_table(html, new_page):
    page = new_page((html / f"notebooks/25_visual_evaluate-{ENV}.html").as_uri(), scripts=False)
    assert page.locator(".td-pictures table tbody tr").count() == 7
