"""Pictures while models learn: one frame of a held-out clip, as a model shows it after more and more steps."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np

from tdlib.figures.save import Drawing
from tdlib.figures.strips import show_picture
from tdlib.figures.style import NothingToDrawError, new_figure, style
from tdlib.figures.visual_words import LARGE, name_of
from tdlib.figures.words import number_text
from tdlib.training.picture_log import LearnedPictures

MOST = 9  # models that are shown
COLUMNS = 6  # validations that are shown, and the truth behind them
LABEL_WIDTH = 16  # letters of a line


def draw_learned(found: Sequence[tuple[Mapping[str, Any], LearnedPictures]]) -> Drawing:
    """Draw the last frame of each model's clip after some of its validations, and the true one.

    Args:
        found: Key columns of a model, and its pictures.

    Raises:
        NothingToDrawError: If no pictures were taken.
    """
    if not found:
        raise NothingToDrawError("none of the models that were chosen reads pictures")
    found = [each for each in found if each[0]["method"] != LARGE][:MOST] or found[:MOST]
    with style():
        figure, axes = new_figure(len(found), COLUMNS + 1, height=0.3 + 0.95 * len(found))
        for line, (key, pictures) in zip(axes, found, strict=True):
            places = shown_places(len(pictures.steps))
            shown = [(f"{pictures.steps[k]}", pictures.seen[k, -1]) for k in places]
            shown += [("", np.full_like(pictures.truth[-1], 255))] * (COLUMNS - len(places))
            for axis, (words, frame) in zip(line, [*shown, ("truth", pictures.truth[-1])], strict=True):
                show_picture(axis, frame / 255)
                axis.set_xlabel(words)
            line[0].set_ylabel(fill(name(key), LABEL_WIDTH), rotation=0, ha="right", va="center")
    errors = {name(key): pictures.errors[:, -1] for key, pictures in found}
    best = min(errors, key=lambda each: errors[each].min())
    first, least = (number_text(float(each)) for each in (errors[best][0], errors[best].min()))
    env, ahead = found[0][0]["env"], max(pictures.times[-1] for _, pictures in found)
    caption = (
        f"{env}: a frame of a held-out clip of the first seed, n = 1, after as many optimizer steps as stand below it. "
        f"Models that are trained end to end predict it from {number_text(ahead)} s before; encoder and decoder alone "
        f"see it. The squared error per value of {best} is {first} at first and {least} at least, "
        f"the least of all here."
    )
    return Drawing(figure, caption, f"Rows of small pictures of {env}: what {len(found)} models show as they learn.")


def shown_places(count: int) -> list[int]:
    """Numbers of the validations that are shown: the first, the last, and more of the early ones between."""
    steps = np.geomspace(1, count, min(COLUMNS, count)).round().astype(int) - 1
    return list(dict.fromkeys(steps.tolist()))


def name(key: Mapping[str, Any]) -> str:
    """Name a model, or the encoder and decoder that flat predictors share."""
    return "encoder, decoder" if key["method"] == "autoencoder" else name_of(key)
