"""Logs in HDF5 as others write them: arrays with one row per stamp in the root, or a group for every episode.

A file of our own schema is a set already and comes back as one.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from tdlib.core.hdf5 import read_column, read_hdf5
from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.data.sources.files import in_numeric_order
from tdlib.data.sources.logs import make_set
from tdlib.data.sources.recording import AS_FOUND, Reading, Recording, add_columns, refuse_unused
from tdlib.data.storage import SCHEMA, load_dataset

OF_OUR_OWN = ("control_frequency", "spec", "stamps")  # what a file of our own may be asked to have
WIDEST = 64  # numbers per row; wider arrays are images and clouds


def import_hdf5(path: Path | str, reading: Reading = AS_FOUND) -> TransitionDataset:
    """Read a log from an HDF5 file.

    Arrays of (T,) are columns by their path, `robot/q`; those of (T, n) are `robot/q_0`, ..., and `robot/q` in
    `reading.columns` means all of them; fields of a table are columns too. Where the root holds groups alone, each is
    an episode, in numeric order. Arrays of another length or of more than 64 numbers a row are named as left out.

    Args:
        path: The file.
        reading: What the columns are.

    Raises:
        DatasetError: If the file is damaged, holds no columns or two of one name, the columns are not those of a log,
            or something is declared that a file of our own says itself.
        RateError: If the rate is not the one asked for.
    """
    path = Path(path)
    with read_hdf5(path, DatasetError) as file:
        own = file.attrs.get("schema")
        recordings = [] if isinstance(own, str) and own == SCHEMA else _recordings(file, path.name)
    if recordings:
        return make_set(recordings, reading, "HDF5")
    refuse_unused(reading, OF_OUR_OWN, path.name)
    dataset = load_dataset(path, reading.control_frequency)
    if reading.spec is not None and reading.spec != dataset.spec:
        raise DatasetError(f"spec must be the set's own, that of {dataset.spec.name}, got another: {reading.spec.name}")
    return dataset


def _recordings(file: h5py.File, name: str) -> list[Recording]:
    group: h5py.Group = file
    while True:  # down to where arrays or several groups are
        own = [key for key in group if isinstance(group.get(key, getlink=True), h5py.HardLink)]
        inside = [key for key in own if isinstance(group.get(key), h5py.Group)]
        arrays = [key for key in own if isinstance(group.get(key), h5py.Dataset)]
        if arrays or len(inside) != 1:
            break
        group = group[inside[0]]
    episodes = [group] if arrays or not inside else [group[key] for key in sorted(inside, key=in_numeric_order)]
    found = [_recording(episode, f"{name}{episode.name if episode.name != '/' else ''}") for episode in episodes]
    if not all(recording.columns for recording in found):
        empty = next(recording.source for recording in found if not recording.columns)
        raise DatasetError(f"path must hold arrays with one row per stamp, got none in {empty}")
    if episodes != [group]:
        found[0] = replace(found[0], notes=(*_other_links(group, set(_below(group))), *found[0].notes))
    return found


def _below(group: h5py.Group) -> list[str]:
    names: list[str] = []
    group.visit(names.append)
    return names


def _recording(group: h5py.Group, source: str) -> Recording:
    shapes: dict[str, tuple[int, ...]] = {}
    seen: set[str] = set()

    def note(key: str, thing: object) -> None:
        seen.add(key)
        if isinstance(thing, h5py.Dataset):
            shapes[key] = thing.shape or ()

    group.visititems(note)
    notes = _other_links(group, seen)
    lengths = Counter(shape[0] for shape in shapes.values() if shape)
    if not lengths:
        return Recording(source, {})
    length = max(lengths, key=lambda n: (lengths[n], n))
    columns: dict[str, np.ndarray] = {}
    for key in sorted(shapes, key=in_numeric_order):
        shape = shapes[key]
        if not shape or shape[0] != length or len(shape) > 2 or (len(shape) == 2 and shape[1] > WIDEST):
            notes.append(f"array {key!r} of shape {shape} is left out, rows have {length} stamps and {WIDEST} numbers")
            continue
        add_columns(columns, _columns(key, read_column(group, key, length)), source)
    return Recording(source, columns, tuple(notes))


def _other_links(group: h5py.Group, seen: set[str]) -> list[str]:
    """Say which names are left out: those that point elsewhere, and second names of what was seen."""
    links: list[str] = []
    group.visititems_links(lambda name, link: links.append(name) if name not in seen else None)
    return [f"link {name!r} is left out, only arrays by their own names are read" for name in links]


def _columns(key: str, values: np.ndarray) -> dict[str, np.ndarray]:
    if values.dtype.names:
        return {f"{key}.{name}": values[name] for name in values.dtype.names}
    return {key: values} if values.ndim == 1 else {f"{key}_{i}": values[:, i] for i in range(values.shape[1])}
