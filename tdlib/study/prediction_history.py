"""When each prediction was first written, and when it was changed since: read from git, kept in the edition.

A prediction counts only if it was there before the run. The history of `book/predictions.yaml` says when. An edition
carries it for those who have no history (an archive, a shallow clone), with each prediction's digest of then.
"""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml

from tdlib.core.files import parse_yaml, write_text, yaml_text
from tdlib.study.predictions import PREDICTIONS

HISTORY = "predictions_history.yaml"  # beside the predictions where a book is staged, and in the edition
PARTS = ("title", "statement", "source", "env", "checks")
SECONDS = 30  # a repository that takes longer to answer has no history for us

History = dict[str, dict]  # name -> {digest, versions: [{commit, date, changed}]}


def prediction_history(path: Path = PREDICTIONS, stored: Path | None = None) -> History:
    """Return the history of every prediction in the file, from git where it has all of it, else from a stored one.

    Args:
        path: File of the predictions.
        stored: What an edition kept; None if there is none.

    Returns:
        By name: `digest` of the prediction as it is, and `versions`, oldest first, each with `commit` and `date` (empty
        where it is not committed) and `changed`: which parts, empty for the first version. No version where neither
        git nor an edition knows one.
    """
    now = _items(path.read_text(encoding="utf-8"))
    commits = list(_versions(path))
    kept = {} if commits or stored is None or not stored.is_file() else parse_yaml(stored.read_text(encoding="utf-8"))
    return {name: _history_of(name, item, commits, kept.get(name)) for name, item in now.items()}


def write_history(target: Path, path: Path = PREDICTIONS, stored: Path | None = None) -> None:
    """Write the history of every prediction as an edition, or a staged book, keeps it."""
    write_text(target, yaml_text(prediction_history(path, stored)))


def _history_of(name: str, item: dict, commits: list[tuple[str, str, dict]], kept: dict | None) -> dict:
    versions: list[dict] = list(kept["versions"]) if kept else []
    before: dict | None = None
    for commit, date, items in commits:
        there = items.get(name)
        if there is not None and there != before:
            versions.append({"commit": commit, "date": date, "changed": _changed(before, there)})
        before = there if there is not None else before
    if not kept and not commits:
        return {"digest": _digest(item), "versions": []}  # nothing is known here
    if kept:
        if kept["digest"] != _digest(item):
            versions.append({"commit": "", "date": "", "changed": ["unknown"]})
    elif item != before:
        versions.append({"commit": "", "date": "", "changed": _changed(before, item)})
    return {"digest": _digest(item), "versions": versions}


def _changed(before: dict | None, item: dict) -> list[str]:
    return [] if before is None else [part for part in PARTS if before.get(part) != item.get(part)]


def _digest(item: dict) -> str:
    text = json.dumps(item, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _items(text: str) -> dict[str, dict]:
    """Predictions by name; empty if a version is no such list."""
    try:
        items = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return {item["name"]: item for item in items if isinstance(item, dict) and "name" in item} if items else {}


def _versions(path: Path) -> Iterator[tuple[str, str, dict]]:
    """Yield commit, date and predictions of every version, oldest first; nothing without a whole history."""
    if _git(path, "rev-parse", "--is-shallow-repository") != "false":
        return
    log = _git(path, "log", "--reverse", "--format=%H %cs", "--", path.name)
    for line in (log or "").splitlines():
        commit, _, date = line.partition(" ")
        text = _git(path, "show", f"{commit}:./{path.name}")
        if text is not None:
            yield commit[:7], date, _items(text)


def _git(path: Path, *words: str) -> str | None:
    """Answer of git in the folder of the file; None if there is none."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=path.parent, capture_output=True, timeout=SECONDS, check=True, encoding="utf-8"
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()
