"""The small sliders of the chapters, moved by keyboard: their words equal the library's values."""

import math
import re

import pytest
import torch

from tdlib.study import limits
from tdlib.systems import SYSTEMS

PENDULUM = SYSTEMS["Pendulum-v1"]
KEYS = ("Home", "End", "ArrowLeft", "ArrowLeft", "ArrowLeft")


def slide(page, name: str):
    """Yield the rate [Hz] and the words after each key on the slider `name`."""
    box = page.locator(f".td-slider-{name}")
    control = box.locator("input[type=range]")
    control.focus()
    seen = []
    for key in KEYS:
        control.press(key)
        spoken = control.get_attribute("aria-valuetext")
        rate = float(re.match(r"([\d.]+) hertz", spoken)[1])
        delta_t = page.evaluate("rate => rate === 33.3 ? 0.03 : 1 / rate", rate)
        words = box.locator(".td-readout").inner_text()
        assert f"{re.match(r'[0-9.]+', spoken)[0]} Hz" in words
        seen.append((rate, delta_t, words))
    assert len({words for *_, words in seen}) == len(KEYS)  # every key moves it
    return seen


def numbers(words: str) -> list[float]:
    return [float(x.replace("−", "-")) for x in re.findall(r"−?\d+(?:\.\d+)?", words)]


def rounded(value: float, digits: int, rate: float):
    """The value at a rate that is spoken with three digits."""
    return pytest.approx(value, abs=0.51 * 10**-digits + 0.006 * abs(value) * (rate not in (200, 100, 50, 20, 10, 5)))


@pytest.fixture
def grid(html, new_page):
    page = new_page((html / "book/theory.html").as_uri())
    states, scale = (
        torch.tensor(page.evaluate(f"tdSliders.{name}"), dtype=torch.float64) for name in ("grid", "scale")
    )
    return page, states, torch.zeros(len(states), 1, dtype=torch.float64), scale


def test_pendulum(html, new_page):
    page = new_page((html / "book/intro.html").as_uri())
    for rate, delta_t, words in slide(page, "pendulum"):
        assert numbers(words.split("=")[-1])[0] == rounded(limits.fixed_step_ratio(0.05, delta_t), 2, rate)
    check = page.get_by_label("rescale the increment")
    check.press("Space")
    assert check.is_checked() and "after rescaling" in page.locator(".td-slider-pendulum .td-readout").inner_text()


def test_the_first_page_swings_unless_stillness_is_asked_for(html, new_page):
    for still in (True, False):
        page = new_page((html / "book/intro.html").as_uri(), still=still)
        pose = "document.querySelector('.td-slider-pendulum .td-scene .td-truth').getAttribute('transform')"
        before = page.evaluate(pose)
        if still:
            page.wait_for_timeout(900)
            assert page.evaluate(pose) == before
        else:
            page.wait_for_function(f"before => {pose} !== before", arg=before)
        assert page.locator(".td-slider-pendulum").get_by_role("button", name="Play" if still else "Pause").is_visible()


def test_mismatch(grid):
    page, states, zero, scale = grid
    for rate, h, words in slide(page, "mismatch"):
        found = numbers(words.split("At 50 Hz:")[1])
        assert found[0] == rounded(limits.fixed_step_ratio(h, 0.02), 2, rate)
        assert found[1] == rounded(limits.rescaled_limit(PENDULUM, states, zero, h, 0.02, scale), 2, rate)
        assert found[3] == rounded(limits.fixed_step_ratio(h, 0.1), 2, rate)
        assert found[4] == rounded(limits.rescaled_limit(PENDULUM, states, zero, h, 0.1, scale), 2, rate)
    page.locator(".td-slider-mismatch").get_by_label("start at rest").press("Space")
    for rate, h, words in slide(page, "mismatch"):
        assert "positions from rest" in words
        found = numbers(words.split("At 50 Hz:")[1])  # to first order; slow maps turn within a step
        assert rate < 15 or found[0] == pytest.approx(abs(1 - (h / 0.02) ** 2), rel=0.05, abs=0.02)
        assert rate < 15 or found[1] == pytest.approx(abs(1 - h / 0.02), rel=0.05, abs=0.02)


def test_euler(grid):
    for rate, h, words in slide(grid[0], "euler"):
        learned = limits.modified_equation(PENDULUM, h, "euler")
        damping, shift = numbers(words.split("damping")[1])[:2]
        assert damping == rounded(learned["damping"], 3, rate)
        assert shift == rounded(100 * (learned["frequency"] / learned["true_frequency"] - 1), 1, rate)
        assert numbers(words.split("one second:")[1])[0] == pytest.approx(math.exp(learned["damping"]), abs=0.02)


def test_interpolation(grid):
    page, states, zero, scale = grid
    for rate, delta_t, words in slide(page, "interpolation"):
        for form in ("concat", "scaled", "scaled_concat", "log_tau"):
            expected = limits.interpolation_limit(PENDULUM, states, zero, delta_t, form, scale=scale)
            assert numbers(words.split(f" {form} ")[1])[0] == rounded(expected, 4, rate)


def test_alias_and_hold(html, new_page):
    page = new_page((html / "book/ground_truth.html").as_uri())
    for rate, _, words in slide(page, "alias"):
        assert numbers(words.split("looks like one of")[1])[0] == rounded(abs(9 - rate * round(9 / rate)), 1, rate)
    for rate, delta_t, words in slide(page, "hold"):
        late, size = numbers(words.split("arrives")[1])[:2]
        assert late == rounded(500 * delta_t, 1, rate)
        assert size == rounded(100 * math.sin(math.pi * delta_t) / (math.pi * delta_t), 1, rate)
