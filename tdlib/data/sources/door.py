"""One door for logs of any kind: what a path holds is seen by its name and inside, and may be said instead."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.data.sources import SOURCES
from tdlib.data.sources.recording import AS_FOUND, Reading


def kind_of_log(path: Path | str | Sequence[Path | str]) -> str:
    """Return the name in `SOURCES` of what a path holds.

    Raises:
        DatasetError: If it is none that is known; the message lists the kinds and how they are told.
    """
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(each) for each in path]
    first = paths[0] if paths else Path()
    for name, source in SOURCES.items():
        if any(_shows(first, sign) for sign in source.signs):
            return name
    kinds = {name: source.signs for name, source in SOURCES.items() if source.signs}
    raise DatasetError(f"path must be a log of one of the kinds {kinds}, got {str(first)!r}; kind='…' says which")


def import_log(
    path: Path | str | Sequence[Path | str],
    reading: Reading = AS_FOUND,
    *,
    kind: str | None = None,
    **options: Any,
) -> TransitionDataset:
    """Read a log of any kind.

    Args:
        path: A file or folder; of CSV files also a list.
        reading: What its columns are, and what its stamps may be.
        kind: Name in `SOURCES`; None looks at the path.
        options: What only this kind takes: `style` of CSV, `topics`, `on` and `clock` of MCAP and rosbag2.

    Raises:
        DatasetError: If it cannot be read, or the kind is not known or takes no such option.
        RateError: If its rate is not the one asked for.
        ImportError: If its optional package is missing.
    """
    name = kind or kind_of_log(path)
    if name not in SOURCES or SOURCES[name].reader is None:
        known = [each for each, source in SOURCES.items() if source.reader]
        raise DatasetError(f"kind must be one of {known}, got {name!r}")
    source = SOURCES[name]
    if unknown := sorted(set(options) - set(source.options)):
        raise DatasetError(f"options of {name} must be among {list(source.options)}, got {unknown}")
    return source.read(path, reading, **options)


def _shows(path: Path, sign: str) -> bool:
    """Whether a path is of a kind by one of its signs: an ending of a file, or a file inside a folder."""
    if sign.startswith("."):
        return path.suffix.lower() == sign or (path.is_dir() and any(path.glob(f"[!.]*{sign}")))
    return (path / sign).is_file()
