"""Result figures, videos, and the rule that every picture in the book says in words what it shows.

    ```{result-figure} ../results/figures/limits/Pendulum-v1.png
    :name: fig-limits-pendulum

    What to look at.
    ```

The alt text and the end of the caption (n, interval) come from the JSON file beside the picture; its data are linked.
A missing picture or alt text is a warning, and therefore an error in the strict build.
"""

import json
import re
import shutil
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.directives.patches import Figure
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOG = logging.getLogger(__name__)
IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
ALT = re.compile(r"""\balt\s*=\s*("([^"]*)"|'([^']*)')""", re.IGNORECASE)


class ResultFigure(Figure):
    """A numbered figure whose alt text and caption tail come from its sidecar file."""

    def run(self) -> list[nodes.Node]:
        """Read the sidecar, build the figure, append caption tail and data link."""
        env = self.state.document.settings.env
        path = (Path(env.doc2path(env.docname)).parent / self.arguments[0]).resolve()
        sidecar = path.with_suffix(".json")
        env.note_dependency(str(sidecar))
        words = json.loads(sidecar.read_text(encoding="utf-8")) if sidecar.exists() else {}
        if words.get("alt"):
            self.options.setdefault("alt", words["alt"])
        if not self.content:
            self.content = StringList(["\u200b"], source="result-figure")
        self.options.setdefault("width", "100%")
        result = super().run()
        figure = next((node for node in result if isinstance(node, nodes.figure)), None)
        if figure is None:
            return result
        figure["classes"].append("td-figure")
        caption = next((node for node in figure.children if isinstance(node, nodes.caption)), None)
        if caption is not None and words.get("caption"):
            caption += nodes.inline("", " " + words["caption"], classes=["td-tail"])
        table = path.with_suffix(".csv")
        if caption is not None and table.exists():
            caption += nodes.Text(" ")
            caption += data_link(env, table)
        return result


def data_link(env: object, table: Path) -> nodes.Node:
    """Make a download link to the numbers behind a figure."""
    from sphinx import addnodes

    target = "/" + table.relative_to(Path(env.srcdir).resolve()).as_posix()
    link = addnodes.download_reference("", "", reftarget=target, refdoc=env.docname)
    link += nodes.Text("Data (CSV)")
    return link


class Video(SphinxDirective):
    """A short film of a run with controls: path, caption as body, `:alt:` what it shows in words."""

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required, "name": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Emit a figure with a video element; the file is copied when the build ends."""
        path = (Path(self.env.doc2path(self.env.docname)).parent / self.arguments[0]).resolve()
        self.env.note_dependency(str(path))
        if not path.exists():
            LOG.warning("video not found: %s", self.arguments[0], location=self.get_location())
        relative = path.name
        up = "../" * self.env.docname.count("/")
        alt = self.options.get("alt", "")
        if not alt:
            LOG.warning("video without alt: %s", relative, location=self.get_location())
        html = (
            f'<video controls loop muted playsinline preload="metadata" aria-label="{alt}">'
            f'<source src="{up}_videos/{relative}" type="video/mp4">'
            f'<a href="{up}_videos/{relative}">{alt}</a></video>'
        )
        figure = nodes.container(classes=["td-video"])
        figure += nodes.raw("", html, format="html")
        figure += self.parse_content_to_nodes()
        return [figure]


def copy_videos(app: Sphinx, error: Exception | None) -> None:
    """Copy the films of the run beside the pages."""
    folder = Path(app.srcdir) / "results" / "videos"
    if error is None and app.builder.format == "html" and folder.is_dir():
        target = Path(app.outdir) / "_videos"
        target.mkdir(exist_ok=True)
        for film in sorted(folder.glob("*.mp4")):
            shutil.copyfile(film, target / film.name)


def check_alt(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Warn about every picture without alt text; a file path is no alt text."""
    for image in doctree.findall(nodes.image):
        words = (image.get("alt") or "").strip()
        if not words or words == image.get("uri") or words.startswith("../"):
            LOG.warning("picture without alt text: %s", image.get("uri"), location=image, type="td", subtype="alt")
    for raw in doctree.findall(nodes.raw):
        for tag in IMAGE.findall(raw.astext()):
            found = ALT.search(tag)
            if found is None or not (found.group(2) or found.group(3) or "").strip():
                LOG.warning("picture without alt text: %s", tag[:80], location=docname, type="td", subtype="alt")


def setup(app: Sphinx) -> dict:
    """Register both directives and the check."""
    app.add_directive("result-figure", ResultFigure)
    app.add_directive("video", Video)
    app.connect("doctree-resolved", check_alt)
    app.connect("build-finished", copy_videos)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
