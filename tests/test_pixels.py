"""Frames of states: bodies at their exact places, batches equal to loops, windows, colors, and what is refused."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tdlib.pixels import (
    BACKGROUND,
    BALL_COLORS,
    USUAL,
    RenderOptions,
    body_places,
    picture_of,
    render_state,
    render_states,
)
from tdlib.systems import SYSTEMS

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
from bench_pixels import looped_frames

SEEN = [name for name, system in SYSTEMS.items() if system.views.picture is not None]
OSCILLATOR = SYSTEMS["oscillator"]


def light_of(frames, options=USUAL):
    """What bodies add to the background, relative to the first one's color."""
    background = torch.tensor(options.bg_color)[:, None, None]
    return ((frames - background) / torch.tensor(BALL_COLORS[0])[:, None, None])[..., 0, :, :]  # of the red channel


def centroids(light):
    """Center of light (x, y) in pixels: (..., H, W) -> (..., 2); a pixel reaches from i to i + 1."""
    lines = torch.arange(light.shape[-1]) + 0.5
    total = light.sum(dim=(-2, -1))
    return (
        torch.stack([(light.sum(dim=-2) * lines).sum(-1), (light.sum(dim=-1) * lines).sum(-1)], dim=-1)
        / total[..., None]
    )


def test_the_systems_of_the_founding_documents_have_pictures():
    springs = {"hgn_spring", "hgn_spring_damped"}
    hgn = springs | {"hgn_pendulum", "hgn_two_body", "hgn_three_body", "chaotic_pendulum"}
    assert set(SEEN) == {"oscillator", "pendulum"} | hgn


@pytest.mark.parametrize("name", ["oscillator", "pendulum", "hgn_pendulum", "hgn_spring"])
@pytest.mark.parametrize("quality", ["low", "medium", "high"])
@pytest.mark.parametrize("img_size", [32, 63])
def test_the_light_is_centered_where_the_body_is(name, quality, img_size, generator):
    options = RenderOptions(img_size=img_size, render_quality=quality)
    states = SYSTEMS[name].draw_starts(200, generator)
    states = 0.5 * states if name == "hgn_spring" else states  # whose ball grows out of the picture elsewhere
    light = light_of(render_states(SYSTEMS[name], states, options, dtype=torch.float32))
    places = body_places(SYSTEMS[name], states, options)[:, 0]
    assert (centroids(light) - places).abs().max() < 0.05
    window, reach = picture_of(SYSTEMS[name]).half_width, img_size / 2
    if name in ("oscillator", "hgn_spring"):  # they hang: x points down
        expected = img_size * (states[:, 0] + window) / (2 * window)
        assert (centroids(light)[:, 1] - expected).abs().max() < 0.05
        assert (centroids(light)[:, 0] - reach).abs().max() < 0.05
    else:  # θ = 0 is the lowest point
        expected = reach + img_size / (2 * window) * states[:, 0].cos()
        assert (centroids(light)[:, 1] - expected).abs().max() < 0.05


@pytest.mark.parametrize("name", SEEN)
@pytest.mark.parametrize("quality", ["low", "high"])
def test_a_batch_is_what_a_loop_over_frames_paints(name, quality, generator):
    options = RenderOptions(img_size=40, render_quality=quality)
    states = SYSTEMS[name].draw_starts(12, generator)
    states[:4] *= 2.5  # some leave the picture, or lie on its edge
    expected = looped_frames(SYSTEMS[name], states, options)
    found = render_states(SYSTEMS[name], states, options, dtype=torch.float32)
    assert found.shape == (12, 3, 40, 40) and found.max() <= 1
    np.testing.assert_allclose(found, expected, atol=2e-5)
    levels = render_states(SYSTEMS[name], states, options)
    bodies = body_places(SYSTEMS[name], states, options).shape[1]
    assert levels.dtype == torch.uint8
    assert np.abs(levels.numpy() - 255 * expected).max() <= 0.5 * (1 + bodies) + 1e-2  # each light is rounded once
    one_by_one = torch.stack([render_states(SYSTEMS[name], state, options) for state in states])
    assert (one_by_one.int() - levels.int()).abs().max() <= 1  # sums of another order
    grid = render_states(SYSTEMS[name], states.reshape(3, 4, -1), options)
    assert grid.shape == (3, 4, 3, 40, 40) and torch.equal(grid.flatten(0, 1), levels)


