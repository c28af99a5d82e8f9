"""The book read in a browser: where "Next" leads, what figures are called, scripts to download, a phone's columns."""

import re
import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
import yaml
from conftest import LAYOUT
from test_pages import ready

from tdlib.figures.style import PHONE_WIDTH

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from td_path import pages_of, reading_path  # noqa: E402

CONTENTS = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PATH = reading_path(CONTENTS)
APPENDIX = pages_of(CONTENTS["parts"][-1]["chapters"])
NUMBERS = "Array.from(document.querySelectorAll('figcaption .caption-number')).map(node => node.textContent.trim())"
OWN_RATE = "50 Hz"  # of the robot that the page speaks to


def test_next_walks_through_the_path_and_nothing_else(html, new_page):
    page = new_page((html / f"{PATH[0]}.html").as_uri())
    walked = [PATH[0]]
    while page.locator(".prev-next-footer a.right-next").count():
        page.locator(".prev-next-footer a.right-next").click()
        page.wait_for_load_state()
        walked.append(Path(url2pathname(urlsplit(page.url).path)).relative_to(html).with_suffix("").as_posix())
        assert len(walked) <= len(PATH)
    assert walked == PATH
    page.goto((html / f"{APPENDIX[0]}.html").as_uri())
    assert page.locator(".prev-next-footer a").count() == 0


def test_figures_are_numbered_by_chapter_and_once(html, new_page):
    page, chapter, found = new_page((html / f"{PATH[0]}.html").as_uri()), 0, []
    for name in PATH[1:]:
        page.goto((html / f"{name}.html").as_uri())
        number = re.match(r"(\d+)\.", page.locator(".bd-article h1").inner_text())
        chapter = int(number[1]) if number else chapter  # a page inside a chapter goes on with its numbers
        numbers = page.evaluate(NUMBERS)
        assert all(re.fullmatch(rf"Fig\. {chapter}\.\d+", each) for each in numbers), (name, numbers)
        found += numbers
    assert len(found) == len(set(found)) > 40
    for name in ("book/gallery", "book/run_results", "notebooks/05_statistics"):
        page.goto((html / f"{name}.html").as_uri())
        assert page.locator("figure").count() and page.evaluate(NUMBERS) == []


def test_a_picture_of_the_gallery_leads_to_its_figure(html, new_page):
    page = new_page((html / "book/gallery.html").as_uri())
    picture = page.locator("figure.td-thumb", has_text=re.compile(r"Fig\. 4\.1(?!\d)"))
    name = Path(urlsplit(picture.locator("img").first.get_attribute("src")).path).name
    picture.locator(".td-picture a").click()
    page.wait_for_load_state()
    target = page.locator(f"[id='{urlsplit(page.url).fragment}']")
    assert "book/one_step.html" in page.url and target.locator("img").first.get_attribute("src").endswith(f"/{name}")
    assert "Fig. 4.1" in target.inner_text()


SCRIPT = "Download this page as a script"
WITH_CODE = ["book/one_step", "book/data", "notebooks/04_control-CartPole-v1", "notebooks/07_explorer"]


def check_script(name: str, file: str, script: str) -> None:
    if name.startswith("notebooks/"):
        source = ROOT / f"{name.partition('-')[0]}.py"
        assert (file, script) == (source.name, source.read_text(encoding="utf-8"))
    else:
        assert file == f"{Path(name).name}.py" and "# %%" in script and "from tdlib" in script
    compile(script, name, "exec")


@pytest.mark.parametrize("name", WITH_CODE)
def test_a_page_offers_its_code_as_a_script(html, new_page, serve, name):
    server = serve(html)
    page = new_page(f"{server}/{name}.html", server=server)
    with page.expect_download() as downloading:
        page.get_by_role("link", name=SCRIPT).click()
    script = Path(downloading.value.path()).read_text(encoding="utf-8")
    check_script(name, downloading.value.suggested_filename, script)


