"""Windows of frames: aligned with states and actions, within episodes, painted once, noisy if asked for."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tdlib.data import DatasetError, collect_sequences, save_dataset, split_episodes
from tdlib.data.schema import TransitionDataset
from tdlib.envs import make_environment
from tdlib.envs.frequency_wrapper import FixedFrequencyWrapper
from tdlib.models import build_model
from tdlib.pixels import PixelWindows, RenderOptions, body_places, filmed_transitions, record_frames, render_states
from tdlib.study.arms import trained_arms
from tdlib.systems import SYSTEMS
from tdlib.training import Budget, Trial, fit
from tdlib.training.sampling import window_starts

SMALL = RenderOptions(img_size=16, render_quality="low")


@pytest.fixture(scope="module")
def swings():
    return collect_sequences("pendulum", 6, 12, seed=0)


def counted(lengths=(9, 5, 12)) -> TransitionDataset:
    """A video that counts: every frame shows its episode (red), its number there (green) and its action (blue)."""
    base = collect_sequences("oscillator", len(lengths), max(lengths), seed=1)
    rows = np.concatenate([np.arange(base.episode(e).start, base.episode(e).start + n) for e, n in enumerate(lengths)])
    frames = np.zeros((sum(lengths), 16, 16, 3), dtype=np.uint8)
    frames[..., 0] = np.repeat(np.arange(len(lengths)), lengths)[:, None, None]
    frames[..., 1] = np.concatenate([np.arange(n) for n in lengths])[:, None, None]
    cut = base.select_rows(rows)
    frames[..., 2] = cut.action.astype(np.uint8)[:, 0, None, None]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return replace(cut, episode_offsets=offsets, extras={"frames": frames})


@pytest.mark.parametrize(("encoder_frames", "num_steps"), [(1, 1), (2, 3), (3, 4)])
def test_frames_states_and_actions_of_a_counting_video_are_aligned(encoder_frames, num_steps):
    dataset, size = counted(), encoder_frames + num_steps
    windows = PixelWindows(
        dataset, encoder_frames=encoder_frames, num_steps=num_steps, options=SMALL, recorded=True, dtype=torch.float64
    )
    assert len(windows) == sum(max(0, n - size + 1) for n in (9, 5, 12))
    found = windows.batch(range(len(windows)))
    episode, number, action = (found.frames[:, :, c, 0, 0].long() for c in range(3))
    assert (episode == episode[:, :1]).all()  # none crosses an episode
    assert torch.equal(number, number[:, :1] + torch.arange(size))
    assert torch.equal(action[:, :-1], found.actions[..., 0].long())  # a_i is held from x_i on
    context = found.context.reshape(len(windows), encoder_frames, 3, 16, 16)
    assert torch.equal(context[:, :, 1, 0, 0].long(), number[:, :encoder_frames])  # x_0 … x_{K−1}, oldest first
    ours = encoder_frames - 1  # the state of a window is that of its last frame
    assert torch.equal(found.targets[:, :, 1, 0, 0].long(), number[:, ours:])
    assert found.rollout_actions.shape[1] == num_steps == found.targets.shape[1] - 1
    assert torch.equal(found.rollout_actions[..., 0].long(), action[:, ours:-1])
    system, state = SYSTEMS["oscillator"], found.target_states[:, 0]
    drawn = torch.from_numpy(dataset.parameters)[episode[:, 0]]
    for k in range(num_steps):  # the actions lead from target to target
        state = system.flow(state, found.rollout_actions[:, k], found.rollout_delta_t[:, k], drawn)
        assert (state - found.target_states[:, k + 1]).abs().max() < 1e-12


def step_error(windows, found):
    """How far each state of windows is from the flow out of the one before."""
    dataset, rows = windows.dataset, windows._order.rows[windows._starts]
    drawn = None if dataset.parameters is None else torch.from_numpy(dataset.row_parameters[rows])[:, None]
    drawn = None if drawn is None else drawn.expand(-1, found.actions.shape[1], -1)
    moved = SYSTEMS[dataset.spec.name].flow(found.states[:, :-1], found.actions, found.delta_t, drawn)
    return (moved - found.states[:, 1:]).abs().max()


def test_angles_run_on_over_half_turns():
    spins = collect_sequences("hgn_pendulum", 8, 12, seed=0)
    windows = PixelWindows(spins, num_steps=4, options=SMALL, dtype=torch.float64)
    found = windows.batch(range(len(windows)))
    assert step_error(windows, found) < 1e-12
    assert (found.states[..., 0].abs() > np.pi).any() and (found.states[:, 0, 0].abs() <= np.pi).all()


def test_frames_are_painted_of_the_states_beside_them(swings):
    windows = PixelWindows(swings, num_steps=4, options=SMALL, dtype=torch.float64)
    assert len(windows) == 6 * (13 - 6 + 1) and windows.frame_shape == (3, 16, 16)
    found = windows.batch(range(len(windows)))
    assert torch.equal(found.frames, render_states("pendulum", found.states, SMALL))
    assert step_error(windows, found) < 1e-12
    item = windows[3]
    assert torch.equal(item["frames"], found.frames[3]) and item["actions"].shape == (5, 1)
    loaded = next(iter(DataLoader(windows, batch_size=4)))
    assert loaded["frames"].shape == (4, 6, 3, 16, 16) and loaded["frames"].dtype == torch.uint8
    assert len(PixelWindows(swings, num_steps=4, options=SMALL, stride=5)) == 6 * 2
    with pytest.raises(IndexError, match="index must be in 0 .. 47, got 48"):
        windows[48]


def test_frames_are_painted_once_if_they_fit(swings, monkeypatch):
    from tdlib.pixels import frames as module

    painted = []
    paint = module.render_states
    monkeypatch.setattr(module, "render_states", lambda *args: painted.append(len(args[1])) or paint(*args))
    kept, fresh = (
        PixelWindows(swings, num_steps=4, options=SMALL, cache_bytes=size) for size in (6 * 13 * 3 * 16 * 16, 10_000)
    )
    assert torch.equal(kept.batch([0, 1, 9]).frames, fresh.batch([0, 1, 9]).frames)
    assert painted[0] == 6 + 1 + 6  # frames that two windows share once
    painted.clear()
    kept.batch([0, 1, 9]), kept.batch([2])
    assert painted == [1]
    painted.clear()
    fresh.batch([0]), fresh.batch([0])
    assert len(painted) == 2


def test_noise_moves_the_balls_and_not_the_states(swings):
    options = RenderOptions(img_size=64)
    clean, noisy, again, other = (
        PixelWindows(swings, num_steps=4, options=options, noise=noise, seed=seed, dtype=torch.float64)
        for noise, seed in ((0.0, 0), ((0.2, 0.0), 0), ((0.2, 0.0), 0), ((0.2, 0.0), 1))
    )
    found, seen = clean.batch(range(48)), noisy.batch(range(48))
    assert torch.equal(found.states, seen.states) and not torch.equal(found.frames, seen.frames)
    assert torch.equal(seen.frames, again.batch(range(48)).frames)
    assert not torch.equal(seen.frames, other.batch(range(48)).frames)
    light = (seen.frames[:, :, 0].float() - 81).clamp(min=0)
    lines, total = torch.arange(64) + 0.5, light.sum(dim=(-2, -1))
    x, y = (light.sum(dim=-2) * lines).sum(-1) / total, (light.sum(dim=-1) * lines).sum(-1) / total
    errors = (torch.stack([x, y], dim=-1) - body_places(SYSTEMS["pendulum"], found.states, options)[..., 0, :]).norm(
        dim=-1
    )
    assert errors.square().mean().sqrt() == pytest.approx(0.2 * 64 / 5, rel=0.2)  # 0.2 rad on a rod of 1 m


def test_no_window_crosses_a_pause_or_an_interval_that_was_cut_short(swings):
    late = swings.t + 5.0 * (np.arange(len(swings)) % 12 >= 7)  # a pause before the eighth row
    paused = PixelWindows(replace(swings, t=late), num_steps=3, options=SMALL, dtype=torch.float64)
    assert len(paused) == 6 * ((8 - 5 + 1) + (6 - 5 + 1))
    found = paused.batch(range(len(paused)))
    assert step_error(paused, found) < 1e-12
    assert torch.equal(found.frames, render_states("pendulum", found.states, SMALL))
    short = swings.delta_t.copy()
    short[11::12] *= 0.5  # the last of every episode
    assert len(PixelWindows(replace(swings, delta_t=short), num_steps=4, options=SMALL)) == 6 * (12 - 6 + 1)


def test_a_stored_set_and_its_splits_have_windows(swings, tmp_path):
    path = save_dataset(swings, tmp_path / "swings.h5")
    stored, own = (
        PixelWindows.from_file(path, num_steps=2, options=SMALL),
        PixelWindows(swings, num_steps=2, options=SMALL),
    )
    assert torch.equal(stored.batch([0, 30]).frames, own.batch([0, 30]).frames)
    parts = split_episodes(swings, 0)
    assert sum(len(PixelWindows(part, num_steps=2, options=SMALL)) for part in parts.values()) == len(own)
    with pytest.raises(DatasetError, match=r"swings.h5: episodes must have 42 frames in a row .*, the longest has 13"):
        PixelWindows.from_file(path, num_steps=40)
    with pytest.raises(
        DatasetError, match=r"swings.h5: must hold recorded frames in a column 'frames', got columns \[\]"
    ):
        PixelWindows.from_file(path, recorded=True)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"encoder_frames": 0}, "encoder_frames must be a whole number >= 1, got 0"),
        ({}, {"num_steps": 2.0}, "num_steps must be a whole number >= 1, got 2.0"),
        ({}, {"noise": -0.1}, "noise must be finite and >= 0, got -0.1"),
        ({}, {"noise": (0.0, 0.1), "recorded": True}, "noise must be 0 for recorded frames"),
        ({"kind": "branched"}, {}, "must be of kind 'episodes' to have windows, got 'branched'"),
        ({"spec": replace(SYSTEMS["pendulum"].spec, name="an_arm")}, {}, "recorded frames or be of a known system"),
        ({"spec": replace(SYSTEMS["pendulum"].spec, name="Pendulum-v1")}, {}, "system must be one with a picture"),
        (
            {"extras": {"frames": np.zeros((72, 8, 8, 3), dtype=np.uint8)}},
            {"recorded": True},
            r"frames must be levels \(uint8\) of shape \(72, 64, 64, 3\), got uint8 of shape \(72, 8, 8, 3\)",
        ),
    ],
)
def test_sets_without_windows_are_refused_by_name_rule_and_value(swings, change, options, message):
    with pytest.raises(ValueError, match=message):
        PixelWindows(replace(swings, **change), **options)


def test_frames_for_training_go_with_the_transitions(swings):
    """In the order of `transitions`: rows that were cut short have none."""
    short = swings.delta_t.copy()
    short[[11, 40]] *= 0.5
    dataset = replace(swings, delta_t=short)
    found, offsets = filmed_transitions(dataset, SMALL, dtype=torch.float64)
    pixels, first = found.frames.pixels, found.frames.first
    rows, drawn = dataset.transitions(), torch.from_numpy(dataset.row_parameters[dataset.full_length])
    assert len(first) == len(rows) == 70 and pixels.dtype == torch.uint8
    assert all(torch.equal(a, b) for a, b in zip(found.tensors(), rows.tensors(), strict=True))
    assert torch.equal(found.parameters, drawn) and offsets.tolist() == [0, 11, 23, 35, 39, 46, 58, 70]
    assert torch.equal(pixels[first], render_states("pendulum", rows.state, SMALL, drawn))
    assert (pixels[first + 1].int() - render_states("pendulum", rows.next_state, SMALL, drawn).int()).abs().max() <= 1
    assert len(pixels) == 70 + 6 + 1  # one at the end of each episode, and one before the interval cut short inside
    with pytest.raises(DatasetError, match="must be of kind 'episodes' to have frames"):
        filmed_transitions(replace(swings, kind="branched"))


@pytest.mark.parametrize("recorded", [False, True])
def test_windows_for_training_are_those_of_a_set_and_cross_nothing(swings, recorded):
    """An interval that was cut short in one episode, a pause in another; painted, and recorded in the set."""
    short, late = swings.delta_t.copy(), swings.t.copy()
    short[5] *= 0.5
    late[12 + 7 : 24] += 5.0
    shown = {"frames": np.arange(72, dtype=np.uint8)[:, None, None, None] * np.ones((1, 16, 16, 3), dtype=np.uint8)}
    dataset = replace(swings, delta_t=short, t=late, extras=shown if recorded else {})
    part, offsets = filmed_transitions(dataset, SMALL)
    starts, lengths = window_starts(offsets, 4)
    starts = starts[lengths == 4]
    windows = PixelWindows(dataset, encoder_frames=2, num_steps=3, options=SMALL)
    assert len(starts) == len(windows) > 0
    found, steps = windows.batch(range(len(windows))), starts[:, None] + torch.arange(4)
    first = part.frames.first[steps]
    assert torch.equal(first, first[:, :1] + torch.arange(4))  # the frame at the end of a step begins the next
    frames = torch.cat([first, first[:, -1:] + 1], dim=1)
    assert torch.equal(part.frames.pixels[frames], found.frames)
    assert torch.equal(part.action[steps], found.actions) and torch.equal(part.state[steps][:, 0], found.states[:, 0])
    assert recorded == bool((found.frames[:, 0, 0, 0, 0] == torch.from_numpy(windows._order.rows)[
        windows._starts]).all())  # fmt: skip


def test_recorded_frames_of_a_simulator_of_ones_own_are_trained_on(swings):
    """The set's system is unknown, so that nothing could paint it."""
    spec = replace(swings.spec, name="an_arm")
    pixels = render_states("pendulum", torch.from_numpy(swings.state), SMALL).movedim(1, -1).numpy()
    dataset = replace(swings, spec=spec, extras={"frames": pixels})
    part, offsets = filmed_transitions(dataset, SMALL)
    assert len(part) == 6 * 11 and offsets.tolist() == list(range(0, 67, 11))
    options = dict(img_size=16, spatial_size=2, latent_channels=4, hidden_channels=6, encoder_widths=(4, 6, 8),
                   decoder_channels=6, rollout_steps=3)  # fmt: skip
    arm = trained_arms(["visual_world_model"])[0]
    model = build_model("visual_world_model", spec, seed=0, **options)
    trial = Trial(arm, 0, model, [part], [part], [offsets], [offsets])
    result = fit([trial], Budget(20, 3e-3, batch_size=4 * 8, num_validations=2))[0]
    assert result.best_val_loss < result.curves["val_loss"].iloc[0]
    with pytest.raises(DatasetError, match="an_arm|known system"):
        filmed_transitions(dataset, SMALL, recorded=False)


