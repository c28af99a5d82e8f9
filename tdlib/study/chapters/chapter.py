"""What a chapter says of itself: its notebooks, what they must leave behind, and what of it the edition keeps."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tdlib.study.arms import Arm

if TYPE_CHECKING:  # presets name chapters
    from tdlib.study.presets import Preset
    from tdlib.study.run import Run

Need = Callable[["Preset", str], bool]  # (preset, system, empty for all of them) -> whether it is there
# (preset, model, system) -> parts of the model's training: words for its name, and parameters of the notebook
Cuts = Callable[["Preset", str, str], Iterable[tuple[str, Mapping[str, list[str]]]]]
DATA, TRAINING, RESULTS, USE = "Ground truth and data", "Models and training", "Results", "Use it"


@dataclass(frozen=True)
class Notebook:
    """One notebook of a chapter.

    Args:
        part: Heading that it stands below where a run has a book of its own.
        runs: Once for each system, once for the first of them, once for each partly seen set, or once for the whole
            run.
        after: Notebooks of the chapter that must have finished: for the same system, or for all if it runs once.
        work: Kinds of work, of those in `tdlib.study.cost`, that it does where it is not done yet.
        reads: File or folder below the repository, or several, that it works with, neither source nor a result.
        needs: Whether a preset has it; None if any does.
        by_model: Whether it can show one model alone, so that a preset in cells runs it for each by itself first.
        cuts: Of one that trains: in which parts each model is trained, where a preset in cells is to have smaller ones
            than a model and some seeds.
    """

    part: str
    runs: Literal["each", "first", "seen", "whole"] = "each"
    after: tuple[str, ...] = ()
    work: tuple[str, ...] = ()
    reads: str | tuple[str, ...] = ""
    needs: Need | None = None
    by_model: bool = False
    cuts: Cuts | None = None

    @property
    def place(self) -> str:
        """Parameter that names what it runs for: a system, or a partly seen set."""
        return "seen" if self.runs == "seen" else "env"


@dataclass(frozen=True)
class Rows:
    """The rows that a table must hold for every system and seed.

    Args:
        arms: Whether an arm must be there.
        rates: Test rates at which; None if the table has no rates, or others.
    """

    arms: Callable[[Arm], bool]
    rates: Callable[["Preset"], Sequence[str]] | None = None


@dataclass(frozen=True)
class Chapter:
    """One chapter.

    Args:
        notebooks: By name, each after those that it waits for.
        tables: Tables that a finished run must have.
        figures: Pictures that it must have, below `results/figures`, and where; None if any preset has it. `{}` stands
            for the system in the name of one that is drawn for each.
        seen_figures: Those of each partly seen set, for whose name `{}` stands.
        shipped: Checkpoints of a system of which the edition keeps those of the first seed.
        shipped_of_more_seeds: Checkpoints of further seeds that it keeps too.
        max_bytes: Most that its edition may take.
        measures: Of the registry, those that this chapter takes and the main study does not.
        foretells: First words of the names of its predictions.
        plans: Arms, of those that act, that are planned with where a notebook controls.
        own_transitions: (preset, system) -> transitions that these ask of one model, beside the pairs and rollouts of
            one seed's test set.
        own_steps: (preset, system) -> arm -> optimizer steps of one seed in trainings like its own, beside the grid's.
    """

    notebooks: Mapping[str, Notebook]
    tables: Mapping[str, Rows]
    figures: Mapping[str, Need | None]
    shipped: Callable[["Run", str], list[Path]]
    max_bytes: int
    shipped_of_more_seeds: Callable[["Run", str], list[Path]] = lambda run, env: []
    seen_figures: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    foretells: tuple[str, ...] = ()
    plans: Callable[[Arm], bool] = lambda arm: True
    own_transitions: Callable[["Preset", str], int] = lambda preset, env: 0
    own_steps: Callable[["Preset", str], Mapping[Arm, int]] = lambda preset, env: {}

    def controls(self, preset: "Preset", env: str) -> bool:
        """Whether a notebook of a preset plans on a system."""
        return any(
            "control" in notebook.work
            and (notebook.needs is None or notebook.needs(preset, env))
            and (notebook.runs != "first" or env == preset.environments[0])
            for notebook in self.notebooks.values()
        )
