"""HDF5 files of transitions: written whole or not at all, and read back only if they are what they say.

Layout: one dataset per field of `schema.FIELDS`, `episode_offsets`, `episode_id`; where a set has them `parameters` of
every episode and a group `extras` of further columns; and attributes on the root group:
`schema`, `schema_version`, `content_hash`, `kind`, `control_frequency` (NaN: it differs from row to row), `spec`,
`units` and `versions` (JSON), and the origin of the set (`seed`, `policy`, `sim_step`, `integrator`, ...).
"""

import hashlib
import json
import math
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import tdlib
from tdlib.core.hdf5 import plain_value, read_column, read_hdf5, written_hdf5
from tdlib.core.specs import EnvironmentSpec, spec_from_values, spec_values
from tdlib.core.time_grid import TOLERANCE, delta_t_of
from tdlib.data.schema import (
    FIELDS,
    PARAMETERS,
    SCHEMA_VERSION,
    DatasetError,
    RateError,
    TransitionDataset,
    check_dataset,
)

SCHEMA = "tdlib transitions"
EXTRAS = "extras"
PACKAGES = ("numpy", "torch", "gymnasium", "stable-baselines3", "h5py")
COMPRESSION = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
NEEDED = ("content_hash", "kind", "control_frequency", "spec")  # attributes that a set cannot be read without
RESERVED = ("schema", "schema_version", "content_hash", "kind", "control_frequency", "spec", "units", "versions")


