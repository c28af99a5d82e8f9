"""The chapter of visual world models on a tiny run: two ways to train, tests A and B, baselines."""

import base64
import dataclasses
import io
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from javascript import Scripts
from PIL import Image

from tdlib.evaluation import evaluate_stack
from tdlib.evaluation.sets.test_sets import TestSet
from tdlib.evaluation.tables import arm_of, read_table
from tdlib.evaluation.visual import CAUSES, encoded_truth, latent_truth, unbeaten, visual_open_loop_rollout
from tdlib.evaluation.visual.causes import cause_of
from tdlib.explorer.assets import read_asset
from tdlib.explorer.python import pictures as pictures_page
from tdlib.explorer.python.pictures import open_pictures
from tdlib.figures import visual as drawn
from tdlib.figures.collapse import draw_collapse
from tdlib.figures.learned_pictures import draw_learned, shown_places
from tdlib.figures.strips import BRIGHTER, draw_visual_rollouts
from tdlib.figures.style import NothingToDrawError
from tdlib.grid.jobs import grid_jobs
from tdlib.models.visual.latent_dynamics import LatentDynamics
from tdlib.models.visual.world_model import COLLAPSING
from tdlib.publish.staged_explorer import stage_found
from tdlib.study.arms import Arm
from tdlib.study.measurements import measure
from tdlib.study.phases import pictures
from tdlib.study.phases.filmed import FilmedSets, films_of, motion_frames, select_pictures
from tdlib.study.phases.picture_paths import PicturePaths
from tdlib.study.phases.picture_scores import evaluate_pictures, example_frames
from tdlib.study.phases.pictures import autoencoder_of, learned_pictures, load_pictured, own_steps, train_pictures
from tdlib.study.phases.train import model_folder
from tdlib.study.picture_cost import num_frames, picture_arms
from tdlib.study.presets import PRESET_FOLDER, PresetError, load_preset
from tdlib.study.provenance import read_stamp
from tdlib.study.run import open_run
from tdlib.study.selection import everything, select_arms
from tdlib.systems import SYSTEMS
from tdlib.training import load_checkpoint

ENV = "oscillator"
SPATIAL = Arm("visual_world_model", "hgn", "spatial_hamiltonian", train_frequency="10")
FLAT = Arm("visual_world_model", "two_phase", "latent_mlp", train_frequency="10")
CODES = dataclasses.replace(FLAT, method="vqvae")
BASELINES = {"mean_image", "copy_last"}


def content(**changes):
    found = yaml.safe_load((PRESET_FOLDER / "visual_smoke.yaml").read_text(encoding="utf-8"))
    found |= {"name": "tiny", "environments": [ENV], "models": ["jump", "visual_world_model"]}
    found |= {
        "forms": ["none", "spatial_hamiltonian", "latent_mlp"],
        "methods": ["baseline", "hgn", "two_phase", "vqvae"],
    }
    found["training"]["num_steps"] = 1
    found["pictures"] |= {"autoencoder_steps": 3, "latent_steps": 2, "forms": {}, "systems": {}}
    return found | changes


def preset(folder, **changes):
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content(**changes)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDLIB_RUNS", str(root))
        yield open_run(preset(root))


@pytest.fixture(scope="module")
def tables(run):
    assert set(train_pictures(run, ENV)["method"]) == {"baseline", "hgn", "two_phase", "vqvae"}
    return evaluate_pictures(run, ENV)


def test_each_model_stands_in_both_tests_at_every_rate_beside_what_knows_no_motion(run, tables):
    over_rates = tables["visual_dt_generalization"]
    for keys, rows in over_rates.groupby(["model", "method", "form", "protocol", "test_frequency"]):
        assert set(rows["prediction"]) >= BASELINES | {"model"}, keys
    assert {*zip(over_rates["protocol"], over_rates["test_frequency"], strict=True)} == {
        (protocol, rate) for protocol in "AB" for rate in ("5", "10", "20")
    }
    over_time = tables["visual_metrics"]
    assert set(over_time["test_frequency"]) == {"10"} and set(over_time["prediction"]) == BASELINES | {"model"}
    assert np.allclose(sorted(over_time["time"].dropna().unique()), 0.1 * np.arange(1, 11))
    assert "visual_metrics" not in tables.get("skipped", pd.DataFrame({"measure": []}))["measure"].tolist()


