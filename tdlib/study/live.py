"""Live figures of the notebooks: choices by ipywidgets, which enters here only, and the picture that follows them."""

from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

import ipywidgets
import pandas as pd

from tdlib.figures.live_picture import Draw, LivePicture
from tdlib.figures.save import SavedFigure, figure_element
from tdlib.study.run import Missing, Run, undrawn_here

LABELS = {
    "env": "system",
    "detail": "states",
    "rate": "rate [Hz]",
    "protocol": "test",
    "control_frequency": "control rate [Hz]",
    "test_frequency": "test rate [Hz]",
    "img_size": "size [pixels]",
    "render_quality": "quality",
}
WIDE = {"description_width": "10em"}

Choice: TypeAlias = ipywidgets.Dropdown | ipywidgets.SelectionSlider


def live(
    run: Run, name: str, draw: Draw, table: pd.DataFrame | None, *, part: str = "", **first: Hashable
) -> "LiveFigure | Missing":
    """Save a figure's first choice as `figures/live/<name>.png` and return it with the widgets that choose another.

    Args:
        run: Where it is saved.
        name: Name of the file.
        draw: From `tdlib.figures.live`.
        table: All rows; None or empty where there is nothing.
        part: Label of a part of the grid.
        first: What is chosen, by column -> its first value.
    """
    if (undrawn := undrawn_here("live", name, part)) is not None:
        return undrawn
    picture = None if table is None or table.empty else LivePicture(draw, table, **first)
    saved = run.save_figure("live", name, LivePicture.still, picture, part=part)
    if isinstance(saved, Missing):
        return saved
    assert picture is not None  # only what is there is saved
    return LiveFigure(picture, saved)


class Choices(ipywidgets.VBox):
    """Choices in a column, and below them what they show or say.

    Args:
        controls: From top to bottom.
        html: What stands below them at first.
    """

    def __init__(self, controls: Sequence[Choice], html: str = ""):
        self.shown = ipywidgets.HTML(html)
        super().__init__([*controls, self.shown])


class LiveFigure(Choices):
    """A small figure that follows its choices; where no kernel runs, the still picture of the first one.

    Args:
        picture: What is drawn.
        still: Its first choice.
    """

    def __init__(self, picture: LivePicture, still: SavedFigure):
        self._picture, self._still = picture, still
        self.choices = {name: _choice(name, values, picture.first[name]) for name, values in picture.options.items()}
        super().__init__(list(self.choices.values()), still._repr_html_())
        for control in self.choices.values():
            control.observe(self._redraw, "value")

    def _redraw(self, _: object) -> None:
        png, words = self._picture.png(**{name: control.value for name, control in self.choices.items()})
        self.shown.value = figure_element(png, words, words)

    def _repr_mimebundle_(self, **options: Any) -> dict:
        return {**super()._repr_mimebundle_(**options), "text/html": self._still._repr_html_()}


def dropdown(label: str, options: Sequence, value: object) -> ipywidgets.Dropdown:
    """A list to choose from."""
    return ipywidgets.Dropdown(options=options, value=value, description=label, style=WIDE, layout=_layout())


def _choice(name: str, values: Sequence, value: Hashable) -> Choice:
    """A slider for rates and numbers, a list for names."""
    label = LABELS.get(name, name)
    if len(values) < 2 or not all(str(each).replace(".", "", 1).isdigit() for each in values):
        return dropdown(label, values, value)
    return ipywidgets.SelectionSlider(options=values, value=value, description=label, style=WIDE, layout=_layout())


def _layout() -> ipywidgets.Layout:
    return ipywidgets.Layout(width="38em", max_width="100%")
