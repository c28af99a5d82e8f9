"""Short videos of rollouts: the truth, and the prediction as a ghost over it."""

import base64
import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tdlib.core.files import atomic_path, write_bytes
from tdlib.figures.style import METHOD_COLORS

if TYPE_CHECKING:
    from tdlib.systems.scenes import Scene

SIZE, FACTOR = 400, 2  # pixels of the video, and by how much frames are drawn larger and shrunk (smooth edges)
FRAMES_PER_SECOND = 25
INK = "#202020"
PAUSE = 0.6  # [s] on the last frame of each rollout


@dataclass(frozen=True)
class SavedVideo:
    """A video on disk; shown by notebooks as a player with caption.

    Args:
        path: The mp4 file.
        caption: Text below it.
        alt: Text in place of it.
    """

    path: Path
    caption: str
    alt: str

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.path.read_bytes()).decode()
        return (
            f'<figure><video controls loop muted playsinline width="{SIZE}" aria-label="{html.escape(self.alt)}">'
            f'<source src="data:video/mp4;base64,{data}" type="video/mp4">{html.escape(self.alt)}</video>'
            f"<figcaption>{html.escape(self.caption)}</figcaption></figure>"
        )


def save_rollout_video(
    table: pd.DataFrame,
    path: str | Path,
    *,
    title: str,
    starts: Sequence[int] = (0, 1, 2),
    speed: float = 0.5,
    labels: tuple[str, str] = ("truth", "prediction"),
    caption: str = "",
) -> SavedVideo:
    """Write rollouts of one arm as an h264 mp4 (yuv420p, plays in browsers) with caption and alt text beside it.

    Args:
        table: Trajectories of one arm, seed and test rate: env, start, time [s], `<dimension>`, `<dimension>_true`.
        path: The mp4 file.
        title: Shown on top, for example `baseline 10 Hz, stepped at 50 Hz`.
        starts: Rollouts shown one after the other.
        speed: Physical seconds per second of video.
        labels: What the black figure is, `<dimension>_true`, and the colored one, `<dimension>`.
        caption: Text below; that of open-loop rollouts if empty.

    Raises:
        ValueError: If the path is no mp4, or the table holds several arms, seeds or rates, or none of the starts, or is
            of a system without a scene.
    """
    import imageio_ffmpeg  # brings its own ffmpeg; needed here only

    path = Path(path)
    rollouts = _rollouts(table, path, starts)
    env, method = str(table["env"].iloc[0]), str(table["method"].iloc[0])
    scene = _scene(env)
    with atomic_path(path) as temporary:
        writer = imageio_ffmpeg.write_frames(
            str(temporary), (SIZE, SIZE), fps=FRAMES_PER_SECOND, codec="libx264", pix_fmt_out="yuv420p",
            macro_block_size=8, quality=None, ffmpeg_log_level="error",
            output_params=["-crf", "28", "-preset", "medium", "-movflags", "+faststart", "-threads", "1"],
        )  # fmt: skip
        writer.send(None)
        for frame in _frames(rollouts, scene, title, METHOD_COLORS.get(method, "#0072B2"), speed, labels):
            writer.send(np.ascontiguousarray(frame))
        writer.close()
    duration = max(float(rows["time"].max()) for rows in rollouts)
    rate = str(table["test_frequency"].iloc[0])
    caption = caption or (
        f"{env}, {title}: open-loop rollouts of {duration:.2g} s from n = {len(rollouts)} held-out starts, truth in "
        f"black, prediction in color, at {speed:g} × real time; stepped at {rate} Hz, seed "
        f"{int(table['seed'].iloc[0])}."
    )
    alt = f"Animation of {env}: the motion called {labels[1]} drawn over the one called {labels[0]}."
    text = json.dumps({"caption": caption, "alt": alt}, ensure_ascii=False, indent=1)
    write_bytes(path.with_suffix(".json"), text.encode())
    return SavedVideo(path, caption, alt)


def _rollouts(table: pd.DataFrame, path: Path, starts: Sequence[int]) -> list[pd.DataFrame]:
    if path.suffix != ".mp4":
        raise ValueError(f"path must end in .mp4, got {path.name!r}")
    keys = [name for name in ("model", "method", "form", "train_frequency", "test_frequency", "seed") if name in table]
    if len(table[keys].drop_duplicates()) != 1:
        raise ValueError(f"table must hold one arm, seed and test rate, got {len(table[keys].drop_duplicates())}")
    rollouts = [table[table["start"] == start].sort_values("time") for start in starts]
    rollouts = [rows for rows in rollouts if len(rows)]
    if not rollouts:
        raise ValueError(f"starts must be among {sorted(table['start'].unique())}, got {list(starts)}")
    return rollouts


def _scene(env: str) -> "Scene":
    from tdlib.systems import SYSTEMS  # asked when a video is made: reading figures' code needs no torch

    scene = None if env not in SYSTEMS else SYSTEMS[env].views.scene
    if scene is None:
        known = [name for name, system in SYSTEMS.items() if system.views.scene is not None]
        raise ValueError(f"table must be of a system with a scene, one of {known}, got {env!r}")
    return scene


def _frames(
    rollouts: list[pd.DataFrame], scene: "Scene", title: str, color: str, speed: float, labels: tuple[str, str]
) -> Iterator[np.ndarray]:
    from PIL import Image, ImageDraw, ImageFont

    fonts = [ImageFont.truetype(_font_path(), size * FACTOR) for size in (15, 12)]
    for number, rows in enumerate(rollouts, start=1):
        times = rows["time"].to_numpy()
        count = max(2, round(times[-1] / speed * FRAMES_PER_SECOND) + 1)
        for now in [*np.linspace(0, times[-1], count), *([times[-1]] * round(PAUSE * FRAMES_PER_SECOND))]:
            image = Image.new("RGB", (SIZE * FACTOR, SIZE * FACTOR), "white")
            canvas = ImageDraw.Draw(image, "RGBA")
            # between samples both are interpolated, so that low rates do not look jerky for another reason
            truth = [float(np.interp(now, times, rows[f"{name}_true"])) for name in scene.names]
            ghost = [float(np.clip(np.interp(now, times, rows[name]), -1e3, 1e3)) for name in scene.names]
            scene.paint(canvas, SIZE * FACTOR, truth, ghost, color)
            canvas.text((10 * FACTOR, 8 * FACTOR), title, font=fonts[0], fill=INK)
            note = f"t = {now:4.2f} s    start {number} of {len(rollouts)}"
            canvas.text((10 * FACTOR, 30 * FACTOR), note, font=fonts[1], fill=INK)
            canvas.text((10 * FACTOR, (SIZE - 24) * FACTOR), labels[0], font=fonts[1], fill=INK)
            beside = 10 * FACTOR + canvas.textlength(labels[0] + "   ", font=fonts[1])
            canvas.text((beside, (SIZE - 24) * FACTOR), labels[1], font=fonts[1], fill=color)
            yield np.asarray(image.reduce(FACTOR))


def _font_path() -> str:
    from matplotlib import font_manager

    return font_manager.findfont("DejaVu Sans")