def test_measurements_tell_tests_apart_and_name_what_stands_beside(tables):
    found = measure(tables)
    own = found[(found["metric"] == "visual.mse") & (found["form"] == SPATIAL.form)]
    asked = {(protocol, rate) for protocol in "AB" for rate in ("5", "10", "20")}
    assert {*zip(own["detail"], own["test_frequency"], strict=True)} == asked
    names = set(found["metric"])
    assert {"visual.copy_last.mse", "visual.mean_image.mse", "visual.teacher_forced.mse", "visual.q_motion"} <= names
    repeated = found[found["metric"] == "visual.repeated.mse"]
    assert set(repeated["form"]) == {FLAT.form} and set(repeated["test_frequency"]) == {"5"}


def test_a_flat_predictor_was_trained_alone_and_is_put_back_between_encoder_and_decoder(run, tables):
    model = load_pictured(run, ENV, FLAT, 0)
    alone = load_checkpoint(model_folder(run, ENV, FLAT, 0), classes=[LatentDynamics])
    seen = load_checkpoint(model_folder(run, ENV, autoencoder_of(FLAT), 0))
    assert isinstance(alone, LatentDynamics) and model.options.predictor == "latent_mlp"
    for part, origin in (("predictor", alone), ("encoder", seen), ("decoder", seen), ("state_transform", seen)):
        for name, tensor in getattr(origin, part).state_dict().items():
            assert torch.equal(tensor, getattr(model, part).state_dict()[name]), (part, name)


def test_what_stands_is_not_made_again_and_says_how_it_was_filmed(run, tables, monkeypatch):
    made_from = read_stamp(model_folder(run, ENV, SPATIAL, 0) / "stamp.yaml")["made_from"]
    assert made_from["camera"]["img_size"] == 32 and made_from["options"]["latent_channels"] == 4
    summary = read_table(run.layout.part("training_summary", f"{ENV}-visual_world_model"))
    assert set(summary["method"]) == {"hgn", "two_phase", "vqvae"}
    whole = read_stamp(model_folder(run, ENV, FLAT, 0) / "stamp.yaml")["made_from"]
    assert whole["first_phase"] and whole["training"]["num_steps"] == 2
    monkeypatch.setattr(pictures, "train_missing", lambda run, env, results, *_: [
        pytest.fail(str(member)) for member, result in results.items() if not result.is_current()
    ])  # fmt: skip
    train_pictures(run, ENV)
    settings = run.preset.pictures
    sharper = run.preset.model_copy(update={"pictures": settings.model_copy(update={"render_quality": "high"})})
    other = pictures._checkpoint(dataclasses.replace(run, preset=sharper), ENV, SPATIAL, 0)
    assert other.reasons() == ["camera changed"]
    noisy = run.preset.model_copy(update={"pictures": settings.model_copy(update={"noise": 0.1})})
    other = pictures._checkpoint(dataclasses.replace(run, preset=noisy), ENV, SPATIAL, 0)
    assert sorted(other.reasons()) == ["noise changed", "noise_seed changed"]


