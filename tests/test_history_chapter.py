"""The history chapter on a tiny run: a member scored in windows of its rate, a film of the arm that is asked, and
trainings that differ in one thing each."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from tdlib.data import load_dataset
from tdlib.dynamics_model_training import ablations
from tdlib.dynamics_model_training.ablations import ABLATIONS, PLAIN, REFUSED, ablate, chosen_episodes
from tdlib.dynamics_model_training.evaluate import evaluate_member, report
from tdlib.explorer.python.entries import FIRST_ARMS
from tdlib.figures.history_models import draw_errors_in_units
from tdlib.study.arms import Arm, build_arm
from tdlib.study.chapters import load_chapter
from tdlib.study.cost import preset_work
from tdlib.study.layout import ROOT, RunLayout
from tdlib.study.measurements import OF_ABLATIONS, measure
from tdlib.study.phases.control_film import film_control, filmed_arm
from tdlib.study.phases.train import ensure_trained
from tdlib.study.presets import PRESET_FOLDER, load_preset
from tdlib.study.run import Missing, Run, open_run
from tdlib.study.selection import everything, select_arms
from tdlib.systems import SYSTEMS

ENV = "double_cart_pole"
OF_ONE, OF_TWO = Arm("gru", "baseline", train_frequency="20"), Arm("gru", "multi_resolution", train_frequency="mixed")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    content = yaml.safe_load((PRESET_FOLDER / "history_smoke.yaml").read_text(encoding="utf-8"))
    content |= {"name": "tiny", "environments": [ENV], "models": ["gru"], "forms": ["none"]}
    content |= {"training": {"num_steps": 1, "learning_rate": 0.001, "batch_size": 38}}
    (root / "tiny.yaml").write_text(yaml.safe_dump(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDLIB_RUNS", str(root))
        run = open_run(root / "tiny.yaml")
        ensure_trained(run, ENV)
        yield run


def test_a_member_is_scored_on_held_out_windows_of_its_rate_in_units(run):
    found = evaluate_member(run, ENV, OF_ONE, 0, num_examples=20)
    assert set(found.steps["predictor"]) == {"model", "constant velocity", "last delta"}
    assert np.allclose(found.steps.query("predictor == 'model'")["time"], 0.05 * np.arange(1, 10))
    assert (found.steps["n"] == 20).all() and set(found.dimensions["unit"]) == {"m", "rad", "m/s", "rad/s"}
    assert "Average MSE per step:\n  Step 1: " in report(found)
    again = evaluate_member(run, ENV, OF_ONE, 0, num_examples=20)
    assert again.steps.equals(found.steps)
    drawn = draw_errors_in_units(found.dimensions, ENV, "GRU of 20 Hz")
    labels = [axis.get_ylabel().removeprefix("error of ") for axis in drawn.figure.axes]
    assert labels == ["x [m]", "θ₁ [rad]", "θ₂ [rad]", "dx/dt [m/s]", "ω₁ [rad/s]", "ω₂ [rad/s]"]
    last = found.dimensions.query("step == 9 and dimension == 'x'").set_index("predictor")["rmse"]
    assert "n = 20 windows. After 0.45 s the error of x of double_cart_pole is " in drawn.caption
    assert f"is {last['model']:.2g} m" in drawn.caption and len(drawn.figure.axes[0].lines) == 3


@pytest.mark.parametrize("arm", [OF_TWO, Arm("jump", "baseline", train_frequency="20")])
def test_an_arm_of_several_rates_or_without_a_history_is_refused(run, arm):
    with pytest.raises(ValueError, match="arm must be of one rate and of a family with a history_length, got Arm"):
        evaluate_member(run, ENV, arm, 0)


def test_the_edition_ships_what_a_page_carries_of_the_arms_that_are_planned_with():
    preset, chapter = load_preset("history"), load_chapter("history")
    run = Run(preset, RunLayout.of("history"))
    shipped = {env: chapter.shipped(run, env) for env in preset.environments}
    page = (ROOT / "book" / "history.md").read_text(encoding="utf-8")
    sides = re.findall(r"[&=]([ab])=(\w+)~(\w+)\.(\w+)\.(\w+)~(\w+)", page)
    asked = [Arm(model, method, form, data=data, train_frequency=rate) for _, model, method, form, data, rate in sides]
    assert len(asked) == 2
    carried = [*FIRST_ARMS.values(), *asked, OF_ONE, Arm("lstm", "baseline", train_frequency="20")]
    seeds = [f"seed{seed}" for seed in preset.own_seeds]
    num_weights = 0
    for env, found in shipped.items():
        folder = SYSTEMS[env].spec.folder
        wanted = {f"{folder}/{arm.model}/{arm.folder}/{seed}" for arm in carried for seed in seeds}
        assert {path.relative_to(run.layout.models).as_posix() for path in found} == wanted
        models = [build_arm(arm, SYSTEMS[env].spec, 0) for arm in set(carried)]
        num_weights += sum(x.numel() for model in models for x in model.parameters())
    assert 4 * num_weights < chapter.max_bytes / 3  # single precision; the rest is for tables, pages and pictures


def test_the_arm_that_is_asked_for_is_filmed(run):
    film = film_control(run, ENV, None, OF_TWO)
    assert film.path.name == "double_cart_pole_control_at_20hz.mp4" and film.path.stat().st_size > 1000
    assert "looks through multi-resolution, none" in film.caption
    missing = film_control(run, ENV, select_arms(run, methods=["baseline"]), OF_TWO)
    assert isinstance(missing, Missing) and "gru/multi_resolution" in str(missing)
    assert str(film_control(run, ENV)).count(filmed_arm().model)  # the main model, which this run does not have


# --- trainings that differ in one thing each ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cases(run):
    return {case.ablation.name: case for case in ablations._cases(run, ENV, 0)}


def test_each_training_differs_from_the_plain_one_in_what_it_says(cases):
    plain = cases[PLAIN].trial
    differs = {}
    for name, case in cases.items():
        model = case.trial.model
        options = dataclasses.asdict(model.options).items() - dataclasses.asdict(plain.model.options).items()
        found = {key for key, _ in options}
        found |= {"angles"} if model.spec.angle_dims != plain.model.spec.angle_dims else set()
        found |= {"data"} if not torch.equal(case.trial.train[0].state[:9, 0], plain.train[0].state[:9, 0]) else set()
        found |= {"amount"} if len(case.trial.train[0]) != len(plain.train[0]) else set()
        found |= {"scales"} if case.trial.keeps_scales else set()
        differs[name] = found
        assert case.test.prediction_horizon == 3 and case.test.history_length == model.options.history_length
    assert differs == {
        PLAIN: set(), "narrow data": {"data"}, "absolute coordinates": {"relative"}, "raw angles": {"angles"},
        "history of one row": {"history_length"}, "horizon of one step": {"prediction_horizon"},
        "an eighth of the width": {"hidden_dim"}, "cosine schedule": set(), "weight decay": {"weight_decay"},
        "unit scales": {"scales"}, "high learning rate": set(), "boundless learning rate": set(),
        "more data": {"data", "amount"}, "dropout": {"dropout"}, "pairs that add": {"angles"},
    }  # fmt: skip
    assert (cases["unit scales"].trial.model.rate_scale == 1).all()


def test_the_cost_counts_each_of_them(run, cases):
    settings = run.preset.ablations
    chapter, found = load_chapter("history"), preset_work(run.preset).query("kind == 'training'")
    assert chapter.own_steps(run.preset, ENV) == {OF_ONE: len(cases) * settings.num_steps}
    beside = len(everything(run).on(ENV).trained_members) * run.preset.training.num_steps
    assert found["count"].sum() == beside + len(cases) * settings.num_steps
    whole = load_preset("history_smoke")
    without = whole.model_copy(update={"ablations": None})
    first, second = whole.environments
    fewer = chapter.own_steps(whole, second)[OF_ONE]
    assert 0 < fewer < chapter.own_steps(whole, first)[OF_ONE] and chapter.own_steps(without, first) == {}


TROUBLES = {  # line of the founding document's list -> the training that backs it
    "High training loss": {
        "increase hidden_size": "an eighth of the width", "decrease learning_rate": "high learning rate",
        "check data normalization": "unit scales", "verify angle_indices": "raw angles",
    },
    "Overfitting": {
        "increase weight_decay": "weight decay", "reduce hidden_size": "an eighth of the width",
        "add more training data": "more data", "use dropout": "dropout",
    },
    "NaN loss": {
        "decrease learning_rate": "boundless learning rate", "check for invalid data": REFUSED,
        "verify angle transformations": "pairs that add", "reduce prediction_horizon initially": "horizon of one step",
    },
}  # fmt: skip


def test_each_tip_and_each_line_of_the_troubleshooting_is_backed_by_a_check():
    page = (ROOT / "book" / "history_advice.md").read_text(encoding="utf-8")
    tips, troubles = page.split("\n## Seven tips\n")[1].split("\n## Troubleshooting\n")
    predictions = {
        each["name"]: each for each in yaml.safe_load((ROOT / "book" / "predictions.yaml").read_text("utf-8"))
    }
    trained = {*(each.name for each in ABLATIONS), REFUSED}

    def checked(part: str) -> set[str]:
        """Trainings that the predictions of a part are about; each of these has its verdict there."""
        names = re.findall(r"\{prediction\} (\S+)", part)
        assert names and names == re.findall(r"\{verdict\} (\S+)", part)
        sides = [check[side] for name in names for check in predictions[name]["checks"] for side in ("left", "over")
                 if side in check]  # fmt: skip
        return {str(side["detail"]) for side in sides}

    each_tip = re.split(r"^\*\*[A-Z][\w ]+\*\*: ", tips, flags=re.MULTILINE)[1:]
    assert len(each_tip) == 7 and all(checked(tip) - {PLAIN} for tip in each_tip)
    parts = dict(part.split("\n", 1) for part in troubles.split("\n## ")[0].split("\n### ")[1:])
    assert set(parts) == set(TROUBLES)
    for title, lines in TROUBLES.items():
        found = re.findall(r"^\| ([a-z][^|]+) \|", parts[title], flags=re.MULTILINE)
        assert [line for line in found if line != "the list says"] == list(lines)
        assert set(lines.values()) <= checked(parts[title]) <= trained


def test_narrow_episodes_are_those_nearest_to_rest(run):
    dataset = load_dataset(ablations._paths(run, ENV, 0)["train"])
    scale = np.arange(dataset.num_episodes, 0, -1)  # the last ones move least
    shrunk = dataclasses.replace(
        dataset, state=dataset.state * np.repeat(scale, dataset.episode_lengths)[:, None] * 1e-3
    )
    few, narrow, more = (chosen_episodes(shrunk, which, 2, seed=0) for which in ("few", "narrow", "more"))
    assert narrow.tolist() == [dataset.num_episodes - 2, dataset.num_episodes - 1]
    assert len(few) == 2 and more.tolist() == list(range(dataset.num_episodes))
    assert {tuple(chosen_episodes(shrunk, "few", 2, seed)) for seed in range(9)} != {tuple(few)}


def test_symptoms_are_seen_and_what_stands_is_not_trained_again(run, monkeypatch):
    table = ablate(run, ENV).set_index("ablation")
    assert list(table.index) == [*(each.name for each in ABLATIONS), REFUSED]
    assert table.loc[REFUSED, "refused"] == 1  # a number that is not finite stops it before it begins
    ended = table["finite"].drop(REFUSED)
    assert ended["boundless learning rate"] == 0 and (ended.drop("boundless learning rate") == 1).all()
    assert table.loc["pairs that add", "off_circle"] > 1e-4 and table["off_circle"].notna().sum() == 1
    scored = table.drop(REFUSED)
    assert scored[["first_step", "last_step"]].gt(0).all().all() and scored["n"].gt(0).all()
    assert np.allclose(scored["gap"], scored["val_loss"] / scored["train_loss"], rtol=1e-3, equal_nan=True)
    monkeypatch.setattr(ablations, "fit", None)
    again = ablate(run, ENV)
    pd.testing.assert_frame_equal(again, table.reset_index()[again.columns], check_dtype=False)
    measured = measure({"ablations": table.reset_index()})
    assert set(measured["metric"]) == {f"ablations.{name}" for name in OF_ABLATIONS} and measured["value"].notna().all()
    assert set(measured.query("metric == 'ablations.gap'")["detail"]) == set(ended[ended == 1].index)


def test_a_preset_that_says_nothing_of_them_has_none(run):
    without = dataclasses.replace(run, preset=run.preset.model_copy(update={"ablations": None}))
    assert ablate(without, ENV).empty