def test_what_an_environment_shows_is_recorded_beside_its_states(tmp_path):
    """A visual environment of ours paints as the renderer does, so that recording it must give the painted frames."""
    system = SYSTEMS["pendulum"]
    env = make_environment("pendulum_visual", 10, img_size=16, render_quality="low")
    dataset = record_frames(env, system.spec, 3, 7, seed=1)
    path = save_dataset(dataset, tmp_path / "recorded.h5")
    windows = PixelWindows.from_file(path, num_steps=3, options=SMALL, recorded=True, dtype=torch.float64)
    assert len(windows) == 3 * (7 - 5 + 1)
    found = windows.batch(range(len(windows)))
    assert torch.equal(found.frames, render_states(system, found.states, SMALL)) and step_error(windows, found) < 1e-9
    again = record_frames(env, system.spec, 3, 7, seed=1)
    assert np.array_equal(again.extras["frames"], dataset.extras["frames"])
    assert not np.array_equal(record_frames(env, system.spec, 3, 7, seed=2).action, dataset.action)
    with pytest.raises(DatasetError, match=r"env must show pixels \(H, W, C\) uint8"):
        record_frames(make_environment("pendulum", 10), system.spec, 1, 5)
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        record_frames(env, system.spec, 1, 0)


class Counter(gymnasium.Env):
    """Shows how many steps of 0.02 s there were; the thirteenth ends an episode."""

    dt, action_space = 0.02, gymnasium.spaces.Discrete(3)
    observation_space = gymnasium.spaces.Box(0, 255, (16, 16, 3), dtype=np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.zeros((16, 16, 3), np.uint8), {"state": (0.0, 1.0)}

    def step(self, action):
        self.count += 1
        info = {"state": (0.02 * self.count, 1.0), "limit_hit": self.count > 10}
        return np.full((16, 16, 3), self.count, np.uint8), 0.0, self.count == 13, False, info


def test_a_step_that_is_cut_short_is_recorded_as_long_as_it_lasted():
    spec = replace(SYSTEMS["oscillator"].spec, parameter_names=())
    dataset = record_frames(FixedFrequencyWrapper(Counter(), 10), spec, 2, 10)
    assert dataset.delta_t == pytest.approx([0.1, 0.1, 0.06] * 2) and dataset.t == pytest.approx([0.0, 0.1, 0.2] * 2)
    assert dataset.exit_time == pytest.approx([np.inf, np.inf, 0.06] * 2)
    assert dataset.limit_hit.tolist() == [False, False, True] * 2 == dataset.terminated.tolist()
    assert dataset.full_length.tolist() == [True, True, False] * 2
    part, offsets = filmed_transitions(dataset, SMALL)
    assert offsets.tolist() == [0, 1, 2] and part.frames.pixels[:, 0, 0, 0].tolist() == [0, 5, 0, 5]