def test_the_exact_flow_drawn_by_the_camera_errs_by_nothing(run, tables):
    """In both tests and at each rate: what is asked is the motion that was filmed, its start, inputs and parameters."""
    films, system = films_of(run, ENV, "hgn", 0), SYSTEMS[ENV]
    parameters = films.parameters

    def exact(state, action, delta_t):
        drawn = parameters.expand(*state.shape[:-1], parameters.shape[-1])
        return system.flow(state.double(), action.double(), delta_t.double(), drawn).to(state)

    test_set = {0: TestSet(system.spec, 0, {}, {})}
    asked = {"pictures": {"films": {0: films}}}
    found = evaluate_stack(exact, [(Arm("none", "exact"), 0)], test_set, system, measures=["pictures"], options=asked)
    rows = found["visual_dt_generalization"]
    assert rows[rows["prediction"] == "model"]["mse"].max() < 1e-6 and len(rows) == 18
    assert rows[rows["prediction"] == "copy_last"]["mse"].min() > 1e-4
    skipped = evaluate_stack(exact, [(Arm("none", "exact"), 0)], test_set, system, measures=["pictures"])["skipped"]
    assert skipped["reason"].tolist() == ["needs films: what a camera saw"]


def test_a_model_of_codes_sees_as_many_frames_as_it_remembers(run, tables):
    """Its predictor reads two codes, of three frames: at every rate of a test both are of true frames."""
    films, usual, model = (
        films_of(run, ENV, "vqvae", 0), films_of(run, ENV, "hgn", 0), load_pictured(run, ENV, CODES, 0)
    )  # fmt: skip
    assert model.coded and model.options.context_length == 2 and model.options.frames_before == 2
    for key, asked in films.sequences.items():
        assert asked.known == 2 and torch.equal(asked.truth, usual.sequences[key].truth)  # the same motion
        codes = model.encode(asked.images[:, :3])
        (memory,) = model.initial(asked.context).memory
        torch.testing.assert_close(memory, model.encode(asked.images[:, :2])[:, 0])
        expected = model.decode(model.predictor.step(codes[:, 1], asked.inputs[:, 0], asked.steps[:, 0], (memory,))[0])
        torch.testing.assert_close(visual_open_loop_rollout(model, asked).images[:, 0], expected)


def test_frames_that_are_scored_are_as_many_as_counted(run, tables):
    asked = films_of(run, ENV, "hgn", 0).sequences.values()
    assert sum(each.truth.shape[0] * each.truth.shape[1] for each in asked) == num_frames(run.preset)
    steps = {arm: own_steps(run.preset, arm) or 1 for arm in picture_arms(run.preset, ENV)}
    assert steps == {autoencoder_of(FLAT): 3, SPATIAL: 1, FLAT: 2, CODES: 3}


def test_each_phase_has_steps_of_its_own(run, tables):
    first = autoencoder_of(FLAT)
    for arm, steps in ((SPATIAL, 1), (first, 3), (FLAT, 2), (CODES, 3)):
        folder = model_folder(run, ENV, arm, 0)
        assert pd.read_csv(folder / "training_curves.csv")["step"].max() == steps
        assert read_stamp(folder / "stamp.yaml")["made_from"]["training"]["num_steps"] == steps


def test_latents_are_compared_with_those_of_frames_as_far_apart_as_in_training(run, tables):
    model, films = load_pictured(run, ENV, SPATIAL, 0), films_of(run, ENV, "hgn", 0)
    truth = latent_truth(model, films.sequences)
    expected = encoded_truth(model, films.sequences["B", "10"])
    torch.testing.assert_close(truth.states, expected)
    coarse = encoded_truth(model, films.sequences["B", "5"])
    assert not torch.allclose(coarse[:, 1], expected[:, 2])  # the same time, another distance of frames
    assert latent_truth(model, {key: asked for key, asked in films.sequences.items() if key[1] != "10"}) is None


def test_the_mean_image_is_that_of_training_frames_at_the_size_of_the_camera(run, tables):
    sets = FilmedSets(run, ENV)
    frames, image = sets.of("hgn", 0, "train")[0].frames, films_of(run, ENV, "hgn", 0, sets).mean_image
    torch.testing.assert_close(image, frames.pixels.double().mean(dim=0).div(255).float())
    assert image.shape == (3, 32, 32) and sets.mean_image("two_phase", 0) is image  # made once for one camera


