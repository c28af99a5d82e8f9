"""The Δt explorer: ipywidgets in JupyterLab, and one self-contained element on a published page."""

import html
import json
from collections.abc import Sequence
from pathlib import Path

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from tdlib.figures.save import png_bytes
from tdlib.figures.style import METHOD_COLORS, style
from tdlib.interactive.predictions import Exploration

TEMPLATE = Path(__file__).with_name("explorer.html")
SLOWEST, FASTEST = 5.0, 200.0  # [Hz]


class Explorer(ipywidgets.VBox):
    """Choose a model and a rate; see its prediction beside the truth.

    In JupyterLab the slider is continuous and runs the models. A published page has no kernel: there the same object
    becomes an element whose slider moves over the precomputed rates.

    Args:
        exploration: What is predicted.
        frequencies: Rates stored for the published page [Hz].
        train_frequency: Rate marked as the training rate [Hz].
    """

    def __init__(self, exploration: Exploration, frequencies: Sequence[float], train_frequency: float = 20.0):
        self.exploration, self.frequencies, self.train_frequency = exploration, sorted(frequencies), train_frequency
        self._model = ipywidgets.Dropdown(options=list(exploration.models), description="model")
        self._rate = ipywidgets.FloatLogSlider(
            value=train_frequency, base=10, min=np.log10(SLOWEST), max=np.log10(FASTEST), step=0.005,
            description="rate [Hz]", readout_format=".1f", continuous_update=True,
        )  # fmt: skip
        self._image = ipywidgets.Image(format="png", width=640, height=320)
        self._error = ipywidgets.HTML()
        for control in (self._model, self._rate):
            control.observe(self._update, names="value")
        super().__init__([ipywidgets.HBox([self._model, self._rate]), self._image, self._error])
        self._update()

    def _update(self, change: object = None) -> None:
        name, rate = self._model.value, self._rate.value
        self._image.value = png_bytes(self.draw(name, rate), dots_per_inch=100)
        error = self.exploration.error(name, rate)
        self._error.value = f"Δt = {1000 / rate:.1f} ms: error over one second is {error:.2f} of the true change"

    def draw(self, name: str, control_frequency: float) -> Figure:
        """Draw the truth and one model's prediction."""
        with style():
            figure = Figure(figsize=(6.4, 3.2), layout="constrained")
            axes = figure.subplots()
            axes.plot(*self.exploration.truth(), color=METHOD_COLORS["oracle"], label="truth")
            axes.plot(
                *self.exploration.predict(name, control_frequency),
                color=METHOD_COLORS["baseline"],
                marker="o",
                linestyle="--",
                label=f"{name} at {control_frequency:.1f} Hz",
            )
            low, high = self._limits()
            axes.set(xlabel="time [s]", ylabel=self.exploration.label, ylim=(low, high))
            axes.legend(loc="upper left")
        return figure

    def _limits(self) -> tuple[float, float]:
        """Axis limits that do not depend on the slider, so that the picture does not jump."""
        values = self.exploration.truth()[1]
        margin = max(0.75 * (values.max() - values.min()), 0.05)
        return float(values.min() - margin), float(values.max() + margin)

    def page_data(self) -> dict:
        """Everything the published element shows, as plain numbers."""
        times, truth = self.exploration.truth()
        predictions = {
            name: [_plain(self.exploration.predict(name, rate)[1]) for rate in self.frequencies]
            for name in self.exploration.models
        }
        errors = {
            name: [self.exploration.error(name, rate) for rate in self.frequencies] for name in self.exploration.models
        }
        return {
            "rates": self.frequencies,
            "trained": self.train_frequency,
            "label": self.exploration.label,
            "limits": self._limits(),
            "times": _plain(times),
            "truth": _plain(truth),
            "predictions": predictions,
            "errors": {name: [round(e, 3) if np.isfinite(e) else None for e in row] for name, row in errors.items()},
        }

    def _repr_mimebundle_(self, **options: object) -> dict:
        bundle = super()._repr_mimebundle_(**options)
        bundle["text/html"] = self.page_element()
        return bundle

    def page_element(self) -> str:
        """Return the element for a page without a kernel; its table repeats the numbers for readers without scripts."""
        data = self.page_data()
        head = "".join(f"<th scope='col'>{rate:g}&nbsp;Hz</th>" for rate in data["rates"])
        rows = "".join(
            f"<tr><th scope='row'>{html.escape(name)}</th>"
            + "".join(f"<td>{'–' if e is None else format(e, '.2f')}</td>" for e in row)
            + "</tr>"
            for name, row in data["errors"].items()
        )
        table = f"<table><thead><tr><th scope='col'>error over 1 s</th>{head}</tr></thead><tbody>{rows}</tbody></table>"
        # "</" would end the script element
        content = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
        template = TEMPLATE.read_text(encoding="utf-8")
        return template.replace("__TABLE__", table).replace("__DATA__", content)


def _plain(values: np.ndarray) -> list[float]:
    """Round to what a screen shows; a diverged prediction leaves the picture instead of breaking it."""
    return [round(float(v), 4) for v in np.nan_to_num(values, nan=1e6, posinf=1e6, neginf=-1e6)]
