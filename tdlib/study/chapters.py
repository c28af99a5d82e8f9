"""Chapters beside the main study: each is a run with a preset and notebooks of its own, shown in the same book.

A preset says with `chapter` whose notebooks it runs, and with `chapters` which other presets run and are shown with it.
"""

from dataclasses import dataclass

from tdlib.evaluation import MEASURES

STUDY = "study"  # the main study, whose jobs depend on the size of its grid


@dataclass(frozen=True)
class Chapter:
    """The notebooks of one chapter.

    Args:
        each: Run once per system, with the papermill parameter `env`, each after the one before it.
        whole: Run once, after all of those.
        measures: Of the registry, those that only this chapter takes.
    """

    each: tuple[str, ...]
    whole: tuple[str, ...]
    measures: tuple[str, ...] = ()


CHAPTERS: dict[str, Chapter] = {
    "physics": Chapter(
        ("10_physics_train", "11_physics_evaluate"),
        ("12_physics_report", "13_physics_visualize"),
        ("energy", "dt_generalization"),
    ),
}


def measures_of(chapter: str) -> list[str]:
    """Return the measures that runs of a chapter take: all but those that only another one does."""
    others = {name for key, found in CHAPTERS.items() if key != chapter for name in found.measures}
    return [name for name in MEASURES if name not in others]
