"""The explorer of a published page, driven by mouse and keyboard; every number it shows is compared with torch's."""

import random

import pytest
from conftest import LAYOUT, Watch, open_window
from torch_reference import assert_equals_torch, set_state, settle, shown

from tdlib.explorer.python.scenes import scenes
from tdlib.study.layout import ROOT
from tdlib.study.presets import load_preset
from tdlib.systems import SYSTEMS

PAGE = "notebooks/07_explorer.html"
ENVS = load_preset("smoke").environments  # of the main study, which all kinds of models are trained on
STUDY_RATES = [5, 10, 16, 20, 25, 33.3, 50, 100, 200]


@pytest.fixture(scope="module")
def page_of_all(html, browser):
    watching = Watch()
    page = open_window(browser, watching, (html / PAGE).as_uri())
    yield page, watching
    page.context.close()


@pytest.fixture
def explorer(page_of_all):
    """The explorer's page, from disk, in its first view; opened once."""
    page, watching = page_of_all
    page.evaluate("() => { document.activeElement.blur(); document.querySelector('.td-x-more').open = false; }")
    set_state(page, env="Pendulum-v1")
    yield page
    assert watching.unexpected() == []


def check(page) -> dict:
    seen = shown(page)
    assert_equals_torch(seen, LAYOUT.models)
    return seen


def slider(page):
    return page.get_by_label("Δt, the length of one step")


def middle(locator) -> tuple[float, float]:
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, start: tuple[float, float], end: tuple[float, float], steps: int = 12) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    for k in range(1, steps + 1):
        page.mouse.move(*(a + (b - a) * k / steps for a, b in zip(start, end, strict=True)))
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => done()))")
    page.mouse.up()


# --- what it shows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("home", ["file", "http"])
def test_the_first_view_of_every_environment_equals_torch(html, serve, new_page, home):
    server = serve(html) if home == "http" else ""
    page = new_page(f"{server}/{PAGE}" if server else (html / PAGE).as_uri(), server=server)
    for env in ENVS:
        settle(page)
        page.locator(f".td-x-segments input[value='{env}'] + label").first.click()
        page.wait_for_function(
            "env => document.querySelector('.td-explorer').tdExplorer.getState().env === env", arg=env
        )
        seen = check(page)
        assert seen["state"]["env"] == env
        assert [arm["entry"]["method"] for arm in seen["arms"]] == ["baseline", "multi_resolution"]
        # the first picture makes the point: the model that saw several rates is the better one where A is not trained
        assert all(len(arm["states"]) == 33 for arm in seen["arms"])


@pytest.mark.parametrize("env", ENVS)
def test_every_kind_of_model_equals_torch(explorer, env):
    """One entry per model and method; that every packed model does is tested without a browser."""
    page, draw = explorer, random.Random(env)
    set_state(page, env=env, start=[1.0, 0.5] if env == "Pendulum-v1" else [0.1, 0, 0.05, 0.1])
    kinds = page.evaluate("""env => {
      const kinds = {};
      for (const entry of tdExplorer.withDerived(tdEngine.models(env)))
        kinds[entry.model + entry.method] = tdExplorer.wanted(entry);
      return Object.values(kinds);
    }""", env)  # fmt: skip
    assert len(kinds) >= 13
    for a, b in zip(kinds[::2], kinds[1::2] + kinds[:1], strict=False):
        assert_equals_torch(set_state(page, a=a, b=b, rate=draw.choice([*STUDY_RATES, 7.3, 61.0])), LAYOUT.models)


def test_a_field_with_another_solver_equals_torch(explorer):
    set_state(explorer, a={"model": "newtonian", "how": "ode.rk4.transitions", "train_frequency": "20"})
    explorer.get_by_text("More: start, input, solver, seed").click()
    explorer.get_by_label("Solver of fields").select_option("midpoint")
    explorer.get_by_label("Substeps").fill("3")
    explorer.get_by_label("Substeps").press("Enter")
    seen = check(explorer)
    assert [seen["arms"][0][key] for key in ("solver", "substeps")] == ["midpoint", 3]