def test_a_system_has_the_predictors_that_the_preset_gives_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path))
    forms = {"oscillator": ["spatial_hamiltonian"]}
    run = open_run(preset(tmp_path, pictures=content()["pictures"] | {"forms": forms}))
    assert {arm.form for arm in select_pictures(run, ENV).arms if arm.model != "jump"} == {"spatial_hamiltonian"}
    assert "jump" in select_pictures(run, ENV, select_arms(run, models=["jump"])).models
    whole = open_run("visual_smoke")
    arms = {env: {arm.method for arm in select_pictures(whole, env).arms} for env in whole.preset.environments}
    assert arms["oscillator"] - arms["hgn_pendulum"] >= {*COLLAPSING}


def test_cells_are_a_predictor_and_a_seed_and_flat_ones_share_their_encoder():
    jobs = {job.name: job for job in grid_jobs(load_preset("visual"))}
    cell = "cells/24_visual_train-{}-visual_world_model-{}"
    one = jobs[cell.format("oscillator", "hgn-spatial_ode-seeds2")]
    assert one.parameters["methods"] == ["hgn"] and one.parameters["forms"] == ["spatial_ode"]
    assert jobs[cell.format("oscillator", "two_phase-seeds1")].parameters["methods"] == ["two_phase"]
    assert cell.format("oscillator", "hgn_64px-spatial_ode-seeds0") in jobs
    assert cell.format("oscillator", "hgn_64px-spatial_ode-seeds1") not in jobs  # larger pictures have one seed
    pendulum = [name for name in jobs if "hgn_pendulum-visual" in name and "seeds0" in name]
    assert len(pendulum) == 4 and not any("two_phase" in name for name in pendulum)
    collapsing = sorted(name for name in jobs if any(method in name for method in COLLAPSING) and "train" in name)
    assert collapsing == [
        cell.format("oscillator", f"{method}-spatial_hamiltonian-seeds{seed}")
        for method in COLLAPSING
        for seed in (0, 1)
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"options": {"img_size": 30}}, "img_size must be 8 * spatial_size = 64, got 30"),
        ({"options": {"latent_chanels": 4}}, "must be among"),
        ({"methods": {"two_phase": {"autoencoder": "flat"}}}, "autoencoder must be one of"),
        ({"render_quality": "best"}, "render_quality"),
        ({"options": {"rollout_steps": 6}}, "batch_size must be a multiple of the model's window, got 20 and 7"),
        (
            {"forms": {"pendulum": ["latent_mlp"]}},
            "pictures.forms must name environments ['oscillator'], got 'pendulum'",
        ),
        ({"forms": {"oscillator": ["spatial_ode"]}}, "pictures.forms of oscillator must be among forms"),
        ({"systems": {"raw_kl": ["oscillator"]}}, "pictures.systems must name methods"),
        (
            {"systems": {"hgn": ["pendulum"]}},
            "pictures.systems of hgn must be among environments = ['oscillator'], got",
        ),
        (
            {"options": {"rollout_steps": 4}, "methods": {"vqvae": {"autoencoder": "vqvae", "context_length": 6}}},
            "evaluation.hold must be at least the 6 intervals of 5 Hz",
        ),
    ],
)
def test_options_that_no_model_has_are_refused_before_anything_runs(tmp_path, changes, words):
    with pytest.raises(PresetError) as error:
        load_preset(preset(tmp_path, pictures=changes))
    assert words in str(error.value)


def test_a_preset_without_pictures_cannot_train_models_of_them(tmp_path, monkeypatch):
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path))
    bare = content()
    del bare["pictures"]
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(bare), encoding="utf-8")
    with pytest.raises(PresetError, match="pictures must be given to train models of pictures, preset tiny has none"):
        train_pictures(open_run(tmp_path / "tiny.yaml"), ENV)
    several = preset(tmp_path, train_frequencies=[10, 20])
    with pytest.raises(PresetError, match=r"train_frequencies must be one rate for models of pictures, got \[10.0, 20"):
        train_pictures(open_run(several), ENV)


