"""The jobs of a run: one executed notebook each, with its parameters and the jobs it waits for."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from tdlib.study.arms import DEFAULT_SIZE, PERSISTENCE
from tdlib.study.chapters import STUDY, load_chapter
from tdlib.study.chapters.chapter import Notebook
from tdlib.study.layout import CELLS, RunLayout
from tdlib.study.presets import Preset
from tdlib.study.run import Run
from tdlib.study.selection import NO_MODEL, arms_of, select_arms

PHASES = tuple(name for name, notebook in load_chapter(STUDY).notebooks.items() if notebook.runs == "each")
Larger = dict[str, dict[tuple[str, str], tuple[int, ...]]]


@dataclass(frozen=True)
class Job:
    """One job.

    Args:
        name: Name of the executed notebook without its ending, unique in the run.
        notebook: Name of the source notebook without its ending.
        parameters: Papermill parameters beside `preset`.
        after: Names of the jobs that must have finished.
        order: Names of the jobs that add to the same tables, so that none of them may run beside this one: where both
            are to run, this one is later. It needs nothing of them.
        reads: File or folder below the repository, or several, that the notebook works with; no source, no result.
    """

    name: str
    notebook: str
    parameters: dict[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    reads: str | tuple[str, ...] = ""


def grid_jobs(preset: Preset) -> list[Job]:
    """List every job of a preset, without those of its chapters.

    A preset of the main study with `seeds_per_cell` runs cells first: collection once per seed, the later phases once
    per model and so many seeds, larger networks once per size, method and seed. One of another chapter collects and
    trains in cells, and shows each model by itself where its notebook can. The notebook of the whole environment then
    finds their results and shows them together.
    """
    return list(_grid_jobs(preset))


@lru_cache(maxsize=16)  # every job of a run asks for the jobs before it
def _grid_jobs(preset: Preset) -> tuple[Job, ...]:
    notebooks = load_chapter(preset.chapter).notebooks
    larger = _larger(preset) if preset.seeds_per_cell else {}
    jobs: list[Job] = []
    for name, notebook in notebooks.items():
        if notebook.needs is not None and not notebook.needs(preset, ""):
            continue
        for env in _places(notebook, preset):
            own = _name(name, notebook, env)
            cells: list[Job] = []
            if preset.seeds_per_cell and name in PHASES:
                cells = _split(name, env, preset, larger)
            elif preset.seeds_per_cell and "training" in notebook.work:
                cells = _split_training(name, notebook, env, preset)
            elif preset.seeds_per_cell and notebook.by_model:
                cells = _split_models(name, env, preset, notebook.after[0])
            before = [(earlier, notebooks[earlier]) for earlier in notebook.after]
            after = [_name(*told, place) for told in before for place in _waited_for(told[1], env, preset)]
            after += [cell.name for cell in cells]
            parameters = {notebook.place: env} if env else {}
            jobs += [*cells, Job(own, name, parameters, tuple(after), reads=notebook.reads)]
    return tuple(jobs)


def _places(notebook: Notebook, preset: Preset) -> Sequence[str]:
    """Return what a notebook runs for: systems, partly seen sets, or the empty name of the whole run."""
    systems = preset.environments
    return {"each": systems, "first": systems[:1], "seen": tuple(preset.seen_sets), "whole": ("",)}[notebook.runs]


def _waited_for(notebook: Notebook, env: str, preset: Preset) -> Sequence[str]:
    """Return for which of its places a notebook must have run: for the same system, or for all of them."""
    places = _places(notebook, preset)
    return [env] if env in places and notebook.runs != "first" else places


def _name(name: str, notebook: Notebook, env: str) -> str:
    """Return the name of a notebook's job for a system, or a set."""
    return f"{name}-{env}" if notebook.runs in ("each", "seen") else name


def cells_of_seeds(preset: Preset, seeds: Collection[int]) -> list[Job]:
    """Return the cells of some seeds, from collection to tables: a block of a long run.

    Raises:
        ValueError: If the preset has no cells, or a seed shares a cell with one that was not named.
    """
    if not preset.seeds_per_cell:
        raise ValueError(f"preset must have cells (seeds_per_cell) to be run by seeds, {preset.name} has none")
    unknown = [seed for seed in seeds if seed not in preset.own_seeds]
    if unknown:
        hint = "; those in taken lie in blocks, and run once they are taken out of that list"
        raise ValueError(
            f"seeds must be among the preset's {list(preset.own_seeds)}, got {unknown}"
            + hint * any(seed in preset.taken for seed in unknown)
        )
    cells = [job for job in grid_jobs(preset) if "seeds" in job.parameters]
    parted = [
        job.name for job in cells if 0 < len(set(job.parameters["seeds"]) - set(seeds)) < len(job.parameters["seeds"])
    ]
    if parted:
        raise ValueError(
            f"seeds must fill whole cells of {preset.seeds_per_cell}, got {sorted(seeds)}, which part {parted[0]}"
        )
    return [job for job in cells if set(job.parameters["seeds"]) <= set(seeds)]