def test_every_canvas_shows_something_and_follows_the_slider(explorer):
    ink = """() => Array.from(document.querySelectorAll(".td-x canvas")).filter(c => c.offsetParent).map(c => {
      const data = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
      let sum = 0;
      for (let i = 0; i < data.length; i++) sum = (31 * sum + data[i]) % 1000003;
      return [c.parentNode.className, sum, data.some((v, i) => i % 4 === 3 && v > 0)];
    })"""
    set_state(explorer, rate=50.0)
    before = explorer.evaluate(ink)
    # strip, scene, motion, input, phase, error, energy, what of it is unexplained
    assert len(before) == 8 and all(drawn for _, _, drawn in before)
    set_state(explorer, rate=10.0)
    after = explorer.evaluate(ink)
    changed = {name.split()[-1] for (name, sum_before, _), (_, sum_after, _) in zip(before, after, strict=True)
               if sum_before != sum_after}  # fmt: skip
    assert {"td-x-scene", "td-x-trajectory", "td-x-phase", "td-x-error", "td-x-energy", "td-x-unexplained"} <= changed


# --- mouse and keyboard -----------------------------------------------------------------------------------------------


def test_the_slider_moves_by_keyboard(explorer):
    control = slider(explorer)
    control.focus()
    for key, rate in (("End", 200), ("Home", 5)):
        control.press(key)
        seen = check(explorer)
        assert seen["state"]["rate"] == rate and seen["readout"].endswith(f"{rate} Hz")
    before = 5
    for _ in range(4):
        control.press("ArrowRight")
        rate = shown(explorer)["state"]["rate"]
        assert before < rate < before * 1.02
        before = rate
    check(explorer)
    control.press("ArrowLeft")
    assert check(explorer)["state"]["rate"] < before
    assert "milliseconds" in control.get_attribute("aria-valuetext")


def test_the_slider_moves_under_the_mouse_and_pictures_follow(explorer):
    control = slider(explorer)
    control.scroll_into_view_if_needed()
    box, before = control.bounding_box(), shown(explorer)
    share = float(control.input_value()) / 400
    x, y = box["x"] + 14 + share * (box["width"] - 28), box["y"] + box["height"] / 2
    drag(explorer, (x, y), (box["x"] + box["width"] - 60, y), steps=20)
    seen = check(explorer)
    assert seen["state"]["rate"] > 100
    assert seen["updates"] - before["updates"] >= 10  # one picture per frame, not one at the end


def test_the_rates_of_the_study_are_buttons(explorer):
    for rate in (10, 33.3, 200):
        explorer.get_by_role("group", name="rates of the study").get_by_role(
            "button", name=f"{rate} Hz", exact=True
        ).click()
        assert check(explorer)["state"]["rate"] == rate


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPoleContinuous-v1"])
def test_the_start_is_dragged_in_the_phase_portrait(explorer, env):
    if env != "Pendulum-v1":
        set_state(explorer, env=env)
    handle = explorer.get_by_role("slider", name="start state")
    handle.scroll_into_view_if_needed()
    before = shown(explorer)["state"]["start"]
    x, y = middle(handle)
    drag(explorer, (x, y), (x - 60, y - 25))
    seen = check(explorer)
    moved = [b - a for a, b in zip(before, seen["state"]["start"], strict=True)]
    pair = (0, 1) if env == "Pendulum-v1" else (2, 3)
    assert moved[pair[0]] < -0.05 and moved[pair[1]] > 0.05
    now = middle(handle)
    assert now == pytest.approx((x - 60, y - 25), abs=1.5)  # the ring stays under the mouse
    handle.focus()
    handle.press("ArrowRight")
    handle.press("Shift+ArrowDown")
    after = check(explorer)["state"]["start"]
    assert after[pair[0]] > seen["state"]["start"][pair[0]] and after[pair[1]] < seen["state"]["start"][pair[1]]


