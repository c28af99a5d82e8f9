"""What a reader sees of a system first, on a page that moves: its picture as points and rods, a start, an input."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

from tdlib.core.namespace import Namespace


@dataclass(frozen=True)
class Sketch:
    """A system as points in an upright plane, joined by rods; the page's code is generated from it.

    Args:
        name: What the picture shows, for example `pendulum`.
        points: (x, p, m) -> x and y of every point in turn [m].
        reach: Half width and half height of the picture [m].
        rods: Pairs of points that are joined.
        discs: Points drawn as discs.
        boxes: Points drawn as boxes, each with half width and half height [m].
        pivots: Points that are fixed.
        middle: Height of the picture's middle [m].
        ground: Height of a line on which things stand [m]; None if there is none.
    """

    name: str
    points: Callable[[Sequence, SimpleNamespace, Namespace], Sequence]
    reach: tuple[float, float]
    rods: tuple[tuple[int, int], ...] = ()
    discs: tuple[int, ...] = ()
    boxes: tuple[tuple[int, float, float], ...] = ()
    pivots: tuple[int, ...] = ()
    middle: float = 0.0
    ground: float | None = None


@dataclass(frozen=True)
class FirstView:
    """Where the explorer begins with a system.

    Args:
        label: Short name on a button.
        start: Start (D,).
        signals: One signal per input, see `tdlib.explorer.python.signals`.
        start_limits: Largest |start| that may be asked for, (D,).
        dim: State dimension that is drawn against time.
        windows: First state dimension of a phase portrait -> ranges of its two axes.
        least_margins: Least room above and below a drawn motion, (D,).
        least_energy: Least room above and below a drawn energy [J].
    """

    label: str
    start: tuple[float, ...]
    signals: tuple[Mapping, ...]
    start_limits: tuple[float, ...]
    dim: int = 0
    windows: Mapping[int, tuple[tuple[float, float], tuple[float, float]]] = field(default_factory=dict)
    least_margins: tuple[float, ...] | None = None
    least_energy: float = 1.0
