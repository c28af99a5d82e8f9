"""Bad input of the explorer in a browser: a sentence for the reader, and what worked before still works."""

import pytest
from conftest import LAYOUT
from torch_reference import assert_equals_torch, settle, shown

PAGE = "notebooks/07_explorer.html"
WEIGHTS = "weights-Pendulum_v1.js"


def copied(html, folder, leave_out: str):
    """The pages without one weight file, as links to the real ones."""
    for path in html.iterdir():
        if path.name != "_static":
            (folder / path.name).symlink_to(path)
    (folder / "_static" / "weights").mkdir(parents=True)
    for path in (html / "_static").iterdir():
        if path.name != "weights":
            (folder / "_static" / path.name).symlink_to(path)
    for path in (html / "_static" / "weights").iterdir():
        if path.name != leave_out:
            (folder / "_static" / "weights" / path.name).symlink_to(path)
    return folder


@pytest.mark.parametrize(
    ("fragment", "words"),
    [
        ("env=Pendulum-v1&hz=500", ["Δt must lie between 5 ms", "2 ms"]),
        ("env=Acrobot-v1", ["env must be one of", "Acrobot-v1"]),
        ("env=Pendulum-v1&x0=1,99&u=noise~2", ["x0[1] must lie within", "u must be one of constant"]),
        ("env=Pendulum-v1&a=transformer~baseline.none.transitions~20", ["transformer", "is not here"]),
        ("env=Pendulum-v1&hz=%E0%A4%A", ["unreadable"]),
    ],
)
def test_a_broken_link_is_named_and_the_rest_is_shown(html, new_page, fragment, words):
    page = new_page((html / PAGE).as_uri() + "#dt-explorer&" + fragment)
    seen = shown(page)
    said = page.locator(".td-x-problem").inner_text()
    assert all(word in said for word in words), said
    assert seen["state"]["rate"] == 33.3 and seen["state"]["env"] == "Pendulum-v1"
    assert_equals_torch(seen, LAYOUT.models)


def test_a_delta_t_out_of_range_is_refused(html, new_page):
    page = new_page((html / PAGE).as_uri())
    before = shown(page)["state"]
    page.get_by_text("More: start, input, solver, seed").click()
    for label, value, words in (
        ("Δt [ms]", "500", "Δt must lie between 5 ms (200 Hz) and 200 ms (5 Hz), got 500 ms"),
        ("Δt [ms]", "-3", "Δt must lie between"),
        ("θ [rad]", "77", "x0[0] must lie within"),
        ("Torque", "9", "must lie between -2 and 2, got 9"),
    ):
        control = page.locator(".td-x-more").get_by_label(label).first
        if not control.count():
            control = page.locator(".td-x-more [data-part='value']")
        control.fill(value)
        control.press("Tab")
        page.wait_for_selector(".td-x-problem:not([hidden])")
        assert words in page.locator(".td-x-problem").inner_text()
        assert shown(page)["state"] == before
    control = page.get_by_label("Δt [ms]")
    control.fill("50")
    control.press("Tab")
    assert shown(page)["state"]["rate"] == 20
    assert not page.locator(".td-x-problem").is_visible()  # what was wrong is over


def test_a_broken_state_changes_nothing(html, new_page):
    page = new_page((html / PAGE).as_uri())
    before = shown(page)["state"]
    for bad in ({**before, "start": [1]}, {**before, "inputs": [{"kind": "sine"}]}, {**before, "rate": 0}, {}, None):
        page.evaluate("bad => document.querySelector('.td-explorer').tdExplorer.setState(bad)", bad)
        assert "Nothing was changed" in page.locator(".td-x-problem").inner_text()
        assert shown(page)["state"] == before
    page.get_by_label("Δt, the length of one step").press("End")
    assert_equals_torch(shown(page), LAYOUT.models)


def test_the_page_below_the_map_stays_where_it_is(html, new_page):
    height = "document.querySelector('.td-x').offsetHeight"
    page = new_page((html / PAGE).as_uri(), width=375, height=812)
    page.wait_for_function("Boolean(document.querySelector('.td-explorer').tdExplorer.view())")
    first = page.evaluate(height)
    page.wait_for_timeout(700)  # the map's numbers may come once the slider rests
    assert page.evaluate(height) == first


