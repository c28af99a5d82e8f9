"""The explorer of beliefs in a real browser: the chapter's page shows what torch found, at the Δt of its slider."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from torch_reference import assert_beliefs_equal_torch, believed

from tdlib.study.phases.beliefs import BeliefPaths
from tdlib.study.run import open_run

ENV = "pendulum"
BOX = f".td-beliefs[data-env={ENV}]"


@pytest.fixture(scope="module")
def paths():
    return BeliefPaths(open_run("mts3_smoke"), ENV)


@pytest.mark.parametrize(("width", "dark"), [(375, True), (1440, False)])
def test_the_page_shows_beliefs_at_the_rate_of_its_slider(html, new_page, paths, width, dark):
    page = new_page((html / "book/mts3.html").as_uri(), width=width, dark=dark)
    file = page.locator(f"script[src$='{ENV}-beliefs.js']")
    assert file.count() == 0  # read once somebody looks
    page.locator(BOX).scroll_into_view_if_needed()
    first = believed(page, BOX)
    assert file.count() == 1 and page.locator(f"{BOX} .td-explorer-fallback").is_hidden()
    arms = paths.page_arms()
    assert first["wanted"] == {"arm": len(arms) - 1, "start": 0, "rate": 20}
    assert_beliefs_equal_torch(first, paths, arms)
    slider, words = page.locator(BOX).get_by_label("Δt, the length of one step"), page.locator(f"{BOX} [role=status]")
    for key, rate in (("ArrowRight", 25), ("End", 50), ("Home", 5)):
        slider.press(key)
        found = believed(page, BOX)
        assert found["wanted"]["rate"] == rate and words.inner_text().startswith(f"At {rate} Hz the band holds")
        assert_beliefs_equal_torch(found, paths, arms)
    page.locator(BOX).get_by_role("button", name="10 Hz", exact=True).click()
    page.locator(BOX).get_by_label("Model", exact=True).select_option(index=0)
    found = believed(page, BOX)
    assert found["wanted"] == {"arm": 0, "start": 0, "rate": 10} and len(found["levels"]) == 1
    assert_beliefs_equal_torch(found, paths, arms)
    found = (
        Axe().run(page, {"include": [[BOX]]}, {"preload": False, "resultTypes": ["violations"]}).response["violations"]
    )
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")] == []
    before = words.inner_text()
    page.locator(BOX).get_by_label("State shown").select_option(index=1)
    assert words.inner_text() != before and "rad/s" in words.inner_text()
    drawn = page.locator(f"{BOX} canvas").first.evaluate(
        "canvas => Array.from(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data)"
    )
    assert len(np.unique(np.array(drawn).reshape(-1, 4), axis=0)) > 20
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_a_page_of_the_run_has_a_table(html, new_page):
    page = new_page((html / f"notebooks/19_mts3_evaluate-{ENV}.html").as_uri(), scripts=False)
    assert page.locator(".td-beliefs table tbody tr").count() == 8
