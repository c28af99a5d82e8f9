"""Models with a history, by the names of their founding document: logs, windows, training, checkpoints, evaluation."""

import dataclasses
import inspect
import json
import math
import pickle
import re
import shlex
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from tdlib import dynamics_model_training as history_models
from tdlib.core.specs import state_features
from tdlib.data import DatasetError, collect_random, collect_sequences, save_dataset, split_episodes
from tdlib.data.sources.csv import export_csv, import_csv
from tdlib.data.storage import content_hash
from tdlib.dynamics_model_training import (
    DynamicsDataset,
    NeuralNetworkDynamics,
    evaluate,
    load_trained_model,
    train,
    train_double_cart_pole,
)
from tdlib.dynamics_model_training.transforms import angle_transform, shifted
from tdlib.models import DynamicsModel, build_model
from tdlib.speed import prepared
from tdlib.systems import SYSTEMS
from tdlib.training import UnfinishedFit

ROOT = Path(__file__).resolve().parents[1]
H, P, ROWS, FILES, DELTA_T = 3, 2, 30, 12, 0.1
SMALL = {"history_length": H, "prediction_horizon": P, "hidden_size": 16}


def write_logs(folder, *, files=FILES, rows=ROWS, place=0.0, change=None, seed=0):
    """A cart that is pushed and a wheel that turns: x' = v, θ' = ω, both driven by one input, exact between rows."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(files):
        u = rng.uniform(-1, 1, rows)
        v, turn = (start + np.concatenate([[0], np.cumsum(DELTA_T * gain * u)[:-1]])
                   for start, gain in ((0.3, 1.0), (2.0, -1.0)))  # fmt: skip
        x, theta = (start + np.concatenate([[0], np.cumsum(DELTA_T * rate + DELTA_T**2 / 2 * gain * u)[:-1]])
                    for start, rate, gain in ((place + number, v, 1.0), (rng.uniform(-3, 3), turn, -1.0)))  # fmt: skip
        columns = {"timestamp": np.arange(rows) * DELTA_T, "qpos_0": x, "qpos_1": theta, "qvel_0": v, "qvel_1": turn}
        columns = change(columns | {"ctrl_0": u}) if change else columns | {"ctrl_0": u}
        lines = [
            ",".join(columns),
            *(",".join(map(repr, map(float, row))) for row in zip(*columns.values(), strict=True)),
        ]
        (folder / f"log_{number}.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return write_logs(tmp_path_factory.mktemp("logs"))


def trained(data, folder, epochs=10, name="wheel", **options):
    options = {"learning_rate": 3e-2, **SMALL, **options}
    indices = {"coordinate_indices": [0], "angle_indices": [1]}
    return history_models.train_dynamics_model(
        data, name, **indices, num_epochs=epochs, checkpoint_dir=folder, **options
    )


@pytest.fixture(scope="module")
def wheel(logs, tmp_path_factory):
    """A trained model, its losses, and its folder."""
    folder = tmp_path_factory.mktemp("checkpoints")
    network, history = trained(logs, folder)
    return network, history, folder / "wheel"


def outputs(network, logs, count=20):
    query = DynamicsDataset(logs, [0], [1], H, P).examples.windows(range(count)).query()
    with torch.no_grad():
        return network.predict_sequence(*query)


# --- logs -----------------------------------------------------------------------------------------------------------


def test_an_exported_set_is_read_back_bit_for_bit(tmp_path):
    true = collect_random("double_cart_pole", 50, 0, 1100)
    assert true.num_episodes > 10 and (np.abs(true.next_state[:, 1:3]) > math.pi).any()  # files 9 and 10; turns
    export_csv(true, tmp_path / "true")
    assert sorted(path.name for path in (tmp_path / "true").iterdir())[2] == "traj_10.csv"
    logged = import_csv(tmp_path / "true", spec=true.spec)
    for name in ("state", "action", "next_state", "t", "delta_t", "episode_offsets"):
        assert np.array_equal(getattr(logged, name), getattr(true, name)), name
    again = import_csv(export_csv(logged, tmp_path / "again"), spec=true.spec)
    assert content_hash(again) == content_hash(logged)
    header, *_, before, last = (tmp_path / "true" / "traj_0.csv").read_text().splitlines()
    assert header == "timestamp,qpos_0,qpos_1,qpos_2,qvel_0,qvel_1,qvel_2,ctrl_0"
    assert before.split(",")[-1] == last.split(",")[-1]  # the last row holds the inputs before it


def test_a_log_without_pairs_keeps_its_columns_and_extras(tmp_path):
    for file in range(2):
        rows = [f"{0.1 * k!r},{k},{k * file},{2.5 * k},{-k},{k % 3}" for k in range(12)]
        text = "\n".join(["timestamp,state_1,qpos_0,state_0,ctrl_0,heat", *rows])
        (tmp_path / f"{file}.csv").write_text(text + "\n")
    log = import_csv(tmp_path)
    again = import_csv(export_csv(log, tmp_path / "again"))
    assert content_hash(log) == content_hash(again) and list(again.extras) == ["heat"]


def test_rows_cut_short_are_left_out_of_an_export(tmp_path):
    whole = import_csv(write_logs(tmp_path / "logs"), name="wheel")
    cut = dataclasses.replace(whole, delta_t=np.where(whole.truncated, 0.04, whole.delta_t))
    assert len(import_csv(export_csv(cut, tmp_path / "cut"))) == len(whole) - FILES


def test_what_columns_cannot_hold_is_refused(tmp_path, logs):
    drawn = collect_sequences("oscillator", 3, 5, 0)
    assert drawn.parameters is not None
    with pytest.raises(DatasetError, match="episodes without parameters"):
        export_csv(drawn, tmp_path)
    branched = dataclasses.replace(import_csv(logs), kind="branched")
    with pytest.raises(DatasetError, match="a branched set"):
        export_csv(branched, tmp_path)
    with pytest.raises(DatasetError, match="no .csv files yet, got .* with log_0.csv"):
        export_csv(import_csv(logs), logs)
    assert not list(tmp_path.iterdir())


def test_two_shares_make_two_splits_by_file(logs):
    parts = split_episodes(import_csv(logs), 3, {"train": 0.8, "val": 0.2})
    assert list(parts) == ["train", "val"] and [part.num_episodes for part in parts.values()] == [10, 2]
    assert sorted(i for part in parts.values() for i in part.episode_id.tolist()) == list(range(FILES))
    with pytest.raises(DatasetError, match="at least 2 episodes to be split, got 1"):
        split_episodes(import_csv(logs / "log_0.csv"), 3, {"train": 0.8, "val": 0.2})


# --- windows --------------------------------------------------------------------------------------------------------


def test_windows_are_rows_of_one_file(tmp_path):
    write_logs(tmp_path, files=3)
    (tmp_path / "log_2.csv").write_text("\n".join((tmp_path / "log_1.csv").read_text().splitlines()[: H + P]) + "\n")
    dataset = DynamicsDataset(tmp_path, [0], [1], H, P)
    assert len(dataset) == len(dataset.examples) == 2 * (ROWS - (H + P) + 1)  # the third file is a row too short
    rows = [np.loadtxt(tmp_path / f"log_{n}.csv", delimiter=",", skiprows=1) for n in range(2)]
    found = dataset.examples.windows(range(len(dataset)), torch.float64)
    for i, (states, actions, targets) in enumerate(zip(found.states, found.actions, found.targets, strict=True)):
        file, first = divmod(i, len(dataset) // 2)
        own = rows[file][first : first + H + P]
        assert np.array_equal(actions[:, 0], own[:-1, 5])
        assert np.allclose(torch.cat([states, targets])[:, 0], own[:, 1], atol=1e-12)
        assert np.allclose(torch.cat([states, targets])[:, 1].cos(), np.cos(own[:, 2]), atol=1e-12)
    item, own = dataset[-1], rows[1][-(H + P) :]
    assert {name: tuple(x.shape) for name, x in item.items()} == {
        "history": (H, 6), "actions": (P, 1), "targets": (P, 5), "delta_t": (P,)}  # fmt: skip
    seen = np.stack([own[:, 1], np.cos(own[:, 2]), np.sin(own[:, 2]), *own[:, 3:].T], axis=1)
    seen[:H, 0] -= own[0, 1]  # relative to the first row
    assert np.allclose(item["history"], seen[:H], atol=1e-5)
    assert np.allclose(item["targets"], seen[H:, :5], atol=1e-5)
    assert np.allclose(item["actions"][:, 0], own[H - 1 : -1, 5])
    with pytest.raises(IndexError, match="0 .. 51, got 52"):
        dataset[52]


def test_any_set_of_the_library_is_read(tmp_path, logs):
    log = import_csv(logs, name="wheel", angle_positions=(1,))
    path = save_dataset(log, tmp_path / "wheel.h5")
    one, two, three = (DynamicsDataset(x, [0], None if x is log else [1], H, P) for x in (logs, path, log))
    for other in (two, three):
        assert len(other) == len(one) and all(torch.equal(x, other[7][name]) for name, x in one[7].items())
    short = dataclasses.replace(log, delta_t=np.where(log.truncated, 0.04, log.delta_t))
    assert len(DynamicsDataset(short, [0], [1], H, P)) == len(one) - FILES
    assert DynamicsDataset(logs, np.array([0]), torch.tensor([1]), H, P).examples.relative == (0,)


def test_the_default_transform_is_an_exact_rotation(generator):
    see = angle_transform([1, 2])
    position = 4 * torch.rand(50, 4, dtype=torch.float64, generator=generator) - 2
    delta = torch.rand(50, 4, dtype=torch.float64, generator=generator) - 0.5
    features = see.transform_fn(position)
    assert features.shape == (50, 6) and shifted([0, 3], [1, 2]) == (0, 5)
    assert torch.equal(features[:, 5], position[:, 3])
    assert torch.allclose(see.inverse_fn(features), position, atol=1e-12)
    stretch = 0.3 + torch.rand(50, dtype=torch.float64, generator=generator)  # a pair of any length turns as much
    pairs = [x for i in (1, 2) for x in (stretch * delta[:, i].cos() - 1, stretch * delta[:, i].sin())]
    moved = see.apply_delta_fn(features, torch.stack([delta[:, 0], *pairs, delta[:, 3]], dim=1))
    assert torch.allclose(moved, see.transform_fn(position + delta), atol=1e-12)
    nothing = see.apply_delta_fn(features, torch.zeros_like(features))
    assert torch.allclose(nothing, features, atol=1e-12)


def test_the_model_moves_as_the_default_transform_says(logs):
    examples = DynamicsDataset(logs, [0], [1], H, P).examples
    model = build_model("gru", examples.model_spec, seed=0, relative=examples.relative).double()
    state = examples.windows(range(30), torch.float64).states[:, 0]
    change = torch.randn(30, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    see = angle_transform([1])
    moved = see.apply_delta(see.features(state, model.spec), change, num_rest=2)
    assert torch.allclose(state_features(model._moved(state, change), model.spec), moved, atol=1e-12)


def test_a_shift_of_the_origin_changes_nothing_and_one_that_is_not_relative_does(logs, tmp_path):
    for coordinates, same in (([0], True), ([], False)):
        predicted = []
        for place, folder in ((0.0, logs), (5.0, write_logs(tmp_path / f"{same}", place=5.0))):
            examples = DynamicsDataset(folder, coordinates, [1], H, P).examples
            model = build_model(
                "gru", examples.model_spec, seed=0, relative=examples.relative, history_length=H, prediction_horizon=P
            ).double()
            query = examples.windows(range(20), torch.float64).query()
            with torch.no_grad():
                predicted.append(model.predict_sequence(*query) - torch.tensor([place, 0, 0, 0]))
        assert torch.allclose(*predicted, atol=1e-9) == same


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"history_length": 20, "prediction_horizon": 11}, r"at most 30, the rows of the longest .*, got 20 \+ 11"),
        ({"history_length": 0}, "history_length must be a whole number >= 1, got 0"),
        ({"prediction_horizon": 2.0}, "prediction_horizon must be a whole number >= 1, got 2.0"),
        ({"coordinate_indices": [2]}, r"coordinate_indices must be in 0 .. 1 .*got \[2\]"),
        ({"coordinate_indices": [1]}, r"none of angle_indices \(1,\), got \[1\]"),
        ({"angle_indices": [2]}, r"angle_positions must be in 0 .. 1, got \(2,\)"),
        ({"inverse_fn": torch.cos}, "inverse_fn must come with the transform_fn"),
        ({"data_dir": "nowhere"}, "path must be a CSV file or a folder with .csv files"),
    ],
)  # fmt: skip
def test_wrong_windows_are_named(logs, arguments, words):
    options = {"data_dir": logs, "coordinate_indices": [0], "angle_indices": [1]} | arguments
    with pytest.raises(ValueError, match=words):
        DynamicsDataset(**options)


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(DatasetError, match="path must be a CSV file or a folder with .csv files"):
        DynamicsDataset(tmp_path, [0], [1], H, P)


def test_angles_of_a_set_are_its_own(logs):
    log = import_csv(logs, angle_positions=(1,))
    with pytest.raises(ValueError, match=r"angle_indices must be those of the set, state dimensions \(1,\), got \(\)"):
        DynamicsDataset(log, [0], [], H, P)
    known = SYSTEMS["double_cart_pole"]
    data = collect_random(known.spec.name, 50, 0, 200)
    assert DynamicsDataset(data, [0], [1, 2]).examples.spec == known.spec
    with pytest.raises(DatasetError, match="must hold episodes"):
        DynamicsDataset(dataclasses.replace(data, kind="branched"), [0], [1, 2])


def damaged(name, values):
    def change(columns):
        if name is None:
            return {k: v for k, v in columns.items() if not k.startswith("ctrl")}
        return columns | {name: values(columns[name].copy())}

    return change


def put(index, value):
    def change(column):
        column[index] = value
        return column

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (damaged("qvel_1", put(4, np.nan)), "qvel_1 must be finite, got nan in row 5"),
        (damaged("qpos_0", put(4, np.inf)), "qpos_0 must be finite, got inf in row 5"),
        (damaged(None, None), "at least one ctrl column, got 0"),
        (damaged("timestamp", lambda t: t[::-1]), "timestamp must rise from row to row"),
        (damaged("timestamp", put(-1, 9.0)), "intervals must be constant"),
    ],
)
def test_bad_logs_stop_before_training(tmp_path, change, words):
    write_logs(tmp_path / "logs", files=2, change=change)
    with pytest.raises(DatasetError, match=words):
        trained(tmp_path / "logs", tmp_path / "checkpoints")
    assert not (tmp_path / "checkpoints").exists()


# --- training -------------------------------------------------------------------------------------------------------


def test_the_signature_is_the_seeds():
    text = (Path(ROOT / "book" / "seed_names.txt")).read_text(encoding="utf-8")
    assert "001 train_dynamics_model" in text
    parameters = inspect.signature(history_models.train_dynamics_model).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}
    assert own == {
        "data_dir": inspect.Parameter.empty, "task_name": inspect.Parameter.empty,
        "coordinate_indices": inspect.Parameter.empty, "angle_indices": inspect.Parameter.empty,
        "hidden_size": 128, "history_length": 11, "prediction_horizon": 9, "batch_size": 32, "num_epochs": 100,
        "learning_rate": 1e-3, "weight_decay": 1e-5, "seed": 42, "checkpoint_dir": None,
    }  # fmt: skip
    others = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert {"lr_schedule", "dropout", "pretrained"} <= set(others) and others["fine_tuning_rate"].default == 1e-4


def test_training_learns_and_leaves_its_checkpoints(wheel, logs):
    network, history, folder = wheel
    assert list(history) == ["train_loss", "val_loss"] and [len(x) for x in history.values()] == [10, 10]
    assert history["train_loss"][-1] < 0.1 * history["train_loss"][0]
    assert sorted(path.name for path in folder.iterdir()) == ["best_model", "model_epoch_10"]
    loaded, config = load_trained_model(folder / "best_model.pkl")
    assert torch.equal(outputs(loaded, logs), outputs(network, logs))
    assert config["history"] == history
    assert config["epoch"] == 1 + int(np.argmin(history["val_loss"]))
    wanted = {
        "task_name": "wheel", "state_dim": 4, "action_dim": 1, "feature_dim": 5, "coordinate_indices": [0],
        "angle_indices": [1], "hidden_size": 16, "history_length": H, "prediction_horizon": P, "batch_size": 32,
        "num_epochs": 10, "learning_rate": 3e-2, "weight_decay": 1e-5, "lr_schedule": "constant", "seed": 42,
    }  # fmt: skip
    assert {name: config[name] for name in wanted} == wanted
    assert config["num_examples"] == {"train": 10 * 26, "val": 2 * 26} and config["build"]["options"]["dropout"] == 0
    assert loaded.train_delta_t.item() == pytest.approx(DELTA_T, rel=1e-12)
    last, _ = load_trained_model(folder / "model_epoch_10")
    assert torch.equal(outputs(last, logs), outputs(network, logs)) == (config["epoch"] == 10)
    examples = DynamicsDataset(logs, [0], [1], H, P, task_name="wheel").examples.split(42)[1]
    found = evaluate.evaluate_model(network, examples, 1000)
    assert max(found.per_step("relative_error")) < 0.5 < min(found.per_step("relative_error", "last delta"))


def test_a_training_that_was_cut_off_goes_on(wheel, logs, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "UnfinishedFit", partial(UnfinishedFit, every=0.0))

    def cut(done, total):
        if done >= 64:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        trained(logs, tmp_path, progress=cut)
    assert (tmp_path / "wheel" / "unfinished").is_dir() and (tmp_path / "wheel" / "best_model").is_dir()
    first = []
    network, history = trained(logs, tmp_path, progress=lambda done, total: first.append(done))
    assert first[0] == 64 and history == wheel[1]
    assert torch.equal(outputs(network, logs), outputs(wheel[0], logs))
    assert not list((tmp_path / "wheel" / "unfinished").iterdir())


def test_fine_tuning_keeps_scales_and_takes_its_own_rate(wheel, logs, tmp_path):
    network, history, folder = wheel
    other = write_logs(tmp_path / "other", files=6, place=40.0, seed=1)
    tuned, _ = trained(other, tmp_path, epochs=2, pretrained=folder / "best_model.pkl")
    _, config = load_trained_model(tmp_path / "wheel" / "best_model")
    assert config["learning_rate"] == 1e-4
    for name, value in network.scales.state_dict().items():
        assert torch.equal(value, tuned.scales.state_dict()[name])
    moved = max((a - b).abs().max().item() for a, b in zip(network.parameters(), tuned.parameters(), strict=True))
    assert 0 < moved < 0.01  # of some 12 steps of 1e-4
    far, _ = trained(other, tmp_path / "far", epochs=2, pretrained=network, fine_tuning_rate=1e-2)
    assert max((a - b).abs().max() for a, b in zip(network.parameters(), far.parameters(), strict=True)) > 0.01
    for options, words in (
        ({"hidden_size": 8}, "same hidden_dim, 8, got 16"),
        ({"history_length": 4}, "same history_length, 4, got 3"),
        ({"pretrained": build_model("jump", network.spec, seed=0)}, "must be a GRUModel, got JumpModel"),
    ):
        with pytest.raises(ValueError, match=words):
            trained(other, tmp_path / "none", **{"pretrained": network, **options})
    with pytest.raises(ValueError, match="same states, inputs and angle_indices"):
        train.train_dynamics_model(other, "wheel", [0], [], **SMALL, pretrained=network, checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match=r"same coordinate_indices, \(\), got \(0,\)"):
        train.train_dynamics_model(other, "wheel", [], [1], **SMALL, pretrained=network, checkpoint_dir=tmp_path)
    assert not (tmp_path / "none").exists()


def test_examples_of_several_tasks_combine_where_one_model_fits_them(logs, tmp_path):
    one = DynamicsDataset(logs, [0], [1], H, P)
    two = DynamicsDataset(write_logs(tmp_path / "two", files=5, place=3.0, seed=2), [0], [1], H, P)
    both = one.examples + two.examples
    assert len(both) == len(one) + len(two) and torch.equal(both[len(one)]["history"], two[0]["history"])
    network, history = trained(both, tmp_path, epochs=2)
    assert (
        len(history["val_loss"]) == 2
        and len(load_trained_model(tmp_path / "wheel" / "best_model")[1]["data_hashes"]) == 2
    )
    reached = torch.cat([x.state for x in both.split(42)[0].transitions()[0]])
    assert torch.allclose(network.scales.normalizer.mean, state_features(reached, network.spec).mean(0), atol=1e-4)
    for other, words in (
        (DynamicsDataset(logs, [0], [1], H, P + 1), "same prediction_horizon"),
        (DynamicsDataset(logs, [0], [], H, P), "same angle_indices"),
        (DynamicsDataset(logs, [], [1], H, P), "same coordinate_indices"),
        (DynamicsDataset(collect_random("double_cart_pole", 50, 0, 200), [0], [1, 2], H, P), "same number of states"),
        (DynamicsDataset(logs, [0], [1], H, P, torch.tanh), "same transform_fn"),
    ):
        with pytest.raises(ValueError, match=words):
            one.examples + other.examples
    spec = one.examples.spec
    in_feet = dataclasses.replace(
        one.examples.sets[0], spec=dataclasses.replace(spec, state_units=("ft", *spec.state_units[1:]))
    )
    with pytest.raises(ValueError, match="since one normalizer serves both"):
        one.examples + dataclasses.replace(one.examples, sets=(in_feet,))
    with pytest.raises(ValueError, match=r"history_length, prediction_horizon must be those of the examples, \(3, 2\)"):
        trained(both, tmp_path, history_length=4)


def grow(qpos):
    return torch.stack([qpos[..., 0].sinh(), qpos[..., 1].cos(), qpos[..., 1].sin()], dim=-1)


def shrink(features):
    return torch.stack([features[..., 0].asinh(), torch.atan2(features[..., 2], features[..., 1])], dim=-1)


def turn(features, delta):
    turned = angle_transform([0]).apply_delta_fn(features[..., 1:], delta[..., 1:])
    return torch.cat([features[..., :1] + delta[..., :1], turned], dim=-1)


def test_a_transform_of_ones_own_takes_the_place_of_the_default(logs, tmp_path):
    functions = {"transform_fn": grow, "inverse_fn": shrink, "apply_delta_fn": turn}
    slow = write_logs(tmp_path / "slow", files=6, place=-2.0)
    item = DynamicsDataset(slow, [0], [1], H, P, **functions)[0]
    plain = DynamicsDataset(slow, [], [1], H, P).examples.windows([0])
    assert torch.allclose(item["targets"][:, :3], grow(plain.targets[0, :, :2]))
    with pytest.raises(ValueError, match="loss_on must be 'state' with apply_delta_fn"):
        trained(slow, tmp_path, **functions)
    network, history = trained(slow, tmp_path, epochs=3, loss_on="state", **functions)
    assert history["train_loss"][-1] < history["train_loss"][0]
    with torch.no_grad():
        predicted = network.predict_sequence(*plain.query())
    assert predicted.shape == plain.targets.shape and predicted[..., 1].abs().max() <= math.pi
    pairs = network.model(*(x.unsqueeze(0) for x in (item["targets"][0], item["actions"][0])))[..., 1:3]
    assert torch.allclose(pairs.norm(dim=-1), torch.ones(1), atol=1e-5)  # by `turn`: on the unit circle
    best = tmp_path / "wheel" / "best_model"
    loaded, config = load_trained_model(best, **functions)
    with torch.no_grad():
        assert torch.equal(loaded.predict_sequence(*plain.query()), predicted)
    assert config["transform_fn"].endswith("test_history_models:grow")
    with pytest.raises(ValueError, match="transform_fn must be that of the checkpoint, .*grow, got None"):
        load_trained_model(best)
    own = DynamicsDataset(slow, [0], [1], H, P, task_name="wheel", **functions).examples
    again, _ = trained(own, tmp_path / "again", epochs=3, loss_on="state")  # the examples bring their functions
    with torch.no_grad():
        assert torch.equal(again.predict_sequence(*plain.query()), predicted)
    found = evaluate.evaluate_model(network, own, 20)
    assert np.isfinite(found.per_step("relative_error")).all()
    bare, _ = trained(slow, tmp_path / "bare", epochs=1, transform_fn=grow)
    assert bare.spec.state_names == ("z_0", "z_1", "z_2", "qvel_0", "qvel_1")
    found = evaluate.evaluate_model(bare, DynamicsDataset(slow, [0], [1], H, P, grow).examples, 20)
    assert np.isfinite(found.per_step("mse")).all() and np.isnan(found.per_step("relative_error")).all()


def test_options_reach_the_trainer_and_the_model(logs, tmp_path):
    network, _ = trained(
        logs, tmp_path, epochs=2, lr_schedule="cosine", dropout=0.2, memory="carried", weight_decay=0.1, loss_on="state"
    )
    assert (network.options.dropout, network.options.memory, network.options.loss_on) == (0.2, "carried", "state")
    assert network.parameter_groups()[0].weight_decay == 0.1
    assert torch.equal(outputs(network, logs), outputs(network, logs))  # nothing is dropped outside training
    rates = np.loadtxt(tmp_path / "wheel" / "best_model" / "training_curves.csv", delimiter=",", skiprows=2)[:, 4]
    assert rates[-1] < rates[0] == pytest.approx(3e-2, rel=0.6)
    decayed, plain = (
        trained(logs, tmp_path / name, epochs=2, weight_decay=decay)[0] for name, decay in (("d", 5.0), ("p", 0.0))
    )
    lengths = [sum(x.detach().square().sum().item() for x in model.parameters()) for model in (decayed, plain)]
    assert lengths[0] < 0.8 * lengths[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "a/b"}, "task_name must be the name of a folder, got 'a/b'"),
        ({"num_epochs": 0}, "num_epochs must be a whole number >= 1, got 0"),
        ({"batch_size": 2.0}, "batch_size must be a whole number >= 1, got 2.0"),
        ({"learning_rate": 0.0}, "learning_rate must be a positive finite number, got 0.0"),
        ({"weight_decay": -1.0}, "weight_decay must be finite and not negative, got -1.0"),
        ({"lr_schedule": "step"}, r"schedule must be one of \['cosine', 'constant'\], got 'step'"),
        ({"history_length": 40}, "at most 30, the rows of the longest"),
        ({"history_length": 1, "prediction_horizon": 1}, "must be at least 3 for a window"),
        ({"pretrained": "nowhere"}, "path must be a checkpoint folder"),
    ],
)
def test_wrong_arguments_stop_before_training(logs, tmp_path, options, words):
    options = {"epochs": options.pop("num_epochs", 1), **options}
    with pytest.raises(ValueError, match=words):
        trained(logs, tmp_path / "checkpoints", **options)
    assert not (tmp_path / "checkpoints").exists()


def test_a_loss_that_is_not_finite_is_said_and_the_best_weights_stay(logs, tmp_path, caplog):
    network, history = trained(logs, tmp_path, epochs=3, learning_rate=1e30)
    assert len(history["val_loss"]) < 3 and "not finite" in caplog.text
    assert all(x.isfinite().all() for x in network.parameters())


def test_a_pickle_is_not_read(wheel, tmp_path):
    path = tmp_path / "best_model.pkl"
    path.write_bytes(pickle.dumps({"weights": 1}))
    with pytest.raises(ValueError, match="got the file .*best_model.pkl: reading a pickle runs code"):
        load_trained_model(path)
    with pytest.raises(ValueError, match="path must be a checkpoint folder with model.pt and config.yaml"):
        load_trained_model(tmp_path / "none.pkl")
    with pytest.raises(ValueError, match="transform_fn must be absent"):
        load_trained_model(wheel[2] / "best_model", transform_fn=torch.tanh)


# --- evaluation -----------------------------------------------------------------------------------------------------


class Exact(DynamicsModel):
    """The logs' own law; `late` takes the input of the step before."""

    def forward(self, state, action, delta_t=None):
        h = delta_t.unsqueeze(-1)
        gain = torch.tensor([1.0, -1.0]).to(state)
        q, v = state[..., :2], state[..., 2:]
        return torch.cat([q + h * v + h**2 / 2 * gain * action, v + h * gain * action], dim=-1)


