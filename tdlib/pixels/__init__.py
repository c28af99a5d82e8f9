"""Pixels of systems: frames of states, windows of frames, environments that show pictures, films.

A system says what a camera sees of it (`tdlib.systems.pictures.Picture`); nothing here knows a system by name.
"""

from tdlib.pixels.environments import VisualEnvironment
from tdlib.pixels.films import set_frames, system_frames, write_gif, write_grid
from tdlib.pixels.frames import filmed_transitions
from tdlib.pixels.options import BACKGROUND, BALL_COLORS, QUALITIES, USUAL, RenderOptions, picture_of
from tdlib.pixels.recording import record_frames
from tdlib.pixels.renderer import body_places, render_state, render_states
from tdlib.pixels.windows import PixelBatch, PixelWindows

__all__ = [
    "BACKGROUND",
    "BALL_COLORS",
    "QUALITIES",
    "PixelBatch",
    "PixelWindows",
    "USUAL",
    "RenderOptions",
    "VisualEnvironment",
    "body_places",
    "filmed_transitions",
    "picture_of",
    "record_frames",
    "render_state",
    "render_states",
    "set_frames",
    "system_frames",
    "write_gif",
    "write_grid",
]
