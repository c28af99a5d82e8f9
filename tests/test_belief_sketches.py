"""Drawings of models with a belief: whole, readable on a phone and in the dark, with numbers of the library."""

import io

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.text import Text

from tdlib import figures
from tdlib.figures import dark, style
from tdlib.figures.belief_sketches import SKETCHES
from tdlib.figures.theme import TEXT_CONTRAST, contrast


@pytest.fixture(scope="module", params=SKETCHES)
def sketch(request):
    return request.param, SKETCHES[request.param]()


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def test_it_is_whole_and_readable_on_a_phone(sketch, tmp_path):
    name, drawing = sketch
    saved = figures.save_drawing(drawing, tmp_path / f"{name}.png")
    assert saved.path.stat().st_size < 150_000 and saved.alt.endswith(".") and saved.caption.endswith(".")
    figure = drawing.figure
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.05, (box, width, height)
    smallest = min(text.get_fontsize() for text in texts(figure))
    assert smallest / 72 / width * style.PHONE_WIDTH >= style.PHONE_TEXT


def test_no_text_lies_on_another(sketch):
    _, drawing = sketch
    figure = drawing.figure
    figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    for i, (first, one) in enumerate(boxes):
        for second, other in boxes[i + 1 :]:
            assert not one.overlaps(other), (first, second)


def test_its_dark_form_keeps_the_contrast_of_text(sketch, tmp_path):
    name, drawing = sketch
    png = figures.save_drawing(drawing, tmp_path / f"{name}.png").path.read_bytes()
    pixels = imread(io.BytesIO(dark.dark_png(png)), format="png")[..., :3].reshape(-1, 3)
    colors, counts = np.unique(np.rint(255 * pixels).astype(int), axis=0, return_counts=True)
    ground = "#{:02x}{:02x}{:02x}".format(*colors[counts.argmax()])
    lightest = "#{:02x}{:02x}{:02x}".format(*colors[colors.sum(axis=1).argmax()])
    assert contrast(ground, lightest) > TEXT_CONTRAST


def test_the_covariance_is_cut_by_the_librarys_own_operations():
    whole, kept = (axis.images[0].get_array() for axis in SKETCHES["covariance"]().figure.axes[:2])
    d = len(whole) // 2
    stays = np.tile(np.eye(d, dtype=bool), (2, 2))
    np.testing.assert_allclose(kept[stays], whole[stays], atol=1e-6)
    assert (kept[~stays] == 0).all() and (np.abs(whole[~stays]) > 1e-3).mean() > 0.9