class Late(Exact):
    def predict(self, state, actions, delta_t=None, context=None):
        return super().predict(state, torch.cat([context.actions[:, -1:], actions[:, :-1]], dim=1), delta_t, context)


def test_steps_targets_and_inputs_belong_together(logs):
    examples = DynamicsDataset(logs, [0], [1], 4, 6).examples
    exact, late = (evaluate.evaluate_model(kind(examples.spec), examples, 60) for kind in (Exact, Late))
    assert max(exact.per_step("mse")) < 1e-10 and max(exact.per_step("relative_error")) < 1e-3
    assert min(late.per_step("mse")) > 1e-4
    assert exact.steps["time"].iloc[:6].tolist() == pytest.approx([DELTA_T * k for k in range(1, 7)], rel=1e-5)
    assert set(exact.steps["n"]) == {60} and set(exact.dimensions["unit"]) == {"m", "rad", "m/s", "rad/s"}


def test_rules_without_training_are_exact_where_they_hold(tmp_path):
    coasting = write_logs(tmp_path, files=2, change=lambda c: c | {
        "qpos_0": 0.3 * c["timestamp"], "qvel_0": np.full(ROWS, 0.3), "qpos_1": 3 + c["timestamp"],
        "qvel_1": np.full(ROWS, 1.0)})  # fmt: skip
    examples = DynamicsDataset(coasting, [0], [1], H, 5).examples
    windows = examples.windows(range(20), torch.float64)
    found = evaluate.rules_without_training(windows, examples.spec)
    assert set(found) == {"constant velocity", "last delta"}
    for predicted in found.values():
        assert torch.allclose(predicted.cos(), windows.targets.cos(), atol=1e-9)
    assert set(
        evaluate.rules_without_training(DynamicsDataset(coasting, [0], [1], 1, 5).examples.windows([0]), examples.spec)
    ) == {"constant velocity"}
    unpaired = dataclasses.replace(examples.spec, position_dims=(), velocity_dims=())
    assert set(evaluate.rules_without_training(windows, unpaired)) == {"last delta"}