def test_pictures_while_models_learned_stand_beside_their_curves(run, tables):
    found = learned_pictures(run, ENV)
    assert [key["method"] for key, _ in found] == ["hgn", "autoencoder", "vqvae"]  # a flat predictor alone sees none
    for (key, kept), arm in zip(found, (SPATIAL, autoencoder_of(FLAT), CODES), strict=True):
        folder = model_folder(run, ENV, arm, 0)
        assert kept.steps.tolist() == pd.read_csv(folder / "training_curves.csv")["step"].tolist()
        assert "training_pictures.npz" in read_stamp(folder / "stamp.yaml")["files"] and key["seed"] == 0
    figure = draw_learned(found)
    assert "predict it from 0.4 s before" in figure.caption
    names = [axis.get_ylabel().replace("\n", " ") for axis in figure.figure.axes if axis.get_ylabel()]
    assert names == ["spatial hamiltonian", "encoder, decoder", "latent mlp, codes"]
    assert shown_places(21) == [0, 1, 2, 5, 10, 20] and shown_places(2) == [0, 1] and shown_places(1) == [0]


# --- the explorer ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def explorer(run, tables):
    return open_pictures(run, ENV, everything(run), "visual")


@pytest.fixture(scope="module")
def page(run, explorer, tmp_path_factory):
    """The page's scripts without a page, and the file that the explorer left for it, as it is staged."""
    static = tmp_path_factory.mktemp("static")
    stage_found(static, run.layout.figures)
    (file,) = (static / "pictures").iterdir()
    return Scripts(read_asset("pictures_numbers.js"), file.read_text(encoding="utf-8"))


def frames_of(sheet, begin, count):
    """Frames (N, 3, H, W) in [0, 1] of a sheet, as a browser reads them."""
    row = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet))).convert("RGB"))
    side = row.shape[0]
    return row.reshape(side, -1, side, 3).transpose(1, 3, 0, 2)[begin : begin + count] / 255


def test_one_motion_is_predicted_at_any_rate_from_what_each_test_shows(run, explorer):
    paths = explorer.paths
    assert paths.rates == (2, 4, 5, 8, 10, 16, 20) and len(paths.starts) == 3
    assert paths.arms == paths.page_arms() == [SPATIAL, FLAT, CODES]
    finest = paths.path(SPATIAL, 1, 20, "A")
    for rate in paths.rates:
        for test, before in (("A", 0.1), ("B", 1 / rate)):
            path = paths.path(SPATIAL, 1, rate, test)
            np.testing.assert_allclose(path.times, [-before, *np.arange(rate + 1) / rate], atol=1e-6)
            assert len(path.predicted) == len(path.ball) == rate
            np.testing.assert_array_equal(path.truth[[1, -1]], finest.truth[[1, -1]])
    scored = films_of(run, ENV, "hgn", 0)  # what the tables are about
    path = paths.path(SPATIAL, 2, 5, "B")
    np.testing.assert_array_equal(path.truth, scored.sequences["B", "5"].images[2])
    expected = visual_open_loop_rollout(load_pictured(run, ENV, SPATIAL, 0), scored.sequences["B", "5"]).images[2]
    np.testing.assert_allclose(path.predicted, expected, atol=1e-6)
    squares = {"model": expected, "copy_last": scored.sequences["B", "5"].start[2], "mean_image": scored.mean_image}
    for name, frames in squares.items():
        mse = np.square(frames.numpy() - path.truth[2:]).mean(axis=(1, 2, 3))
        np.testing.assert_allclose(path.errors[name], mse, rtol=1e-4)
    first, *_ = paths.by_change()
    change = [np.square(np.diff(paths.path(SPATIAL, k, 10, "A").truth[[1, -1]], axis=0)).mean() for k in range(3)]
    assert first in paths.starts and change[first] > 0
    for wrong, words in (({"rate": 7}, "rate must be one of"), ({"start": 9}, "start must"), ({"test": "C"}, "test")):
        with pytest.raises(ValueError, match=words):
            paths.path(SPATIAL, **{"start": 0, "rate": 5, "test": "A", **wrong})


