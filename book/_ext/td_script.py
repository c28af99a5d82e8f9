"""The last line of a page with code: that code as one script, to download, from `scripts/` of the staged site."""

from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from tdlib.publish.scripts import SCRIPTS, script_name


class DownloadScript(SphinxTransform):
    """Add the line where the page has a script; a transform, so that Sphinx collects the file with the page."""

    default_priority = 800

    def apply(self, **kwargs: object) -> None:
        """Append the link to the page's first section."""
        folder, _, page = self.env.docname.rpartition("/")
        name = f"{SCRIPTS}/{script_name(page) if folder == 'notebooks' else page}.py"
        section = next(iter(self.document.findall(nodes.section)), None)
        if section is None or not (Path(self.env.srcdir) / name).is_file():
            return
        link = addnodes.download_reference("", "", reftarget=f"/{name}", refdoc=self.env.docname)
        link += nodes.Text("Download this page as a script")
        section += nodes.paragraph("", "", link, classes=["td-script"])


def setup(app: Sphinx) -> dict:
    """Register the transform."""
    app.add_transform(DownloadScript)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
