"""The published settings of MTS3 and its baselines: they load and take steps at their widths."""

import dataclasses
import math

import pandas as pd
import pytest
import torch

from tdlib.core.specs import EnvironmentSpec
from tdlib.core.transitions import Transitions
from tdlib.data import load_dataset
from tdlib.data.sources.mujoco import MACHINES
from tdlib.models import Prediction
from tdlib.study.arms import Arm
from tdlib.study.official import collect_official, main
from tdlib.study.official_errors import official_errors
from tdlib.study.official_settings import FOLDER, PATHS, SettingError, check_official, load_official, official_names
from tdlib.systems import SYSTEMS
from tdlib.training import Trial, fit, load_checkpoint

ALL = [(name, model) for name in official_names() for model in load_official(name).models]
SEED_NAMES = {"mobileRobot", "halfCheetah", "maze2d", "frankaKitchen"}


def spec_of(setting):
    count, inputs = setting.observation_dim, setting.action_dim
    return EnvironmentSpec(
        name=setting.name, state_names=tuple(f"x{i}" for i in range(count)), state_units=("1",) * count, angle_dims=(),
        position_dims=(), velocity_dims=(), input_names=tuple(f"u{i}" for i in range(inputs)),
        input_units=("1",) * inputs, input_low=(-1.0,) * inputs, input_high=(1.0,) * inputs,
    )  # fmt: skip


def test_every_set_of_the_founding_document_has_its_three_models():
    assert set(official_names()) == SEED_NAMES | {"hydraulics"}
    for name in SEED_NAMES:
        assert set(load_official(name).models) == {"default_mts3", "default_acrkn", "default_hiprssm"}
        assert set(load_official(name).learn) == {"default", "default_rnn"}
    assert set(load_official("hydraulics").models) == {"default_mts3"}


@pytest.mark.parametrize(
    ("name", "steps_per_epoch", "horizon", "length"),
    [
        ("mobileRobot", 1, 750, 900),
        ("halfCheetah", 4, 330, 360),
        ("maze2d", 25, 390, 450),
        ("frankaKitchen", 2, 150, 180),
    ],
)
def test_lengths_and_numbers_of_steps_follow(name, steps_per_epoch, horizon, length):
    setting = load_official(name)
    budget, learn = setting.budget("default_mts3"), setting.learn["default"]
    assert (setting.sequences.length, setting.horizon) == (length, horizon)
    assert budget.num_steps == steps_per_epoch * learn.epochs
    assert (budget.clip, budget.learning_rate_at(0), budget.learning_rate_at(budget.num_steps - 1)) == (5, 3e-3, 3e-3)
    model = setting.build("default_mts3", spec_of(setting), 0)
    assert model.options.windows == (setting.sequences.window,) and model.options.latent_dim == 30
    assert model.options.curriculum * learn.epochs == pytest.approx(10)


