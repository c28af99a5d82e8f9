"""Look at a system or at a stored set: `python -m tdlib.pixels --env pendulum --save_gif pendulum.gif`.

Of a system one sequence is drawn, with random actions where it has several; of a set one episode is shown. Without
`--save_gif` and `--save_grid` both files are written beside where the command is given, under the system's name.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tdlib.data.splits import SPLITS, split_path
from tdlib.data.storage import load_dataset
from tdlib.data.torch_dataset import DATA_ROOT, dataset_path
from tdlib.pixels.films import set_frames, system_frames, write_gif, write_grid
from tdlib.pixels.options import QUALITIES, RenderOptions


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code: 0, or 2 if there is nothing to show."""
    asked = _parser().parse_args(arguments)
    try:
        for path in visualize(asked):
            print(path)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def visualize(asked: argparse.Namespace) -> list[Path]:
    """Write what the command line asks for; return the files.

    Raises:
        ValueError: If a system, a set, an episode or a setting does not exist.
    """
    options = RenderOptions(
        img_size=asked.img_size, color=not asked.no_color, render_quality=asked.render_quality, founded=asked.founded
    )
    if asked.dataset is None:
        name = asked.env
        frames, delta_t = system_frames(
            name, asked.n_frames, options, delta_t=asked.dt, seed=asked.seed, noise=asked.noise
        )
    else:
        path = dataset_path(asked.dataset, asked.data_root)
        path = path if asked.split is None else split_path(path, asked.split)
        dataset = load_dataset(path)
        name = dataset.spec.name
        frames, delta_t = set_frames(
            dataset, asked.idx, asked.n_frames, options, noise=asked.noise, seed=asked.seed, name=str(path)
        )
    film, grid = asked.save_gif, asked.save_grid
    if film is None and grid is None:
        film, grid = f"{name}.gif", f"{name}_grid.png"
    written = [] if film is None else [write_gif(frames, film, delta_t, scale=asked.scale)]
    return written + ([] if grid is None else [write_grid(frames, grid, scale=asked.scale)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tdlib.pixels", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--env", default="oscillator", help="name of a system with a picture")
    parser.add_argument("--n_frames", type=int, default=50, help="frames, those of a shorter episode at most")
    parser.add_argument("--dt", type=float, help="time between frames of a system [s]; its own if left out")
    parser.add_argument("--seed", type=int, default=0, help="of start, parameters, actions and noise")
    parser.add_argument("--dataset", help="a stored set in place of a system: a file, or a name below --data_root")
    parser.add_argument("--data_root", default=str(DATA_ROOT), help="folder of short names")
    parser.add_argument("--split", choices=SPLITS, help="split of the set; the whole set if left out")
    parser.add_argument("--idx", type=int, default=0, help="episode of the set")
    parser.add_argument("--img_size", type=int, default=64, help="pixels per side")
    parser.add_argument("--no_color", action="store_true", help="one channel")
    parser.add_argument("--render_quality", choices=QUALITIES, default="medium", help="samples per pixel")
    parser.add_argument(
        "--founded", action="store_true", help="window, radii and whole pixels of the founding document"
    )
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation of errors added to states")
    parser.add_argument("--scale", type=int, default=1, help="pixels of the files per pixel of a frame")
    parser.add_argument("--save_gif", help="file of the film")
    parser.add_argument("--save_grid", help="file of the stills (.png)")
    return parser
