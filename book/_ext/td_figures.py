"""Result figures, videos, and the rule that every picture in the book says in words what it shows.

    ```{result-figure} ../results/figures/limits/Pendulum-v1.png
    :name: fig-limits-pendulum

    What to look at.
    ```

The alt text and the end of the caption (n, interval) come from the JSON file beside the picture. The form for the dark
theme, its data and the notebook that made it are found when the site is staged. Those of the reading path are numbered.
A missing picture or alt text is a warning, and therefore an error in the strict build; with `:if-drawn:` a sentence
stands in place of a picture that the run's tables, of older source, give no numbers for.
"""

import functools
import html
import json
import re
import shutil
import struct
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.directives.patches import Figure
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from td_path import path_of_site
from td_tables import read_preset

from tdlib.figures.save import VECTORS
from tdlib.study.presets import PRESET_FOLDER

PRESET = "td-preset"  # attribute of the node of a figure or film
DARK = ".dark.png"  # written beside each figure when the site is staged
LOG = logging.getLogger(__name__)
IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
THEMED_IMAGE = re.compile(r'<img(?=[^>]*only-(?:light|dark))(?=[^>]*src="[^"]*_images/([^"]+)")')
ALT = re.compile(r"""\balt\s*=\s*("([^"]*)"|'([^']*)')""", re.IGNORECASE)


class unnumbered_figure(nodes.figure):  # noqa: N801 (docutils finds what draws a node by the name of its class)
    """A figure of the appendix: Sphinx numbers figures by their class."""


class ResultFigure(Figure):
    """A figure whose alt text, caption tail, dark form and origin come from the files beside it."""

    option_spec = Figure.option_spec | {"if-drawn": directives.flag}

    def run(self) -> list[nodes.Node]:
        """Read the sidecar, build the figure in both themes, append caption tail and origin."""
        env = self.state.document.settings.env
        path = (Path(env.doc2path(env.docname)).parent / self.arguments[0]).resolve()
        words = sidecar_of(env, path)
        if "if-drawn" in self.options and not path.exists():
            return [nodes.paragraph("", "This figure is not among these results.", classes=["td-source"])]
        self.options.pop("if-drawn", None)
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
        show_both_themes(figure, path)
        caption = next((node for node in figure.children if isinstance(node, nodes.caption)), None)
        if caption is not None and words.get("caption"):
            caption += nodes.inline("", " " + words["caption"], classes=["td-tail"])
        figure += nodes.legend("", origin_line(env, path))
        figure[PRESET] = preset_of(env, path)
        if env.docname in path_of_site(Path(env.srcdir)):
            return result
        plain = unnumbered_figure("", *figure.children, **figure.attributes)
        return [plain if node is figure else node for node in result]


def sidecar_of(env: object, path: Path) -> dict[str, str]:
    """Read caption and alt text saved beside a picture or film; empty if there are none."""
    sidecar = path.with_suffix(".json")
    env.note_dependency(str(sidecar))
    return json.loads(sidecar.read_text(encoding="utf-8")) if sidecar.exists() else {}


def show_both_themes(figure: nodes.figure, path: Path) -> None:
    """Put the dark form beside the picture; the theme hides one of them, also from screen readers."""
    image = next(iter(figure.findall(nodes.image)), None)
    if image is None or not path.with_suffix(DARK).exists():
        return
    # a box of their own: the theme hides a caption that follows a hidden picture
    picture = nodes.container(classes=["td-picture"])
    parent = image.parent
    parent[parent.index(image)] = picture  # `replace_self` would hand the classes of the picture to the box
    picture += both_themes(image, path)


def both_themes(image: nodes.image, path: Path) -> list[nodes.image]:
    """Return the picture and behind it, where there is one, its dark form."""
    if not path.with_suffix(DARK).exists():
        return [image]
    dark = image.deepcopy()
    dark["uri"] = str(Path(image["uri"]).with_suffix(DARK))
    dark["classes"] = [*image["classes"], "only-dark"]
    image["classes"] = [*image["classes"], "only-light"]
    return [image, dark]


def origin_line(env: object, path: Path) -> nodes.paragraph:
    """Say where a figure or film comes from: its numbers, the notebook that made it, the command."""
    parts: list[list[nodes.Node]] = []
    if path.with_suffix(".csv").exists():
        parts.append([file_link(env, path.with_suffix(".csv"), "Data (CSV)")])
    for vector in filter(Path.exists, map(path.with_suffix, VECTORS)):
        parts.append([file_link(env, vector, f"Vector ({vector.suffix[1:].upper()})")])
    notebook = notebook_of(env, path)
    if notebook and env.docname == f"notebooks/{notebook}":
        parts.append([nodes.Text("made by this notebook")])
    elif notebook:
        words = nodes.inline("", f"notebook {notebook.partition('_')[0]}")
        options = {"refdomain": "std", "reftype": "doc", "refexplicit": True, "refwarn": True, "refdoc": env.docname}
        link = addnodes.pending_xref("", words, reftarget=f"/notebooks/{notebook}", **options)
        parts.append([nodes.Text("made by "), link])
    preset = preset_of(env, path)
    if (PRESET_FOLDER / f"{preset}.yaml").is_file():  # of a preset of one's own the file may have another name
        parts.append([nodes.literal("", f"make grid PRESET={preset}" if notebook else "make book")])
    line = nodes.paragraph(classes=["td-origin"])
    for i, part in enumerate(parts):
        line += [*([nodes.Text(" · ")] if i else []), *part]
    return line


