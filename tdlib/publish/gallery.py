"""The gallery: every figure of a run as a small picture that leads to the place where it stands in full.

A figure stands in full once: in a chapter, else in the notebook that made it, else in the gallery itself.
"""

import re
from pathlib import Path

from tdlib.core.files import write_text
from tdlib.publish.staged_media import DARK

PAGE = "book/gallery"
FILE = re.compile(r"\bfile: (\S+)")  # a page in the table of contents
NAMED = re.compile(r"\{result-figure\} \.\./results/(figures/\S+)\n(?::[a-z-]+:.*\n)*?:name: (\S+)")


def write_gallery(site: Path) -> None:
    """Write the page of a staged site whose contents, notebooks and media are there."""
    write_text(site / f"{PAGE}.md", gallery_page(site))


def gallery_page(site: Path) -> str:
    """Return the page's text.

    Args:
        site: Staged site; a page that its contents do not name shows nothing.
    """
    lines = [
        "# Gallery: every figure of this run",
        "",
        "A picture leads to the place where it stands in full, with its caption, its numbers (CSV) and what made it. "
        "Figures that no other page shows stand here.",
        "",
    ]
    shown, results = shown_in_full(site), site / "results"
    for folder in sorted(path for path in (results / "figures").glob("*") if path.is_dir()):
        images = sorted(path for path in folder.glob("*.png") if not path.name.endswith(DARK))
        elsewhere = [image for image in images if image.relative_to(results).as_posix() in shown]
        lines += [f"## {folder.name.replace('_', ' ').capitalize()}", ""] if images else []
        lines += ["::::{div} td-thumbs"] if elsewhere else []
        for image in elsewhere:
            lines += _block("thumbnail", image, f":to: {shown[image.relative_to(results).as_posix()]}")
        lines += ["::::", ""] if elsewhere else []
        for image in images:
            if image not in elsewhere:
                lines += [*_block("result-figure", image), ""]
    return "\n".join(lines)


def shown_in_full(site: Path) -> dict[str, str]:
    """Return the label at which another page shows a figure in full, by its path below `results/`; chapters first."""
    pages = set(FILE.findall((site / "_toc.yml").read_text(encoding="utf-8"))) - {PAGE}
    found: dict[str, str] = {}
    for page in (*sorted((site / "notebooks").glob("*.ipynb")), *sorted((site / "book").glob("*.md"))):
        if f"{page.parent.name}/{page.stem}" in pages:
            lines = page.read_text(encoding="utf-8").replace("\\n", "\n")  # a notebook's are inside of JSON
            found |= dict(NAMED.findall(lines))
    return found


def _block(directive: str, image: Path, *options: str) -> list[str]:
    family, name = image.parent.name, image.stem
    head = f":::{{{directive}}} ../results/figures/{family}/{image.name}"
    return [head, f":name: gallery-{family}-{name}", *options, "", f"**{name.replace('_', ' ')}**", ":::"]