def test_errors_are_those_by_hand(wheel, logs):
    network = wheel[0]
    examples = DynamicsDataset(logs, [0], [1], H, P).examples
    windows = examples.windows(range(len(examples)))
    with torch.no_grad():
        predicted = network.predict_sequence(*windows.query())
    off = state_features(predicted, network.spec) - state_features(windows.targets, network.spec)
    found = evaluate.evaluate_model(network, examples, 10**6)
    assert found.per_step("mse") == pytest.approx(off.square().mean(dim=(0, 2)).tolist(), rel=1e-4)
    assert found.per_step("mae") == pytest.approx(off.abs().mean(dim=(0, 2)).tolist(), rel=1e-4)
    x = found.dimensions.query("predictor == 'model' and dimension == 'qpos_0'")
    assert x["rmse"].tolist() == pytest.approx(off[..., 0].square().mean(0).sqrt().tolist(), rel=1e-4)
    turned = (predicted - windows.targets)[..., 1]
    turned = torch.remainder(turned + math.pi, 2 * math.pi) - math.pi
    angle = found.dimensions.query("predictor == 'model' and dimension == 'qpos_1'")
    assert angle["mae"].tolist() == pytest.approx(turned.abs().mean(0).tolist(), rel=1e-3)


def evaluation_arguments(checkpoint, data, out, *more):
    return ["--checkpoint", str(checkpoint), "--data-dir", str(data), "--output-dir", str(out), *more]