@pytest.mark.parametrize("name", ["book/models", "book/history", "book/commands"])
def test_a_phone_stacks_tables_of_words_and_nothing_of_them_is_out_of_sight(html, new_page, name):
    page = new_page((html / f"{name}.html").as_uri(), width=375, height=740)
    ready(page)
    stacked = page.locator("table.td-stacked")
    assert stacked.count()
    for k in range(stacked.count()):
        box = stacked.nth(k).evaluate("t => { const b = t.parentElement; return [b.scrollWidth, b.clientWidth]; }")
        assert box[0] <= box[1] + 1
    heads = stacked.first.evaluate("t => Array.from(t.tHead.rows[0].cells).map(c => c.textContent.trim()).slice(1)")
    first = stacked.first.locator("tbody tr").first.locator(".td-label")
    assert first.all_text_contents() == heads and first.first.is_visible()
    page.set_viewport_size({"width": 1000, "height": 740})
    assert stacked.count() == 0 and not page.locator(".td-label").first.is_visible()


def test_excerpts_of_a_search_hold_no_latex(html, new_page, serve):
    server = serve(html)
    page = new_page(f"{server}/search.html?q=increment", server=server)
    page.wait_for_selector("#search-results p.context", timeout=20_000)
    page.wait_for_timeout(1000)
    found = " ".join(page.locator("#search-results p.context").all_text_contents())
    assert "increment" in found.lower() and not re.search(r"\\[(\[a-zA-Z]", found)


def test_from_disk_the_script_opens(html, new_page):
    """A browser does not download from one file to another; it shows the script, to be saved."""
    for name in WITH_CODE:
        page = new_page((html / f"{name}.html").as_uri())
        page.get_by_role("link", name=SCRIPT).click()
        page.wait_for_url("**/*.py")
        check_script(name, page.url.rpartition("/")[2], page.evaluate("document.body.textContent"))


def test_a_phone_shows_the_deployment_rate_of_every_remedy(html, new_page):
    page = new_page((html / "book/recommendations.html").as_uri(), width=375, height=740)
    ready(page)
    table = page.locator(".td-results table:visible").first
    heads = table.evaluate("table => Array.from(table.tHead.rows[0].cells).map(cell => cell.textContent)")
    column = next(i for i, head in enumerate(heads) if head.startswith(OWN_RATE))
    seen = table.evaluate(
        """(table, column) => Array.from(table.rows).map(row => {
          var box = row.cells[column].getBoundingClientRect();
          return [box.left, box.right, row.cells[column].scrollWidth - row.cells[column].clientWidth];
        })""",
        column,
    )
    assert len(seen) > 5
    assert all(0 <= left < right <= 375 and hidden <= 0 for left, right, hidden in seen), seen
    folder = LAYOUT.root / "screenshots"
    folder.mkdir(exist_ok=True)
    table.scroll_into_view_if_needed()
    assert len(page.screenshot(path=folder / "recommendations-375-light.png")) > 20_000


def test_a_wide_table_keeps_its_labels_on_a_phone(html, new_page):
    page = new_page((html / "book/one_step.html").as_uri(), width=375, height=740)
    ready(page)
    box = page.locator(".td-results:not(.td-few):visible").first
    moved = box.evaluate(
        """box => {
          var scroller = box.querySelector(".pst-scrollable-table-container") || box;
          scroller.scrollLeft = 300;
          var label = box.querySelector("tbody td"), frame = scroller.getBoundingClientRect();
          return [scroller.scrollLeft, label.getBoundingClientRect().left - frame.left];
        }"""
    )
    assert moved[0] > 100 and moved[1] == pytest.approx(0, abs=2)


@pytest.mark.parametrize("name", ["book/one_step", "book/statistics", "notebooks/03_results_visualization-Pendulum-v1"])
def test_figures_on_a_phone_are_as_wide_as_their_text_needs(html, new_page, name):
    page = new_page((html / f"{name}.html").as_uri(), width=375, height=740)
    ready(page)
    widths = page.evaluate(
        """() => Array.from(document.querySelectorAll("figure.td-figure img")).map(image => image.clientWidth)
          .filter(width => width > 0)"""
    )
    assert widths and min(widths) >= PHONE_WIDTH, widths
