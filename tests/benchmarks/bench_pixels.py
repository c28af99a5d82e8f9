"""Frames per second from states, of one body and of three, against a loop over frames in numpy.

    python tests/benchmarks/bench_pixels.py [--quick]

Both sides paint the same states at the same size and quality on one core, in turn. The peer paints few frames of ours,
since it is many times slower; its rate does not depend on their number.
"""

import argparse

import harness
import numpy as np
import torch
from looped_renderer import looped_frame

from tdlib.core.seeding import torch_generator
from tdlib.pixels import BACKGROUND, RenderOptions, body_places, picture_of, render_states
from tdlib.systems import SYSTEMS, System

GOAL = 20_000  # frames of 64 pixels per second on one core
FRAMES, LOOPED = 4096, 32
SUBJECTS = (("oscillator", "low"), ("oscillator", "medium"), ("oscillator", "high"), ("hgn_three_body", "medium"))


def rows(device: str = "cpu", quick: bool = False) -> list[harness.Row]:
    """Measure each subject."""
    del device  # the goal is one of a processor's core
    found = []
    for name, quality in SUBJECTS:
        system, options = SYSTEMS[name], RenderOptions(render_quality=quality)
        states = system.draw_starts(FRAMES, torch_generator(0, "pixels", name))
        count = body_places(system, states[:1], options).shape[-2]
        title = f"frames of {options.img_size} px, {count} bod{'y' if count == 1 else 'ies'}, {quality}"
        work = harness.compare(
            f"{title} (goal {GOAL:,} / s)" if count == 1 else title,
            lambda args=(system, states, options): render_states(*args),
            lambda args=(system, states[:LOOPED], options): looped_frames(*args),
            count=FRAMES, peer_count=LOOPED, unit="frames / s", peer_name="numpy, frame by frame",
            repeats=3 if quick else 9,
        )  # fmt: skip
        found.append(work)
    return found


def looped_frames(system: System, states: torch.Tensor, options: RenderOptions) -> np.ndarray:
    """Paint states one by one: (N, D) -> (N, 3, H, W) in [0, 1]."""
    places = body_places(system, states, options).numpy()
    picture, count = picture_of(system), places.shape[1]
    scale = options.img_size / (2 * options.window(picture))
    radii = [scale * radius for radius in options.radii(picture, system.named(None), count)]
    look = radii, options.ball_colors(count), BACKGROUND, options.img_size, options.samples
    return np.stack([looped_frame(each, *look) for each in places])


def main() -> None:
    """Print one row per subject."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    torch.set_num_threads(1)
    for row in rows(quick=parser.parse_args().quick):
        print(row.line(), flush=True)


if __name__ == "__main__":
    main()