def package_versions() -> dict[str, str]:
    """Return the versions that shape the data."""
    found = {"tdlib": tdlib.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def content_hash(dataset: TransitionDataset) -> str:
    """Return the SHA-256 of all rows, offsets, rate and specification; equal sets have equal hashes."""
    digest = hashlib.sha256()
    header = [SCHEMA_VERSION, dataset.kind, dataset.control_frequency, json.loads(_spec_text(dataset))]
    digest.update(json.dumps(header, sort_keys=True).encode())
    for name in (*FIELDS, "episode_offsets", "episode_id"):
        values = np.ascontiguousarray(getattr(dataset, name))
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(values.data)
    for name, values in _optional(dataset).items():  # nothing is added for sets without them
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _optional(dataset: TransitionDataset) -> dict[str, np.ndarray]:
    """What only some sets hold, by its place in a file."""
    drawn = {} if dataset.parameters is None else {PARAMETERS: dataset.parameters}
    return drawn | {f"{EXTRAS}/{name}": dataset.extras[name] for name in sorted(dataset.extras)}


def save_dataset(dataset: TransitionDataset, path: Path | str) -> Path:
    """Write a set to an HDF5 file: checked first, made in memory, written beside, synced, renamed.

    Raises:
        DatasetError: If the set breaks the schema, or an attribute is not plain; nothing is written then.
        OSError: If it cannot be written; the file that was there stays.
    """
    path = Path(path)
    check_dataset(dataset, path.name)
    spec = dataset.spec
    units = {"state": spec.state_units, "action": "index" if spec.discrete else spec.input_units}
    units |= {"t": "s", "delta_t": "s", "exit_time": "s"}
    with written_hdf5(path) as file:
        for name, (_, text) in FIELDS.items():
            stored = file.create_dataset(name, data=getattr(dataset, name), **COMPRESSION)
            stored.attrs["meaning"] = text
        file.create_dataset("episode_offsets", data=dataset.episode_offsets)
        file.create_dataset("episode_id", data=dataset.episode_id)
        for name, values in _optional(dataset).items():
            file.create_dataset(name, data=values, **COMPRESSION)
        for key, value in dataset.attributes.items():
            if key not in RESERVED:
                _store_attribute(file, key, value)
        file.attrs["schema"] = SCHEMA
        file.attrs["schema_version"] = SCHEMA_VERSION
        file.attrs["env_id"] = spec.name
        file.attrs["kind"] = dataset.kind
        frequency = dataset.control_frequency
        file.attrs["control_frequency"] = math.nan if frequency is None else frequency
        file.attrs["spec"] = _spec_text(dataset)
        file.attrs["units"] = json.dumps(units)
        file.attrs["versions"] = json.dumps(package_versions())
        file.attrs["content_hash"] = content_hash(dataset)
    return path


def load_dataset(
    path: Path | str, control_frequency: float | None = None, *, allow_other_rate: bool = False
) -> TransitionDataset:
    """Read a set and check schema, finiteness, content hash and rate.

    Args:
        path: HDF5 file written by `save_dataset`.
        control_frequency: Rate that the caller relies on [Hz]; None takes the file's.
        allow_other_rate: Accept a file of another rate, as an explicit choice.

    Raises:
        DatasetError: If the file is missing, cut off, of another schema, changed since it was written, or not finite.
        RateError: If its rate differs from `control_frequency` and this was not allowed.
    """
    path = Path(path)
    dataset = check_dataset(_read(path), path.name)
    if dataset.attributes["content_hash"] != content_hash(dataset):
        raise DatasetError(f"path {path.name}: content_hash must match the rows, the file was changed after writing")
    if control_frequency is not None and not allow_other_rate:
        check_rate(dataset, control_frequency, path.name)
    return dataset


def check_rate(dataset: TransitionDataset, control_frequency: float, name: str = "dataset") -> None:
    """Raise `RateError` unless the set was taken at this rate [Hz]."""
    wanted = delta_t_of(control_frequency)
    found = dataset.control_frequency
    if found is None or abs(delta_t_of(found) - wanted) > TOLERANCE * wanted:
        rate = "a mixture of rates" if found is None else f"{found:g} Hz"
        raise RateError(
            f"control_frequency must be the rate of {name}, {rate}, got {control_frequency:g} Hz; "
            "pass allow_other_rate=True to use it on purpose"
        )


def read_attributes(path: Path | str) -> dict:
    """Read only the attributes of a file, without its rows.

    Raises:
        DatasetError: If the file cannot be read or has another schema.
    """
    path = Path(path)
    with read_hdf5(path, DatasetError) as file:
        attributes = {key: plain_value(value) for key, value in file.attrs.items()}
    schema, found_version = attributes.get("schema"), attributes.get("schema_version")
    if not (isinstance(schema, str) and schema == SCHEMA and isinstance(found_version, int | np.integer)
            and found_version == SCHEMA_VERSION):  # fmt: skip
        found = f"{schema!r} version {found_version!r}"
        raise DatasetError(f"path {path.name}: schema must be {SCHEMA!r} version {SCHEMA_VERSION}, got {found}")
    return attributes


def spec_from_json(text: str) -> EnvironmentSpec:
    """Rebuild a specification from the `spec` attribute, also one of the first edition."""
    return spec_from_values(json.loads(text))


def _spec_text(dataset: TransitionDataset) -> str:
    """The specification as it was stored, so that a file of the first edition keeps its hash; else as it is written."""
    stored = dataset.attributes.get("spec")
    if isinstance(stored, str) and spec_from_json(stored) == dataset.spec:
        return stored
    return json.dumps(spec_values(dataset.spec))


def _read(path: Path) -> TransitionDataset:
    attributes = read_attributes(path)
    names = (*FIELDS, "episode_offsets", "episode_id")
    with read_hdf5(path, DatasetError) as file:
        missing = [name for name in names if name not in file] + [key for key in NEEDED if key not in attributes]
        if missing:
            raise DatasetError(f"path {path.name}: fields must include {[*names, *NEEDED]}, missing {missing}")
        offsets = read_column(file, "episode_offsets")
        num_rows = int(offsets[-1]) if len(offsets) else 0
        columns: dict[str, Any] = {name: read_column(file, name, num_rows) for name in FIELDS}
        columns |= {"episode_offsets": offsets, "episode_id": read_column(file, "episode_id", len(offsets) - 1)}
        columns[PARAMETERS] = read_column(file, PARAMETERS, len(offsets) - 1) if PARAMETERS in file else None
        extras = file[EXTRAS] if isinstance(file.get(EXTRAS, getlink=True), h5py.HardLink) else {}
        columns[EXTRAS] = {name: read_column(extras, name, num_rows) for name in extras}
        for name, (dtype, _) in FIELDS.items():
            if columns[name].dtype != np.dtype(dtype):
                raise DatasetError(f"path {path.name}: {name} must be {dtype}, got {columns[name].dtype}")
        frequency = float(attributes["control_frequency"])
        if not math.isnan(frequency):
            delta_t_of(frequency)  # a rate that no clock can have is an error of this file
        return TransitionDataset(
            **columns,
            spec=spec_from_json(attributes["spec"]),
            control_frequency=None if math.isnan(frequency) else frequency,
            kind=attributes["kind"],
            attributes=attributes,
        )


def _store_attribute(file: h5py.File, key: str, value: object) -> None:
    if not isinstance(value, str | int | float | np.generic):
        raise DatasetError(f"attribute {key!r} must be a text or a number, got {value!r}")
    try:
        file.attrs[key] = value
    except (TypeError, ValueError, RuntimeError, OSError) as error:
        raise DatasetError(
            f"attribute {key!r} must be a text or a number that a file can keep, got {value!r}"
        ) from error