def test_the_page_shows_what_torch_predicts(page, explorer):
    paths, content = explorer.paths, f"tdPictures.loaded[{json.dumps(ENV)}]"
    header = page(f"{{arms: {content}.arms, rates: {content}.rates, starts: {content}.starts, first: {content}.first}}")
    assert header["rates"] == list(paths.rates) and header["first"] == {"arm": 0, "rate": 10.0}
    assert header["starts"] == paths.by_change() and len(header["arms"]) == 3
    for arm, place, test, rate in ((0, 0, 0, 2), (1, 1, 1, 5), (0, 2, 1, 20), (1, 0, 0, 10), (2, 0, 1, 4)):
        wanted = json.dumps({"arm": arm, "start": place, "test": test, "rate": rate})
        found = page(f"tdPictures.found({content}, {wanted})")
        view = page(f"tdPictures.view({content}, {json.dumps(found)}, {wanted})")
        path = paths.path(paths.page_arms()[arm], header["starts"][place], rate, "AB"[test])
        assert (
            view["known"] == (2 if arm == 2 else 1)
            and view["times"] == path.times.tolist()
            and view["test"] == "AB"[test]
        )
        for which, frames in enumerate((path.truth, path.predicted)):
            shown = frames_of(found[("truth", "predicted")[which]], view["begins"][which], len(frames))
            np.testing.assert_allclose(shown, frames, atol=2.01 / 255)
        np.testing.assert_allclose(view["errors"]["model"], path.errors["model"], rtol=1e-3)
        assert (
            page(f"tdPictures.nearest({json.dumps(view)}, 0.5)") == np.abs(path.times[-rate:] - 0.5).round(9).argmin()
        )
        words = page(f"tdPictures.words({json.dumps(view)}, 0, x => x.toPrecision(3))")
        assert words.startswith(f"At {rate} Hz (trained at 10 Hz) in test {'AB'[test]}, ")
        told = float(words.partition("squared error ")[2].partition(" per value")[0])
        assert f"step 1 of {rate}" in words and told == pytest.approx(path.errors["model"][0], rel=0.01)


def test_in_jupyterlab_torch_predicts_and_a_page_has_a_table(run, explorer):
    paths, reply = explorer.paths, explorer.respond({"id": "7", "arm": 1, "start": 2, "test": 1, "rate": 16})
    path = paths.path(FLAT, 2, 16, "B")
    assert reply["id"] == "7" and reply["begins"] == [0, 0] and len(explorer.config["arms"]) == 3
    np.testing.assert_allclose(frames_of(reply["predicted"], 0, 16), path.predicted, atol=2.01 / 255)
    np.testing.assert_allclose(frames_of(reply["truth"], 0, 18), path.truth, atol=2.01 / 255)
    for wrong, words in (({"arm": 99}, "index"), ({"rate": 7}, "rate must be one of"), ({"test": None}, "int")):
        refused = explorer.respond({"id": "8", "arm": 0, "start": 0, "test": 0, "rate": 10, **wrong})
        assert refused["id"] == "8" and words in refused["error"]
    shown, _ = explorer._repr_mimebundle_()
    assert f'<div class="td-pictures" data-env="{ENV}">' in shown["text/html"]
    assert shown["text/html"].count("<tr>") == 1 + len(paths.rates) and "a copy of the last frame" in shown["text/html"]
    own = run.layout.figures / "visual" / f"{ENV}-pictures.js"
    before = own.read_bytes()
    part = select_arms(run, models=["visual_world_model"], methods=["hgn"])
    assert len(open_pictures(run, ENV, part, "visual").paths.arms) == 1 and own.read_bytes() == before
    assert "no model that sees some" in repr(open_pictures(run, ENV, select_arms(run, models=["jump"]), "visual"))


