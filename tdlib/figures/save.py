"""Figures as files: a PNG, its caption and alt text beside it, and the plotted data as CSV."""

import base64
import html
import io
import json
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from tdlib.core.files import write_bytes

DOTS_PER_INCH = 160  # pages show a figure 576 px wide at most (book.css), so that its text is as large as theirs
# letters as letters: text of a vector figure can be searched; names inside an SVG are made of its content alone
VECTOR_STYLE = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "tdlib"}
VECTORS = {
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
}  # kinds of vector figures, and what they leave unsaid
PALETTE_SIZE = 256  # colors kept in the PNG: figures are flat, so files shrink about threefold without visible change


@dataclass(frozen=True)
class Drawing:
    """A finished figure and the words that go with it.

    Args:
        figure: The drawing.
        caption: What is shown, with units, n and interval.
        alt: One sentence for readers who cannot see it.
        data: The plotted table, None if it is not a table.
    """

    figure: Figure
    caption: str
    alt: str
    data: pd.DataFrame | None = None


@dataclass(frozen=True)
class SavedFigure:
    """A figure on disk; shown by notebooks as an image with alt text and caption.

    Args:
        path: The PNG file.
        caption: Text below the image.
        alt: Text in place of the image.
    """

    path: Path
    caption: str
    alt: str

    def _repr_html_(self) -> str:
        return figure_element(self.path.read_bytes(), self.caption, self.alt)


def figure_element(png: bytes, caption: str, alt: str) -> str:
    """Return the element that shows a picture with its words."""
    image = base64.b64encode(png).decode()
    return (
        f'<figure><img src="data:image/png;base64,{image}" alt="{html.escape(alt)}" '
        'style="max-width:min(100%, 36rem)">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def save_figure(
    figure: Figure, path: str | Path, *, caption: str, alt: str, data: pd.DataFrame | None = None
) -> SavedFigure:
    """Write `name.png`, `name.json` (caption, alt) and, with data, `name.csv`; each appears whole or not at all.

    Raises:
        ValueError: If the path is no PNG or a text is empty.
    """
    path = Path(path)
    if path.suffix != ".png":
        raise ValueError(f"path must end in .png, got {path.name!r}")
    for name, text in (("caption", caption), ("alt", alt)):
        if not text.strip():
            raise ValueError(f"{name} must say what the figure shows, got {text!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, png_bytes(figure))
    sidecar = json.dumps({"caption": caption, "alt": alt}, ensure_ascii=False, indent=1)
    write_bytes(path.with_suffix(".json"), sidecar.encode())
    if data is not None:
        write_bytes(path.with_suffix(".csv"), data.to_csv(index=False, float_format="%.6g").encode())
    return SavedFigure(path, caption, alt)


def save_drawing(drawing: Drawing, path: str | Path) -> SavedFigure:
    """Write what a `draw_...` function returned."""
    return save_figure(drawing.figure, path, caption=drawing.caption, alt=drawing.alt, data=drawing.data)


def vector_bytes(figure: Figure, suffix: str) -> bytes:
    """Render a figure as a vector, text as text; no dates inside, so equal figures give equal files.

    Args:
        figure: The drawing.
        suffix: One of VECTORS.
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context(VECTOR_STYLE):
        figure.savefig(buffer, format=suffix.removeprefix("."), metadata=VECTORS[suffix])
    return buffer.getvalue()


def png_bytes(figure: Figure, dots_per_inch: int = DOTS_PER_INCH) -> bytes:
    """Render a figure as a PNG with a palette; no dates inside, so equal figures give equal files."""
    from PIL import Image  # comes with matplotlib

    figure.dpi = dots_per_inch
    _leave_out_minor_ticks(figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # lays out and draws once; `savefig` would draw a second time
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    image = pixels.quantize(PALETTE_SIZE, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _leave_out_minor_ticks(figure: Figure) -> None:
    """Drop the minor ticks of logarithmic axes over two decades or more: a third of the time to draw, and clutter."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            if axis.get_scale() == "log" and low > 0 and high / low >= 100:
                axis.set_minor_locator(NullLocator())
