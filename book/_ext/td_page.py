"""What every page has: no request that leaves it, a banner that names the preset, and the scripts it needs."""

import html
import json
from collections.abc import Sequence
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from td_figures import PRESET, read_staged
from td_tables import PUBLISHED, read_preset

FOUND = ("beliefs", "pictures")  # kinds of explorers of what torch found
MEANING = {
    "smoke": "A test that everything runs; its numbers mean nothing.",
    "quick": "Minutes of training and few seeds; it shows the method and settles little.",
    "full": "The whole study.",
    "full_literal": "The training budget of the founding question.",
}


def banner_text(root: Path, shown: Sequence[str] = (), conclusions: bool = False) -> str:
    """Return one line of HTML that says which run a page shows.

    Args:
        root: A staged site.
        shown: Presets of the runs whose figures and films the page holds; the study's where there are none.
        conclusions: Whether the page reads the published edition where there is one.
    """
    summary, edition = read_preset(root), read_preset(root / PUBLISHED)
    if not summary:
        return "No results beside this book."
    if conclusions and edition:
        return run_words("This page shows the published edition:", edition.get("preset", "unknown"), commit_of(edition))
    study = str(summary.get("preset", "unknown"))
    names = [*shown] or [study]
    if len(names) > 1:
        return f"This page shows runs of the presets {', '.join(map(strong, names))}."
    if names == [study]:
        return run_words("This run:", study, commit_of(summary))
    return run_words("This page shows the run of", names[0], **read_staged(root, "runs").get(names[0], {}))


def run_words(begin: str, preset: str, commit: str = "", description: str = "", commits: Sequence[str] = ()) -> str:
    """Name a run: its preset, what that means, and the commit of the run or those that its models were made at."""
    meaning = MEANING.get(preset) or description or "A preset of your own."
    text = f"{begin} preset {strong(preset)}. {html.escape(meaning)}"
    text += f" Commit {html.escape(commit)}." if commit else ""
    made = ", ".join(html.escape(each[:9]) for each in commits)
    return text + (f" Models of commit{'s' if len(commits) > 1 else ''} {made}." if made else "")


def strong(name: str) -> str:
    """Return a name in bold letters."""
    return f"<strong>{html.escape(name)}</strong>"


def commit_of(summary: dict) -> str:
    """Return the short name of the commit that a run was made with; empty if it does not say."""
    return str(summary.get("git_commit") or summary.get("commit") or "")[:9]


def add_banner(app: Sphinx, config: object) -> None:
    """Set the banner of pages that are no document before the theme reads its options; one search box is enough."""
    options = {"announcement": banner_text(Path(app.srcdir)), "navbar_persistent": []}
    config.html_theme_options = {**config.html_theme_options, **options}


def name_the_run(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Let the banner name the run that this page shows."""
    root = Path(app.srcdir)
    shown = [] if doctree is None else [node[PRESET] for node in doctree.findall(nodes.Element) if PRESET in node]
    if pagename.startswith("notebooks/"):
        shown = [read_staged(root.resolve(), "presets").get(pagename.removeprefix("notebooks/"), "")]
    conclusions = pagename in app.config.td_conclusion_pages
    context["theme_announcement"] = banner_text(root, list(dict.fromkeys(filter(None, shown))), conclusions)


def stay_offline(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Drop the scripts of sphinx-thebe, the one part of the theme that names a CDN."""
    files = context.get("script_files", [])
    for file in list(files):
        body = json.dumps({k: str(v) for k, v in (getattr(file, "attributes", {}) or {}).items()})
        if "thebe" in str(getattr(file, "filename", file)).lower() or "THEBE" in body:
            files.remove(file)
    styles = context.get("css_files", [])
    for file in [f for f in styles if "thebe" in str(getattr(f, "filename", f)).lower()]:
        styles.remove(file)


def add_scripts(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Load explorers only where there is one, the tables' script where there are tables, that of search with it."""
    body = context.get("body", "")
    explored, found = 'class="td-explorer"' in body, [kind for kind in FOUND if f'class="td-{kind}"' in body]
    if explored or found:
        app.add_css_file("explorer.css")
    if explored:
        for name in ("explorer_run.js", "engine.js", "explorer.js"):  # in this order
            app.add_js_file(name, loading_method="defer")
    for kind in found:  # after the other one, whose drawing they share
        app.add_js_file(f"{kind}.js", loading_method="defer")
    if pagename == "search":
        app.add_js_file("search.js", loading_method="defer")
    if "<table" in body:
        app.add_js_file("tables.js", loading_method="defer")


def setup(app: Sphinx) -> dict:
    """Connect all."""
    app.connect("html-page-context", add_scripts)
    app.connect("html-page-context", name_the_run)
    app.connect("config-inited", add_banner, priority=900)
    app.connect("html-page-context", stay_offline, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
