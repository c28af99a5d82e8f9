"""Predicted and true trajectories on disk, for failure analysis: one HDF5 dataset per column of the tidy table."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from tdlib.core.files import atomic_path

SCHEMA = "tdlib trajectories 1"


def write_trajectories(path: str | Path, table: pd.DataFrame) -> Path:
    """Write a table of trajectories; text columns as codes with their words, numbers as float32 or integers.

    The file appears whole or not at all.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        with h5py.File(temporary, "w") as file:
            file.attrs["schema"] = SCHEMA
            file.attrs["columns"] = list(table)
            for name in table:
                values = table[name].to_numpy()
                words = None
                if values.dtype.kind not in "fiub":
                    values, words = pd.factorize(values.astype(str))
                    values = values.astype(np.uint16)
                elif values.dtype.kind == "f":
                    values = values.astype(np.float32)
                column = file.create_dataset(name, data=values, compression="gzip", shuffle=True)
                if words is not None:
                    column.attrs["words"] = [str(word) for word in words]
    return path


def read_trajectories(path: str | Path) -> pd.DataFrame:
    """Read what `write_trajectories` wrote.

    Raises:
        ValueError: If the file is of another schema.
    """
    with h5py.File(path, "r") as file:
        if file.attrs.get("schema") != SCHEMA:
            raise ValueError(f"path must be a file of schema {SCHEMA!r}, got {file.attrs.get('schema')!r} in {path}")
        columns = {}
        for name in file.attrs["columns"]:
            values = file[name][:]
            words = file[name].attrs.get("words")
            columns[name] = values if words is None else np.array(words, dtype=object)[values]
    return pd.DataFrame(columns)
