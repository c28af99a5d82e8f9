"""The chapter on two time scales on a tiny run: paths to draw, beliefs to explore, and what its tables must hold."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from javascript import Scripts

from tdlib.explorer.assets import read_asset
from tdlib.explorer.python.beliefs import BeliefExplorer, held, open_beliefs, packed, packed_path
from tdlib.figures import draw_belief
from tdlib.figures.beliefs import live_belief
from tdlib.figures.live_picture import LivePicture
from tdlib.grid.jobs import grid_jobs
from tdlib.publish.staged_explorer import stage_found
from tdlib.study.chapters import load_chapter, measures_of
from tdlib.study.chapters.mts3 import rates_imagined
from tdlib.study.phases.beliefs import RATES
from tdlib.study.phases.imagine import STARTS, imagined_paths
from tdlib.study.phases.train import ensure_trained
from tdlib.study.presets import PRESET_FOLDER, load_preset
from tdlib.study.run import open_run
from tdlib.study.selection import arms_of, everything, select_arms

ENV = "pendulum"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    content = yaml.safe_load((PRESET_FOLDER / "mts3_smoke.yaml").read_text(encoding="utf-8"))
    content |= {"name": "tiny", "environments": [ENV], "models": ["mts3", "gaussian_gru"], "forms": ["none", "flow"]}
    content |= {"training": {"num_steps": 1, "learning_rate": 0.001, "batch_size": 50}}
    (root / "tiny.yaml").write_text(yaml.safe_dump(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDLIB_RUNS", str(root))
        run = open_run(root / "tiny.yaml")
        ensure_trained(run, ENV)
        yield run


@pytest.fixture(scope="module")
def paths(run):
    return imagined_paths(run, ENV, rates=("10", "50"))


def test_paths_are_known_for_a_second_and_then_imagined(run, paths):
    arms = [arm for arm in arms_of(run.preset, ENV) if arm.source == arm]
    assert paths.groupby(["model", "method", "form", "train_frequency"]).ngroups == len(arms)
    assert set(paths["start"]) == set(range(STARTS)) and set(paths["test_frequency"]) == {"10", "50"}
    known, ahead = paths[paths["time"] <= 0], paths[paths["time"] > 0]
    assert known["time"].min() == pytest.approx(-1.0) and ahead["time"].max() == pytest.approx(3.0)
    assert known["theta"].isna().all() and ahead["theta"].notna().all() and (ahead["theta_spread"] > 0).all()
    off = ahead["theta_true"] - ahead["theta"]
    assert (off.abs() <= np.pi + 1e-6).all()  # the truth is drawn on the prediction's turn
    own = paths[(paths["test_frequency"] == "10") & (paths["start"] == 0)]
    assert own.groupby("time")["omega_true"].nunique().eq(1).all()  # one truth for all arms
    chosen = select_arms(run, models=["gaussian_gru"], methods=["baseline"])
    assert set(imagined_paths(run, ENV, chosen, ("10",))["model"]) == {"gaussian_gru"}


def test_a_live_belief_says_how_much_its_band_holds(paths):
    first = {"arm": "MTS3: multi-resolution flow, mixed", "test_frequency": "10", "start": 0}
    drawing = LivePicture(live_belief, paths, **first).still()
    rows = drawing.data[drawing.data["time"] > 0]
    held = ((rows["theta_true"] - rows["theta"]).abs() <= 2 * rows["theta_spread"]).mean()
    assert f"holds {100 * held:.2g} % of the truth" in drawing.caption.replace("holds 100 %", "holds 1e+02 %")
    assert "n = 1 start" in drawing.caption
    assert "n = 1" in draw_belief(paths, "10").caption


@pytest.fixture(scope="module")
def explorer(run):
    return open_beliefs(run, ENV, everything(run), "mts3")


@pytest.fixture(scope="module")
def beliefs(explorer):
    return explorer.paths


@pytest.fixture(scope="module")
def page(run, explorer, tmp_path_factory):
    """The page's scripts without a page, and the file that the explorer left for it, as it is staged."""
    static = tmp_path_factory.mktemp("static")
    stage_found(static, run.layout.figures)
    (file,) = (static / "beliefs").iterdir()
    return Scripts(read_asset("beliefs_numbers.js"), file.read_text(encoding="utf-8"))


