"""From a folder of logs to a trained GRU, its checkpoints and its losses, by the library's own trainer.

An epoch is as many windows as there are to train on, drawn at random; after each the held-out files are scored, and the
best weights are kept. AdamW, gradients of norm 1 at most.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdlib.core.specs import EnvironmentSpec, spec_from_values, spec_values
from tdlib.data import TransitionDataset
from tdlib.data.storage import content_hash
from tdlib.dynamics_model_training.data_loader import DynamicsDataset, Examples, transform_of
from tdlib.dynamics_model_training.transforms import Transform, TransformedModel, positions_of
from tdlib.models import MODELS, DynamicsModel, build_model, describe
from tdlib.models.families.gru import GRUModel
from tdlib.models.record import Record
from tdlib.training import Budget, Trial, UnfinishedFit, delta_t_support, fit, fit_key, load_checkpoint, save_checkpoint
from tdlib.training.checkpoint import CONFIG_FILE

CHECKPOINTS = Path("checkpoints")  # below the folder one works in
BEST, OF_EPOCH, EVERY = "best_model", "model_epoch_{}", 10  # every tenth epoch
UNFINISHED = "unfinished"
CLIP = 1.0
FINE_TUNING_RATE = 1e-4
FAMILY = next(name for name, family in MODELS.items() if family.model is GRUModel)
History = dict[str, list[float]]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """What is trained, by its names in messages.

    Args:
        folder: Name of the task.
        model: Family of the model.
    """

    folder: str
    model: str = FAMILY


def train_dynamics_model(
    data_dir: Path | str | TransitionDataset | Examples,
    task_name: str,
    coordinate_indices: Sequence[int],
    angle_indices: Sequence[int],
    hidden_size: int = 128,
    history_length: int = 11,
    prediction_horizon: int = 9,
    batch_size: int = 32,
    num_epochs: int = 100,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-5,
    seed: int = 42,
    checkpoint_dir: Path | str | None = None,
    *,
    lr_schedule: str = "constant",
    dropout: float = 0.0,
    loss_on: str = "delta",
    memory: str = "window",
    form: str = "none",
    pretrained: Path | str | DynamicsModel | None = None,
    fine_tuning_rate: float = FINE_TUNING_RATE,
    transform_fn: Callable[[Tensor], Tensor] | None = None,
    inverse_fn: Callable[[Tensor], Tensor] | None = None,
    apply_delta_fn: Callable[[Tensor, Tensor], Tensor] | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[DynamicsModel, History]:
    """Train a GRU on the windows of logs, 80 % of the files, and score it on the other files after every epoch.

    Writes `<checkpoint_dir>/<task_name>/best_model` whenever the held-out loss falls and `model_epoch_<N>` every ten
    epochs. A call that was cut off goes on where it was when it is made again.

    Args:
        data_dir: Folder of CSV files, a CSV or HDF5 file, a set, or the `examples` of several data sets, of which every
            set is drawn as often.
        task_name: Name of the folder of checkpoints; the key of a system gives CSV columns its names and units.
        coordinate_indices: Which positions are seen relative to the first row of the history.
        angle_indices: Which positions are angles [rad].
        hidden_size: Length of the memory.
        history_length: Rows that a prediction is read off.
        prediction_horizon: Steps that the loss predicts, each from the prediction before.
        batch_size: Windows per step.
        num_epochs: Epochs.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        seed: Of weights, split and batches.
        checkpoint_dir: Folder of tasks; `checkpoints` below the present folder if None.
        lr_schedule: `constant`, or `cosine`: a warm-up over a twentieth of the steps, then decay to zero.
        dropout: Share of the memory that the output layer does not see in training.
        loss_on: `delta` or `state`, see `tdlib.models.families.gru`; `state` with a function `apply_delta_fn`.
        memory: `window` or `carried`, see there.
        form: How Δt enters, see there.
        pretrained: Checkpoint or network to go on from: its weights and its scales stay, its optimizer does not.
        fine_tuning_rate: Learning rate in place of `learning_rate` where there is `pretrained`.
        transform_fn: See `DynamicsDataset`; so are the next two.
        inverse_fn: Without it the network predicts what `transform_fn` returns.
        apply_delta_fn: See there.
        device: Where to train.
        progress: Called as progress(done, total) with optimizer steps.

    Returns:
        The network with the best weights, and `train_loss` and `val_loss` of every epoch in units of (Δt·σ)².

    Raises:
        DatasetError: If logs cannot be read or are not finite, or there are not two files to divide.
        ValueError: If an argument is wrong, or a checkpoint does not fit; nothing is trained then.
    """
    transform = transform_of(transform_fn, inverse_fn, apply_delta_fn)
    if Path(task_name).name != task_name or not task_name:
        raise ValueError(f"task_name must be the name of a folder, got {task_name!r}")
    for name, value in (("batch_size", batch_size), ("num_epochs", num_epochs)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number >= 1, got {value!r}")
    examples = _examples(
        data_dir, task_name, coordinate_indices, angle_indices, (history_length, prediction_horizon), transform
    )
    train, val = examples.split(seed)
    options = {
        "hidden_dim": hidden_size,
        "memory": memory,
        "loss_on": loss_on,
        "form": form,
        "dropout": float(dropout),
        "weight_decay": float(weight_decay),
    }
    trial = untrained(train, val, task_name, seed, pretrained=pretrained, **options)
    rate = learning_rate if pretrained is None else fine_tuning_rate
    per_epoch = math.ceil(len(train) / batch_size)
    budget = window_budget(
        examples.window, num_epochs * per_epoch, rate, batch_size, lr_schedule, num_epochs, num_windows=len(val)
    )
    config = {
        "env": examples.spec.name,
        "task_name": task_name,
        "hidden_size": hidden_size,
        "batch_size": batch_size,
        "num_epochs": num_epochs,
        "learning_rate": rate,
        "weight_decay": weight_decay,
        "lr_schedule": lr_schedule,
        "seed": seed,
        "num_examples": {"train": len(train), "val": len(val)},
        "delta_t_support": delta_t_support(trial.train),
        **_described(examples),
    }
    folder = Path(CHECKPOINTS if checkpoint_dir is None else checkpoint_dir) / task_name

    def save(name: str, curves: pd.DataFrame, epoch: int) -> None:
        described = config | {"epoch": epoch, "history": _history(curves)}
        save_checkpoint(folder / name, trial.model, described, curves)
        describe(trial.model, described)

    def validated(one: Trial, step: int, curves: pd.DataFrame) -> None:
        del one  # there is one
        epoch, losses = step // per_epoch, curves["val_loss"]
        if epoch == 0 or losses.iloc[-1] < losses.iloc[:-1].min():
            save(BEST, curves, epoch)
        if epoch and epoch % EVERY == 0:
            save(OF_EPOCH.format(epoch), curves, epoch)

    begins_with = [x.double().sum().item() for x in trial.model.parameters()]
    unfinished = UnfinishedFit(folder / UNFINISHED, fit_key(config, asdict(trial.model.options), begins_with))
    (result,) = fit([trial], budget, device, progress, unfinished, validated)
    save(BEST, result.curves, result.best_step // per_epoch)
    unfinished.clear()
    if result.stopped == "non_finite":
        done = f"{len(result.curves) - 1} of {num_epochs} epochs"
        logger.warning("training of %s stopped after %s: a loss is not finite; the best weights stay", task_name, done)
    return in_physical_units(trial.model.eval(), examples), _history(result.curves)


def untrained(
    train: Examples,
    val: Examples,
    name: str,
    seed: int,
    *,
    pretrained: Path | str | DynamicsModel | None = None,
    **options: object,
) -> Trial:
    """Return a network with the windows that it is to be trained and scored on.

    Args:
        train: Examples to train on.
        val: Held-out ones.
        name: How messages call it.
        seed: Of weights and batches.
        pretrained: Checkpoint or network whose weights and scales it has, and which keeps its scales.
        options: Of the GRU, beside those that the examples decide.
    """
    (parts, offsets), (held_out, held_out_offsets) = train.transitions(), val.transitions()
    settings = options | {
        "history_length": train.history_length,
        "prediction_horizon": train.prediction_horizon,
        "relative": train.relative,
        "train_delta_t": float(np.median(np.concatenate([x.delta_t for x in train.sets]))),
    }
    model = _model(train, settings, seed, pretrained)
    keeps = pretrained is not None
    return Trial(Task(name), seed, model, parts, held_out, offsets, held_out_offsets, keeps_scales=keeps)


def window_budget(
    window: int,
    num_steps: int,
    learning_rate: float,
    batch_size: int,
    schedule: str,
    num_validations: int,
    num_windows: int,
) -> Budget:
    """Return a budget that is counted in windows and stops no training early.

    Args:
        window: Intervals of a window.
        num_steps: Optimizer steps.
        learning_rate: Of AdamW.
        batch_size: Windows per step.
        schedule: `constant`, or `cosine` after a warm-up.
        num_validations: Spread evenly over the steps.
        num_windows: Scored at each of them.
    """
    return Budget(
        num_steps=num_steps,
        learning_rate=learning_rate,
        batch_size=batch_size * window,
        warmup_fraction=0.0 if schedule == "constant" else 0.05,
        patience=num_validations + 1,
        num_validations=num_validations,
        validation_size=num_windows * window**2,  # as `StackRun` counts
        clip=CLIP,
        schedule=schedule,
    )


def load_trained_model(
    path: Path | str,
    *,
    transform_fn: Callable[[Tensor], Tensor] | None = None,
    inverse_fn: Callable[[Tensor], Tensor] | None = None,
    apply_delta_fn: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> tuple[DynamicsModel, dict]:
    """Return a trained network and what its checkpoint says: dimensions, indices, settings, losses of every epoch.

    Args:
        path: Folder of a checkpoint; the founding document's ending `.pkl` may stand behind it.
        transform_fn: Where it was trained with one, for a checkpoint cannot hold a function; so are the next two.
        inverse_fn: See `train_dynamics_model`.
        apply_delta_fn: See there.

    Raises:
        ValueError: If there is no checkpoint, if it is a pickle, or if `transform_fn` is missing or out of place.
    """
    path = checkpoint_folder(path)
    model = load_checkpoint(path)
    config = model.record.plain()
    transform = transform_of(transform_fn, inverse_fn, apply_delta_fn)
    if "task_name" not in config:
        raise ValueError(f"path must be a checkpoint of train_dynamics_model, got {path} of {config.get('env')!r}")
    wanted = config["transform_fn"]
    if bool(wanted) != (transform is not None):
        rule = f"be that of the checkpoint, {wanted}" if wanted else "be absent, as in the checkpoint"
        raise ValueError(f"transform_fn must {rule}, got {transform and transform.name}")
    spec = model.spec if transform is None else spec_from_values(config["physical_spec"])
    return _turned_back(_give_delta(model, spec, transform), spec, transform), config


def checkpoint_folder(path: Path | str) -> Path:
    """Return the folder that a path names, with or without the ending `.pkl`.

    Raises:
        ValueError: If it is a file.
    """
    path = Path(path)
    if path.is_file() and path.suffix != ".pt":
        raise ValueError(
            f"path must be a folder with {CONFIG_FILE} and weights, got the file {path}: reading a pickle runs code"
        )
    return path.with_suffix("") if path.suffix == ".pkl" else path


def _history(curves: pd.DataFrame) -> History:
    """Losses of every epoch."""
    return {name: curves[name].iloc[1:].tolist() for name in ("train_loss", "val_loss")}


def _examples(
    data_dir: Path | str | TransitionDataset | Examples,
    task_name: str,
    coordinate_indices: Sequence[int],
    angle_indices: Sequence[int],
    windows: tuple[int, int],
    transform: Transform | None,
) -> Examples:
    """Read examples, or take those that are there if they are what is said beside them."""
    if not isinstance(data_dir, Examples):
        functions = (
            () if transform is None else (transform.transform_fn, transform.inverse_fn, transform.apply_delta_fn)
        )
        arguments = (coordinate_indices, angle_indices, *windows, *functions)
        return DynamicsDataset(data_dir, *arguments, task_name=task_name).examples
    for name, own, asked in (
        ("coordinate_indices", data_dir.coordinate_indices, tuple(int(i) for i in coordinate_indices)),
        ("angle_indices", data_dir.angle_indices, tuple(int(i) for i in angle_indices)),
        ("history_length, prediction_horizon", (data_dir.history_length, data_dir.prediction_horizon), windows),
        ("transform_fn", data_dir.transform, transform or data_dir.transform),
    ):
        if own != asked:
            raise ValueError(f"{name} must be those of the examples, {own}, got {asked}")
    return data_dir


def _described(examples: Examples) -> dict[str, object]:
    """What a checkpoint says of the data: dimensions, indices, windows, transform, hashes."""
    transform = examples.transform
    functions: dict[str, object] = {"transform_fn": ""}
    if transform is not None:
        functions = {"transform_fn": transform.name, "physical_spec": spec_values(examples.spec)}
    return {
        "state_dim": examples.spec.state_dim,
        "feature_dim": examples.model_spec.feature_dim,
        "action_dim": examples.spec.action_dim,
        "coordinate_indices": list(examples.coordinate_indices),
        "angle_indices": list(examples.angle_indices),
        "history_length": examples.history_length,
        "prediction_horizon": examples.prediction_horizon,
        "data_hashes": [content_hash(x) for x in examples.sets],
        **functions,
    }


def _model(
    examples: Examples, settings: dict[str, object], seed: int, pretrained: Path | str | DynamicsModel | None
) -> DynamicsModel:
    """Build the network, with the weights of another where there is one."""
    spec, transform = examples.model_spec, examples.transform
    if transform is not None and transform.apply_delta_fn is not None and settings["loss_on"] != "state":
        raise ValueError(
            f"loss_on must be 'state' with apply_delta_fn, which has no inverse, got {settings['loss_on']!r}"
        )
    if pretrained is None:
        return _give_delta(build_model(FAMILY, spec, seed=seed, **settings), examples.spec, transform)
    old = pretrained if isinstance(pretrained, DynamicsModel) else load_checkpoint(checkpoint_folder(pretrained))
    old = old.model if isinstance(old, TransformedModel) else old
    if not isinstance(old, GRUModel):
        raise ValueError(f"pretrained must be a {GRUModel.__name__}, got {type(old).__name__}")
    for name, own, asked in (
        ("states, inputs and angle_indices", *(_sizes(x) for x in (old.spec, spec))),
        ("coordinate_indices", old.options.relative, examples.relative),
        *((name, getattr(old.options, name), settings[name]) for name in ("hidden_dim", "history_length", "form")),
    ):
        if own != asked:
            raise ValueError(f"pretrained must have the same {name}, {asked}, got {own} of {old.spec.name!r}")
    model = build_model(FAMILY, spec, seed=seed, **settings | {"train_delta_t": old.options.train_delta_t})
    model.load_state_dict(old.state_dict())
    return _give_delta(model, examples.spec, transform)


def _sizes(spec: EnvironmentSpec) -> tuple[int, int, tuple[int, ...]]:
    return spec.state_dim, spec.action_dim, spec.angle_dims


def _give_delta(model: GRUModel, spec: EnvironmentSpec, transform: Transform | None) -> GRUModel:
    """Let a model apply its changes by the transform's own function, where there is one."""
    if transform is not None and transform.apply_delta_fn is not None:
        num_rest = spec.state_dim - len(positions_of(spec))
        model.apply_delta = partial(transform.apply_delta, num_rest=num_rest)
    return model


def in_physical_units(model: DynamicsModel, examples: Examples) -> DynamicsModel:
    """Return a trained network, or what turns its predictions into physical states, where that can be."""
    return _turned_back(model, examples.spec, examples.transform)


def _turned_back(model: DynamicsModel, spec: EnvironmentSpec, transform: Transform | None) -> DynamicsModel:
    if transform is None or transform.inverse_fn is None:
        return model
    return describe(TransformedModel(model, spec, transform), Record(model.record))
