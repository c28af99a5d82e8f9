"""How a trained model errs over the steps it predicts, beside rules without training.

    python -m tdlib.dynamics_model_training.evaluate --checkpoint checkpoints/double_cart_pole/best_model.pkl \
        --data-dir data_csv/double_cart_pole --output-dir results/evaluation --num-examples 100

prints the errors of every step and writes `training_history.png`, `prediction_errors.png` and `metrics.json`. If the
data are those of the training, the held-out files are scored.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tdlib.core.files import write_text
from tdlib.core.seeding import numpy_generator
from tdlib.core.specs import EnvironmentSpec, state_difference
from tdlib.data import load_dataset, split_path
from tdlib.data.storage import content_hash
from tdlib.dynamics_model_training.data_loader import DynamicsDataset, Examples, Windows
from tdlib.dynamics_model_training.train import load_trained_model
from tdlib.evaluation.errors import over_dimensions, relative_error
from tdlib.figures.history_models import MODEL, draw_prediction_errors, draw_training_history
from tdlib.figures.save import save_drawing
from tdlib.models import DynamicsModel, find_family
from tdlib.study.arms import Arm
from tdlib.study.phases.collect import main_dataset_path
from tdlib.study.phases.train import model_folder
from tdlib.study.run import Run
from tdlib.training import check_rate, load_checkpoint


@dataclass(frozen=True)
class Evaluation:
    """Errors of a model and of rules without training, over the same windows.

    Args:
        steps: Rows predictor, step (1 ... P), time (mean) [s], mse, mae (over windows and what a network sees: angles
            as (cos, sin)), relative_error (RMS error / RMS true change since the start, over physical dimensions; NaN
            where these are not predicted), n.
        dimensions: Rows predictor, step, time [s], dimension, unit, rmse, mae (differences of angles wrapped) [unit],
            relative_error, n.
    """

    steps: pd.DataFrame
    dimensions: pd.DataFrame

    def per_step(self, column: str, predictor: str = MODEL) -> list[float]:
        """Return one column of `steps`, step by step."""
        return self.steps.loc[self.steps["predictor"] == predictor, column].tolist()


@torch.no_grad()
def evaluate_model(network: DynamicsModel, examples: Examples, num_examples: int = 100, seed: int = 0) -> Evaluation:
    """Score a model on windows drawn from examples, beside a constant velocity and the last change repeated.

    Args:
        network: Predicts physical states, or what the examples' own transform makes of them.
        examples: Windows with as much history as the model was trained on.
        num_examples: Windows drawn without repetition; all if there are fewer.
        seed: Of the draw.

    Raises:
        ValueError: If the numbers of states or inputs are not the model's, or `num_examples` is not positive.
    """
    if num_examples < 1:
        raise ValueError(f"num_examples must be at least 1, got {num_examples}")
    spec, transform = examples.spec, examples.transform
    physical = transform is None or transform.inverse_fn is not None
    sizes = [(x.state_dim, x.action_dim) for x in (network.spec, spec if physical else examples.model_spec)]
    if sizes[0] != sizes[1]:
        raise ValueError(f"examples must have the model's numbers of states and inputs, {sizes[0]}, got {sizes[1]}")
    order = numpy_generator(seed, "examples", spec.name).permutation(len(examples))
    windows = examples.windows(np.sort(order[:num_examples]))
    start, actions, delta_t, context = windows.query()
    see = examples.network_transform
    asked = (start, context) if physical else (see.features(start, spec), see.context(context, spec))
    place = next((x.device for x in network.parameters()), torch.device("cpu"))
    given = (asked[0].to(place), actions.to(place), delta_t.to(place), asked[1].map(lambda x: x.to(place)))
    predicted = network.predict_sequence(*given).cpu()
    targets = see.features(windows.targets, spec)
    found = {MODEL: (see.features(predicted, spec), predicted) if physical else (predicted, None)}
    found |= {name: (see.features(x, spec), x) for name, x in rules_without_training(windows, spec).items()}
    change = state_difference(windows.targets, start.unsqueeze(1), spec).square().mean(dim=0)
    time, n = delta_t.cumsum(dim=1).mean(dim=0), len(start)
    rows, by_dimension = [], []
    for name, (features, states) in found.items():
        error = features - targets
        relative = torch.full((len(time), spec.state_dim + 1), torch.nan)
        if states is not None:
            off = state_difference(states, windows.targets, spec)
            mse = off.square().mean(dim=0)
            _, relative = over_dimensions(mse, relative_error(mse, change))
            by_dimension += _dimension_rows(name, time, mse.sqrt(), off.abs().mean(dim=0), relative, spec, n)
        columns = (time, error.square().mean(dim=(0, 2)), error.abs().mean(dim=(0, 2)), relative[:, -1])
        rows += [(name, k + 1, *(float(x[k]) for x in columns), n) for k in range(len(time))]
    names = ["predictor", "step", "time", "mse", "mae", "relative_error", "n"]
    dimensions = ["predictor", "step", "time", "dimension", "unit", "rmse", "mae", "relative_error", "n"]
    return Evaluation(pd.DataFrame(rows, columns=names), pd.DataFrame(by_dimension, columns=dimensions))


def evaluate_member(run: Run, env: str, arm: Arm, seed: int, num_examples: int = 100) -> Evaluation:
    """Score a model of a run, trained at one rate, on windows of the held-out episodes of that rate and its seed.

    Args:
        run: Where it was trained.
        env: One of the preset's environments.
        arm: A trained arm of a family with a history.
        seed: One of its seeds.
        num_examples: Windows drawn without repetition; all if there are fewer.

    Raises:
        ValueError: If the arm is of several rates or has no history, or its test episodes hold no window.
    """
    if len(arm.frequencies) != 1 or not find_family(arm.model).has_option("history_length"):
        raise ValueError(f"arm must be of one rate and of a family with a history_length, got {arm}")
    network = load_checkpoint(model_folder(run, env, arm, seed), run.device)
    dataset = load_dataset(split_path(main_dataset_path(run, env, arm.frequencies[0], seed), "test"))
    length = (network.options.history_length, network.options.prediction_horizon)  # type: ignore[attr-defined]
    examples = Examples((dataset,), (), *length)
    if not len(examples):
        raise ValueError(f"test episodes of {env} must hold {examples.window} intervals, none does")
    return evaluate_model(network, examples, num_examples, seed)


def rules_without_training(windows: Windows, spec: EnvironmentSpec) -> dict[str, Tensor]:
    """Predict the targets by what needs no model: (N, P, D) each.

    `constant velocity` moves positions by their velocities, where a state has both; `last delta` repeats the last
    change of the history, in proportion to the interval, where there was one.
    """
    past = windows.states.shape[1] - 1
    start, elapsed = windows.states[:, past:], windows.delta_t[:, past:].cumsum(dim=1).unsqueeze(-1)
    found = {}
    if spec.position_dims:
        velocity = torch.zeros_like(start)
        velocity[..., list(spec.position_dims)] = start[..., list(spec.velocity_dims)]
        found["constant velocity"] = start + elapsed * velocity
    if past:
        rate = windows.change / windows.delta_t[:, past - 1, None]
        found["last delta"] = start + elapsed * rate.unsqueeze(1)
    return found


def _dimension_rows(
    name: str, time: Tensor, rmse: Tensor, mae: Tensor, relative: Tensor, spec: EnvironmentSpec, n: int
) -> list[tuple]:
    named = list(enumerate(zip(spec.state_names, spec.state_units, strict=True)))
    return [
        (name, k + 1, float(time[k]), *words, float(rmse[k, i]), float(mae[k, i]), float(relative[k, i]), n)
        for k in range(len(time))
        for i, words in named
    ]


def report(found: Evaluation) -> str:
    """Write errors as text: of every step as the founding document prints them, then beside the rules and in units."""
    lines = []
    for column in ("mse", "mae"):
        lines.append(f"Average {column.upper()} per step:")
        lines += [f"  Step {k}: {value:.6f}" for k, value in enumerate(found.per_step(column), 1)]
    names = list(dict.fromkeys(found.steps["predictor"]))
    for title, column, digits in (
        ("MSE", "mse", ".6f"),
        ("Error relative to the true change", "relative_error", ".3f"),
    ):
        lines.append(f"{title} per step: {', '.join(names)}")
        by_step = zip(*(found.per_step(column, name) for name in names), strict=True)
        lines += [f"  Step {k}: {', '.join(f'{x:{digits}}' for x in row)}" for k, row in enumerate(by_step, 1)]
    last = found.dimensions[found.dimensions["step"] == found.dimensions["step"].max()]
    for (name, unit), rows in last.groupby(["dimension", "unit"], sort=False):
        values = ", ".join(f"{row['predictor']} {row['rmse']:.3g}" for _, row in rows.iterrows())
        lines.append(f"RMS error of {name} at the last step [{unit}]: {values}")
    return "\n".join(lines) + "\n"


def metrics(found: Evaluation, held_out: bool) -> dict:
    """Return the numbers of `metrics.json`."""
    names = list(dict.fromkeys(found.steps["predictor"]))
    physical = {
        name: {
            "unit": rows["unit"].iloc[0],
            **{
                f"{column}_per_step": {who: own[column].tolist() for who, own in rows.groupby("predictor", sort=False)}
                for column in ("rmse", "mae")
            },
        }
        for name, rows in found.dimensions.groupby("dimension", sort=False)
    }
    return {
        "avg_mse_per_step": found.per_step("mse"),
        "avg_mae_per_step": found.per_step("mae"),
        "num_examples": int(found.steps["n"].iloc[0]),
        "held_out": held_out,
        "relative_error_per_step": {name: found.per_step("relative_error", name) for name in names},
        "rules_without_training": {
            name: {f"avg_{column}_per_step": found.per_step(column, name) for column in ("mse", "mae")}
            for name in names
            if name != MODEL
        },
        "physical": physical,
    }


def evaluate_checkpoint(
    checkpoint: Path | str,
    data_dir: Path | str,
    output_dir: Path | str,
    num_examples: int = 100,
    *,
    allow_other_rate: bool = False,
) -> Evaluation:
    """Score a checkpoint on logs and write `training_history.png`, `prediction_errors.png` and `metrics.json`.

    Raises:
        ValueError: If the checkpoint cannot be read, the logs are not of its states and inputs, or of another rate.
    """
    network, config = load_trained_model(checkpoint)
    shape = (config["history_length"], config["prediction_horizon"])
    indices = (config["coordinate_indices"], config["angle_indices"])
    examples = DynamicsDataset(data_dir, *indices, *shape, task_name=config["env"]).examples
    (dataset,) = examples.sets
    if dataset.control_frequency is not None:
        check_rate(network, dataset.control_frequency, allow_other_rate)
    held_out = content_hash(dataset) in config["data_hashes"]
    if held_out:
        _, examples = examples.split(config["seed"])
    found = evaluate_model(network, examples, num_examples, config["seed"])
    output_dir, losses = Path(output_dir), config["history"]
    epochs = pd.DataFrame({"epoch": range(1, len(losses["train_loss"]) + 1), **losses})
    save_drawing(draw_training_history(epochs, config["task_name"]), output_dir / "training_history.png")
    save_drawing(draw_prediction_errors(found.steps, config["task_name"]), output_dir / "prediction_errors.png")
    write_text(output_dir / "metrics.json", json.dumps(metrics(found, held_out), indent=1) + "\n")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Score a checkpoint from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a checkpoint; may end in .pkl")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of CSV logs, or an HDF5 file")
    parser.add_argument("--output-dir", type=Path, required=True, help="where figures and metrics.json go")
    parser.add_argument("--num-examples", type=int, default=100, help="windows that are scored")
    parser.add_argument("--allow-other-rate", action="store_true", help="score logs of a rate it was not trained at")
    options = parser.parse_args(arguments)
    try:
        found = evaluate_checkpoint(**vars(options))
    except ValueError as error:
        parser.error(str(error))
    sys.stdout.write(report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
