"""What every page has: no request that leaves it, a banner that names the preset, and the scripts it needs."""

import html
import json
from pathlib import Path

from sphinx.application import Sphinx
from td_tables import PUBLISHED, read_preset

FOUND = ("beliefs", "pictures")  # kinds of explorers of what torch found
MEANING = {
    "smoke": "a test that everything runs; its numbers mean nothing.",
    "quick": "minutes of training and few seeds; it shows the method and settles little.",
    "full": "the whole study.",
    "full_literal": "the training budget of the founding question.",
}


def banner_text(root: Path) -> str:
    """Return one line of HTML that says which run the pages show."""
    summary = read_preset(root)
    if not summary:
        return "No results beside this book."
    preset = str(summary.get("preset", "unknown"))
    commit, edition = commit_of(summary), read_preset(root / PUBLISHED)
    text = f"This run: preset <strong>{html.escape(preset)}</strong>, "
    text += html.escape(MEANING.get(preset, "a preset of your own."))
    text += f" Commit {html.escape(commit)}." if commit else ""
    if edition and edition != summary:  # two runs on one site: say which page shows which
        name, commit = str(edition.get("preset", "unknown")), commit_of(edition)
        text += f" Answers, recommendations and what changed show the published edition: preset {html.escape(name)}"
        text += f", commit {html.escape(commit)}." if commit else "."
    return text


def commit_of(summary: dict) -> str:
    """Return the short name of the commit that a run was made with; empty if it does not say."""
    return str(summary.get("git_commit") or summary.get("commit") or "")[:9]


def add_banner(app: Sphinx, config: object) -> None:
    """Set the banner before the theme reads its options; one search box is enough."""
    options = {"announcement": banner_text(Path(app.srcdir)), "navbar_persistent": []}
    config.html_theme_options = {**config.html_theme_options, **options}


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
    """Load explorers only where there is one, and the tables' script only where there are tables."""
    body = context.get("body", "")
    explored, found = 'class="td-explorer"' in body, [kind for kind in FOUND if f'class="td-{kind}"' in body]
    if explored or found:
        app.add_css_file("explorer.css")
    if explored:
        for name in ("explorer_run.js", "engine.js", "explorer.js"):  # in this order
            app.add_js_file(name, loading_method="defer")
    for kind in found:  # after the other one, whose drawing they share
        app.add_js_file(f"{kind}.js", loading_method="defer")
    if "<table" in body:
        app.add_js_file("tables.js", loading_method="defer")


def setup(app: Sphinx) -> dict:
    """Connect all."""
    app.connect("html-page-context", add_scripts)
    app.connect("config-inited", add_banner, priority=900)
    app.connect("html-page-context", stay_offline, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
