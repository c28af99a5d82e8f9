"""Trained models on disk: weights without pickled objects, and a readable description that rebuilds the model."""

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
import yaml

from tdlib.core.files import parse_yaml, write_bytes, yaml_text
from tdlib.core.specs import spec_from_values, spec_values
from tdlib.core.time_grid import delta_t_of
from tdlib.models import DynamicsModel, describe
from tdlib.models.build import build_family, find_family, import_path, known_family
from tdlib.models.record import Record
from tdlib.systems import System, get_system

MODEL_FILE, CONFIG_FILE, CURVES_FILE = "model.pt", "config.yaml", "training_curves.csv"
CHECKPOINT_VERSION = 2
FIRST_VERSION = 1  # its options stand beside the model's name
RATE_TOLERANCE = 1e-4  # relative; training intervals may come from single precision


def save_checkpoint(
    folder: Path | str, model: DynamicsModel, config: Mapping[str, object], curves: pd.DataFrame | None = None
) -> Path:
    """Write `model.pt` and `config.yaml` (and `training_curves.csv`), each whole or not at all; return the folder.

    Args:
        folder: Folder of the checkpoint; made if needed.
        model: Model from `build_model`.
        config: What to remember: env, arm, seed, delta_t_support [s], dataset hashes, metrics; plain values only.
        curves: Training curves.

    Raises:
        ValueError: If the model was not made by `build_model`, or config holds other than plain values.
    """
    if model.built_as is None:
        raise ValueError("model must come from build_model, so that its checkpoint can be rebuilt")
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    weights = buffer.getvalue()
    described = {
        **_plain(config),
        "checkpoint_version": CHECKPOINT_VERSION,
        "build": {
            "name": model.built_as,
            "class": import_path(find_family(model.built_as).model),
            "options": _plain(asdict(model.options)),
        },
        "spec": spec_values(model.spec),
        "train_delta_t": float(model.train_delta_t),
        "model_sha256": hashlib.sha256(weights).hexdigest(),
    }
    try:
        text = yaml_text(described)
    except yaml.YAMLError as error:
        raise ValueError(f"config must hold plain numbers, texts, lists and dicts only: {error}") from error
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if curves is not None:
        write_bytes(folder / CURVES_FILE, curves.to_csv(index=False).encode())
    write_bytes(folder / MODEL_FILE, weights)
    write_bytes(folder / CONFIG_FILE, text.encode())
    return folder


def load_checkpoint(
    path: Path | str, device: torch.device | str = "cpu", classes: Iterable[type[DynamicsModel]] = ()
) -> DynamicsModel:
    """Rebuild a trained model from its folder or its `model.pt`; its `record` holds the whole description.

    A checkpoint may be a stranger's, so it imports nothing: its class is one of `MODELS`, one that you pass, or one
    that you have imported.

    Args:
        path: Folder or file.
        device: Where the model goes.
        classes: Model classes of your own that it may be of.

    Raises:
        ValueError: If a file is missing, damaged, or of another version, if the class is not known, or if weights and
            description do not belong together.
    """
    path = Path(path)
    folder = path.parent if path.suffix == ".pt" else path
    for name in (MODEL_FILE, CONFIG_FILE):
        if not (folder / name).is_file():
            raise ValueError(f"path must be a checkpoint folder with {MODEL_FILE} and {CONFIG_FILE}, got {path}")
    try:
        config = parse_yaml((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{folder / CONFIG_FILE} must be YAML: {error}") from error
    found = config.get("checkpoint_version") if isinstance(config, dict) else config
    if found not in (FIRST_VERSION, CHECKPOINT_VERSION):
        raise ValueError(f"{folder / CONFIG_FILE} must have checkpoint_version {CHECKPOINT_VERSION}, got {found!r}")
    weights = (folder / MODEL_FILE).read_bytes()
    if hashlib.sha256(weights).hexdigest() != config.get("model_sha256"):
        raise ValueError(f"{folder / MODEL_FILE} must be the file that {CONFIG_FILE} describes; its hash differs")
    model = _build(config, classes)
    state = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    try:
        model.load_state_dict(state, assign=True)  # keeps the precision each tensor was saved with
    except RuntimeError as error:
        raise ValueError(f"{folder / MODEL_FILE} must hold the weights {CONFIG_FILE} describes: {error}") from error
    return describe(model, config).to(device).eval()


def rebuild_model(path: Path | str, device: torch.device | str = "cpu") -> DynamicsModel:
    """Return the model of a checkpoint, as `load_checkpoint` does: the founding documents' name for it."""
    return load_checkpoint(path, device)


def rebuild_env(path: Path | str) -> System:
    """Return the system that a checkpoint was trained on; `PhysicsControlEnv(rebuild_env(path))` steps it.

    Raises:
        ValueError: If the checkpoint cannot be read, or names a system that is not registered.
    """
    return get_system(str(load_checkpoint(path).record.get("env", "")))


def check_rate(model: DynamicsModel, control_frequency: float, allow_other_rate: bool = False) -> None:
    """Refuse data of a rate outside what a model was trained on, unless that is an explicit choice.

    Args:
        model: Model from `load_checkpoint`; its record holds `delta_t_support` [s].
        control_frequency: Rate of the data [Hz].
        allow_other_rate: Say that another rate is meant.

    Raises:
        ValueError: If the rate is outside the support and not allowed.
    """
    delta_t = delta_t_of(control_frequency)
    low, high = model.record.get("delta_t_support", [float(model.train_delta_t)] * 2)
    inside = low * (1 - RATE_TOLERANCE) <= delta_t <= high * (1 + RATE_TOLERANCE)
    if not inside and not allow_other_rate:
        raise ValueError(
            f"control_frequency must lie within the model's training intervals [{low:g}, {high:g}] s, got "
            f"{control_frequency:g} Hz = {delta_t:g} s; pass allow_other_rate=True to ask for another rate"
        )


def _build(config: Mapping, classes: Iterable[type[DynamicsModel]]) -> DynamicsModel:
    """Build the untrained model that a description names."""
    build, spec = config.get("build"), config.get("spec")
    if not isinstance(build, dict) or not isinstance(spec, dict) or "name" not in build:
        raise ValueError(f"{CONFIG_FILE} must describe build (with a name) and spec, got {build!r} and {spec!r}")
    if config["checkpoint_version"] == FIRST_VERSION:
        options, path = {key: value for key, value in build.items() if key != "name"}, ""
    else:
        options, path = build.get("options", {}), str(build.get("class", ""))
    name, family = known_family(str(build["name"]), path, classes)
    return build_family(family, name, spec_from_values(spec), 0, options)


def _plain(values: Mapping[str, object]) -> dict:
    """Return values with lists in place of tuples and dictionaries in place of records."""
    return Record(values).plain()