@pytest.mark.parametrize("env", ENVS)
def test_an_input_is_drawn(explorer, env):
    set_state(explorer, env=env)
    canvas = explorer.locator(".td-x-input canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    drag(
        explorer,
        (box["x"] + 60, box["y"] + 30),
        (box["x"] + box["width"] - 20, box["y"] + box["height"] - 24),
        steps=25,
    )
    seen = check(explorer)
    values = seen["state"]["inputs"][0]["values"]
    spec = SYSTEMS[env].spec
    assert seen["state"]["inputs"][0]["kind"] == "drawn" and len(values) == 50
    assert values[2] > 0.5 * spec.input_high[0] and values[-2] < 0.5 * spec.input_low[0]
    assert len(set(seen["actions"])) == (2 if spec.discrete else len(set(seen["actions"]))) > 1
    canvas.focus()
    for key in ("ArrowLeft", "ArrowUp", "ArrowUp"):
        canvas.press(key)
    assert check(explorer)["state"]["inputs"][0]["values"] != values


def test_buttons_push_all_along_or_for_a_while(explorer):
    pad = explorer.get_by_role("group", name="action that is held")
    pad.get_by_role("button", name="torque −2.00").click()
    assert set(check(explorer)["actions"]) == {-2.0}
    pulse = explorer.get_by_label("for 0.2 s only")
    pulse.check()
    assert set(check(explorer)["actions"]) == {-2.0, 0.0}
    pad.get_by_role("button", name="torque 2.00").press("Enter")
    assert set(check(explorer)["actions"]) == {2.0, 0.0}
    assert pad.locator("[aria-pressed=true]").inner_text() == "+2 N m" and pulse.is_checked()


@pytest.mark.parametrize("kind", ["random", "sine", "constant"])
def test_signals_are_chosen_and_set(explorer, kind):
    explorer.get_by_text("More: start, input, solver, seed").click()
    explorer.get_by_label("Signal").select_option("random" if kind == "constant" else "constant")
    explorer.get_by_label("Signal").select_option(kind)
    assert check(explorer)["state"]["inputs"][0]["kind"] == kind
    label, value, key = {
        "random": ("Random seed", "11", "seed"), "sine": ("Frequency [Hz]", "3.5", "frequency"),
        "constant": ("[N m]", "-0.7", "value"),
    }[kind]  # fmt: skip
    control = explorer.locator(".td-x-more").get_by_label(label).first
    control.fill(value)
    control.press("Tab")
    assert check(explorer)["state"]["inputs"][0][key] == float(value)


def test_a_pair_is_chosen_in_the_heat_map(explorer):
    explorer.wait_for_selector(".td-x-map td button")
    explorer.locator(".td-x-map button[data-train='50'][data-rate='100']").click()
    seen = check(explorer)
    assert (seen["state"]["rate"], seen["state"]["a"]["train_frequency"]) == (100, "50")
    assert seen["arms"][0]["entry"]["train_frequency"] == "50"
    current = explorer.locator(".td-x-map button[aria-current=true]")
    assert current.get_attribute("data-rate") == "100"
    current.focus()
    explorer.keyboard.press("ArrowLeft")
    explorer.keyboard.press("Enter")
    assert check(explorer)["state"]["rate"] == 50
    assert explorer.evaluate("document.activeElement.dataset.rate") == "50"  # the focus stays where the hand is


def test_models_methods_and_rates_are_chosen(explorer):
    for label, value, key, expected in (
        ("Model A", "lstm", "model", "lstm"), ("Model A", "port_hamiltonian", "model", "port_hamiltonian"),
        ("Method and form of A", "ode.euler.transitions", "form", "euler"),
        ("A trained at", "50", "train_frequency", "50"), ("Model A", "jump", "model", "jump"),
        ("Method and form of A", "rescaled.none.transitions", "method", "rescaled"),
        ("Method and form of A", "recurrent_rollout.none.transitions", "method", "recurrent_rollout"),
        ("Model A", "ensemble", "model", "ensemble"), ("Model A", "none", "method", "persistence"),
    ):  # fmt: skip
        explorer.get_by_label(label, exact=True).select_option(value)
        assert check(explorer)["arms"][0]["entry"][key] == expected, label


