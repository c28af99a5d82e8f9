"""HDF5 files written whole and read warily: made in memory, and refused in one kind of error that names the file.

The library dies of a disk that fills while it writes (the process, not the call), so a file is made in memory and its
bytes are written. A file may be a stranger's: only what lies in the file itself is read, no link or virtual dataset
that leads to others, and nothing that claims more rows than its bytes can unpack to.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tdlib.core.files import write_bytes

MOST_UNPACKED = 1100  # times the bytes that are stored; deflate, the densest filter used, ends at 1032
CUT_OR_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError, RecursionError)

IN_USE = {errno.EAGAIN: "another process has it open for writing", errno.EACCES: "it may not be read"}


@contextmanager
def written_hdf5(path: Path | str, libver: tuple[str, str] | None = None) -> Iterator[h5py.File]:
    """Give a new file in memory, and write it to its place when the block ends well.

    Args:
        path: Where it is to be; what is there stays until the new one is whole.
        libver: Oldest and newest format, as h5py takes them.

    Raises:
        OSError: If it cannot be written, for example to a full disk.
    """
    path = Path(path)
    with h5py.File(path.name, "w", driver="core", backing_store=False, libver=libver) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    write_bytes(path, image)


def open_hdf5(path: Path | str, error: type[ValueError] = ValueError) -> h5py.File:
    """Open a file to read.

    Args:
        path: The file.
        error: What is raised.

    Raises:
        ValueError: Of the kind given, if the file is missing, in use by a writer, cut off or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise error(f"path must be an existing HDF5 file, got {str(path)!r}")
    try:
        return h5py.File(path, "r")
    except CUT_OR_DAMAGED as reason:
        why = IN_USE.get(reason.errno) if isinstance(reason, OSError) and reason.errno else None
        if why is not None:
            raise error(f"path must be a file that can be read now, got {str(path)!r}: {why}") from reason
        raise error(f"path must be a complete HDF5 file, got {str(path)!r}: {reason}") from reason


@contextmanager
def read_hdf5(path: Path | str, error: type[ValueError]) -> Iterator[h5py.File]:
    """Open a file to read; whatever goes wrong in the block too becomes the one kind of error, which names the file.

    Args:
        path: The file.
        error: What is raised, a kind of its own; what the block raises of this kind passes.

    Raises:
        ValueError: Of the kind given.
    """
    with open_hdf5(path, error) as file:
        try:
            yield file
        except error:
            raise
        except CUT_OR_DAMAGED as reason:
            raise error(f"path must be a complete HDF5 file, got {str(path)!r}: {reason}") from reason


def read_column(file: h5py.Group, name: str, num_rows: int | None = None) -> np.ndarray:
    """Read one array that lies in the file itself.

    Args:
        file: An open file or group.
        name: Of the array.
        num_rows: How long its first axis must be; None for any length.

    Raises:
        ValueError: If it is no array of the file's own, has another length, or claims more than its bytes can hold.
    """
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} must lie in the file itself, it is a link")
    stored: Any = file[name]
    if not isinstance(stored, h5py.Dataset) or stored.is_virtual or stored.external:
        raise ValueError(f"{name} must be an array that lies in the file itself")
    if not stored.shape or (num_rows is not None and stored.shape[0] != num_rows):
        wanted = "rows" if num_rows is None else f"{num_rows} rows"
        raise ValueError(f"{name} must have {wanted}, got shape {stored.shape}")
    if stored.size * stored.dtype.itemsize > MOST_UNPACKED * max(stored.id.get_storage_size(), 1):
        raise ValueError(f"{name} must hold its rows, shape {stored.shape} has {stored.id.get_storage_size()} bytes")
    return stored[()]


def plain_value(value: object) -> object:
    """An attribute as plain Python: arrays of one number are that number."""
    return value.item() if isinstance(value, np.generic) else value