def test_the_command_prints_steps_and_leaves_figures_and_numbers(wheel, logs, tmp_path, capsys):
    arguments = evaluation_arguments(wheel[2] / "best_model.pkl", logs, tmp_path, "--num-examples", "40")
    assert evaluate.main(arguments) == 0
    text = capsys.readouterr().out
    numbers = json.loads((tmp_path / "metrics.json").read_text())
    mse, mae = numbers["avg_mse_per_step"], numbers["avg_mae_per_step"]
    lines = [f"  Step {k}: {value:.6f}" for values in (mse, mae) for k, value in enumerate(values, 1)]
    assert text.splitlines()[:6] == ["Average MSE per step:", *lines[:2], "Average MAE per step:", *lines[2:]]
    assert numbers["held_out"] and numbers["num_examples"] == 40 and len(mse) == len(mae) == P
    assert set(numbers["physical"]) == {"qpos_0", "qpos_1", "qvel_0", "qvel_1"}
    assert numbers["physical"]["qpos_1"]["unit"] == "rad" and "RMS error of qpos_1 at the last step [rad]" in text
    assert {"training_history.png", "prediction_errors.png"} <= {path.name for path in tmp_path.iterdir()}
    caption = json.loads((tmp_path / "prediction_errors.json").read_text())["caption"]
    assert f"{mse[-1]:.2g}" in caption and "n = 40" in caption
    other = write_logs(tmp_path / "other", files=1, seed=9)
    evaluate.main(evaluation_arguments(wheel[2] / "best_model", other, tmp_path))
    assert not json.loads((tmp_path / "metrics.json").read_text())["held_out"]


