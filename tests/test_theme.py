"""One design for figures and pages: contrast, color blindness, the dark form of a figure, and the style sheet."""

import base64
import io
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from tdlib.figures import dark, save, style, theme
from tdlib.publish.staged_media import show_files, write_dark_figures

TEXT = ("text", "muted", "accent", "focus", "good", "warn", "truth")
# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


@pytest.mark.parametrize("scheme", theme.SCHEMES)
def test_text_and_lines_stand_out_from_page_and_panel(scheme):
    named = theme.colors(scheme)
    for name, color in named.items():
        if name in ("background", "surface", "grid"):
            continue
        need = theme.TEXT_CONTRAST if name in TEXT else theme.LINE_CONTRAST
        for ground in ("background", "surface"):
            found = theme.contrast(color, named[ground])
            assert found >= need, f"{scheme}: {name} {color} on {ground} has {found:.2f}, must be at least {need}"


def test_contrast_is_that_of_the_guidelines():
    assert theme.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert theme.contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)
    with pytest.raises(ValueError, match="scheme must be one of .* got 'sepia'"):
        theme.colors("sepia")


@pytest.mark.parametrize("scheme", theme.SCHEMES)
@pytest.mark.parametrize("kind", BLINDNESS)
def test_methods_differ_for_color_blind_readers(scheme, kind):
    names = ("baseline", "dt_conditioned", "multi_resolution", "ode", "rescaled", "recurrent_rollout")
    rgb = np.array([dark._channels(theme.THEME[scheme]["method"][name]) for name in names])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ np.array(BLINDNESS[kind]).T
    seen = dark._to_oklab(dark._encoded(np.clip(linear, 0, 1)))
    for (i, a), (j, b) in itertools.combinations(enumerate(names), 2):
        assert np.linalg.norm(seen[i] - seen[j]) > 0.03, f"{a} and {b} look alike ({kind}, {scheme})"


def test_both_schemes_name_the_same_colors_and_pages_get_them_all():
    assert theme.colors("light").keys() == theme.colors("dark").keys()
    sheet = theme.theme_css()
    for scheme in theme.SCHEMES:
        for name, color in theme.colors(scheme).items():
            assert f"--td-{name}: {color};" in sheet
    for name in ("--td-space-4", "--td-font-size-small", "--td-font-size-large"):
        assert name in sheet
    assert sheet.count("{") == sheet.count("}")


def drawn() -> bytes:
    with style.style():
        figure, axes = style.new_figure(1, 1, width=3, height=2)
        for i, method in enumerate(("baseline", "multi_resolution", "oracle")):
            axes[0, 0].plot([0, 1], [i, i], linewidth=12, color=style.METHOD_COLORS[method], solid_capstyle="butt")
        axes[0, 0].fill_between([0, 1], 3, 4, color=style.METHOD_COLORS["ode"], alpha=0.25, linewidth=0)
    return save.png_bytes(figure)


def test_dark_figures_have_the_dark_theme_and_the_same_pixels():
    light = drawn()
    night = dark.dark_png(light)
    assert len(night) == len(light)
    before, after = (Image.open(io.BytesIO(png)) for png in (light, night))
    assert after.mode == "P" and (np.array(before) == np.array(after)).all()  # indices: nothing is drawn again
    shown = {tuple(color) for color in np.array(after.convert("RGB")).reshape(-1, 3)}
    for name in ("baseline", "multi-resolution", "truth", "background"):
        wanted = 255 * dark._channels(theme.colors("dark")[name])
        assert min(np.abs(np.array(color) - wanted).max() for color in shown) <= 2, name
    share, named = 0.25, theme.colors("dark")
    band = share * dark._channels(named["ode"]) + (1 - share) * dark._channels(named["background"])
    assert min(np.abs(np.array(color) / 255 - band).max() for color in shown) < 0.02
    with pytest.raises(ValueError, match="must begin with the PNG signature"):
        dark.dark_png(b"GIF89a..")
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    with pytest.raises(ValueError, match="must have a palette"):
        dark.dark_png(buffer.getvalue())


def test_other_colors_keep_their_order_of_lightness_turned_over():
    grays = np.linspace(0.0, 1.0, 9)[:, None] * np.ones(3)
    assert (np.diff(dark._to_oklab(dark.dark_colors(grays))[:, 0]) < 0).all()


def test_staged_notebooks_show_files_and_say_who_made_them(tmp_path):
    figures, notebooks = tmp_path / "results" / "figures" / "a", tmp_path / "notebooks"
    figures.mkdir(parents=True)
    notebooks.mkdir()
    (figures / "x.png").write_bytes(drawn())
    assert write_dark_figures(tmp_path / "results" / "figures") == 1
    assert write_dark_figures(tmp_path / "results" / "figures") == 1  # a dark form has no dark form
    data = base64.b64encode((figures / "x.png").read_bytes()).decode()
    shown = {"data": {"text/html": f'<figure><img src="data:image/png;base64,{data}" alt="x"></figure>'}}
    other = {"data": {"text/html": '<img src="data:image/png;base64,AAAA">'}}
    for name in ("03_b", "02_a"):
        content = {"cells": [{"cell_type": "code", "outputs": [shown, other]}, {"cell_type": "markdown"}]}
        (notebooks / f"{name}.ipynb").write_text(json.dumps(content))
    assert show_files(notebooks, tmp_path / "results") == {"figures/a/x.png": "02_a"}
    staged = json.loads((notebooks / "03_b.ipynb").read_text())["cells"][0]["outputs"]
    assert staged[0]["data"]["text/markdown"] == "```{result-figure} ../results/figures/a/x.png\n```\n"
    first = json.loads((notebooks / "02_a.ipynb").read_text())["cells"][0]["outputs"][0]["data"]["text/markdown"]
    assert first.splitlines()[1] == ":name: made-a-x"  # a label stands once
    assert "text/html" in staged[0]["data"]  # a downloaded notebook still shows its picture
    assert "text/markdown" not in staged[1]["data"]