def test_the_second_model_goes_and_comes_back(explorer):
    explorer.get_by_role("button", name="remove model B").click()
    assert [arm["side"] for arm in check(explorer)["arms"]] == ["a"]
    assert not explorer.get_by_role("group", name="model B").is_visible()
    assert explorer.evaluate("document.activeElement.className") == "td-x-add"  # the focus is not lost
    explorer.get_by_role("button", name="compare with a second model").press("Enter")
    assert explorer.evaluate("document.activeElement.tagName") == "SELECT"
    explorer.get_by_label("Model B", exact=True).select_option("lstm")
    assert check(explorer)["arms"][1]["entry"]["model"] == "lstm"


def test_every_control_is_reached_by_tab_in_the_order_of_the_eye(explorer):
    """Focus moves down the page within the controls, and never into what is hidden."""
    explorer.locator(".td-x-segments input:checked").focus()
    tops = []
    for _ in range(60):
        explorer.keyboard.press("Tab")
        place = explorer.evaluate("""() => {
          const element = document.activeElement, box = element.getBoundingClientRect();
          if (!element.closest(".td-x")) return null;
          const sticky = Boolean(element.closest(".td-x-slider"));
          return {top: box.top + scrollY, shown: element.checkVisibility(), sticky};
        }""")
        if place is None:
            break
        assert place["shown"]
        if not place["sticky"]:
            tops.append(place["top"])
    assert len(tops) >= 15 and place is None  # and out again: no trap
    backwards = [a - b for a, b in zip(tops, tops[1:], strict=False) if b < a]
    assert len(backwards) <= 4, backwards  # from the foot of one column to the head of the next


# --- guided scenes, and what fits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scene", scenes(), ids=lambda scene: scene.name)
def test_a_question_is_guessed_by_keyboard_and_answered_by_the_models(html, new_page, scene):
    page = new_page((html / PAGE).as_uri() + f"#dt-explorer&scene={scene.name}")
    guesses = page.get_by_role("group", name="answers").get_by_role("button")
    guesses.first.wait_for()
    assert check(page)["updates"] and guesses.count() == len(scene.answers)
    question = page.locator(".td-x-question").inner_text()
    assert question.endswith("?") and "{" not in question
    assert page.locator(".td-x-reveal").inner_text() == ""
    told_early = page.locator(".td-x-strip canvas, .td-x-map table")  # errors of all rates: not before the guess
    assert told_early.count() == 2 and not any(told_early.nth(i).is_visible() for i in range(2))
    guesses.last.press("Enter")
    page.wait_for_function("document.querySelector('.td-x-reveal').textContent !== ''")
    assert all(told_early.nth(i).is_visible() for i in range(2))
    seen = check(page)  # the view that answers, equal to torch
    told = page.locator(".td-x-reveal").inner_text()
    assert told.startswith(("Right. ", "Not quite. ")) and "{" not in told
    for side, name in (("a", "{after.a}"), ("b", "{after.b}")):
        if name in scene.says:
            shown_there = next(arm["text"] for arm in seen["arms"] if arm["side"] == side)
            assert f"misses {shown_there}" in told
    marked = page.locator(".td-x-answers [data-right=true]")
    assert marked.count() == 1 and marked.inner_text().startswith("✓ ")
    page.get_by_role("button", name="Next question").click()
    page.wait_for_function("before => document.querySelector('.td-x-question').textContent !== before", arg=question)
    page.get_by_role("button", name="Close", exact=True).click()
    assert not page.locator(".td-x-card").is_visible()
    assert page.evaluate("document.activeElement.closest('.td-x-guide-list') !== null")


