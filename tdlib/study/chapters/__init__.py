"""Chapters of the book: each is a run with a preset and notebooks of its own, shown with the others.

A preset says with `chapter` whose notebooks it runs, and with `chapters` which other presets run and are shown with it.
A chapter is one file and one line here; what runs it, checks it, stages its pages and keeps its edition asks it.
"""

from typing import cast

from tdlib.core.imports import import_object
from tdlib.evaluation import MEASURES
from tdlib.study.chapters.chapter import Chapter

STUDY = "study"  # the main one, whose run the book is built from, and whose jobs depend on the size of its grid
CHAPTERS: dict[str, str] = {  # where each is written; read when first asked for, since presets name chapters too
    STUDY: "tdlib.study.chapters.main_study:MAIN_STUDY",
    "physics": "tdlib.study.chapters.physics:PHYSICS",
    "history": "tdlib.study.chapters.history:HISTORY",
    "mts3": "tdlib.study.chapters.mts3:MTS3",
    "visual": "tdlib.study.chapters.visual:VISUAL",
    "hardware": "tdlib.study.chapters.hardware:HARDWARE",
    "rate_doctor": "tdlib.study.chapters.rate_doctor:RATE_DOCTOR",
}


def load_chapter(name: str) -> Chapter:
    """Return a chapter by its name in `CHAPTERS`."""
    return cast(Chapter, import_object(CHAPTERS[name]))


def chapter_module(name: str) -> str:
    """Return the module that a chapter is written in."""
    return CHAPTERS[name].partition(":")[0]


def measures_of(chapter: str) -> list[str]:
    """Return the measures that runs of a chapter take: all but those that only others do."""
    others = {name for key in CHAPTERS for name in load_chapter(key).measures} - {*load_chapter(chapter).measures}
    return [name for name in MEASURES if name not in others]


def owner_of(prediction: str) -> str:
    """Return the chapter that a prediction is of, by the first word of its name; the study's are all others."""
    word = prediction.partition("-")[0]
    return next((name for name in CHAPTERS if word in load_chapter(name).foretells), STUDY)