@pytest.mark.parametrize(("name", "model"), ALL, ids=lambda x: x)
def test_two_steps_at_the_published_widths(name, model):
    """One sequence per step; the published batch has a thousand."""
    setting = load_official(name)
    spec, length = spec_of(setting), setting.sequences.length
    g = torch.Generator().manual_seed(0)
    state = torch.randn(2 * length, spec.state_dim, generator=g)
    action = 2 * torch.rand(2 * length, spec.action_dim, generator=g) - 1
    delta_t = torch.full((2 * length,), 1 / setting.control_frequency)
    rows = Transitions(state, action, state.roll(-1, dims=0), delta_t)
    offsets = [torch.tensor([0, length, 2 * length])]
    network = setting.build(model, spec, 0)
    network.fit_scales(rows)
    before = [x.detach().clone() for x in network.parameters()]
    arm = Arm(PATHS[setting.models[model].model], "baseline", train_frequency=f"{setting.control_frequency:g}")
    tiny = dataclasses.replace(
        setting.budget(model, 1), num_steps=2, batch_size=length, num_validations=1, validation_size=length
    )
    (result,) = fit([Trial(arm, 0, network, [rows], [rows], offsets, offsets)], tiny)
    assert math.isfinite(result.best_val_loss)
    moved = [float((new.detach() - old).abs().max()) for new, old in zip(network.parameters(), before, strict=True)]
    assert sum(x > 0 for x in moved) > 0.7 * len(moved)
    assert max(moved) < 3 * setting.published(model)[1].learning_rate  # two steps of Adam


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("window: 15", "window: 1", "sequences.window: Input should be greater than or equal to 2, got 1"),
        ("learn: default,", "learn: fast,", r"models.default_mts3.learn must be one of \['default', 'default_rnn'\]"),
        ("model: mts3", "model: rnn", "models.default_mts3.model must be one of .*'hip_rssm'.* got 'rnn'"),
        ("context_windows: 2", "context_windows: 24", "context_windows must be below sequences.windows = 24, got 24"),
        ("sliding_window: 15", "sliding_window: 331", "sliding_window must be at most the 330 steps predicted"),
        ("name: halfCheetah", "title: halfCheetah", "title: Extra inputs are not permitted"),
        ("epochs: 1500", "epochs: many", "learn.default.epochs: .*integer"),
        ("name: halfCheetah", "name: [", "must be valid YAML"),
    ],
)
def test_settings_that_make_no_training_are_refused(old, new, rule):
    text = (FOLDER / "halfCheetah.yaml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(SettingError, match=rule):
        check_official(text.replace(old, new), "halfCheetah")


def test_names_that_there_are_not_are_refused():
    with pytest.raises(SettingError, match="name must be one of .*'maze2d'.* got 'walker'"):
        load_official("walker")
    with pytest.raises(SettingError, match="model of maze2d must be one of .*'default_mts3'.* got 'rkn'"):
        load_official("maze2d").published("rkn")
    with pytest.raises(SettingError, match="num_sequences of hydraulics must be given"):
        load_official("hydraulics").budget("default_mts3")


@pytest.mark.parametrize(("name", "model"), ALL, ids=lambda x: x)
def test_a_published_model_is_that_of_the_official_code_and_not_the_studys_small_one(name, model):
    """Widths, oddities and sizes of the paper, where a setting says nothing else."""
    setting = load_official(name)
    options = setting.build(model, spec_of(setting), 0).options
    widths = options.hidden_dim, options.control_hidden_dim, options.set_hidden_dim, options.decoder_hidden_dim
    assert widths == (120, 120, 240, 240)
    kind = setting.models[model].model
    assert options.norm == ("none" if kind == "mts3" else "post")
    if kind == "mts3":
        oddities = options.task_feed, options.abstract_action_covariance, options.detach_between_windows
        assert oddities == ("posterior", False, True)
    elif kind == "hip_rssm":
        assert not options.both_ends


def test_the_published_composition_has_as_many_weights_as_the_official_one():
    setting = load_official("mobileRobot")
    built = setting.build("default_mts3", spec_of(setting), 0)
    network = type(built).Network(9, 4, built.options)
    assert sum(x.numel() for x in network.parameters()) == 119_358  # of those that are used there


def test_splits_have_the_published_numbers_of_sequences():
    for name in SEED_NAMES:
        sequences = load_official(name).sequences
        counts, total = sequences.counts, sum(sequences.counts.values())
        assert (counts["train"], counts["test"]) == (sequences.train, sequences.test)
        assert {split: round(share * total) for split, share in sequences.shares.items()} == counts
    assert load_official("hydraulics").sequences.shares == pytest.approx({"train": 0.8, "val": 0.1, "test": 0.1})


class Same:
    """Predicts what is true of a set's episodes, one sequence each."""

    def __init__(self, dataset, model):
        rows, _ = dataset.transitions_with_offsets(torch.float32)
        self.states, self.scales = (
            rows.next_state.view(dataset.num_episodes, -1, rows.next_state.shape[-1]),
            model.scales,
        )

    def predict(self, state, actions, delta_t, context):
        assert context.states.shape[1] + actions.shape[1] == self.states.shape[1]
        torch.testing.assert_close(state, self.states[:, context.states.shape[1] - 1])  # the last that is seen
        return Prediction(self.states[:, context.states.shape[1] :])


def test_the_command_collects_and_trains(tmp_path, capsys):
    out = tmp_path / "model"
    text = ["mobileRobot", "--model", "default_acrkn", "--out", str(out), "--batch", "1", "--steps", "1"]
    assert main([*text, "--sequences", "4"]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    model, dataset = load_checkpoint(out), load_dataset(out / "mobileRobot.h5", 250)
    assert model.options.norm == "post" and model.options.train_delta_t == pytest.approx(0.004)
    assert dataset.num_episodes == 4 and set(dataset.episode_lengths) == {900}
    assert dataset.spec.name == "double_cart_pole"  # in the place of a robot whose data are not to be had
    written = pd.read_csv(out / "sliding_rmse.csv")
    scored = official_errors(load_official("mobileRobot"), model, dataset)
    assert written["step"].tolist() == scored["step"].tolist() and (written["n"] == 2).all()  # of the test split
    assert scored["step"].tolist() == [0, *range(150, 750, 60)] and (scored["n"] == 4).all()  # (750 − 150)/10 apart
    assert scored["time"].tolist()[1] == pytest.approx(0.6) and scored["rmse"].gt(0).all()
    still = official_errors(load_official("mobileRobot"), Same(dataset, model), dataset)
    assert still["rmse"].max() < 1e-4 < scored["rmse"].min()
    with pytest.raises(SettingError, match="must have an episode of 900 steps for mobileRobot, got none"):
        official_errors(load_official("mobileRobot"), model, dataset.select_episodes([]))
    other = ["frankaKitchen", "--model", "default_hiprssm", *text[3:], "--data", str(out / "mobileRobot.h5")]
    assert main(other) == 0 and load_checkpoint(out).options.context_length == 75
    with pytest.raises(SystemExit):
        main([*text[:2], "rkn", *text[3:]])
    assert "must be one of ['default_mts3', 'default_acrkn', 'default_hiprssm'], got 'rkn'" in capsys.readouterr().err


def test_every_set_names_what_is_collected_in_its_place():
    for name in official_names():
        of = load_official(name).collect
        assert of.name in (SYSTEMS if of.source == "sequences" else MACHINES)
    assert load_official("halfCheetah").observation_dim == len(MACHINES["half_cheetah"].published)
    with pytest.raises(SettingError, match="num_sequences of hydraulics must be given"):
        collect_official(load_official("hydraulics"), "unused.h5")