def test_a_belief_is_followed_at_any_rate_from_one_start_under_one_input(beliefs):
    models = {arm.model for arm in beliefs.arms}
    assert models == {"mts3"}  # a memory has no levels
    finest = beliefs.path(beliefs.arms[0], 1, 50)
    for rate in RATES:
        path = beliefs.path(beliefs.arms[0], 1, rate)
        assert path.known_steps == rate and len(path.mean) == 3 * rate
        np.testing.assert_allclose(np.diff(path.times), 1 / rate, rtol=1e-6)
        assert path.times[rate] == 0 and np.isfinite(path.mean).all() and (path.spread > 0).all()
        common = np.round(finest.times[:, None] - path.times, 9) == 0
        theirs, own = np.nonzero(common)
        assert len(own) >= 21  # every 0.2 s at least
        np.testing.assert_allclose(path.truth[own], finest.truth[theirs], rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"rate must be one of \[5, 10, .*got 7"):
        beliefs.path(beliefs.arms[0], 0, 7)
    with pytest.raises(ValueError, match="start must be one of"):
        beliefs.path(beliefs.arms[0], 99, 20)


def test_windows_last_for_steps_or_for_seconds(beliefs):
    """Ten steps of 0.2 s in steps; in seconds half a second, or four steps where that is longer."""

    def windows(form, rate):
        arm = next(arm for arm in beliefs.arms if arm.method == "multi_resolution" and arm.form == form)
        return np.diff(beliefs.path(arm, 0, rate).levels[1].windows)

    np.testing.assert_allclose(windows("none", 5), 2.0, atol=1e-6)
    np.testing.assert_allclose(windows("none", 50), 0.2, atol=1e-6)
    np.testing.assert_allclose(windows("flow", 20), 0.5, atol=1e-6)


def test_the_page_shows_what_torch_found(page, beliefs):
    content = f"tdBeliefs.loaded[{json.dumps(ENV)}]"
    header = page(f"{{arms: {content}.arms, rates: {content}.rates, starts: {content}.starts}}")
    arms = beliefs.page_arms()
    assert len(header["arms"]) == len(arms) and header["rates"] == list(RATES) and header["starts"] == [0]
    for i, start, rate in ((0, 0, 5), (len(arms) - 1, 0, 50)):
        place = f"{start}|{rate}"
        found = f"{{path: {content}.paths['{i}|{place}'], truth: {content}.truth['{place}']}}"
        shown = page(f"tdBeliefs.view({content}, {found}, {rate})")
        path = beliefs.path(arms[i], start, rate)
        np.testing.assert_allclose(shown["times"], path.times, atol=1e-9)
        mean, spread, truth = (np.array(shown[name]).T for name in ("mean", "spread", "truth"))
        reach = np.ptp(path.mean, axis=0).max() / 2**16 + np.ptp(path.spread, axis=0).max() / 2**16
        np.testing.assert_allclose(mean, path.mean, rtol=0, atol=reach)
        np.testing.assert_allclose(spread, path.spread, rtol=0, atol=reach)
        off = truth - path.truth  # angles are drawn on the turn of the prediction
        np.testing.assert_allclose(off[:, 1], 0, atol=1e-3)
        np.testing.assert_allclose(off[:, 0] / (2 * np.pi), np.round(off[:, 0] / (2 * np.pi)), atol=1e-4)
        assert (np.abs(truth[-len(mean) :, 0] - mean[:, 0]) < np.pi + 1e-3).all()
        for level, expected in zip(shown["levels"], path.levels, strict=True):
            assert level["windows"] == pytest.approx(expected.windows.tolist(), abs=1e-9)
            np.testing.assert_allclose(level["known"], expected.known, rtol=0, atol=1e-3)
            np.testing.assert_allclose(level["size"], expected.size, rtol=0, atol=1e-3)
        scores = [page(f"tdBeliefs.score(tdBeliefs.view({content}, {found}, {rate}), {d})") for d in range(2)]
        assert np.mean([score["held"] for score in scores]) == pytest.approx(held(path, [0]), abs=0.01)
        words = page(f"tdBeliefs.words({content}, tdBeliefs.view({content}, {found}, {rate}), 0)")
        assert words.startswith(
            f"At {rate} Hz the band holds {100 * scores[0]['held']:.0f} % of the true θ [rad] over 3 s"
        )
        assert "the slow level (windows of " in words