@pytest.mark.parametrize("width", [375, 768, 1440])
def test_nine_columns_fit_and_the_strip_lies_under_the_slider(html, new_page, width):
    page = new_page((html / PAGE).as_uri(), width=width)
    settle(page)
    page.wait_for_selector(".td-x-map td button")
    room = page.evaluate("""() => {
      const box = document.querySelector(".td-x-map .td-x-scroll"), right = e => e.getBoundingClientRect().right;
      const cut = [...box.querySelectorAll("td button")].filter(cell => cell.scrollWidth > cell.clientWidth).length;
      const last = Math.max(...[...box.querySelectorAll("tr")].map(row => right(row.lastChild)));
      return {over: box.scrollWidth - box.clientWidth, last, end: right(box), cut,
              columns: box.querySelector("tbody tr").children.length};
    }""")
    assert room["columns"] == 10 and room["over"] <= 0 and room["last"] <= room["end"] and room["cut"] == 0
    for rate in (5, 20, 200):
        set_state(page, rate=rate)
        places = page.evaluate("""() => {
          const track = document.querySelector(".td-x-track input"), box = track.getBoundingClientRect();
          const cursor = document.querySelector(".td-x-strip .td-x-cursor").getBoundingClientRect();
          return [box.left + 14 + (box.width - 28) * track.value / 400, (cursor.left + cursor.right) / 2];
        }""")
        assert places[0] == pytest.approx(places[1], abs=1.5)


# --- link and Python lines --------------------------------------------------------------------------------------------


def test_a_link_restores_the_view(html, explorer, new_page):
    set_state(explorer, env="CartPoleContinuous-v1", rate=61.0, start=[0.2, -0.3, 0.1, 0.4], dim=0,
              inputs=[{"kind": "sine", "amplitude": 4.5, "frequency": 1.5}], solver="euler", substeps=2,
              a={"model": "newtonian", "how": "ode.rk4.transitions", "train_frequency": "50"},
              b={"model": "jump", "how": "rescaled.none.transitions", "train_frequency": "20"})  # fmt: skip
    before = check(explorer)
    explorer.get_by_role("button", name="Copy a link to this view").click()
    explorer.wait_for_function("location.hash.startsWith('#dt-explorer')")
    explorer.wait_for_function("document.querySelector('.td-x-done').textContent !== ''")
    again = new_page(explorer.url)
    after = check(again)
    assert after["state"] == before["state"] and after["arms"][1]["states"] == before["arms"][1]["states"]
    again.evaluate("location.hash = '#dt-explorer&env=Pendulum-v1&hz=12.5&a=jump~baseline.none.transitions~50'")
    again.wait_for_function("document.querySelector('.td-explorer').tdExplorer.getState().rate === 12.5")
    assert len(check(again)["arms"]) == 1  # a link without B shows A alone


def test_the_python_lines_of_the_page_run_and_agree(explorer, monkeypatch, capsys):
    monkeypatch.chdir(ROOT if LAYOUT.root.is_relative_to(ROOT) else LAYOUT.root)  # the lines name the run's folder
    set_state(explorer, rate=12.5, b={"model": "newtonian", "how": "ode.rk4.transitions", "train_frequency": "20"})
    explorer.get_by_role("button", name="Show the Python lines").click()
    lines = explorer.locator(".td-x-code").inner_text()
    seen = check(explorer)
    exec(lines, {})
    printed = [float(value) for value in capsys.readouterr().out.split()]
    assert printed == pytest.approx([arm["errors"][k] for arm in seen["arms"] for k in (0, -1)], rel=1e-6)


# --- motion and speed -------------------------------------------------------------------------------------------------


def test_nothing_moves_by_itself_for_those_who_asked_for_stillness(html, new_page):
    for still in (True, False):
        page = new_page((html / PAGE).as_uri(), still=still)
        settle(page)
        button = page.locator(".td-x-play")
        button.scroll_into_view_if_needed()
        assert button.inner_text() == ("Play" if still else "Pause")
        times = []
        for _ in range(2):
            times.append(float(page.get_by_label("time shown").input_value()))
            page.wait_for_timeout(350)
        assert (times[0] == times[1]) is still
        button.click()
        assert button.inner_text() == ("Pause" if still else "Play")


def test_the_time_of_an_update_is_reported(explorer, report):
    control = slider(explorer)
    control.focus()
    for rate in (20, 50, 200):
        set_state(explorer, rate=float(rate))
        times = []
        for key in ["ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowRight"] * 3:
            control.press(key)
            times.append(shown(explorer)["milliseconds"])
        assert all(time > 0 for time in times)
        middle_one = sorted(times)[len(times) // 2]
        report(f"explorer on a page, slider to picture at {rate} Hz: {middle_one:.1f} ms (median of {len(times)})")
