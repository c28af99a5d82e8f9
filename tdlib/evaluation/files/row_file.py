"""Arrays of many units in one HDF5 file: one row per unit, so that one is replaced while the others stay.

A group holds arrays whose first axis are its rows, and beside them `unit` (what each row is about) and `git_commit` (of
the source that made it). A row is one compressed chunk of every array: rows that stay are copied as they lie.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from tdlib.core.hdf5 import open_hdf5, written_hdf5
from tdlib.core.specs import EnvironmentSpec

UNIT, COMMIT = "unit", "git_commit"
SEPARATOR = "/"  # between the values of the columns that name a unit
FORMAT = ("v110", "v110")  # of HDF5, read by all since 1.10; older ones take some 2 kB more for every array
COMPRESSION = {"compression": "gzip", "compression_opts": 1, "shuffle": True}  # a higher level is slower, not smaller
Arrays = Mapping[str, np.ndarray]


class RowFile:
    """Collects rows, and writes them beside those of the file that stay.

    Args:
        path: The file; it need not be there.
        schema: Name and version of what it holds.
        attributes: What holds for the whole file: plain values and lists of text.
    """

    def __init__(self, path: Path, schema: str, attributes: Mapping[str, object]):
        self.path, self._attributes = path, {"schema": schema, **attributes}
        self._added: dict[str, dict[str, Arrays]] = {}  # group -> unit -> arrays
        self._of_groups: dict[str, dict[str, object]] = {}

    def has(self, group: str, unit: str) -> bool:
        """Whether a row waits to be written."""
        return unit in self._added.get(group, {})

    def add(self, group: str, unit: str, arrays: Arrays, attributes: Mapping[str, object] | None = None) -> None:
        """Add the row of a unit to a group, all of whose rows have the same arrays.

        Args:
            group: Name in the file.
            unit: Its columns' values, joined by `SEPARATOR`.
            arrays: Name and values.
            attributes: What holds for the whole group.
        """
        self._added.setdefault(group, {})[unit] = arrays
        self._of_groups[group] = dict(attributes or {})

    def write(self, units: Sequence[str], stay: Collection[str], commit: str) -> list[Path]:
        """Write what was added and what stays; return the file, or nothing if there are no rows.

        The file appears whole or not at all. Rows stand in the order of the units, whenever they were made.

        Args:
            units: All that may have rows, in order.
            stay: Those whose rows in the file stand, unless they were added anew.
            commit: Of the source that made what was added.

        Raises:
            ValueError: If rows of one group differ in their arrays, or what was added is not among the units.
        """
        added = {unit for rows in self._added.values() for unit in rows}
        if not added <= set(units):
            raise ValueError(f"units must hold all that was added, missing are {sorted(added - set(units))}")
        stay = set(stay) - added  # where nothing else stays the old file may be damaged, and is not opened
        before = _units_by_group(self.path) if stay and self.path.is_file() else {}
        kept = {group: [unit for unit in found if unit in stay] for group, found in before.items()}
        if before and kept == before and not self._added:
            return [self.path]
        present = {name: {*kept.get(name, ()), *self._added.get(name, ())} for name in {**kept, **self._added}}
        groups = {name: [unit for unit in dict.fromkeys(units) if unit in rows] for name, rows in present.items()}
        if not any(groups.values()):
            self.path.unlink(missing_ok=True)
            return []
        with written_hdf5(self.path, libver=FORMAT) as new, _opened(self.path if before else None) as old:
            new.attrs.update(self._attributes)
            for name in sorted(name for name, rows in groups.items() if rows):
                source = None if old is None else old.get(name)
                _write_group(new.create_group(name), source, groups[name], self._added.get(name, {}), commit)
                new[name].attrs.update(self._of_groups.get(name, {}))
        self._added.clear()
        return [self.path]


def _write_group(
    target: h5py.Group, source: h5py.Group | None, rows: Sequence[str], added: Mapping[str, Arrays], commit: str
) -> None:
    """Write the rows of a group: those added, the others as they lie in the source."""
    place, made = {}, {}
    if source is not None:
        place = {unit: i for i, unit in enumerate(source[UNIT].asstr()[:])}
        made = dict(zip(place, source[COMMIT].asstr()[:], strict=True))
        target.attrs.update(source.attrs)
    text = h5py.string_dtype()
    target[UNIT] = np.array(rows, dtype=text)
    target[COMMIT] = np.array([commit if unit in added else made[unit] for unit in rows], dtype=text)
    layouts = {unit: {key: (x.shape, x.dtype) for key, x in arrays.items()} for unit, arrays in added.items()}
    if source is not None and any(unit not in added for unit in rows):
        layouts["the file"] = {key: (source[key].shape[1:], source[key].dtype) for key in sorted(_arrays(source))}
    shapes = next(iter(layouts.values()))
    for unit, found in layouts.items():
        if found != shapes:
            raise ValueError(f"rows of {target.name!r} must have the same arrays {shapes}, got {found} of {unit}")
    for key, (shape, dtype) in sorted(shapes.items()):
        column = target.create_dataset(key, (len(rows), *shape), dtype, chunks=(1, *shape), **COMPRESSION)
        zeros = (0,) * len(shape)
        for row, unit in enumerate(rows):
            if unit in added:
                column[row] = added[unit][key]
            elif source is not None:
                mask, packed = source[key].id.read_direct_chunk((place[unit], *zeros))
                column.id.write_direct_chunk((row, *zeros), packed, mask)


def describe(spec: EnvironmentSpec) -> dict[str, object]:
    """Return the names and units of an environment as attributes."""
    return {
        "env": spec.name,
        "state_names": list(spec.state_names),
        "state_units": list(spec.state_units),
        "input_names": list(spec.input_names),
        "input_units": list(spec.input_units),
        "actions_are": "index" if spec.discrete else "inputs",
        "time_unit": "s",
    }


@contextmanager
def open_rows(path: str | Path, schema: str) -> Iterator[h5py.File]:
    """Open such a file to read.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is of another schema.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"path must be a file of schema {schema!r}, there is none at {path}")
    with open_hdf5(path) as file:
        if file.attrs.get("schema") != schema:
            raise ValueError(f"path must be a file of schema {schema!r}, got {file.attrs.get('schema')!r} in {path}")
        yield file