def test_a_prediction_that_is_no_number_is_black_on_a_page(run, tables, monkeypatch):
    paths = PicturePaths(run, ENV)
    monkeypatch.setattr(paths, "_predicted", lambda arm, rate, test: torch.full((3, rate, 3, 32, 32), torch.nan))
    path = paths.path(SPATIAL, 0, 5, "A")
    assert (path.predicted == 0).all() and np.isfinite(path.errors["model"]).all()
    json.dumps(pictures_page.packed_numbers(path), allow_nan=False)


def test_motions_of_a_page_are_as_many_as_fit_and_one_at_least(run, explorer, monkeypatch):
    size = (run.layout.figures / "visual" / f"{ENV}-pictures.js").stat().st_size  # of three
    for limit, count in ((0.8 * size, 2), (99, 1)):
        monkeypatch.setattr(pictures_page, "SIZE_LIMIT", limit)
        assert pictures_page.page_content(explorer.paths)["starts"] == explorer.paths.by_change()[:count]


# --- figures ---------------------------------------------------------------------------------------------------------


def planted(**errors):
    """Rows at two rates in both tests, one per prediction and form, with the errors that are given."""
    rows = []
    for form, error in errors.items():
        key = arm_of(dataclasses.replace(SPATIAL, form=form), 0, ENV)
        for protocol in "AB":
            for rate in ("10", "20"):
                far = 5.0 if (protocol, rate) == ("B", "20") else 1.0
                scores = {"model": far * error, "copy_last": 0.01, "mean_image": 0.008,
                          "model_teacher_forced": error / 4, "model_reconstruction": error / 8}  # fmt: skip
                rows += [{**key, "test_frequency": rate, "protocol": protocol, "prediction": name, "mse": mse,
                          "horizon": 1.0, "n": 4, "time": 1.0} for name, mse in scores.items()]  # fmt: skip
    return pd.DataFrame(rows)


def test_figures_conclude_from_the_numbers_they_show():
    table = planted(spatial_jump=0.002, spatial_ode=0.004)
    caption = drawn.draw_visual_dt_generalization(table).caption
    assert "the error is largest on oscillator in test B at 20 Hz" in caption
    where = drawn.draw_where(table, ["10", "20", "5"])
    assert "most is lost on oscillator by spatial jump at 20 Hz, 20 times" in where.caption and len(where.data) == 20
    assert "Run back" not in where.caption and "each model of pictures errs less than a copy" in where.caption
    lost = drawn.draw_where(planted(spatial_jump=0.02, spatial_ode=0.05, spatial_newtonian=0.1), ["10"]).caption
    assert "a copy of the last frame is not beaten on oscillator by spatial jump (predictor: errors add up over" in lost
    assert "on oscillator by spatial ode (predictor: single steps err" in lost
    assert "on oscillator by spatial newtonian (decoder: frames come back" in lost
    back = table[(table["form"] == "spatial_ode") & (table["prediction"] == "model")]
    back = back.assign(prediction="model_back", mse=3 * back["mse"])
    words = drawn.draw_where(pd.concat([table, back]), ["10", "20"]).caption
    assert "Run back from the end, fields err 3 times as much" in words
    over_time = table[(table["protocol"] == "A") & (table["test_frequency"] == "10")]
    assert "on oscillator spatial jump errs 0.2 times" in drawn.draw_visual_metrics(over_time).caption
    for draw, arguments in ((drawn.draw_visual_metrics, (table[:0],)), (drawn.draw_where, (table, ["5"])),
                            (draw_visual_rollouts, ([],)), (draw_learned, ([],))):  # fmt: skip
        with pytest.raises(NothingToDrawError):
            draw(*arguments)


