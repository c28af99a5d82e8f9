"""A real browser for the tests of pages: Debian's Chromium, driven by Playwright; without it they are skipped aloud.

The pages are those of the smoke run, read from disk and from a local server. Whatever a page asks for beyond them, and
every error in its console, fails the test that opened it.
"""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from tdlib.study.layout import RunLayout

HERE = Path(__file__).resolve().parent
LAYOUT = RunLayout.of("smoke")
NAMES = ("chromium", "chromium-browser", "google-chrome")
HOW_TO_GET_IT = "`apt-get install chromium`, or set TDLIB_CHROMIUM to a Chromium or Chrome"
MAKE_PAGES = "make the pages with `python -m tdlib.grid.command smoke book`"
MEASURED = "measured"
LOCAL = ("file://", "data:", "blob:", "about:")


def chromium() -> str | None:
    chosen = os.environ.get("TDLIB_CHROMIUM")
    return shutil.which(chosen) if chosen else next(filter(None, map(shutil.which, NAMES)), None)


def pytest_collection_modifyitems(items):
    if chromium() is None:
        skipped = pytest.mark.skip(reason=f"no Chromium here; get it with {HOW_TO_GET_IT}")
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(skipped)


def pytest_terminal_summary(terminalreporter):
    passed = terminalreporter.stats.get("passed", [])
    for line in (value for report in passed for name, value in report.user_properties if name == MEASURED):
        terminalreporter.write_line(f"measured: {line}")
    if chromium() is None:
        terminalreporter.write_line(
            f"The browser tests were SKIPPED: there is no Chromium. Get it with {HOW_TO_GET_IT}."
        )


@pytest.fixture
def report(record_property):
    """Adds a line to the end of the report; what is timed here is told, not judged."""
    return lambda line: record_property(MEASURED, line)


@pytest.fixture(scope="session")
def html() -> Path:
    if not (LAYOUT.html / "index.html").is_file():
        pytest.fail(f"there are no pages in {LAYOUT.html}: {MAKE_PAGES}", pytrace=False)
    return LAYOUT.html


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # a container's root has no sandbox, and its /dev/shm may be small
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb"]
        started = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        yield started
        started.close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def serve():
    """Serves a folder at http://127.0.0.1:<free port> until the tests end; returns the address."""
    servers = []

    def start(folder: Path) -> str:
        handler = functools.partial(_Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class Watch:
    """What pages did that they should not: `complaints`; what a test provokes on purpose it names in `expected`."""

    def __init__(self):
        self.complaints, self.expected = [], ["/favicon.ico"]  # asked for by the browser, not by a page

    def follow(self, context, server: str = "") -> None:
        def request(made):
            if not made.url.startswith(LOCAL) and not (server and made.url.startswith(server)):
                self.complaints.append(f"request to {made.url}")

        def console(message):
            if message.type == "error":
                self.complaints.append(f"console: {message.text} ({message.location.get('url', '')})")

        def failed(made):
            # a page left while the browser still asked for its icon: whether the file is there is what counts
            left = made.failure == "net::ERR_ABORTED" and Path(url2pathname(urlsplit(made.url).path)).is_file()
            # scripts that are switched off on purpose, and videos of which only the head is read
            if not left and made.failure != "csp" and made.resource_type != "media":
                self.complaints.append(f"no answer: {made.url} {made.failure}")

        context.on("request", request)
        context.on("console", console)
        context.on("weberror", lambda error: self.complaints.append(f"page error: {error.error}"))
        context.on("requestfailed", failed)

    def unexpected(self) -> list[str]:
        return [line for line in self.complaints if not any(part in line for part in self.expected)]


def open_window(browser, watching, address, *, width=1280, height=900, dark=False, still=True, scripts=True, server=""):
    """Open a page in a window of its own; the caller closes `page.context`."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce" if still else "no-preference",
        java_script_enabled=scripts,
    )
    context.set_default_timeout(10_000)
    watching.follow(context, server)
    page = context.new_page()
    page.goto(address, wait_until="load")
    return page


@pytest.fixture
def watch():
    watching = Watch()
    yield watching
    assert watching.unexpected() == []


@pytest.fixture
def new_page(browser, watch):
    """Opens pages for one test: `new_page(address, width=…, dark=…, …)`."""
    pages = []

    def open_page(address: str, **options):
        pages.append(open_window(browser, watch, address, **options))
        return pages[-1]

    yield open_page
    for page in pages:
        page.context.close()