@pytest.mark.parametrize(
    ("change", "more", "words"),
    [
        (lambda c: c | {"timestamp": 2 * c["timestamp"]}, [], "pass allow_other_rate=True"),
        (lambda c: c | {"ctrl_1": c["ctrl_0"]}, [], "numbers of states and inputs"),
        (None, ["--num-examples", "0"], "num_examples must be at least 1, got 0"),
    ],
)
def test_a_mistake_of_the_command_is_named(wheel, tmp_path, capsys, change, more, words):
    data = write_logs(tmp_path / "logs", files=2, change=change)
    with pytest.raises(SystemExit) as stopped:
        evaluate.main(evaluation_arguments(wheel[2] / "best_model", data, tmp_path / "out", *more))
    assert stopped.value.code == 2 and words in capsys.readouterr().err
    if "rate" in words:
        assert evaluate.main(evaluation_arguments(wheel[2] / "best_model", data, tmp_path, "--allow-other-rate")) == 0


# --- dynamics for controllers ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def poles(tmp_path_factory):
    """A checkpoint of the double cart-pole, by the example's own command, in a folder of its own."""
    folder = tmp_path_factory.mktemp("poles")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        small = partial(train.train_dynamics_model, hidden_size=8, memory="carried")
        patch.setattr(train_double_cart_pole, "train_dynamics_model", small)
        assert train_double_cart_pole.main(["--num-epochs", "1", "--num-transitions", "900"]) == 0
    return folder


