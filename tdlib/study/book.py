"""Which runs make a book: a preset with those of the chapters beside it, and whether pages can speak of them."""

from tdlib.study.presets import Preset, load_preset

WHOLE_BOOK = "quick"  # the preset whose systems, models and rates the book speaks of


def runs_of(preset: Preset) -> list[Preset]:
    """Return a preset and those of the chapters that run and are shown with it."""
    return [preset, *map(load_preset, preset.chapters)]


def fills_the_book(preset: Preset) -> bool:
    """Whether a preset and its chapters run all that the book speaks of, at any size and with any number of seeds."""
    spoken_of, there = ({run.chapter: run for run in runs_of(one)} for one in (load_preset(WHOLE_BOOK), preset))
    return all(name in there and _holds(there[name], run) for name, run in spoken_of.items())


def is_whole_study(preset: Preset) -> bool:
    """Whether a preset of the main study runs all of it that the book speaks of, whatever chapters are beside it."""
    return _holds(preset, load_preset(WHOLE_BOOK))


def _holds(preset: Preset, other: Preset) -> bool:
    """Whether a preset runs all that another one does."""
    names = ("environments", "models", "sizes", "train_frequencies", "test_frequencies")
    there = all(set(getattr(other, name)) <= set(getattr(preset, name)) for name in names)
    return there and set(other.control.frequencies) <= set(preset.control.frequencies)
