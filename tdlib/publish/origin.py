"""What an edition was made with: command, preset, commits, versions, test data, blocks, and the hash of every file."""

import platform
from pathlib import Path

from tdlib.publish.runs_shown import commits_in
from tdlib.study.blocks import blocks_of, made_with
from tdlib.study.chapters import STUDY
from tdlib.study.phases.collect import data_hashes
from tdlib.study.provenance import file_hash, versions
from tdlib.study.run import Run

ORIGIN = "made_with.yaml"  # in the folder of an edition


def origin_of(run: Run, edition: Path) -> dict[str, object]:
    """Return what an edition was made with, as plain values.

    Args:
        run: The finished run.
        edition: Folder with all of the edition's files but this one.
    """
    preset = run.preset
    files = sorted(path for path in edition.rglob("*") if path.is_file())
    found: dict[str, object] = {
        "command": f"make edition PRESET={preset.name}",
        "preset": preset.name,
        "commits": sorted({commit for path in run.layout.metrics.glob("*.csv") for commit in commits_in(path)}),
        "python": platform.python_version(),
        "versions": versions(),
    }
    if preset.taken:
        there = blocks_of(preset.name)
        folders = {there[seed]: [one for one in preset.taken if there[one] == there[seed]] for seed in preset.taken}
        kept = ("command", "commits", "python", "versions", "test_data", "note")
        found["blocks"] = {
            folder.name: {"seeds": seeds} | {key: made_with(folder)[key] for key in kept if key in made_with(folder)}
            for folder, seeds in folders.items()
        }
    if preset.chapter == STUDY:
        found["test_data"] = {env: data_hashes(run, env, preset.own_seeds, "test") for env in preset.environments}
    return found | {"files": {path.relative_to(edition).as_posix(): file_hash(path) for path in files}}
