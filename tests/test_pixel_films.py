"""Films and grids of frames, of systems and of stored sets, and the command that writes them."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageSequence

from tdlib.data import collect_sequences, write_sequences
from tdlib.pixels import RenderOptions, render_states, set_frames, system_frames, write_gif, write_grid
from tdlib.pixels.command import main

SMALL = RenderOptions(img_size=16, render_quality="low")


def test_the_frames_of_a_system_are_those_of_a_sequence():
    frames, delta_t = system_frames("pendulum", 9, SMALL, seed=4, delta_t=0.05)
    dataset = collect_sequences("pendulum", 1, 8, 4, 0.05)
    states = torch.from_numpy(np.concatenate([dataset.state, dataset.next_state[-1:]]))
    assert delta_t == 0.05 and torch.equal(frames, render_states("pendulum", states, SMALL))
    assert not torch.equal(frames, system_frames("pendulum", 9, SMALL, seed=5, delta_t=0.05)[0])


def test_a_film_has_every_frame_for_its_time_and_a_grid_has_them_in_the_order_of_reading(tmp_path):
    frames = torch.zeros(7, 1, 8, 8, dtype=torch.uint8) + 30 * torch.arange(7, dtype=torch.uint8)[:, None, None, None]
    film = Image.open(write_gif(frames, tmp_path / "a.gif", 0.13, scale=3))
    shown = [(np.asarray(each.convert("RGB"))[0, 0, 0], each.info["duration"]) for each in ImageSequence.Iterator(film)]
    assert film.size == (24, 24) and shown == [(30 * k, 130) for k in range(7)]
    assert Image.open(write_gif(frames, tmp_path / "b.gif", 0.005)).info["duration"] == 20
    grid = np.asarray(Image.open(write_grid(frames, tmp_path / "a.png", columns=4)))
    assert grid.shape == (2 * 8 + 2, 4 * 8 + 3 * 2, 3)
    assert [grid[10 * (k // 4), 10 * (k % 4), 0] for k in range(7)] == [30 * k for k in range(7)]
    assert (grid[8:10] == 255).all() and (grid[10:, 30:] == 255).all()
    with pytest.raises(ValueError, match=r"path must end in .gif, got 'a.png'"):
        write_gif(frames, tmp_path / "a.png", 0.1)
    with pytest.raises(ValueError, match="scale must be a whole number >= 1, got 0"):
        write_grid(frames, tmp_path / "a.png", scale=0)


def test_the_command_shows_a_system_and_a_stored_set(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--env", "hgn_two_body", "--n_frames", "5", "--img_size", "16"]) == 0
    assert capsys.readouterr().out.split() == ["hgn_two_body.gif", "hgn_two_body_grid.png"]
    assert Image.open("hgn_two_body.gif").n_frames == 5
    path = write_sequences("oscillator", 10, 6, 0, tmp_path / "datasets" / "oscillator" / "first.h5")
    look = ["--img_size", "16", "--render_quality", "low", "--save_grid", "set.png"]
    assert main(["--dataset", "oscillator/first", "--split", "val", "--idx", "0", *look]) == 0
    assert Image.open("set.png").size[1] == 2 * 16 + 2  # seven frames of one episode, in two rows
    for arguments, words in (
        (["--dataset", str(path), "--idx", "10"], "first.h5: episode must be in 0 .. 9, got 10"),
        (["--dataset", "oscillator/second"], "name_or_path must be a file or one of ['oscillator/first']"),
        (["--env", "spaceship"], "system must be one with a picture"),
        (["--n_frames", "1"], "num_frames must be at least 2, got 1"),
        (["--img_size", "4"], "img_size must be a whole number >= 8, got 4"),
    ):
        assert main(arguments) == 2
        assert words in capsys.readouterr().err


def test_the_commands_of_the_seeds_write_their_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_sequences("oscillator", 10, 6, 0, tmp_path / "datasets" / "oscillator" / "first.h5")
    table = yaml.safe_load((Path(__file__).resolve().parents[1] / "book" / "seed_map.yaml").read_text())
    commands = {found for row in table for found in re.findall(r"`python -m tdlib.pixels ([^`]+)`", row["ours"])}
    assert len(commands) >= 6
    for command in commands:
        before = set(tmp_path.iterdir())
        assert main(shlex.split(command)) == 0, command
        for path in tmp_path.glob("*.*"):
            assert path.stat().st_size > 500
            path.unlink()
        assert set(tmp_path.iterdir()) == before


def test_recorded_frames_of_a_set_are_shown_as_they_are():
    from dataclasses import replace

    dataset = collect_sequences("oscillator", 3, 6, 0)
    frames = np.arange(18, dtype=np.uint8)[:, None, None, None] * np.ones((18, 12, 12, 1), dtype=np.uint8)
    shown, _ = set_frames(replace(dataset, extras={"frames": frames}), 1, 50)
    assert shown.shape == (6, 1, 12, 12) and shown[:, 0, 0, 0].tolist() == list(range(6, 12))
