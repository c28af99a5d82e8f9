"""The pendulum of DeepMind's control suite where the extra is installed, and what is said where it is not."""

import importlib.util
import math

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tdlib.envs import make_environment
from tdlib.pixels import PixelWindows, RenderOptions, record_frames
from tdlib.pixels.dmcontrol import DAMPING, DISTANCE, GRAVITY, INERTIA, MASS, SPEC, TORQUES

NAME = "pendulum_dmcontrol"
HERE = importlib.util.find_spec("dm_control") is not None
needs = pytest.mark.skipif(not HERE, reason='dm_control is not installed: pip install -e ".[dmc]"')


@pytest.fixture
def painted():
    """An environment that paints, where a graphics library is found."""
    try:
        env = make_environment(NAME, 10, img_size=32)
        env.reset(seed=0)
    except Exception as error:  # of one of several graphics libraries
        pytest.skip(f"MuJoCo cannot paint here: {type(error).__name__}: {error}")
    return env


@pytest.mark.skipif(HERE, reason="dm_control is installed")
def test_without_the_extra_the_environment_says_what_it_needs():
    assert f"tdlib/{NAME}" in gymnasium.registry
    with pytest.raises(ImportError, match=r"pendulum_dmcontrol needs dm_control: pip install -e .*dmc"):
        make_environment(NAME, 10)


@needs
def test_its_equation_hangs_at_zero():
    env = make_environment(NAME, 50, observation_mode="state")
    inner, generator = env.unwrapped, np.random.default_rng(0)
    for _ in range(20):
        phi, rate, action = generator.uniform(-3, 3), generator.uniform(-5, 5), int(generator.integers(3))
        env.reset(options={"state": (phi, rate)})
        inner.physics.set_control([TORQUES[action]])
        inner.physics.forward()
        expected = -MASS * GRAVITY * DISTANCE * math.sin(phi) - DAMPING * rate + TORQUES[action]
        assert INERTIA * inner.physics.data.qacc[0] == pytest.approx(expected, abs=1e-10)
        assert inner.state == pytest.approx((phi, rate))
    assert env.reset(options={"state": (0.0, 0.0)})[0].tolist() == [0.0, 0.0]
    assert np.abs(env.step(1)[0]).max() < 1e-6 and inner.energy == pytest.approx(0, abs=1e-12)


@needs
def test_an_interval_is_so_many_physics_steps():
    fine, coarse = (make_environment(NAME, rate, observation_mode="state") for rate in (50, 10))
    for env in (fine, coarse):
        env.reset(options={"state": (1.0, 0.0)})
    for _ in range(5):
        fine.step(2)
    coarse.step(2)
    assert fine.unwrapped.state == coarse.unwrapped.state
    with pytest.raises(ValueError, match="control_frequency must give a whole number of inner steps"):
        make_environment(NAME, 30)
    with pytest.raises(ValueError, match="observation_mode must be one of"):
        make_environment(NAME, 10, observation_mode="sound")
    check_env(make_environment(NAME, 10, observation_mode="state").unwrapped)


@needs
def test_its_pictures_move_with_the_pendulum(painted):
    frames = {}
    for phi in (0.0, 0.5, -0.5, math.pi):
        frames[phi], _ = painted.reset(options={"state": (phi, 0.0)})
    assert frames[0.0].shape == (32, 32, 3) and frames[0.0].dtype == np.uint8
    assert not np.array_equal(frames[0.0], frames[math.pi])
    moved = [np.abs(frames[phi].astype(int) - frames[0.0]).sum() for phi in (0.5, -0.5)]
    assert min(moved) > 500
    check_env(painted.unwrapped)
    dataset = record_frames(painted, SPEC, 2, 6)
    assert PixelWindows(dataset, num_steps=3, options=RenderOptions(img_size=32), recorded=True)[0]["frames"].any()