def test_the_cause_of_a_copy_that_is_not_beaten_is_told_by_test_and_by_detectors():
    found = unbeaten(planted(spatial_jump=0.002, spatial_ode=0.004))  # at 20 Hz in test B five times as much
    assert found[["form", "protocol", "test_frequency", "cause"]].to_numpy().tolist() == [
        ["spatial_jump", "B", "20", "window"], ["spatial_ode", "B", "20", "window"]
    ]  # fmt: skip
    assert found["ratio"].tolist() == pytest.approx([1.0, 2.0])
    table = planted(spatial_jump=0.004)
    ahead = (table["prediction"] == "model") & (table["test_frequency"] == "20")
    table.loc[ahead, "mse"] = 0.03
    assert set(unbeaten(table)["cause"]) == {"interval"}
    usual = {"model": 0.012, "copy_last": 0.01, "mean_image": 0.008, "model_teacher_forced": 0.004,
             "model_reconstruction": 0.002}  # fmt: skip
    said = {"latent_nats": 30.0, "q_motion": 1.0}
    plants = {
        "steps": {}, "diverged": {"model": math.nan}, "horizon": {"mean_image": 0.03},
        "collapsed": {"latent_nats": 0.2},
        "decoder": {"model_reconstruction": 0.011}, "still": {"q_motion": 0.1}, "step": {"model_teacher_forced": 0.02},
    }  # fmt: skip
    for cause, change in plants.items():
        errors, beside = ({name: change.get(name, x) for name, x in known.items()} for known in (usual, said))
        assert cause_of(errors, beside) == cause
    assert {*plants, "interval", "window"} == {*CAUSES}


def test_collapse_is_told_by_what_a_latent_says_and_how_far_it_moves():
    def rows(method, env, seed, nats, motion, error):
        key = arm_of(dataclasses.replace(SPATIAL, method=method), seed, env)
        scores = {"model": error, "copy_last": 0.01, "mean_image": 0.008, "model_teacher_forced": error / 4}
        own = {**key, "test_frequency": "10", "protocol": "B", "n": 4}
        said = {"latent_nats": nats, "q_motion": motion}
        return [{**own, "prediction": name, "mse": mse, **(said if name == "model" else {})}
                for name, mse in scores.items()]  # fmt: skip

    found = [rows("hgn", ENV, seed, 40.0, 2.0, 0.002) for seed in (0, 1, 2)] + [rows("hgn", "other", 0, 1.0, 1.0, 1.0)]
    with pytest.raises(NothingToDrawError):
        draw_collapse(pd.DataFrame(sum(found, [])))
    for seed in (0, 1):
        found += [rows("mean_energy", ENV, seed, 30.0, 0.1, 0.006), rows("raw_kl", ENV, seed, 0.2, 1.0, 0.008)]
    figure = draw_collapse(pd.DataFrame(sum(found, [])))
    assert "undivided it says 0.2 nats in place of 40 and averaged it moves 0.05 times as far" in figure.caption
    assert set(figure.data["seed"]) == {0, 1} and set(figure.data["env"]) == {ENV} and len(figure.data) == 6
    assert np.allclose(figure.data["followed"], 4)


def test_pictures_of_one_motion_stand_below_the_truth(run, tables):
    strips = example_frames(run, ENV)
    assert [strip.key["form"] for strip in strips] == [SPATIAL.form, FLAT.form, CODES.form]
    assert strips[0].truth.shape == strips[1].predicted.shape == (10, 3, 32, 32)
    assert np.array_equal(strips[0].truth, strips[1].truth)
    figure, error = draw_visual_rollouts(strips).figure, f"|error| × {BRIGHTER}"
    assert [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()] == [
        "truth", "mean image", "copy of last", "spatial hamiltonian", error, "latent mlp", error, "latent mlp, codes",
        error,
    ]  # fmt: skip
    seen = motion_frames(run, ENV, 0)
    for rate, (times, frames) in seen.items():
        assert times[1] == 0 and times[0] == pytest.approx(-1 / float(rate)) and len(times) == len(frames)
    assert np.array_equal(seen["5"][1][1], seen["20"][1][1]) and not np.array_equal(seen["5"][1][0], seen["20"][1][0])
