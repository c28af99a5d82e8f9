"""Weight files of the published page: trained models as half-precision text that the JavaScript engine reads.

A weight file is a classic script, `tdEngine.load("Pendulum-v1", {...});`, because a page opened from disk may not read
other files. Its `weights` are the float16 parameters of all models, one after the other, as base64; its `index` says
where each model's lie, and holds in full precision what is not a weight: normalizers, rate scales, form coefficients.
"""

import base64
import copy
import json
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch

from tdlib.core.files import write_text
from tdlib.models import DynamicsModel, TrajectoryShootingModel
from tdlib.study.arms import KEY_COLUMNS, Arm, trained_arms
from tdlib.systems import SYSTEMS
from tdlib.training import load_checkpoint

VERSION = 1
SIZE_LIMIT = 5_000_000  # [bytes] of all weight files together
LSTM_ARMS = ("baseline_20hz", "multi_resolution_scaled_concat")  # an LSTM is four times as large as a jump model


def packed_model(model: DynamicsModel) -> DynamicsModel:
    """Return the model that a weight file holds: parameters rounded to float16, everything in double precision.

    Raises:
        ValueError: If a parameter is not finite, or too large for float16.
    """
    model = copy.deepcopy(model).double().eval()
    with torch.no_grad():
        for name, values in model.named_parameters():
            rounded = values.half()
            if not rounded.isfinite().all():
                raise ValueError(f"model must have finite parameters below 65504 to be packed, {name} has not")
            values.copy_(rounded)
    return model


def pack_models(env: str, models: Mapping[str, DynamicsModel]) -> dict:
    """Return the payload of a weight file; equal models give an equal payload.

    Args:
        env: Environment of all models.
        models: Id -> model from `load_checkpoint`, or from `build_arm` with the keys of its arm and seed in `config`.

    Raises:
        ValueError: If a model belongs to another environment, or cannot be packed.
    """
    index, weights = [], bytearray()
    for name, model in models.items():
        if model.spec.name != env:
            raise ValueError(f"models must be of environment {env}, {name} is of {model.spec.name}")
        entry, own = _entry(name, model)
        index.append({**entry, "offset": len(weights) // 2})
        weights += own
    return {
        "version": VERSION,
        "env": env,
        "index": index,
        "weights": base64.b64encode(bytes(weights)).decode("ascii"),
    }


def published_arms() -> list[Arm]:
    """Return the arms that a page carries: those of size hidden64, of the LSTM two."""
    return [arm for arm in trained_arms() if arm.model != "lstm" or arm.folder in LSTM_ARMS]


def write_pack(models_root: Path | str, env: str, seed: int, target: Path | str) -> int:
    """Write the weight file of one environment; return its size [bytes].

    Args:
        models_root: Folder of checkpoints, `<env>/<model>/<arm>/seed<n>`; arms that are not there are left out.
        env: Environment.
        seed: Seed of the models.
        target: File to write.

    Raises:
        ValueError: If there is no checkpoint of this environment and seed.
    """
    folder = Path(models_root) / SYSTEMS[env].spec.folder
    paths = {f"{arm.model}/{arm.folder}": folder / arm.model / arm.folder / f"seed{seed}" for arm in published_arms()}
    models = {name: load_checkpoint(path) for name, path in paths.items() if path.is_dir()}
    if not models:
        raise ValueError(f"models_root must hold checkpoints of {env} with seed {seed}, none in {folder}")
    text = f"tdEngine.load({json.dumps(env)}, {json.dumps(pack_models(env, models), separators=(',', ':'))});\n"
    write_text(target, text)
    return len(text)


def write_weights(models_root: Path | str, seed: int, target_folder: Path | str) -> dict[str, int]:
    """Write `weights-<Env_v1>.js` of every environment that has models; return file names and sizes [bytes].

    Raises:
        ValueError: If there are no models, or the files are larger than 5 MB together.
    """
    sizes = {}
    for env, system in SYSTEMS.items():
        if any((Path(models_root) / system.spec.folder).glob(f"*/*/seed{seed}")):
            name = f"weights-{system.spec.folder}.js"
            sizes[name] = write_pack(models_root, env, seed, Path(target_folder) / name)
    if not sizes:
        raise ValueError(f"models_root must hold checkpoints with seed {seed}, none in {models_root}")
    if sum(sizes.values()) > SIZE_LIMIT:
        raise ValueError(f"weight files must be at most {SIZE_LIMIT} bytes together, got {sum(sizes.values())}")
    return sizes


def _entry(name: str, model: DynamicsModel) -> tuple[dict, bytes]:
    """Describe one model for the index, without its offset, and give its weights as little-endian float16."""
    config, options = model.config, model.build_options
    missing = [key for key in (*KEY_COLUMNS, "seed") if key not in config]
    if missing:
        raise ValueError(f"models must say what they are in config, {name} lacks {missing}")
    packed = packed_model(model)
    if isinstance(packed, TrajectoryShootingModel):
        packed = packed.matching  # the same flow
    tensors = {key: x.detach() for key, x in packed.named_parameters()}
    weights = b"".join(x.half().contiguous().numpy().astype("<f2").tobytes() for x in tensors.values())
    entry = {
        "id": name,
        **{key: config[key] for key in KEY_COLUMNS},
        "seed": config["seed"],
        "support": config.get("delta_t_support"),
        "delta_t": float(packed.train_delta_t),
        "solver": options.get("solver"),
        "substeps": options.get("substeps"),
        "tensors": [[key, list(x.shape)] for key, x in tensors.items()],
        "constants": {key: x.flatten().tolist() for key, x in packed.named_buffers() if x.ndim},
        "crc32": zlib.crc32(weights),
    }
    return entry, weights