def test_dynamics_step_along_a_history(poles):
    system = SYSTEMS["double_cart_pole"]
    dynamics = NeuralNetworkDynamics.load_params(
        model=system, path=poles / "checkpoints" / "double_cart_pole" / "best_model.pkl"
    )
    start = torch.tensor([[0.1, 3.0, 0.2, 0.0, 0.5, -0.5]])
    actions = torch.tensor([[[0.5], [-1.0], [0.25]]])
    history = dynamics.initialize_state_history(start)
    assert history.states.shape == (1, 10, 6) and (history.states == start).all() and (history.actions == 0).all()
    assert history.mask.all() and dynamics.delta_t == pytest.approx(0.01)
    with torch.no_grad():
        whole = dynamics.network.predict_sequence(start, actions, dynamics.delta_t, history)
        first, after = dynamics.step(start, actions[:, 0], history)
    assert torch.allclose(first, whole[:, 0], atol=1e-6)
    assert after.states.shape == (1, 10, 6) and torch.equal(after.actions[:, -1], actions[:, 0])
    assert torch.equal(after.states[:, -1], start) and torch.equal(after.states[:, :-1], history.states[:, 1:])
    assert torch.allclose(dynamics.transform_state(start), state_features(start, system.spec))
    assert dynamics.get_config()["task_name"] == "double_cart_pole"
    again = NeuralNetworkDynamics.load_params(model=system, path=dynamics.save_params(poles / "mine.pkl"))
    with torch.no_grad():
        assert torch.equal(again.step(start, actions[:, 0], history)[0], first)