def test_motions_of_less_than_a_pixel_are_seen_unless_as_founded():
    states = torch.tensor([[0.0, 0.0], [0.01, 0.0]], dtype=torch.float64)  # an eighth of a pixel
    ours = render_states(OSCILLATOR, states)
    assert not torch.equal(*ours)
    founded = RenderOptions(founded=True)
    assert torch.equal(*render_states(OSCILLATOR, states, founded))
    assert founded.window(picture_of(OSCILLATOR)) == 2.0 and RenderOptions().window(picture_of(OSCILLATOR)) == 2.5
    wide = (light_of(render_states(OSCILLATOR, states[:1], founded, dtype=torch.float32)) > 0.5).sum()
    assert wide == pytest.approx(np.pi * (16 * 0.5) ** 2, rel=0.1)  # R = m = 0.5 kg, 16 pixels per meter
    ours = (light_of(render_states(OSCILLATOR, states[:1], dtype=torch.float32)) > 0.5).sum()
    assert ours == pytest.approx(np.pi * (12.8 * 0.35) ** 2, rel=0.15)
    chosen = RenderOptions(ball_radius=0.6, half_width=3.0)
    own = (light_of(render_states(OSCILLATOR, states[:1], chosen, dtype=torch.float32)) > 0.5).sum()
    assert own == pytest.approx(np.pi * (64 / 6 * 0.6) ** 2, rel=0.1)


@pytest.mark.parametrize("name", SEEN)
def test_bodies_stay_in_the_window(name, generator):
    """A second from starts as data have them; the founding documents' own window loses the pendulum's ball."""
    system = SYSTEMS[name]
    states, options = system.draw_starts(300, generator), RenderOptions()
    for _ in range(8):
        places = body_places(system, states, options)
        assert (places > 0).all() and (places < options.img_size).all()
        states = system.flow(states, torch.zeros(300, 1, dtype=torch.float64), system.delta_t)


def test_gray_is_the_largest_channel_and_colors_are_those_asked_for(generator):
    states = SYSTEMS["hgn_three_body"].draw_starts(5, generator)
    color = render_states(SYSTEMS["hgn_three_body"], states)
    gray = render_states(SYSTEMS["hgn_three_body"], states, RenderOptions(color=False))
    assert gray.shape == (5, 1, 64, 64) and torch.equal(gray, color.amax(dim=1, keepdim=True))
    centers = body_places(SYSTEMS["hgn_three_body"], states, RenderOptions()).long()
    for k, light in enumerate(BALL_COLORS):
        x, y = centers[0, k].tolist()
        expected = torch.tensor([min(255, round(255 * (a + b))) for a, b in zip(BACKGROUND, light, strict=True)])
        assert (color[0, :, y, x].int() - expected).abs().max() < 12  # a small ball is blurred at its center
    own = RenderOptions(ball_color=(0.0, 0.0, 0.5), bg_color=(0.25, 0.0, 0.0))
    picture = render_state(OSCILLATOR, torch.zeros(2).double(), ball_color=(0.0, 0.0, 0.5), bg_color=(0.25, 0.0, 0.0))
    assert picture.shape == (64, 64, 3) and picture[32, 32].tolist() == pytest.approx([0.25, 0.0, 0.5], abs=1e-3)
    assert torch.equal(render_states(OSCILLATOR, torch.zeros(1, 2), own)[0, :, 0, 0], torch.tensor([64, 0, 0]).byte())


