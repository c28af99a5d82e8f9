"""What a result was made from, and whether it still stands: one mechanism for data, models, tables, figures and jobs.

A stamp beside a result holds what the result depends on (options, seeds, hashes of its inputs, hash of the source that
made it, as that was in the memory of the process) and the hashes of its files. The result is current if what it depends
on is the same and its files are what was written; contents decide, never times.

Tables of one family hold the rows of many members, to which one job after the other adds. Such a job answers for its
members, not for the files: its stamp names the shared stamp and a digest of what these members were made from.
"""

import functools
import hashlib
import inspect
import json
import os
import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from tdlib.core.files import parse_yaml, write_text, yaml_text
from tdlib.core.sources import PACKAGE, has_source, source_hash, source_of
from tdlib.evaluation import MEASURES
from tdlib.models import find_family
from tdlib.study.arms import PERSISTENCE
from tdlib.study.layout import ROOT
from tdlib.systems import SYSTEMS

# imported by what makes numbers, and unable to change one: drawing, folders, progress, checks of options, which results
# name by value; other phases, whose results come in by their hashes
WITHOUT_EFFECT = (
    "tdlib.figures", "tdlib.study", "tdlib.explorer", "tdlib.grid", "tdlib.publish", "tdlib.core.files",
    "tdlib.core.sources",
)  # fmt: skip
STAMP = "stamp.yaml"  # beside a result that has a folder of its own
DIRTY = "-dirty"  # ends a commit whose tree is not what this process has in memory

_produced: dict[Path, None] = {}  # files that this process wrote, or found current, in order
_relied_on: dict[Path, set[str]] = {}  # stamps of shared results, and the members that this process answers for


class Result:
    """Files that were made from something, with a stamp that says from what.

    Args:
        stamp: File of the stamp.
        sources: Hash of the source that makes the result, from `sources_of`.
        made_from: What else it depends on, plain values: options, seeds, hashes of inputs.
    """

    def __init__(self, stamp: Path, *, sources: str, **made_from: object):
        self.stamp = stamp
        self.made_from = _plain({**made_from, "sources": sources})

    def is_current(self) -> bool:
        """Whether the result stands; its files then count among what this process produced."""
        if self.reasons():
            return False
        produced(self.stamp, *self.files())
        return True

    def reasons(self) -> list[str]:
        """Say why the result has to be made again; empty if it stands."""
        stamp = read_stamp(self.stamp)
        if not stamp:
            return ["it is not there"]
        before = stamp["made_from"]
        changed = [key for key in {**before, **self.made_from} if before.get(key) != self.made_from.get(key)]
        damaged = _damaged(self.stamp, stamp)
        for name, (members, digest) in stamp.get("relies_on", {}).items():
            shared = self.stamp.parent / name
            if _digest_of(shared, members) != digest or not _whole(shared, file_hash(shared)):
                damaged.append(name)
        return [f"{key} changed" for key in changed] + [f"{name} is missing or damaged" for name in damaged]

    def standing(self, members: Mapping[str, object]) -> set[str]:
        """Return which members of a result of several still stand.

        Args:
            members: What each member depends on beside what all depend on, by name.
        """
        if self.reasons():
            return set()
        before = read_stamp(self.stamp).get("members", {})
        return {name for name, made_from in members.items() if before.get(name) == _plain(made_from)}

    def files(self) -> list[Path]:
        """Return the files that the stamp vouches for."""
        return _files_of(self.stamp)

    def record(
        self,
        files: Iterable[Path],
        members: Mapping[str, object] | None = None,
        relies_on: Mapping[Path, Collection[str]] | None = None,
        **origin: object,
    ) -> None:
        """Record that the result now stands.

        Args:
            files: What was written.
            members: Of a result of several: what each depends on, by name; others may add to its files.
            relies_on: Stamps of such results, and the members it needs of them.
            origin: What else to remember, plain values.

        Raises:
            ValueError: If a file is not there.
        """
        files = list(files)
        hashes = {_relative(path, self.stamp.parent): file_hash(path) for path in files}
        missing = [name for name, digest in hashes.items() if digest is None]
        if missing:
            raise ValueError(f"files must have been written, missing are {missing}")
        content = {
            "made_from": self.made_from,
            "files": hashes,
            "git_commit": commit_of_memory(),
            **({} if members is None else {"members": _plain(members)}),
            **({} if relies_on is None else {"relies_on": self._digests(relies_on)}),
            **origin,
        }
        write_text(self.stamp, yaml_text(content))
        if members is None:
            produced(self.stamp, *files)

    def _digests(self, relies_on: Mapping[Path, Collection[str]]) -> dict[str, list]:
        return {
            _relative(stamp, self.stamp.parent): [sorted(members), _digest_of(stamp, sorted(members))]
            for stamp, members in relies_on.items()
        }