def notebook_of(env: object, path: Path) -> str | None:
    """Return the notebook that made a figure or film; None if the run does not say."""
    root = Path(env.srcdir).resolve()
    made_by = read_staged(root, "origins")
    return made_by.get(path.relative_to(root / "results").as_posix()) if root in path.parents else None


def preset_of(env: object, path: Path) -> str:
    """Return the preset of the run that made a figure or film; the study's if the run does not say."""
    root = Path(env.srcdir).resolve()
    study = read_preset(root).get("preset", "quick")
    return read_staged(root, "presets").get(notebook_of(env, path) or "", study)


@functools.lru_cache(maxsize=8)
def read_staged(root: Path, name: str) -> dict:
    """Read what staging wrote: the notebook of each file (`origins`), its preset (`presets`), what that is (`runs`)."""
    path = root / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def file_link(env: object, file: Path, words: str) -> nodes.Node:
    """Make a download link to a file beside a figure."""
    target = "/" + file.relative_to(Path(env.srcdir).resolve()).as_posix()
    link = addnodes.download_reference("", "", reftarget=target, refdoc=env.docname)
    link += nodes.Text(words)
    return link


class Video(SphinxDirective):
    """A short film of a run with controls: path, caption as body, `:alt:` what it shows in words."""

    required_arguments = 1
    has_content = True
    option_spec = {
        "alt": directives.unchanged_required,
        "name": directives.unchanged,
        "if-filmed": directives.flag,  # the page stands without it where the run has no such film
    }

    def run(self) -> list[nodes.Node]:
        """Emit a figure with a video element; the file is copied when the build ends."""
        path = (Path(self.env.doc2path(self.env.docname)).parent / self.arguments[0]).resolve()
        self.env.note_dependency(str(path))
        words = sidecar_of(self.env, path)
        if not path.exists() and "if-filmed" in self.options:
            return []
        if not path.exists():
            LOG.warning("video not found: %s", self.arguments[0], location=self.get_location())
        up = "../" * self.env.docname.count("/")
        alt = html.escape(self.options.get("alt", "") or words.get("alt", ""))
        if not alt:
            LOG.warning("video without alt: %s", path.name, location=self.get_location())
        # the fragment makes every browser show a frame before it plays; there is no sound
        film = (
            f'<video controls loop muted playsinline preload="metadata" width="400" height="400" aria-label="{alt}">'
            f'<source src="{up}_videos/{path.name}#t=0.2" type="video/mp4">'
            f'<a href="{up}_videos/{path.name}">{alt}</a></video>'
        )
        figure = nodes.container(classes=["td-video"])
        figure += nodes.raw("", film, format="html")
        figure += self.parse_content_to_nodes()
        if words.get("caption"):
            figure += nodes.paragraph("", words["caption"], classes=["td-tail"])
        figure += origin_line(self.env, path)
        figure[PRESET] = preset_of(self.env, path)
        return [figure]


def measure_pictures(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Give figures their size, so that text does not jump, and load those below the screen when they come near."""
    if "td-picture" not in context.get("body", ""):
        return
    files = {name: source for source, name in app.builder.images.items()}

    def with_size(tag: re.Match) -> str:
        source = files.get(tag[1])
        if source is None:
            return tag[0]
        head = (Path(app.srcdir) / source).open("rb").read(24)
        width, height = struct.unpack(">II", head[16:24])
        return f'{tag[0]} loading="lazy" width="{width}" height="{height}"'

    context["body"] = THEMED_IMAGE.sub(with_size, context["body"])


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


def visit_unnumbered(translator: nodes.NodeVisitor, node: unnumbered_figure) -> None:
    """Begin it as any figure."""
    translator.visit_figure(node)


def depart_unnumbered(translator: nodes.NodeVisitor, node: unnumbered_figure) -> None:
    """End it as any figure."""
    translator.depart_figure(node)


def setup(app: Sphinx) -> dict:
    """Register both directives, the figures without a number, and the check."""
    app.add_node(unnumbered_figure, html=(visit_unnumbered, depart_unnumbered))
    app.add_directive("result-figure", ResultFigure)
    app.add_directive("video", Video)
    app.connect("doctree-resolved", check_alt)
    app.connect("html-page-context", measure_pictures)
    app.connect("build-finished", copy_videos)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
