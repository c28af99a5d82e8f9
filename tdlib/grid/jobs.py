"""The jobs of a run: one executed notebook each, with its parameters and the jobs it waits for."""

from dataclasses import dataclass, field
from typing import Any

from tdlib.study.layout import ROOT, WORKED
from tdlib.study.predictions import PREDICTIONS
from tdlib.study.presets import Preset, load_preset
from tdlib.study.selection import NO_MODEL

PHASES = ("01_data_exploration", "02_training_analysis", "03_results_visualization", "04_control")
AFTER = {  # open loop and closed loop need the models, not each other
    PHASES[0]: (),
    PHASES[1]: PHASES[:1],
    PHASES[2]: PHASES[1:2],
    PHASES[3]: PHASES[1:2],
}
OWN = "08_bring_your_own"
CHAPTERS = "quick"  # the preset whose systems, models and rates the book's chapters speak of


@dataclass(frozen=True)
class Job:
    """One job.

    Args:
        name: Name of the executed notebook without its ending, unique in the run.
        notebook: Name of the source notebook without its ending.
        parameters: Papermill parameters beside `preset`.
        after: Names of the jobs that must have finished.
        reads: File or folder below the repository that the notebook works with, neither source nor a result.
    """

    name: str
    notebook: str
    parameters: dict[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    reads: str = ""


def grid_jobs(preset: Preset) -> list[Job]:
    """List every job of a preset.

    A preset with `split_cells` runs collection once per seed and the later phases once per model first; the notebook of
    the whole environment then finds their results and shows them together.
    """
    jobs = [Job("00_ground_truth", "00_ground_truth")]
    for env in preset.environments:
        for phase in PHASES:
            before = tuple(f"{name}-{env}" for name in AFTER[phase])
            parts = _split(phase, env, preset, before) if preset.split_cells else []
            jobs += [*parts, Job(f"{phase}-{env}", phase, {"env": env}, before + tuple(part.name for part in parts))]
    first = preset.environments[0]
    last = tuple(f"{phase}-{env}" for phase in PHASES[-2:] for env in preset.environments)
    jobs.append(Job("05_statistics", "05_statistics", {}, last, reads=PREDICTIONS.relative_to(ROOT).as_posix()))
    jobs.append(Job("06_paper_figures", "06_paper_figures", {}, last))
    jobs.append(Job("07_explorer", "07_explorer", {"env": first}, (f"{PHASES[1]}-{first}",)))
    if has_chapters(preset):
        jobs.append(Job(OWN, OWN, {"env": first}, (f"{PHASES[2]}-{first}",), reads=WORKED))
    return jobs


def has_chapters(preset: Preset) -> bool:
    """Whether a preset runs all that the book's chapters speak of, at any size and with any number of seeds."""
    spoken_of = load_preset(CHAPTERS)
    names = ("environments", "models", "sizes", "train_frequencies", "test_frequencies")
    there = all(set(getattr(spoken_of, name)) <= set(getattr(preset, name)) for name in names)
    return there and set(spoken_of.control.frequencies) <= set(preset.control.frequencies)


def _split(phase: str, env: str, preset: Preset, after: tuple[str, ...]) -> list[Job]:
    if phase == PHASES[0]:
        return [
            Job(f"cells/{phase}-{env}-seed{seed}", phase, {"env": env, "seeds": [seed]}, after) for seed in preset.seeds
        ]
    first = []
    if phase in PHASES[2:]:  # what needs no model stands beside every model: persistence, the oracle
        first = [Job(f"cells/{phase}-{env}-{NO_MODEL}", phase, {"env": env, "models": [NO_MODEL]}, after)]
    after += tuple(job.name for job in first)
    return first + [
        Job(f"cells/{phase}-{env}-{model}", phase, {"env": env, "models": [model]}, after) for model in preset.models
    ]