def read_stamp(path: Path) -> dict:
    """Read a stamp; empty if there is none, or it is not one of these."""
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    if not isinstance(content, dict):
        return {}
    whole = isinstance(content.get("made_from"), dict) and isinstance(content.get("files"), dict)
    return content if whole else {}


def _damaged(path: Path, stamp: Mapping) -> list[str]:
    """Return which of a stamp's files are not what was written."""
    return [name for name, digest in stamp["files"].items() if file_hash(path.parent / name) != digest]


@functools.cache  # many jobs share one result
def _whole(path: Path, stamp_hash: str | None) -> bool:
    """Whether the files of a stamp of this content are what was written."""
    stamp = read_stamp(path)
    return stamp_hash is not None and bool(stamp) and not _damaged(path, stamp)


def _digest_of(path: Path, members: Iterable[str]) -> str:
    """Return the hash of what some members of a shared result were made from, and of what all of them were."""
    found, made_from = _members_of(path, file_hash(path))
    content = json.dumps([made_from, {name: found.get(name) for name in members}], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


@functools.cache
def _members_of(path: Path, stamp_hash: str | None) -> tuple[dict, dict]:
    del stamp_hash  # of the content that is read
    stamp = read_stamp(path)
    return stamp.get("members", {}), stamp.get("made_from", {})


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide numbers."""
    return {name: version(name) for name in ("torch", "gymnasium", "stable-baselines3", "numpy", "tdlib")}


def file_hash(path: Path) -> str | None:
    """Return the hash of a file's content; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError:
        return None


def sources_of(*roots: str, system: str | None = None, models: Sequence[str] = (), measures: Sequence[str] = ()) -> str:
    """Return the hash of the source that a result depends on.

    Args:
        roots: Modules that make it.
        system: Name of the system it is about.
        models: Names of the model families it is about.
        measures: Names of the measures it consists of.
    """
    written = written_for(system, models, measures)
    modules = [thing.__module__ for thing in written if has_source(thing.__module__)]
    loose = [inspect.getsource(thing) for thing in written if not has_source(thing.__module__)]  # of a notebook's cell
    found = source_hash(*roots, *modules, stop=WITHOUT_EFFECT)
    return hashlib.sha256("\0".join([found, *loose]).encode()).hexdigest()[:16] if loose else found


def written_for(system: str | None = None, models: Sequence[str] = (), measures: Sequence[str] = ()) -> list[Callable]:
    """Return the functions and classes in which a system, model families, and measures are written."""
    found: list[Callable] = [] if system is None else [SYSTEMS[system].equation]
    families = [find_family(name).model for name in models if name != PERSISTENCE.model]
    return [*found, *families, *(MEASURES[name].ask for name in measures)]


def produced(*files: Path) -> None:
    """Note that this process wrote files, or found them current; a job vouches for them."""
    _produced.update(dict.fromkeys(path.resolve() for path in files))


def answers_for(stamp: Path, members: Iterable[str]) -> None:
    """Note which members of a shared result this process made or found standing."""
    _relied_on.setdefault(stamp.resolve(), set()).update(members)


def produced_files() -> list[Path]:
    """Return the files that this process wrote or found current, without those that others may add to."""
    shared = {path.resolve() for stamp in _relied_on for path in _files_of(stamp)}
    return [path for path in _produced if path not in shared]


def shared_results() -> dict[Path, set[str]]:
    """Return the shared results that this process answers for, by stamp, and the members of each."""
    return {stamp: set(members) for stamp, members in _relied_on.items()}


def _files_of(stamp: Path) -> list[Path]:
    return [stamp.parent / name for name in read_stamp(stamp).get("files", {})]


@functools.cache
def commit_of_memory() -> str:
    """Return the commit of the source in memory: `5ca0dad`, or `5ca0dad-dirty` if a module is not as committed there.

    Asked for once per process, as the source in memory is of one time. Empty outside a repository.
    """
    commit = _git("rev-parse", "--short", "HEAD").strip()
    if not commit:
        return ""
    lines = _git("ls-tree", "-r", "HEAD", "--", PACKAGE).splitlines()
    committed = {name: about.split()[2] for about, name in (line.split("\t") for line in lines)}
    for path in (ROOT / PACKAGE).rglob("*.py"):
        place = path.relative_to(ROOT)
        text = source_of(".".join(place.with_suffix("").parts).removesuffix(".__init__"))
        blob = hashlib.sha1(b"blob %d\0" % len(text) + text, usedforsecurity=False).hexdigest()
        if committed.get(place.as_posix()) != blob:
            return commit + DIRTY
    return commit


def outside_history(commits: Iterable[str]) -> list[str]:
    """Return the commits that nobody who clones this history can look at; none of them outside a repository."""
    known = set(_git("rev-list", "HEAD").split())
    return [each for each in commits if known and not any(commit.startswith(each) for commit in known)]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True).stdout


def _plain(content: object) -> Any:
    return json.loads(json.dumps(content, default=str))


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