@pytest.mark.parametrize("memory", ["window", "carried"])
def test_planners_fastest_form_predicts_the_same(logs, memory):
    examples = DynamicsDataset(logs, [0], [1], H, P).examples
    settings = {"history_length": H, "prediction_horizon": P, "hidden_dim": 8, "memory": memory}
    model = build_model("gru", examples.model_spec, seed=0, relative=examples.relative, **settings)
    start, actions, _, context = examples.windows(range(6)).query()
    with torch.no_grad():
        one_by_one = model.predict_sequence(start, actions, DELTA_T, context)
        past = context.map(lambda x: x[None, :, None])  # (M, E, P, ...): one model, six episodes, one plan each
        planned = prepared(model).predict_sequence(start[None, :, None], actions[None, :, None], DELTA_T, past)
    assert torch.allclose(planned[0, :, 0], one_by_one, atol=1e-5)


def test_a_checkpoint_of_another_task_is_refused(poles, wheel):
    best = poles / "checkpoints" / "double_cart_pole" / "best_model"
    with pytest.raises(ValueError, match="must be a checkpoint of Pendulum-v1, got one of double_cart_pole"):
        NeuralNetworkDynamics.load_params(model=SYSTEMS["Pendulum-v1"], path=best)
    with pytest.raises(ValueError, match="the state_dim of double_cart_pole, 6, got 4"):
        NeuralNetworkDynamics.load_params(model=SYSTEMS["double_cart_pole"], path=wheel[2] / "best_model")


def test_the_commands_of_the_seed_run_as_the_table_writes_them(poles, monkeypatch, capsys):
    entries = yaml.safe_load((ROOT / "book" / "seed_map.yaml").read_text(encoding="utf-8"))
    text = " ".join(entry["ours"] for entry in entries)
    (example,) = set(re.findall(r"`(python -m tdlib.dynamics_model_training.train_double_cart_pole[^`]*)`", text))
    (command,) = set(re.findall(r"`python -m tdlib.dynamics_model_training.evaluate ([^`]*)`", text))
    assert example.endswith("train_double_cart_pole")  # run by the fixture with less of everything
    monkeypatch.chdir(poles)
    assert evaluate.main(shlex.split(command)) == 0
    assert "Average MSE per step:\n  Step 1: " in capsys.readouterr().out
    assert (poles / "results" / "evaluation" / "metrics.json").is_file()
