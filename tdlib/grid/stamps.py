"""Jobs of a run as results: what an executed notebook, the checks, and the book were made from.

    TDLIB_JOB=05_statistics TDLIB_LOGS=… python -m tdlib.grid.stamps quick TOKEN tdlib.grid.batch 05_statistics.ipynb …

runs the `main` of the module that is named and, where it ends well, records in `<run>/stamps/<job>.yaml`: the text of
the notebook that ran, its parameters, the preset, the source of all it imports as the kernel had it in memory, the
stamps of the jobs before it, the hashes of every file it wrote or relied on, and of the tables that other jobs add to
the members that it answers for. Snakemake is told by `token_of`
whether a job is to run again, so that contents decide and no file's time does.
"""

import ast
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from tdlib.core.files import PACKERS, write_text
from tdlib.core.sources import PACKAGE, module_path, source_hash
from tdlib.grid.jobs import Job, grid_jobs
from tdlib.grid.spent import set_aside
from tdlib.study.blocks import BLOCKS, FREE, blocks_of, presets_on_pages
from tdlib.study.book import runs_of
from tdlib.study.chapters import chapter_module, measures_of
from tdlib.study.layout import ROOT, RunLayout
from tdlib.study.presets import Preset, PresetError, load_preset
from tdlib.study.provenance import (
    Result,
    file_hash,
    produced_files,
    read_stamp,
    shared_results,
    written_for,
)

ROOTS = "TDLIB_SOURCES"  # environment variable: modules whose source a kernel is to report
CHECKS, BOOK = "checks", "book"  # the jobs that are no notebooks
BOOK_FOLDERS, BOOK_FILES = ("book", "tdlib"), ("_config.yml", "_toc.yml")
PUBLISHED, TAKEN = "published", BLOCKS.name  # below book/; of the edition only conclusions go into a run's pages
CONCLUSIONS = ("statistics.csv", "predictions.csv", "summary_statistics.json", "ensemble_calibration.csv")
INJECTED = "injected-parameters"  # tag of the cell that papermill adds


def job_names(preset: Preset) -> list[str]:
    """Return the names of all jobs of a preset without its chapters: notebooks, checks, book."""
    return [*(job.name for job in grid_jobs(preset)), CHECKS, BOOK]


def job_result(preset: Preset, name: str) -> Result:
    """Return a job as a result.

    Args:
        preset: Preset of the run.
        name: Name of the job.

    Raises:
        ValueError: If the preset has no such job.
    """
    layout = RunLayout.of(preset.name)
    jobs = {job.name: job for job in grid_jobs(preset)}
    if name not in (*jobs, CHECKS, BOOK):
        raise ValueError(f"name must be one of {job_names(preset)}, got {name!r}")
    more: dict[str, object] = {}
    if name in jobs:
        job = jobs[name]
        more = {"notebook": notebook_hash(_notebook(job)), "parameters": job.parameters}
        if job.reads:
            named = (job.reads,) if isinstance(job.reads, str) else job.reads
            more["reads"] = _hash_of_files(path for each in named for path in _files_below(ROOT / each))
        after: Sequence[str] = job.after
    else:
        after = list(jobs) if name == CHECKS else [CHECKS]
    if preset.taken and name not in (CHECKS, BOOK):
        there = blocks_of(preset.name)
        more["taken"] = _hash_of_files(
            path for folder in dict.fromkeys(map(there.__getitem__, preset.taken)) for path in _files_below(folder)
        )
    if name == BOOK:
        more["pages"] = _hash_of_files(_book_files())
        beside = {run.name: stamp_path(RunLayout.of(run.name), CHECKS) for run in runs_of(preset)[1:]}
        more["chapters"] = {run: file_hash(path) for run, path in beside.items()}
    return Result(
        stamp_path(layout, name),
        sources=source_hash(*job_roots(preset, name)),
        job=name,
        preset=preset.model_dump(mode="json", exclude={"chapters"}),  # what runs beside it changes none of its jobs
        after={before: file_hash(stamp_path(layout, before)) for before in after},
        **more,
    )


def stamp_path(layout: RunLayout, job: str) -> Path:
    """Return the path of a job's stamp."""
    return layout.root / "stamps" / f"{job}.yaml"


def job_roots(preset: Preset, name: str) -> list[str]:
    """Return the roots of a job for `source_hash`: what its notebook imports, its systems, and its model families."""
    if name == CHECKS:
        return ["tdlib.grid.checks", chapter_module(preset.chapter)]
    if name == BOOK:
        return ["tdlib.publish.site", *(chapter_module(run.chapter) for run in runs_of(preset))]
    job = next(job for job in grid_jobs(preset) if job.name == name)
    code = "\n".join(cell["source"] for cell in read_cells(_notebook(job)) if cell["cell_type"] == "code")
    envs = [job.parameters["env"]] if "env" in job.parameters else preset.environments
    models = job.parameters.get("models") or preset.models
    written = [thing.__module__ for env in envs for thing in written_for(env, models, measures_of(preset.chapter))]
    return list(dict.fromkeys([*_imported(code), *written]))


def token_of(preset: Preset, name: str) -> str:
    """Return a text that is the one a job was last run with if its results stand, and another one if they do not."""
    result = job_result(preset, name)
    stamp = read_stamp(result.stamp)
    if stamp and not result.reasons():
        return str(stamp["token"])
    # a job may have been cut off between its notebook and its stamp
    return file_hash(result.stamp) or file_hash(RunLayout.of(preset.name).notebooks / f"{name}.ipynb") or "first"


