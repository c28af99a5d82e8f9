"""Logs in HDF5 as others write them: arrays with one row per stamp in the root, or a group for every episode.

A file of our own schema is a set already and comes back as one.
"""

from collections import Counter
from pathlib import Path

import h5py
import numpy as np

from tdlib.core.hdf5 import read_column, read_hdf5
from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.data.sources.files import in_numeric_order
from tdlib.data.sources.logs import make_set
from tdlib.data.sources.recording import AS_FOUND, Reading, Recording
from tdlib.data.storage import SCHEMA, load_dataset

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
        DatasetError: If the file is damaged, holds no columns, or the columns are not those of a log.
        RateError: If the rate is not the one asked for.
    """
    path = Path(path)
    with read_hdf5(path, DatasetError) as file:
        own = file.attrs.get("schema")
        recordings = [] if isinstance(own, str) and own == SCHEMA else _recordings(file, path.name)
    return make_set(recordings, reading, "HDF5") if recordings else load_dataset(path, reading.control_frequency)


def _recordings(file: h5py.File, name: str) -> list[Recording]:
    group: h5py.Group = file
    while True:  # down to where arrays or several groups are
        inside = [key for key in group if isinstance(group.get(key), h5py.Group)]
        arrays = [key for key in group if isinstance(group.get(key), h5py.Dataset)]
        if arrays or len(inside) != 1:
            break
        group = group[inside[0]]
    episodes = [group] if arrays or not inside else [group[key] for key in sorted(inside, key=in_numeric_order)]
    found = [_recording(episode, f"{name}{episode.name if episode.name != '/' else ''}") for episode in episodes]
    if not all(recording.columns for recording in found):
        empty = next(recording.source for recording in found if not recording.columns)
        raise DatasetError(f"path must hold arrays with one row per stamp, got none in {empty}")
    return found


def _recording(group: h5py.Group, source: str) -> Recording:
    shapes: dict[str, tuple[int, ...]] = {}

    def note(key: str, thing: object) -> None:
        if isinstance(thing, h5py.Dataset):
            shapes[key] = thing.shape or ()

    group.visititems(note)
    lengths = Counter(shape[0] for shape in shapes.values() if shape)
    if not lengths:
        return Recording(source, {})
    length = max(lengths, key=lambda n: (lengths[n], n))
    columns: dict[str, np.ndarray] = {}
    notes: list[str] = []
    for key in sorted(shapes, key=in_numeric_order):
        shape = shapes[key]
        if not shape or shape[0] != length or len(shape) > 2 or (len(shape) == 2 and shape[1] > WIDEST):
            notes.append(f"array {key!r} of shape {shape} is left out, rows have {length} stamps and {WIDEST} numbers")
            continue
        columns |= _columns(key, read_column(group, key, length))
    return Recording(source, columns, tuple(notes))


def _columns(key: str, values: np.ndarray) -> dict[str, np.ndarray]:
    if values.dtype.names:
        return {f"{key}.{name}": values[name] for name in values.dtype.names}
    return {key: values} if values.ndim == 1 else {f"{key}_{i}": values[:, i] for i in range(values.shape[1])}
