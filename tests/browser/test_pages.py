"""Every page in a browser: nothing is asked from elsewhere, nothing overflows a phone, nothing bars a reader's way."""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import LAYOUT, Watch, open_window

# axe-core sees whole pages; what the theme draws is the theme's: its search, menus, switches and footers
THEME = [
    ".bd-header", ".bd-sidebar-primary", ".bd-sidebar-secondary", ".bd-header-article", ".prev-next-footer",
    ".bd-footer", ".bd-footer-content", "#pst-back-to-top", "#pst-search-dialog", ".search-button__wrapper",
    ".skip-link", "#pst-skip-link",
    ".headerlink",  # the sign behind a heading
    ".copybtn",  # sphinx-copybutton's icon
    "mjx-container",  # MathJax speaks for itself
]  # fmt: skip
CHECKED = [
    "book/intro.html", "book/explorer.html", "notebooks/07_explorer.html", "book/theory.html", "book/ground_truth.html",
    "book/rollouts.html", "book/gallery.html", "book/speed.html", "book/statistics.html", "book/answers.html",
    "book/recommendations.html", "book/related_work.html",
]  # fmt: skip
TABLES = "book/predictions.html"
WIDTHS = {"phone": 375, "tablet": 768, "desk": 1440}
TYPESET = "() => !window.MathJax || !MathJax.startup || MathJax.startup.promise"


def ready(page) -> None:
    page.evaluate(TYPESET)
    if page.locator(".td-explorer").count():
        page.wait_for_selector(".td-explorer-live .td-x-map td")  # the last part to come
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))")


def test_no_page_asks_elsewhere_complains_or_is_wider_than_a_phone(html, browser):
    """All pages, one after the other in one narrow window."""
    names = sorted(
        path.relative_to(html).as_posix() for folder in ("book", "notebooks") for path in (html / folder).glob("*.html")
    )
    assert len(names) > 40
    watching, wide = Watch(), {}
    page = open_window(browser, watching, (html / names[0]).as_uri(), width=375, height=740)
    for name in names:
        page.goto((html / name).as_uri())
        ready(page)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 375:
            wide[name] = width
        if watching.unexpected():
            break  # the page is the one named last
    page.context.close()
    assert (watching.unexpected(), name) == ([], names[-1])
    assert wide == {}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", CHECKED)
def test_axe_finds_no_serious_violation(html, new_page, name, dark):
    page = new_page((html / name).as_uri(), dark=dark)
    ready(page)
    assert page.evaluate("document.documentElement.dataset.theme") == ("dark" if dark else "light")
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    # without preload: from disk a page may not read its own style sheets
    options = {"preload": False, "resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    found = Axe().run(page, {"exclude": [[selector] for selector in THEME]}, options).response["violations"]
    serious = [
        f"{v['id']} ({v['impact']}): {node['target']} {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for v in found if v["impact"] in ("serious", "critical") for node in v["nodes"]
    ]  # fmt: skip
    assert serious == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pictures_of_the_first_page_and_the_explorer_are_kept(html, new_page, width, dark):
    """For the eye: `screenshots/` beside the pages. That they are not blank and fit is what is checked here."""
    folder = LAYOUT.root / "screenshots"
    folder.mkdir(exist_ok=True)
    for name in ("intro", "explorer"):
        page = new_page((html / "book" / f"{name}.html").as_uri(), width=width, height=900, dark=dark)
        ready(page)
        image = page.screenshot(
            path=folder / f"{name}-{width}-{'dark' if dark else 'light'}.png", full_page=name == "explorer"
        )
        assert len(image) > 20_000
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_tables_sort_and_filter_by_keyboard(html, new_page):
    page = new_page((html / TABLES).as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(box => box.open = true)")  # many verdicts are folded
    table = page.locator("table:has(button.td-sort)").first
    button = table.locator("button.td-sort").first
    body = """table => Array.from(table.tBodies[0].rows).filter(row => !row.hidden)
      .map(row => row.cells[0].textContent.trim())"""
    before = table.evaluate(body)
    head = table.locator("th:has(button.td-sort)").first
    button.focus()
    button.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    rising = table.evaluate(body)
    button.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    assert sorted(rising) == sorted(before) and table.evaluate(body) != rising
    button.press("Enter")
    assert table.evaluate(body) == before  # the third time brings back the first order
    long = page.locator(".td-filter + div table").first
    rows = long.evaluate(body)
    field = page.get_by_label("Filter rows").first
    field.focus()
    page.keyboard.type(rows[0].split()[0])
    assert 0 < len(long.evaluate(body)) <= len(rows)
    page.keyboard.type(" no such row")
    assert long.evaluate(body) == []
    assert f"0 of {len(rows)} rows" in page.locator(".td-count").first.inner_text()


def test_videos_have_controls_words_and_never_start_alone(html, new_page):
    page = new_page((html / "book/rollouts.html").as_uri(), still=False)
    videos = page.locator("video")
    assert videos.count() >= 1
    for k in range(videos.count()):
        video = videos.nth(k)
        video.scroll_into_view_if_needed()
        seen = video.evaluate(
            """v => ({controls: v.controls, autoplay: v.autoplay, paused: v.paused,
              words: v.getAttribute("aria-label") || v.title})"""
        )
        assert seen["controls"] and not seen["autoplay"] and seen["paused"] and seen["words"], json.dumps(seen)


def test_figures_follow_the_theme(html, new_page):
    """Of each picture with a dark form exactly one is on show, by theme."""
    sources = {}
    for dark in (False, True):
        page = new_page((html / "book/rollouts.html").as_uri(), dark=dark)
        ready(page)
        sources[dark] = page.evaluate(
            """Array.from(document.querySelectorAll(".bd-article img")).filter(image => image.checkVisibility())
              .map(image => image.getAttribute("src").split("/").pop())"""
        )
    assert sources[False] and len(sources[False]) == len(sources[True])
    assert not set(sources[False]) & set(sources[True])
