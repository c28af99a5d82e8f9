"""A small figure that a choice draws again in place, fast enough to follow a slider."""

import io
from collections.abc import Callable, Hashable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tdlib.figures.save import Drawing
from tdlib.figures.selection import name_arms
from tdlib.figures.style import WIDTH, sort_rates, style

HEIGHT = 3.0  # [in]
FRAME = {"left": 0.17, "right": 0.97, "top": 0.86, "bottom": 0.18}  # fixed: to lay out takes longer than to draw
SCREEN_DOTS = 110  # per inch, of a picture in JupyterLab
SAID = {
    "repair": ("", ""),
    "protocol": ("test ", ""),
    "rate": ("at ", " Hz"),
    "sequence": ("sequence ", ""),  # column -> what stands before and after its value
    "env": ("", ""), "detail": ("", ""), "arm": ("", ""), "seed": ("seed ", ""), "start": ("start ", ""),
    "control_frequency": ("at ", " Hz"), "test_frequency": ("tested at ", " Hz"),
    "img_size": ("", " pixels per side"), "color": ("", ""), "render_quality": ("", " quality"),
}  # fmt: skip

Draw = Callable[[Axes, pd.DataFrame, pd.DataFrame], str]  # (axes, rows of the choice, all rows) -> sentence


class LivePicture:
    """A small figure of the rows that a choice leaves of a table, drawn in place for one choice after another.

    Args:
        draw: Draws the rows on empty axes and says in a sentence, with n and the system, what they show. It sets the
            same properties of the axes at every choice, since these keep them.
        table: All rows, at least one.
        first: What is chosen, two columns or more -> first values; where no row has one, that of the first row.
    """

    def __init__(self, draw: Draw, table: pd.DataFrame, **first: Hashable):
        if "arm" in first:
            table = name_arms(table)
        self.options = {name: _in_order(table[name]) for name in first}
        self.first: dict[str, Hashable] = {}
        rows = table
        for name, value in first.items():  # each among the rows that those before it leave
            self.first[name] = value if (rows[name] == value).any() else rows[name].iloc[0]
            rows = rows[rows[name] == self.first[name]]
        self._draw, self._table = draw, table
        self._places = table.groupby(list(first), sort=False).indices
        self._figure = Figure(figsize=(WIDTH, HEIGHT))
        self._canvas = FigureCanvasAgg(self._figure)
        with style():
            self._axis = self._figure.add_subplot()
        self._figure.subplots_adjust(**FRAME)

    def still(self) -> Drawing:
        """Return the first choice as a figure for a page."""
        words, rows = self._redraw(self.first)
        return Drawing(self._figure, words, f"One choice of several. {words}", rows)

    def png(self, **chosen: Hashable) -> tuple[bytes, str]:
        """Draw a choice: the picture for a screen, and the sentence that belongs to it."""
        words, _ = self._redraw(chosen)
        self._figure.dpi = SCREEN_DOTS
        self._canvas.draw()
        buffer = io.BytesIO()
        pixels = np.asarray(self._canvas.buffer_rgba())
        Image.fromarray(pixels).convert("RGB").save(buffer, "PNG", compress_level=1)
        return buffer.getvalue(), words

    def _redraw(self, chosen: Mapping[str, Hashable]) -> tuple[str, pd.DataFrame]:
        rows = self._table.iloc[self._places.get(tuple(chosen[name] for name in self.first), [])]
        told = ", ".join(_said(name, chosen[name]) for name in self.first)
        self._empty()
        with style():
            self._axis.set_title(told, wrap=True, y=1.0)  # to place it by itself, axes measure every label once more
            if rows.empty:
                self._axis.text(0.5, 0.5, "not in this run", ha="center", transform=self._axis.transAxes)
                return f"Chosen: {told}. This is not in this run (n = 0).", rows
            return f"Chosen: {told}. {self._draw(self._axis, rows, self._table)}", rows

    def _empty(self) -> None:
        """Take away what was drawn; new axes would make every tick anew, which is half of the time."""
        axis = self._axis
        legend = axis.get_legend()
        for artist in [*axis.lines, *axis.collections, *axis.texts, *axis.images, *([legend] if legend else [])]:
            artist.remove()
        axis.ignore_existing_data_limits = True
        axis.autoscale()


def _said(name: str, value: Hashable) -> str:
    """Say one choice in words, for example `tested at 50 Hz`."""
    before, after = SAID[name]
    return f"{before}{value}{after}"


def _in_order(values: pd.Series) -> list[Hashable]:
    """Distinct values: rates and numbers by size, names as they come."""
    found = values.unique().tolist()
    if all(isinstance(value, str) and value.replace(".", "", 1).isdigit() for value in found):
        return list(sort_rates(found))
    return sorted(found) if all(isinstance(value, int) for value in found) else found