def test_without_its_weights_the_static_figure_stays(html, new_page, watch, tmp_path):
    watch.expected.append(WEIGHTS)
    page = new_page((copied(html, tmp_path, WEIGHTS) / PAGE).as_uri())
    page.wait_for_selector(".td-explorer-problem")
    assert f"the file {WEIGHTS} is missing" in page.locator(".td-explorer-problem").inner_text()
    assert page.locator(".td-explorer-fallback svg").is_visible()
    assert page.locator(".td-explorer-fallback table").is_visible()
    assert not page.locator(".td-x-slider").is_visible()


def test_another_environment_without_weights_leaves_the_view_as_it_was(html, new_page, watch, tmp_path):
    watch.expected.append("weights-CartPole_v1.js")
    page = new_page((copied(html, tmp_path, "weights-CartPole_v1.js") / PAGE).as_uri())
    before = shown(page)
    page.locator(".td-x-segments input[value='CartPole-v1'] + label").click()
    page.wait_for_selector(".td-x-problem:not([hidden])")
    assert "Still showing Pendulum-v1" in page.locator(".td-x-problem").inner_text()
    after = shown(page)
    assert after["state"] == before["state"]
    assert page.locator(".td-x-segments input:checked").get_attribute("value") == "Pendulum-v1"
    page.get_by_label("Δt, the length of one step").press("End")
    assert_equals_torch(shown(page), LAYOUT.models)


@pytest.mark.parametrize("damage", ["cut off", "one letter", "empty"])
def test_a_damaged_weight_file_is_told_apart_from_a_good_one(html, new_page, watch, tmp_path, damage):
    watch.expected += ["SyntaxError", "RangeError", "Uncaught", "page error"]
    text = (html / "_static" / "weights" / WEIGHTS).read_text()
    middle = len(text) // 2
    other = "A" if text[middle] != "A" else "B"
    damaged = {"cut off": text[:middle], "one letter": text[:middle] + other + text[middle + 1 :], "empty": ""}[damage]
    folder = copied(html, tmp_path, WEIGHTS)
    (folder / "_static" / "weights" / WEIGHTS).write_text(damaged)
    page = new_page((folder / PAGE).as_uri())
    page.wait_for_function("""() => {
      const shown = Array.from(document.querySelectorAll(".td-x-problem, .td-explorer-problem"));
      const view = document.querySelector(".td-explorer").tdExplorer.view();
      return Boolean(view) || shown.some(p => p.offsetParent && p.textContent);
    }""")  # fmt: skip
    if page.evaluate("Boolean(document.querySelector('.td-explorer').tdExplorer.view())"):
        assert damage == "one letter"  # it may lie in a model that is not on show; asking for that one tells
        assert_equals_torch(shown(page), LAYOUT.models)
        errors = page.evaluate("""() => tdEngine.models("Pendulum-v1").filter(entry => {
          try { tdEngine.predict("Pendulum-v1", entry.id, {state: [1, 0], actions: [0], deltaTs: 0.05}); return false; }
          catch (error) { return /weights/.test(error.message); }
        }).length""")
        assert errors == 1
    else:
        assert page.locator(".td-explorer-fallback").is_visible()


def test_without_scripts_figure_and_table_show_the_same_numbers(html, new_page):
    live = new_page((html / PAGE).as_uri())
    seen = shown(live)
    table = {}
    for rate in (5, 10, 16, 20, 25, 33.3, 50, 100, 200):
        settle(live).evaluate(
            "(element, rate) => element.tdExplorer.setState(Object.assign(element.tdExplorer.getState(), {rate}))", rate
        )
        live.wait_for_function(
            "rate => document.querySelector('.td-explorer').tdExplorer.getState().rate === rate", arg=rate
        )
        table[rate] = [arm["errors"][0] for arm in shown(live)["arms"]]
    static = new_page((html / PAGE).as_uri(), scripts=False)
    figure = static.locator(".td-explorer-fallback svg")
    assert figure.is_visible() and figure.get_attribute("aria-label")
    rows = [
        [cell.strip() for cell in row.split("\t")]
        for row in static.locator(".td-explorer-fallback table").inner_text().split("\n")
    ]
    rows = [row for row in rows if len(row) == 10]
    assert [float(text.removesuffix(" Hz")) for text in rows[0][1:]] == list(table)
    for side, row in enumerate(rows[1:]):
        for text, errors in zip(row[1:], table.values(), strict=True):
            assert float(text) == pytest.approx(errors[side], rel=0.06)
    assert len(rows) == 1 + len(seen["arms"])
