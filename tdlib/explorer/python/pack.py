"""Weight files of the published page: trained models as half-precision text and the code that computes with it.

A weight file is a classic script, `tdEngine.load("Pendulum-v1", {...}, {...});`, because a page opened from disk may
not read other files. The `weights` are the float16 parameters of all models, one after the other, as base64. The
`index` says where each model's lie, and holds in full precision what is not a weight: normalizers, rate scales, form
coefficients. Last come the structures: the code of each, generated from the models (`tdlib.explorer.python.generate`).
"""

import base64
import copy
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tdlib.core.facts import ARM_COLUMNS
from tdlib.core.files import write_text
from tdlib.core.specs import EnvironmentSpec
from tdlib.explorer.python.entries import arm_of, entry_of, mixture_of
from tdlib.explorer.python.generate.arrays import MissingOperationError
from tdlib.explorer.python.generate.pieces import pieces_of
from tdlib.models import DynamicsModel, TrajectoryShootingModel, find_family
from tdlib.study.arms import Arm, trained_arms
from tdlib.systems import SYSTEMS
from tdlib.training import load_checkpoint

VERSION = 2
SIZE_LIMIT = 5_000_000  # [bytes] of a weight file: what a page reads at once
MAX_SEEDS = 3  # a page carries no more of them


def packed_model(model: DynamicsModel) -> DynamicsModel:
    """Return the model that a weight file holds: parameters rounded to float16, everything in double precision.

    Raises:
        ValueError: If a parameter is not finite, or too large for float16.
    """
    model = copy.deepcopy(model).double().eval()
    if isinstance(model, TrajectoryShootingModel):
        model = model.matching  # the same flow
    with torch.no_grad():
        for name, values in model.named_parameters():
            rounded = values.half()
            if not rounded.isfinite().all():
                raise ValueError(f"model must have finite parameters below 65504 to be packed, {name} has not")
            values.copy_(rounded)
    return model


@dataclass(frozen=True)
class Pack:
    """A weight file.

    Args:
        env: Environment of its models.
        payload: Index and weights, plain values.
        structures: Name -> code of the models that share it.
    """

    env: str
    payload: dict
    structures: dict[str, str]

    def script(self) -> str:
        """Return the file's text."""
        code = ",\n".join(f"{json.dumps(name)}: {text}" for name, text in self.structures.items())
        payload = json.dumps(self.payload, separators=(",", ":"))
        return f"tdEngine.load({json.dumps(self.env)}, {payload}, {{\n{code}\n}});\n"