def _larger(preset: Preset) -> Larger:
    """Return the seeds of larger networks by model, size and method."""
    found: Larger = {}
    for arm in arms_of(preset):
        if arm.size not in (DEFAULT_SIZE, PERSISTENCE.size):
            found.setdefault(arm.model, {})[arm.size, arm.method] = preset.own_seeds_of(arm)
    return found


def _split(phase: str, env: str, preset: Preset, larger: Larger) -> list[Job]:
    """List the cells of one phase of one environment.

    A cell waits for those of the phase before with its model and seeds. Cells of one model write into the same tables,
    so that they run one after the other; a block of seeds needs no other block.
    """
    if phase == PHASES[0]:
        return [Job(_collection(env, seed), phase, {"env": env, "seeds": [seed]}) for seed in preset.own_seeds]
    blocks, jobs = _blocks(preset), []
    # what needs no model stands beside every model: persistence, the oracle
    for model in [NO_MODEL, *preset.models] if phase in PHASES[2:] else preset.models:
        before: tuple[str, ...] = ()
        own = {} if phase == PHASES[3] else larger.get(model, {})  # they are not planned with
        for words, parameters in _cells(model, blocks, preset, own):
            seeds = parameters["seeds"]
            after = tuple(_collection(env, seed) for seed in seeds)
            if phase in PHASES[2:] and model != NO_MODEL:
                block = next(block for block in blocks if set(seeds) <= set(block))
                after += (_cell(PHASES[1], env, model, words), _cell(phase, env, NO_MODEL, _words(block)))
            name = _cell(phase, env, model, words)
            jobs.append(Job(name, phase, {"env": env, "models": [model], **parameters}, after, before))
            before += (name,)
    return jobs


def _split_training(name: str, notebook: Notebook, env: str, preset: Preset) -> list[Job]:
    """List the cells of a chapter's notebook that collects and trains: the data of each seed, then models and seeds.

    Blocks of seeds run side by side: the one table that trainings write is made whole by the notebook of the system.
    """
    seeds, place = preset.seeds_seen(env) if notebook.runs == "seen" else preset.own_seeds, {notebook.place: env}
    data = [
        Job(f"{CELLS}/{name}-{env}-seed{seed}", name, {**place, "models": [NO_MODEL], "seeds": [seed]})
        for seed in seeds
    ]
    after = {job.parameters["seeds"][0]: job.name for job in data}
    return data + [
        Job(
            _cell(name, env, f"{model}-{words}" if words else model, _words(block)),
            name,
            {**place, "models": [model], "seeds": list(block), **parameters},
            tuple(after[seed] for seed in block),
        )
        for model in preset.models
        for words, parameters in (notebook.cuts(preset, model, env) if notebook.cuts else [("", {})])
        for block in _blocks(preset, seeds)
        if not parameters or _has_seeds(preset, model, parameters, block)
    ]


def _has_seeds(preset: Preset, model: str, parameters: Mapping[str, list[str]], block: Sequence[int]) -> bool:
    """Whether an arm of a part of a model has one of some seeds."""
    run = Run(preset, RunLayout.of(preset.name))
    return bool(select_arms(run, models=[model], seeds=block, **parameters).members(model))


def _split_models(name: str, env: str, preset: Preset, training: str) -> list[Job]:
    """List the cells of a chapter's notebook that evaluates what another has trained: one per model, of all seeds.

    The first model's cell leaves what belongs to none, persistence and the limits, and the others wait for it.
    """
    cells = {model: f"{CELLS}/{name}-{env}-{model}" for model in preset.models}
    first = cells[preset.models[0]]
    trained = {model: [_cell(training, env, model, _words(block)) for block in _blocks(preset)] for model in cells}
    return [
        Job(cell, name, {"env": env, "models": [model]}, (*trained[model], *[first] * (cell != first)))
        for model, cell in cells.items()
    ]


def _blocks(preset: Preset, some: Sequence[int] | None = None) -> list[tuple[int, ...]]:
    """Return seeds, by default all that a run of a preset makes, in blocks, each of as many as share a cell."""
    seeds = preset.own_seeds if some is None else tuple(some)
    count = preset.seeds_per_cell or len(seeds)
    return [seeds[i : i + count] for i in range(0, len(seeds), count)]


def _cells(
    model: str, blocks: Sequence[tuple[int, ...]], preset: Preset, larger: Mapping[tuple[str, str], tuple[int, ...]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a name and the parameters of each cell of one model, block by block."""
    for block in blocks:
        parameters: dict[str, Any] = {"seeds": list(block)}
        if model != NO_MODEL and len(preset.sizes) > 1:
            parameters["sizes"] = [DEFAULT_SIZE]
        yield _words(block), parameters
        for (size, method), seeds in larger.items():
            for seed in seeds:
                if seed in block:
                    yield f"{size}-{method}-seed{seed}", {"seeds": [seed], "sizes": [size], "methods": [method]}


def _collection(env: str, seed: int) -> str:
    return f"{CELLS}/{PHASES[0]}-{env}-seed{seed}"


def _cell(phase: str, env: str, model: str, words: str) -> str:
    return f"{CELLS}/{phase}-{env}-{model}-{words}"


def _words(block: Sequence[int]) -> str:
    return "seeds" + "-".join(map(str, block))
