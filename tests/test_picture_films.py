"""What the camera of a run sees: stills, films, stored sequences at any rate, and the live choice of a camera."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from tdlib.core.seeding import derive_seed
from tdlib.data import DatasetError, load_dataset, split_path
from tdlib.figures.films import SeenMotion, draw_stills, live_stills, moved_text, save_film
from tdlib.figures.live_picture import LivePicture
from tdlib.pixels import render_states, system_frames
from tdlib.study.phases import picture_films as films
from tdlib.study.phases.collect import main_dataset_path
from tdlib.study.presets import PRESET_FOLDER, PresetError
from tdlib.study.run import open_run

ENVS = ("oscillator", "hgn_pendulum")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    content = yaml.safe_load((PRESET_FOLDER / "visual_smoke.yaml").read_text(encoding="utf-8"))
    content |= {"name": "tiny", "collection": {"num_transitions": 240, "num_random_transitions": 240,
                                               "sequence_length": 12}}  # fmt: skip
    (root / "tiny.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDLIB_RUNS", str(root))
        yield open_run(root / "tiny.yaml")


@pytest.fixture(scope="module")
def table(run):
    return films.seen_states(run, 0)


def stored(run, env):
    return load_dataset(split_path(main_dataset_path(run, env, 10, 0), "test"), 10)


@pytest.mark.parametrize("env", ENVS)
def test_a_stored_sequence_is_painted_from_its_states_and_a_motion_from_those_of_its_seed(run, env):
    camera = films.chosen_camera(run, img_size=16, render_quality="low")
    seen = films.stored_motion(run, env, camera, 9, 0, idx=1)
    one = stored(run, env).select_episodes([1])
    drawn = None if one.parameters is None else torch.from_numpy(one.parameters).expand(9, -1)
    assert torch.equal(seen.frames, render_states(env, torch.from_numpy(one.state[:9]), camera, drawn))
    assert np.allclose(seen.times, 0.1 * np.arange(9)) and f"{env}: sequence 1 of the test split" in seen.caption
    moved = films.simulated_motion(run, env, camera, 5, 20, 3)
    anew = derive_seed(3, "simulated")
    assert torch.equal(moved.frames, system_frames(env, 5, camera, delta_t=0.05, seed=anew)[0])
    assert moved.delta_t == 0.05
    sequences = [films.stored_motion(run, env, camera, 5, 0, split, 0).frames for split in ("train", "val", "test")]
    fresh = films.simulated_motion(run, env, camera, 5, 0, 0).frames  # not one of those that are stored
    assert not any(torch.equal(fresh, each) for each in sequences)
    assert films.simulated_motion(run, env, camera, 2, 0, 3).delta_t == 0.1  # at the rate of training
    assert len(films.stored_motion(run, env, camera, 99, 0).frames) == 13  # no more than there are


def test_a_camera_is_the_presets_where_nothing_else_is_asked_for(run):
    usual = films.chosen_camera(run)
    assert (usual.img_size, usual.channels, usual.render_quality) == (32, 3, "medium")
    other = films.chosen_camera(run, 48, False, "high")
    assert (other.img_size, other.channels, other.samples) == (48, 1, 4)
    with pytest.raises(ValueError, match="img_size must be a whole number >= 8, got 4"):
        films.chosen_camera(run, 4)
    blind = replace(run, preset=run.preset.model_copy(update={"pictures": None}))
    with pytest.raises(PresetError, match="pictures must be given"):
        films.chosen_camera(blind)


def test_stills_and_film_stand_beside_each_other_and_the_film_waits_for_its_reader(run):
    seen = films.stored_motion(run, "oscillator", films.chosen_camera(run), 10, 0)
    stills, film = run.save_figure("visual", "a", draw_stills, seen), films.keep_film(run, "visual", "a", seen)
    assert (stills.path.with_suffix(".gif"), film.path.parent) == (film.path, run.layout.figures / "visual")
    moving = Image.open(film.path)
    assert (moving.n_frames, moving.info["duration"], moving.size) == (10, 100, (160, 160))
    shown = film._repr_html_()
    assert shown.startswith("<details><summary>") and "data:image/gif;base64," in shown and 'alt="oscillator' in shown
    (axis,) = draw_stills(seen).figure.axes
    assert [text.get_text() for text in axis.texts] == [f"{0.1 * k:.2f} s" for k in range(10)]
    corners = np.array([image.get_extent()[::3] for image in axis.images])  # left, top
    assert (np.diff(corners[:8, 0]) > 1).all() and (corners[8] == [corners[0, 0], corners[8, 1]]).all()
    assert corners[8, 1] < corners[0, 1] - 1  # the ninth begins another line
    for image, frame in zip(axis.images, seen.frames, strict=True):
        assert np.allclose(image.get_array(), frame.permute(1, 2, 0) / 255)
    with pytest.raises(ValueError, match=r"path must end in .gif, got 'a.png'"):
        save_film(seen, run.layout.figures / "a.png")


def test_the_caption_tells_how_far_what_is_seen_moves():
    frames = torch.zeros(4, 1, 12, 12, dtype=torch.uint8)
    for k, place in enumerate((2, 3, 6, 7)):
        frames[k, 0, 5, place] = 255
    assert "moves by 3 pixels at most" in SeenMotion("oscillator", frames, 0.1, "planted").caption
    assert moved_text(frames[:, :, :3]).startswith("Nothing stands out")


def test_at_any_rate_the_exact_flow_goes_through_the_stored_states(run, table):
    one = table[(table["img_size"] == 32) & (table["color"] == "one channel") & (table["render_quality"] == "low")]
    assert set(one["env"]) == set(ENVS) and set(one["start"]) == {0, 1} and set(one["rate"]) == {"5", "10", "20"}
    for env in ENVS:
        dataset = stored(run, env)
        columns = [f"state {i}" for i in range(dataset.spec.state_dim)]
        for start in (0, 1):
            by_rate = {
                rate: rows[columns].to_numpy()
                for rate, rows in one[(one["env"] == env) & (one["start"] == start)].groupby("rate")
            }
            own = dataset.select_episodes([start]).state[:11]
            assert {rate: len(states) for rate, states in by_rate.items()} == {"5": 6, "10": 11, "20": 21}
            for found, expected in ((by_rate["10"], own), (by_rate["20"][::2], own), (by_rate["5"], own[::2])):
                assert np.allclose(found, expected, atol=1e-6)
            assert np.abs(by_rate["20"][1::2] - own[:-1]).max() > 1e-3  # between them it goes on


FIRST = {"env": "oscillator", "start": 0, "rate": "10", "img_size": 32, "color": "three channels",
         "render_quality": "medium"}  # fmt: skip


@pytest.mark.parametrize("change", [{"env": "hgn_pendulum"}, {"start": 1}, {"rate": "20"}, {"img_size": 16},
                                    {"color": "one channel"}, {"render_quality": "low"}])  # fmt: skip
def test_each_choice_of_a_camera_paints_another_picture_and_leaves_nothing_of_the_one_before(table, change):
    live = LivePicture(live_stills, table, **FIRST)
    assert live.first == FIRST
    before, words = live.png(**FIRST)
    after, others = live.png(**FIRST | change)
    assert before != after and words != others and str(*change.values()) in others
    assert live.png(**FIRST) == (before, words)
    assert "pixels at most (oscillator, n = 11 frames)" in words
    shown = {tuple(image.get_array().shape) for image in live._axis.images}
    assert shown == {(32, 32, 3)} and len(live._axis.images) == 11


def test_what_is_not_there_is_named(run):
    camera = films.chosen_camera(run)
    for arguments, error, words in (
        ({"split": "all"}, ValueError, r"split must be one of \['train', 'val', 'test'\], got 'all'"),
        ({"idx": 2}, DatasetError, "hgn_pendulum, test split, seed 0: episode must be in 0 .. 1, got 2"),
        ({"seed": 7}, PresetError, r"seeds must be among the preset's \[0\], got \[7\]"),
        ({"env": "pendulum"}, PresetError, "env must be among the preset's"),
        ({"n_frames": 1}, ValueError, "num_frames must be at least 2, got 1"),
    ):
        asked = {"env": "hgn_pendulum", "n_frames": 5, "seed": 0, **arguments}
        with pytest.raises(error, match=words):
            films.stored_motion(run, camera=camera, **asked)
    with pytest.raises(ValueError, match="control_frequency must be positive and finite"):
        films.simulated_motion(run, "oscillator", camera, 5, -10, 0)
