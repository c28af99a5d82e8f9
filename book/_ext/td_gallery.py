"""Small pictures of the gallery: each leads to the place where the figure stands in full.

    :::{thumbnail} ../results/figures/limits/Pendulum-v1.png
    :name: gallery-limits-Pendulum-v1
    :to: fig-limits-pendulum

    **Pendulum-v1**
    :::

A label that no page has is a warning, and therefore an error in the strict build.
"""

from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from td_figures import PRESET, both_themes, preset_of, sidecar_of, unnumbered_figure

TARGET = "td-target"  # attribute of a figure: the label that it leads to
LOG = logging.getLogger(__name__)


class Thumbnail(SphinxDirective):
    """A figure's picture as a link, with a name as body; behind it stands where the figure is."""

    required_arguments = 1
    has_content = True
    option_spec = {"name": directives.unchanged_required, "to": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Build the picture in both themes inside its link, and the caption."""
        path = (Path(self.env.doc2path(self.env.docname)).parent / self.arguments[0]).resolve()
        figure = unnumbered_figure("", classes=["td-thumb"])
        figure[PRESET], figure[TARGET] = preset_of(self.env, path), self.options["to"].lower()
        image = nodes.image("", uri=self.arguments[0], alt=sidecar_of(self.env, path).get("alt", ""))
        link = nodes.reference("", "", *both_themes(image, path), refuri="", internal=True)
        figure += nodes.paragraph("", "", link, classes=["td-picture"])
        figure += nodes.caption("", "", *self.parse_content_to_nodes()[0].children)
        self.add_name(figure)
        return [figure]


def lead_to_labels(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give each picture the address of its label, and its caption the place: figure, notebook or page."""
    labels = app.env.get_domain("std").anonlabels
    for figure in doctree.findall(unnumbered_figure):
        label = figure.get(TARGET)
        if label and label not in labels:
            LOG.warning("a thumbnail leads to %r, a label that no page has", label, location=docname)
        elif label:
            page, place, *_ = labels[label]
            link = next(iter(figure.findall(nodes.reference)))
            link["refuri"] = f"{app.builder.get_relative_uri(docname, page)}#{place}"
            figure[-1] += nodes.inline("", f" {place_of(app, page, place)}", classes=["td-tail"])


def place_of(app: Sphinx, page: str, place: str) -> str:
    """Say where a figure stands: its number, else the notebook's, else the title of the page."""
    number = app.env.toc_fignumbers.get(page, {}).get("figure", {}).get(place)
    if number:
        return f"Fig. {'.'.join(map(str, number))}"
    if page.startswith("notebooks/"):
        return f"notebook {page.removeprefix('notebooks/').partition('_')[0]}"
    return app.env.titles[page].astext()


def setup(app: Sphinx) -> dict:
    """Register the directive and what completes its links."""
    app.add_directive("thumbnail", Thumbnail)
    app.connect("doctree-resolved", lead_to_labels)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