def standing_jobs(preset: Preset, tokens: Mapping[str, str]) -> set[str]:
    """Return the notebook jobs that are not to run again: their own results stand, and those of all jobs before.

    Args:
        preset: Preset of the run.
        tokens: Of `token_of`, by the name of a job.
    """
    found: set[str] = set()
    for job in grid_jobs(preset):  # each behind those that it waits for
        stamp = read_stamp(stamp_path(RunLayout.of(preset.name), job.name))
        if stamp and stamp["token"] == tokens[job.name] and found.issuperset(job.after):
            found.add(job.name)
    return found


def notebook_hash(path: Path) -> str:
    """Return the hash of a notebook's cells: kind, text, tags; the same for its executed copy."""
    cells = [
        [cell["cell_type"], cell["source"], sorted(cell["tags"])]
        for cell in read_cells(path)
        if INJECTED not in cell["tags"]
    ]
    return _digest(cells)


def read_cells(path: Path) -> list[dict]:
    """Return the cells of a notebook: cell_type, source (one text), tags; nbformat takes seconds to import."""
    return [
        {
            "cell_type": cell["cell_type"],
            "source": "".join(cell["source"]),
            "tags": cell["metadata"].get("tags", []),
        }
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
    ]


def write_made(logs: Path, job: str) -> None:
    """Write what a kernel has in memory and produced so far, for the process that runs the notebook."""
    roots = [root for root in os.environ.get(ROOTS, "").split(",") if root]
    made = {
        "sources": source_hash(*roots) if roots else "",
        "files": [str(path) for path in produced_files()],
        "relies_on": {str(stamp): sorted(members) for stamp, members in shared_results().items()},
    }
    write_text(logs / f"{job}.made.json", json.dumps(made))


def main(arguments: list[str] | None = None) -> int:
    """Run a module's `main` and record the job; return its exit code."""
    preset_name, token, module, *rest = sys.argv[1:] if arguments is None else arguments
    job, logs = os.environ["TDLIB_JOB"], Path(os.environ["TDLIB_LOGS"])
    try:
        preset = load_preset(preset_name)
    except PresetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    result = job_result(preset, job)  # before anything runs: what is changed meanwhile makes it out of date
    os.environ[ROOTS] = ",".join(job_roots(preset, job))
    made_path = logs / f"{job}.made.json"
    made_path.unlink(missing_ok=True)
    decides = {key: value for key, value in result.made_from["preset"].items() if key not in FREE}
    work = {"preset": decides, "parameters": result.made_from.get("parameters")}
    set_aside(logs, job, _digest(work), _digest(result.made_from))
    code = import_module(module).main(rest)
    if code:
        return code
    files, relies_on = produced_files(), shared_results()
    layout = RunLayout.of(preset.name)
    if job == BOOK:
        files = [path for path in sorted(layout.html.rglob("*")) if path.is_file()]
    elif job != CHECKS:
        made = json.loads(made_path.read_text(encoding="utf-8"))
        executed = layout.notebooks / f"{job}.ipynb"
        files = [executed, *map(Path, made["files"])]
        relies_on = {Path(stamp): set(members) for stamp, members in made["relies_on"].items()}
        result.made_from |= {"sources": made["sources"], "notebook": notebook_hash(executed)}
    result.record(dict.fromkeys(files), relies_on=relies_on, token=token)
    return 0


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _notebook(job: Job) -> Path:
    return ROOT / "notebooks" / f"{job.notebook}.ipynb"


def _imported(code: str) -> list[str]:
    """Return what a notebook takes of this library's modules, as roots of `source_hash`."""
    tree, found = ast.parse(code), list[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.split(".")[0] == PACKAGE:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                taken = _taken(tree, whole, alias.asname or alias.name) if module_path(whole) else []
                found += taken or [f"{node.module}:{alias.name}"]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE]
    return found


def _taken(tree: ast.AST, module: str, name: str) -> list[str]:
    """Return the attributes that code uses of a module which it calls by a name."""
    return [
        f"{module}:{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
    ]


def _book_files() -> list[Path]:
    """Return what pages are made from beside the run: the book's folder, and what of the library is no Python."""
    files, shown = [ROOT / name for name in BOOK_FILES], presets_on_pages()
    for folder in BOOK_FOLDERS:
        files += [
            path
            for path in _files_below(ROOT / folder)
            if (TAKEN not in path.relative_to(ROOT).parts or path.parent.parent.name in shown)
            and (PUBLISHED not in path.relative_to(ROOT).parts or _is_conclusion(path))
            and not (folder == "tdlib" and path.suffix == ".py")
        ]
    return files


def _is_conclusion(path: Path) -> bool:
    return path.name in CONCLUSIONS or (path.suffix in PACKERS and path.stem in CONCLUSIONS)


def _files_below(folder: Path) -> list[Path]:
    """Return the files below a folder, or the file itself."""
    if folder.is_file():
        return [folder]
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]


def _hash_of_files(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(ROOT).as_posix()} {file_hash(path)}\n".encode())
    return digest.hexdigest()[:32]


if __name__ == "__main__":
    sys.exit(main())