def test_a_drawn_parameter_sets_how_a_body_is_painted(generator):
    """The founding document draws a ball as large as its mass."""
    import dataclasses

    spec = dataclasses.replace(OSCILLATOR.spec, name="heavy", parameter_names=("mass",))
    heavy = dataclasses.replace(OSCILLATOR, spec=spec, parameter_ranges={"mass": (0.2, 1.0)})
    masses = torch.tensor([[0.3], [0.9]], dtype=torch.float64)
    light = light_of(render_states(heavy, torch.zeros(2, 2), RenderOptions(founded=True), masses, dtype=torch.float32))
    wide = (light > 0.5).sum(dim=(1, 2))
    assert wide[1] / wide[0] == pytest.approx(9, rel=0.2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RenderOptions(img_size=7), "img_size must be a whole number >= 8, got 7"),
        (lambda: RenderOptions(img_size=64.0), "img_size must be a whole number >= 8, got 64.0"),
        (lambda: RenderOptions(render_quality="best"), r"render_quality must be one of \['low', .*\], got 'best'"),
        (lambda: RenderOptions(color="yes"), "color must be true or false, got 'yes'"),
        (lambda: RenderOptions(bg_color=(81, 88, 93)), r"bg_color must be three numbers in \[0, 1\], got \(81"),
        (lambda: RenderOptions(ball_color=(1.0, 0.0)), r"ball_color must be three numbers in \[0, 1\]"),
        (lambda: RenderOptions(ball_radius=0.0), "ball_radius must be positive and finite"),
        (lambda: render_states("spaceship", torch.zeros(1, 4)), r"with a picture .*'oscillator'.*, got 'spaceship'"),
        (lambda: render_states("oscilator", torch.zeros(1, 2)), "environment must be one of .*, got 'oscilator'"),
        (lambda: render_states("oscillator", torch.zeros(1, 3)), r"last axis of 2, got shape \(1, 3\)"),
        (lambda: render_states("oscillator", torch.tensor([[float("nan"), 0.0]])), "must be finite, got nan"),
        (lambda: render_states("oscillator", torch.zeros(1, 2), dtype=torch.int32), "dtype must be torch.uint8 or a"),
    ],
)
def test_what_cannot_be_painted_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_whole_numbers_are_no_states():
    with pytest.raises(TypeError, match="states must hold real numbers"):
        render_states("oscillator", torch.zeros(1, 2, dtype=torch.long))


# --- environments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["oscillator_visual", "pendulum_visual", "hgn_three_body_visual"])
def test_a_visual_environment_shows_the_state_it_is_in(name):
    from tdlib.envs import make_environment

    env = make_environment(name, 10, img_size=48, color=False, render_quality="low")
    assert env.observation_space.shape == (48, 48, 1) and env.observation_space.dtype == np.uint8
    frame, info = env.reset(seed=3)
    options = RenderOptions(img_size=48, color=False, render_quality="low")
    system = env.unwrapped.inner.system
    for _ in range(4):
        state = torch.tensor(info.get("next_state", info["state"]), dtype=torch.float64)
        assert np.array_equal(frame[..., 0], render_states(system, state, options)[0].numpy())
        frame, reward, terminated, truncated, info = env.step(env.action_space.sample())
    again = make_environment(name, 10, img_size=48, color=False, render_quality="low").reset(seed=3)[0]
    assert np.array_equal(again, env.reset(seed=3)[0])


def test_a_visual_environment_can_show_the_state_and_paint_beside_it():
    import gymnasium

    env = gymnasium.make(
        "tdlib/pendulum_visual", control_frequency=20, observation_mode="state", render_mode="rgb_array", color=False
    )
    observation, info = env.reset(seed=0, options={"state": [0.3, 0.0]})
    assert observation.tolist() == pytest.approx([0.3, 0.0]) and env.metadata["render_fps"] == 20
    assert env.render().shape == (64, 64, 3)
    for words, message in (
        ({"observation_mode": "sound"}, "observation_mode must be one of"),
        ({"render_quality": "best"}, "render_quality must be one of"),
        ({"img_size": 1}, "img_size must be a whole number"),
    ):
        with pytest.raises(ValueError, match=message):
            gymnasium.make("tdlib/pendulum_visual", **words)


def test_a_stranger_s_system_with_a_picture_has_an_environment_and_windows(monkeypatch):
    import dataclasses

    from tdlib.data import collect_sequences
    from tdlib.envs import make_environment, register_system
    from tdlib.pixels import PixelWindows
    from tdlib.systems.pictures import Picture

    picture = Picture(lambda x, p, m: (x[0], 0.0, 0.0, x[1]), radii=lambda p: (0.2, 0.4), half_width=3.0)
    views = dataclasses.replace(OSCILLATOR.views, picture=picture)
    spec = dataclasses.replace(OSCILLATOR.spec, name="crossing")
    crossing = dataclasses.replace(OSCILLATOR, spec=spec, views=views)
    monkeypatch.setitem(SYSTEMS, "crossing", crossing)  # known to this test alone
    register_system(crossing)
    env = make_environment("crossing_visual", 10, img_size=24)
    assert env.reset(seed=0)[0].shape == (24, 24, 3)
    windows = PixelWindows(collect_sequences("crossing", 2, 9, 0), num_steps=5, options=RenderOptions(img_size=24))
    assert windows.batch([0, 3]).frames.shape == (2, 7, 3, 24, 24)
    with pytest.raises(ValueError, match="half_width must be positive and finite"):
        dataclasses.replace(picture, half_width=0.0)
