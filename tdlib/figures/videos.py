"""Short videos of rollouts: the truth, and the prediction as a ghost over it."""

import base64
import html
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tdlib.core.files import atomic_path, write_bytes
from tdlib.figures.style import METHOD_COLORS

SIZE, FACTOR = 400, 2  # pixels of the video, and by how much frames are drawn larger and shrunk (smooth edges)
FRAMES_PER_SECOND = 25
PAUSE = 0.6  # [s] on the last frame of each rollout
INK, FAINT = "#202020", "#C8C8C8"


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
    table: pd.DataFrame, path: str | Path, *, title: str, starts: Sequence[int] = (0, 1, 2), speed: float = 0.5
) -> SavedVideo:
    """Write rollouts of one arm as an h264 mp4 (yuv420p, plays in browsers) with caption and alt text beside it.

    Args:
        table: Trajectories of one arm, seed and test rate: env, start, time [s], `<dimension>`, `<dimension>_true`.
        path: The mp4 file.
        title: Shown on top, for example `baseline 10 Hz, stepped at 50 Hz`.
        starts: Rollouts shown one after the other.
        speed: Physical seconds per second of video.

    Raises:
        ValueError: If the path is no mp4, or the table holds several arms, seeds or rates, or none of the starts.
    """
    import imageio_ffmpeg  # brings its own ffmpeg; needed here only

    path = Path(path)
    rollouts = _rollouts(table, path, starts)
    env, method = str(table["env"].iloc[0]), str(table["method"].iloc[0])
    draw = PENDULUM if env.startswith("Pendulum") else CARTPOLE
    with atomic_path(path) as temporary:
        writer = imageio_ffmpeg.write_frames(
            str(temporary), (SIZE, SIZE), fps=FRAMES_PER_SECOND, codec="libx264", pix_fmt_out="yuv420p",
            macro_block_size=8, quality=None, ffmpeg_log_level="error",
            output_params=["-crf", "28", "-preset", "medium", "-movflags", "+faststart", "-threads", "1"],
        )  # fmt: skip
        writer.send(None)
        for frame in _frames(rollouts, draw, title, METHOD_COLORS.get(method, "#0072B2"), speed):
            writer.send(np.ascontiguousarray(frame))
        writer.close()
    duration = max(float(rows["time"].max()) for rows in rollouts)
    rate = str(table["test_frequency"].iloc[0])
    caption = (
        f"{env}, {title}: open-loop rollouts of {duration:.2g} s from n = {len(rollouts)} held-out starts, truth in "
        f"black, prediction in color, at {speed:g} × real time; stepped at {rate} Hz, seed "
        f"{int(table['seed'].iloc[0])}."
    )
    alt = f"Animation of {env}: the predicted motion drawn over the true one."
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


def _frames(rollouts: list[pd.DataFrame], draw: "Scene", title: str, color: str, speed: float) -> Iterator[np.ndarray]:
    from PIL import Image, ImageDraw, ImageFont

    fonts = [ImageFont.truetype(_font_path(), size * FACTOR) for size in (15, 12)]
    for number, rows in enumerate(rollouts, start=1):
        times = rows["time"].to_numpy()
        count = max(2, round(times[-1] / speed * FRAMES_PER_SECOND) + 1)
        for now in [*np.linspace(0, times[-1], count), *([times[-1]] * round(PAUSE * FRAMES_PER_SECOND))]:
            image = Image.new("RGB", (SIZE * FACTOR, SIZE * FACTOR), "white")
            canvas = ImageDraw.Draw(image, "RGBA")
            # between samples both are interpolated, so that low rates do not look jerky for another reason
            truth = [float(np.interp(now, times, rows[f"{name}_true"])) for name in draw.names]
            ghost = [float(np.clip(np.interp(now, times, rows[name]), -1e3, 1e3)) for name in draw.names]
            draw.paint(canvas, truth, ghost, color)
            canvas.text((10 * FACTOR, 8 * FACTOR), title, font=fonts[0], fill=INK)
            note = f"t = {now:4.2f} s    start {number} of {len(rollouts)}"
            canvas.text((10 * FACTOR, 30 * FACTOR), note, font=fonts[1], fill=INK)
            canvas.text((10 * FACTOR, (SIZE - 24) * FACTOR), "truth", font=fonts[1], fill=INK)
            canvas.text((60 * FACTOR, (SIZE - 24) * FACTOR), "prediction", font=fonts[1], fill=color)
            yield np.asarray(image.reduce(FACTOR))


@dataclass(frozen=True)
class Scene:
    """How one system is painted.

    Args:
        names: State dimensions that the picture needs.
        paint: (canvas, true values, predicted values, color of the prediction).
    """

    names: tuple[str, ...]
    paint: object


def _paint_pendulum(canvas: object, truth: list[float], ghost: list[float], color: str) -> None:
    center, length = (SIZE * FACTOR / 2, SIZE * FACTOR * 0.52), SIZE * FACTOR * 0.33
    radius = 5 * FACTOR
    canvas.line([center, (center[0], center[1] - length)], fill=FAINT, width=FACTOR)  # upright, θ = 0
    for (theta,), fill, width in ((truth, INK, 9), (ghost, color + "B0", 9)):
        tip = (center[0] - length * math.sin(theta), center[1] - length * math.cos(theta))
        canvas.line([center, tip], fill=fill, width=width * FACTOR)
        canvas.ellipse(_disc(tip, 2.2 * radius), fill=fill)
    canvas.ellipse(_disc(center, radius), fill=INK)


def _paint_cartpole(canvas: object, truth: list[float], ghost: list[float], color: str) -> None:
    unit, ground = SIZE * FACTOR / 7.0, SIZE * FACTOR * 0.66  # 7 m across
    canvas.line([(0, ground), (SIZE * FACTOR, ground)], fill=FAINT, width=2 * FACTOR)
    for limit in (-2.4, 2.4):
        x = SIZE * FACTOR / 2 + limit * unit
        canvas.line([(x, ground - 8 * FACTOR), (x, ground + 8 * FACTOR)], fill=FAINT, width=2 * FACTOR)
    for (x, theta), cart, pole in ((truth, INK, INK), (ghost, color + "78", color + "B0")):
        left = SIZE * FACTOR / 2 + x * unit
        width, height, length = 30 * FACTOR, 18 * FACTOR, 130 * FACTOR
        canvas.rectangle([left - width, ground - height, left + width, ground], fill=cart)
        hinge = (left, ground - height)
        canvas.line([hinge, (left + length * math.sin(theta), hinge[1] - length * math.cos(theta))], fill=pole,
                    width=7 * FACTOR)  # fmt: skip


def _disc(center: tuple[float, float], radius: float) -> list[float]:
    return [center[0] - radius, center[1] - radius, center[0] + radius, center[1] + radius]


def _font_path() -> str:
    from matplotlib import font_manager

    return font_manager.findfont("DejaVu Sans")


PENDULUM = Scene(("theta",), _paint_pendulum)
CARTPOLE = Scene(("x", "theta"), _paint_cartpole)