def read_units(group: h5py.Group, columns: Sequence[str], where: Mapping[str, object] | None = None) -> pd.DataFrame:
    """Return the columns that name the rows of a group, of those rows that have the values asked for.

    Args:
        group: An open group.
        columns: Names of the columns that `unit` joins.
        where: Column and value, or several values; None for all rows.

    Returns:
        Text columns, `seed` as a number; the index is the place in the file.

    Raises:
        ValueError: If a column is unknown, or no row has what is asked for.
    """
    names = [unit.split(SEPARATOR) for unit in group[UNIT].asstr()[:]]
    table = pd.DataFrame(names, columns=list(columns), dtype=object)
    kept = table
    for name, wanted in (where or {}).items():
        if name not in columns:
            raise ValueError(f"where must name columns among {list(columns)}, got {name!r}")
        values = [wanted] if isinstance(wanted, str) or not isinstance(wanted, Collection) else list(wanted)
        asked = {str(value) for value in values}
        kept = kept[kept[name].isin(asked)]
    if kept.empty:
        there = {name: sorted(table[name].unique()) for name in where or {}}
        raise ValueError(f"where must be of rows in {group.name!r}, which have {there}, got {dict(where or {})}")
    return kept.astype({"seed": int}) if "seed" in columns else kept


def read_array(group: h5py.Group, name: str, rows: Sequence[int]) -> np.ndarray:
    """Read some rows of an array, each unpacked alone, or all at once."""
    column = group[name]
    if list(rows) == list(range(len(column))):
        return column[:]
    return np.stack([column[row] for row in rows])


def write_excerpt(source: Path, target: Path, wanted: Callable[[str, str], bool], count: int) -> list[Path]:
    """Write some rows of a file, and of their arrays what is first: of (K, S, ...) the first of S.

    Args:
        source: File of rows.
        target: Where to write; nothing is written if no row is wanted.
        wanted: (group, unit) -> whether a row is.
        count: How many starts or episodes to keep.

    Returns:
        The file, if there is one.
    """
    with h5py.File(source, "r") as file:
        attributes = dict(file.attrs)
        rows = RowFile(target, attributes.pop("schema"), attributes)
        found = [(name, unit) for name, units in _units_by_group(source).items() for unit in units]
        chosen = [each for each in found if wanted(*each)]
        commits = {
            name: dict(zip(*(file[name][key].asstr()[:] for key in (UNIT, COMMIT)), strict=True)) for name, _ in chosen
        }
        units = list(dict.fromkeys(unit for _, unit in chosen))
        written: list[Path] = []
        for commit in dict.fromkeys(commits[name][unit] for name, unit in chosen):
            for name, unit in chosen:
                if commits[name][unit] == commit:
                    group, place = file[name], list(commits[name]).index(unit)
                    rows.add(name, unit, {key: group[key][place][:count] for key in _arrays(group)}, dict(group.attrs))
            written = rows.write(units, units, commit)
    return written


def _arrays(group: h5py.Group) -> list[str]:
    return [name for name in group if name not in (UNIT, COMMIT)]


def _units_by_group(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}

    def note(name: str, thing: object) -> None:
        if isinstance(thing, h5py.Group) and UNIT in thing:
            found[name] = list(thing[UNIT].asstr()[:])

    with h5py.File(path, "r") as file:
        file.visititems(note)
    return found


@contextmanager
def _opened(path: Path | None) -> Iterator[h5py.File | None]:
    if path is None:
        yield None
    else:
        with h5py.File(path, "r") as file:
            yield file