def test_numbers_travel_in_sixteen_bits(page):
    for values in ([0.0, 1.0, 0.3], [-5.0, 700.0, 699.99, 0.1], [2.5, 2.5], [1.0]):
        back = page(f"tdBeliefs.numbers({json.dumps(packed(np.array(values)))})")
        np.testing.assert_allclose(back, values, rtol=0, atol=max(np.ptp(values) / 65535, 1e-12))
    assert page(f"tdBeliefs.numbers({json.dumps(packed(np.empty(0)))})") == []


def test_in_jupyterlab_torch_answers_and_a_page_has_a_table(run, beliefs, explorer):
    assert isinstance(explorer, BeliefExplorer) and len(explorer.config["arms"]) == len(beliefs.arms)
    reply = explorer.respond({"id": "7", "arm": 2, "start": 3, "rate": 25})
    scripts = Scripts(read_asset("beliefs_numbers.js"), f"globalThis.config = {json.dumps(explorer.config)};")
    shown = scripts(f"tdBeliefs.view(config, {json.dumps(reply)}, 25)")
    path = beliefs.path(beliefs.arms[2], 3, 25)
    np.testing.assert_allclose(np.array(shown["mean"]).T, path.mean, rtol=0, atol=1e-3)
    for wrong, words in (({"arm": 999}, "index"), ({"rate": 7}, "rate must be one of"), ({"start": None}, "int")):
        refused = explorer.respond({"id": "8", "arm": 0, "start": 0, "rate": 20, **wrong})
        assert refused["id"] == "8" and words in refused["error"]
    shown, _ = explorer._repr_mimebundle_()
    assert f'<div class="td-beliefs" data-env="{ENV}">' in shown["text/html"]
    assert (
        shown["text/html"].count("<tr>") == 1 + len(RATES) and "slow level, after the last look" in shown["text/html"]
    )


def test_a_part_writes_no_file_for_the_page(run):
    part = select_arms(run, models=["mts3"], methods=["baseline"])
    own = run.layout.figures / "mts3" / f"{ENV}-beliefs.js"
    before = own.read_bytes()
    assert isinstance(open_beliefs(run, ENV, part, "mts3"), BeliefExplorer) and own.read_bytes() == before
    none = select_arms(run, models=["gaussian_gru"])
    assert "no model with levels" in repr(open_beliefs(run, ENV, none, "mts3"))


def test_a_prediction_that_leaves_every_picture_is_cut_off(beliefs):
    """Numbers that are none do not reach the page's file."""
    path = beliefs.path(beliefs.arms[0], 0, 10)
    mean, spread = path.mean.copy(), path.spread.copy()
    mean[-1], spread[-1] = np.nan, np.inf
    found = packed_path(replace(path, mean=mean, spread=spread))
    assert np.isfinite([part[:2] for part in found["mean"] + found["spread"]]).all()


def test_the_presets_have_the_chapters_arms_and_jobs_of_one_model():
    smoke, quick, whole = map(load_preset, ("mts3_smoke", "mts3_quick", "mts3"))
    assert set(smoke.models) == set(whole.models) and len(whole.seeds) >= 5
    assert {arm.keys()["form"] for arm in arms_of(whole)} == set(whole.forms)
    jobs = [job.parameters for job in grid_jobs(whole) if job.notebook == "18_mts3_train"]
    cells = [job for job in jobs if "seeds" in job]
    trained = [(env, [model]) for env in whole.environments for model in whole.models]
    assert [(cell["env"], cell["models"]) for cell in cells if cell["models"] != ["none"]] == trained
    assert sum(cell["seeds"] == [seed] for cell in cells for seed in whole.seeds) == 2 * 5  # each collects one seed's
    assert "imagined" in measures_of("mts3") and "imagined" not in measures_of("history")
    assert rates_imagined(quick) == ["10", "20", "50", "irregular"]
    chapter = load_chapter("mts3")
    work = [chapter.own_transitions(preset, ENV) for preset in (smoke, quick, whole)]
    assert work == sorted(work) and work[0] == 4 * (40 + 80 + 200 + 80)


def test_a_preset_of_one_rate_is_not_asked_for_pictures_of_models_of_three():
    several, figures = load_preset("mts3_smoke"), load_chapter("mts3").figures
    one = several.model_copy(update={"methods": ("baseline",), "forms": ("none",)})
    drawn = [name for name, needs in figures.items() if needs is not None and needs(several, ENV)]
    assert len(drawn) == 4 and not any(figures[name](one, ENV) for name in drawn)