def pack_models(env: str, models: Mapping[str, DynamicsModel]) -> Pack:
    """Return a weight file; equal models give an equal one.

    A model with an operation that the page does not know is left out; `missing` in the payload names it and says why.

    Args:
        env: Environment of all models.
        models: Id -> model from `load_checkpoint`, or from `build_arm` with a record of its arm's keys and seed
            (`tdlib.models.describe`).

    Raises:
        ValueError: If a model belongs to another environment, or cannot be packed.
    """
    index, missing, weights = [], [], bytearray()
    names: dict[str, str] = {}  # code -> name
    for name, model in models.items():
        if model.spec.name != env:
            raise ValueError(f"models must be of environment {env}, {name} is of {model.spec.name}")
        packed = packed_model(model)
        try:
            text = pieces_of(packed).text()
        except MissingOperationError as error:
            missing.append({"id": name, "why": str(error)})
            continue
        entry, own = _entry(name, model, packed)
        structure = names.setdefault(text, _free_name(entry["model"], names.values()))
        index.append({**entry, "structure": structure, "offset": len(weights) // 2})
        weights += own
    payload = {
        "version": VERSION, "env": env, "index": index, "missing": missing,
        "weights": base64.b64encode(bytes(weights)).decode("ascii"),
    }  # fmt: skip
    return Pack(env, payload, {name: text for text, name in names.items()})


def published_arms() -> list[Arm]:
    """Return the arms that a page carries: those of size hidden64, of large families the few that they name."""
    arms = [arm for arm in trained_arms() if arm.acts]
    return [arm for arm in arms if find_family(arm.model).on_page(arm.method, arm.form, arm.train_frequency)]


def write_pack(roots: Sequence[Path], env: str, seed: int, target: Path | str, *, further: bool = False) -> int:
    """Write the weight file of one environment and seed; return its size [bytes].

    Args:
        roots: Folders of checkpoints, `<env>/<model>/<arm>/seed<n>`, the study's and those of chapters; of an arm in
            several the first one's is taken, and an entry names the place of its own as `root` where that is not 0.
        env: Environment.
        seed: Seed of the models.
        target: File to write.
        further: Whether the page adds it to that of the first seed; ids then end with the seed's folder.

    Raises:
        ValueError: If there is no checkpoint of this environment and seed.
    """
    end, found = f"/seed{seed}", {}
    for arm in published_arms():
        name = f"{arm.model}/{arm.folder}"
        places = [root / SYSTEMS[env].spec.folder / (name + end) for root in roots]
        place = next((k for k, path in enumerate(places) if path.is_dir()), None)
        if place is not None:
            found[name + end * further] = place, load_checkpoint(places[place])
    if not found:
        raise ValueError(f"roots must hold checkpoints of {env} with seed {seed}, none in {[str(x) for x in roots]}")
    pack = pack_models(env, {name: model for name, (_, model) in found.items()})
    index = [{**entry, "root": found[entry["id"]][0]} for entry in pack.payload["index"]]
    payload = {**pack.payload, "index": index, **({"further": True} if further else {})}
    text = replace(pack, payload=payload).script()
    write_text(target, text)
    return len(text)


def weight_file(spec: EnvironmentSpec, seed: int | None = None) -> str:
    """Return the name of the file with the weights of one environment: of the first seed, or of a further one."""
    return f"weights-{spec.folder}.js" if seed is None else f"weights-{spec.folder}-seed{seed}.js"


def packed_seeds(roots: Sequence[Path], env: str, seed: int) -> list[int]:
    """Return the seeds of an environment that a page carries, the first one asked for; empty without it."""
    folders = [root / SYSTEMS[env].spec.folder for root in roots]
    found = {int(path.name[4:]) for folder in folders for path in folder.glob("*/*/seed[0-9]*")}
    return [seed, *sorted(found - {seed})][:MAX_SEEDS] if seed in found else []


def write_weights(roots: Sequence[Path], seed: int, target_folder: Path | str) -> dict[str, int]:
    """Write the weight files of every environment that has models; return file names and sizes [bytes].

    The roots are those of `write_pack`. A page reads the file of the system on show, `weights-<Env_v1>.js`, and one of
    another seed, `weights-<Env_v1>-seed1.js`, once a reader chooses it.

    Raises:
        ValueError: If there are no models, or a file is larger than 5 MB.
    """
    sizes: dict[str, int] = {}
    for env, system in SYSTEMS.items():
        for own in packed_seeds(roots, env, seed):
            name = weight_file(system.spec, None if own == seed else own)
            sizes[name] = write_pack(roots, env, own, Path(target_folder) / name, further=own != seed)
    if not sizes:
        raise ValueError(f"roots must hold checkpoints with seed {seed}, none in {[str(root) for root in roots]}")
    if max(sizes.values()) > SIZE_LIMIT:
        raise ValueError(f"a weight file must be at most {SIZE_LIMIT} bytes, got {sizes}")
    return sizes


def _free_name(name: str, taken: Iterable[str]) -> str:
    """The name of a model, with a number where models of that name have several structures."""
    count = sum(other.split("#")[0] == name for other in taken)
    return f"{name}#{count + 1}" if count else name


def _entry(name: str, model: DynamicsModel, packed: DynamicsModel) -> tuple[dict, bytes]:
    """Describe one model for the index, without its offset, and give its weights as little-endian float16."""
    config = model.record
    missing = [key for key in (*ARM_COLUMNS, "seed") if key not in config]
    if missing:
        raise ValueError(f"models must say what they are in their record, {name} lacks {missing}")
    tensors = {key: x.detach() for key, x in packed.named_parameters()}
    weights = b"".join(x.half().contiguous().numpy().astype("<f2").tobytes() for x in tensors.values())
    entry = {
        "id": name,
        **entry_of(arm_of(config), config.get("delta_t_support"), mixture_of(config)),
        "seed": config["seed"],
        "delta_t": float(packed.train_delta_t),
        "solver": getattr(packed, "solver", None),
        "substeps": getattr(packed, "substeps", None),
        "tensors": [[key, list(x.shape)] for key, x in tensors.items()],
        "constants": {key: x.flatten().tolist() for key, x in packed.named_buffers()},
        "crc32": zlib.crc32(weights),
    }
    return entry, weights
