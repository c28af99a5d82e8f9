"""Drawings of models with a belief: who depends on whom, how the two levels work, both operations, the covariance.

They show structure, not results, so that nothing is measured in them; the covariance alone holds numbers, which the
library's own operations make.
"""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch

from tdlib.figures.save import Drawing
from tdlib.figures.style import METHOD_COLORS, NEUTRAL, NORMAL, SMALL, WIDTH, new_figure, style

SLOW, FAST = METHOD_COLORS["newton_2"], METHOD_COLORS["multi_resolution"]
SEEN, HELD = NEUTRAL["muted"], METHOD_COLORS["baseline"]
UNIT = 10.0  # of a board's length in an inch
RADIUS = 2.5
Point = tuple[float, float]


class _Board:
    """A sheet without axes, on which nodes, boxes and arrows are placed in tenths of an inch from the lower left."""

    def __init__(self, height: float):
        self.figure, ((self.axis,),) = new_figure(height=height)
        self.axis.set(xlim=(0, UNIT * WIDTH), ylim=(0, UNIT * height), aspect="equal")
        self.axis.axis("off")

    def node(self, at: Point, text: str, color: str, *, seen: bool = False) -> Point:
        """Draw a random variable, filled if it is observed."""
        face = NEUTRAL["grid"] if seen else NEUTRAL["background"]  # a band's surface is too close to white
        self.axis.add_patch(Circle(at, RADIUS, facecolor=face, edgecolor=color, linewidth=1.4, zorder=3))
        self.text(at, text)
        return at

    def box(self, at: Point, size: Point, text: str, color: str, *, points: float = NORMAL) -> Point:
        """Draw an operation around a point."""
        corner = at[0] - size[0] / 2, at[1] - size[1] / 2
        style_ = "round,pad=0,rounding_size=0.8"
        patch = FancyBboxPatch(corner, *size, boxstyle=style_, facecolor=NEUTRAL["background"], edgecolor=color)
        patch.set(linewidth=1.4, zorder=3)
        self.axis.add_patch(patch)
        self.text(at, text, points=points)
        return at

    def text(
        self, at: Point, text: str, *, color: str = NEUTRAL["text"], points: float = NORMAL, side: str = "center"
    ) -> None:
        self.axis.text(*at, text, color=color, fontsize=points, ha=side, va="center", zorder=4, linespacing=1.25)

    def arrow(self, start: Point, end: Point, color: str, *, gap: Point = (RADIUS, RADIUS), bend: float = 0.0) -> None:
        """Draw an arrow that begins and ends at a distance from both points."""
        along = np.subtract(end, start)
        along = along / np.hypot(*along)
        begin, stop = np.add(start, gap[0] * along), np.subtract(end, gap[1] * along)
        arrow = dict(arrowstyle="-|>", color=color, linewidth=1.2, shrinkA=0, shrinkB=0, mutation_scale=9)
        arrow["connectionstyle"] = f"arc3,rad={bend}"
        self.axis.annotate("", tuple(stop), tuple(begin), arrowprops=arrow, zorder=2)

    def path(self, *points: Point, color: str) -> None:
        """Draw a line through points, with an arrow at its end."""
        xs, ys = zip(*points[:-1], strict=True)
        self.axis.plot(xs, ys, color=color, linewidth=1.2, zorder=2, solid_capstyle="butt")
        self.arrow(points[-2], points[-1], color, gap=(0, 0))

    def band(self, low: float, high: float, text: str) -> None:
        """Shade a stretch of the sheet's width, named at its foot."""
        height = self.axis.get_ylim()[1]
        self.axis.axvspan(low, high, color=NEUTRAL["surface"], zorder=0, linewidth=0, alpha=0.7)
        self.text(((low + high) / 2, height - 1.5), text, color=NEUTRAL["muted"], points=SMALL)


def draw_graphical_model() -> Drawing:
    """Draw who depends on whom in MTS3, two windows of two steps."""
    with style():
        board = _Board(4.4)
        xs = [4.0, 14.0, 24.0, 34.0, 44.0]
        board.band(0.5, 19.0, "window 1")
        board.band(19.5, 38.5, "window 2")
        z = [board.node((x, 23), f"$z_{i}$", FAST) for i, x in enumerate(xs, start=1)]
        o = [board.node((x, 14.5), f"$o_{i}$", SEEN, seen=i < 5) for i, x in enumerate(xs, start=1)]
        a = [board.node((x, 5.5), f"$a_{i}$", HELD, seen=True) for i, x in enumerate(xs[:4], start=1)]
        tasks = [board.node((x, 37), f"$l_{k}$", SLOW) for k, x in ((1, 9.0), (2, 29.0))]
        abstract = board.node((40, 37), "$α_2$", SLOW)
        board.arrow(tasks[0], tasks[1], SLOW)
        board.arrow(abstract, tasks[1], SLOW)
        for k, task in enumerate(tasks):
            for to in z[2 * k + 1 : 2 * k + 3]:
                board.arrow(task, to, SLOW)
        for first, second in zip(z[:-1], z[1:], strict=True):
            board.arrow(first, second, FAST)
        for latent, seen in zip(z, o, strict=True):
            board.arrow(latent, seen, FAST)
        for held, to in zip(a, z[1:], strict=True):
            board.arrow(held, to, HELD)
        board.text((24, 0.9), "filled: known · $a_3$, $a_4$ make $α_2$", color=NEUTRAL["muted"], points=SMALL)
    caption = (
        "Two clocks, here of two windows with two steps. The fast state z moves at every step by its own motion, the "
        "held input a and the task l of its window; an observation o shows one half of it. The slow task moves once a "
        "window, by its own motion and an abstract action α that the window's inputs make."
    )
    alt = (
        "A graph: slow nodes l1 and l2 in a row above fast nodes z1 to z5, arrows from each task to the states of its "
        "window, from inputs a to the next state and from states to observations o."
    )
    return Drawing(board.figure, caption, alt)


def draw_architecture() -> Drawing:
    """Draw what is computed of one window, on the slow and on the fast level."""
    with style():
        board = _Board(5.3)
        wide, low = (19.0, 6.0), 3.0
        for top, color, name in ((50.8, SLOW, "slow: once a window"), (24.3, FAST, "fast: at every step")):
            board.text((1, top), name, color=color, side="left")
        left, right = 11.0, 36.0
        slow = [
            board.box((left, 45), wide, "encode the set\n$(o_i,\\ i/H)$", SLOW),
            board.box((left, 35), wide, "task update:\ncondition", SLOW),
            board.box((right, 35), wide, "task predict:\nmarginalize", SLOW),
            board.box((right, 45), wide, "aggregate next\ninputs $(a_i,\\ i/H)$", SLOW),
        ]
        fast = [
            board.box((left, 18.5), wide, "encode $o_t$", FAST),
            board.box((left, 8.5), wide, "observation\nupdate: condition", FAST),
            board.box((right, 8.5), wide, "state predict:\nmarginalize", FAST),
            board.box((right, 18.5), wide, "held input $b(a_t)$", HELD),
        ]
        for (one, two, three, four), color, other in ((slow, SLOW, SLOW), (fast, FAST, HELD)):
            board.arrow(one, two, color, gap=(low, low))
            board.arrow(two, three, color, gap=(wide[0] / 2, wide[0] / 2))
            board.arrow(four, three, other, gap=(low, low))
        loops = (slow, SLOW, "prior of the next window", 30.0), (fast, FAST, "prior of the next step", 3.3)
        for row, color, word, foot in loops:
            (x, y), first = row[2], row[1][0]
            board.path((x + 4, y - low), (x + 4, foot), (first - 4, foot), (first - 4, y - low), color=color)
            board.text((31 if row is slow else 23.5, foot - 1.6), word, color=NEUTRAL["muted"], points=SMALL)
        middle = left + wide[0] / 2 + 1.3
        board.path((middle, 35), (middle, 13.5), (right - 7, 13.5), (right - 7, 8.5 + low), color=SLOW)
        board.text((middle + 1, 25.4), "task $l_k$", color=SLOW, side="left")
        board.path((right + wide[0] / 2, 8.5), (47, 8.5), (47, 3.2), color=FAST)
        board.text((47.7, 1.7), "decoded: $o_{t+1}$", color=NEUTRAL["muted"], points=SMALL, side="right")
    caption = (
        "What MTS3 computes. Above, once a window of H steps: the window's observations condition the task, the next "
        "window's inputs are aggregated to an abstract action, and the task is predicted on. Below, at every step: an "
        "observation conditions the state, which is predicted on by its own motion, the held input and the task, and "
        "decoded. Every box but encoders is one of three operations."
    )
    alt = (
        "Two rows of boxes in loops: encode, condition and marginalize on the slow level above, the same on the fast "
        "level below, and an arrow with the task from the slow to the fast level."
    )
    return Drawing(board.figure, caption, alt)


def draw_conditioning() -> Drawing:
    """Draw what observations do to a belief."""
    with style():
        board = _Board(2.7)
        latent = board.node((9, 19), "$x$", FAST)
        seen = [board.node((x, 7), text, SEEN, seen=True) for x, text in ((4, "$y_1$"), (10, "$y_2$"), (19, "$y_N$"))]
        board.text((14.5, 7), "…")
        for node in seen:
            board.arrow(latent, node, FAST)
        board.text((9, 25), "prior $m, u, l, s$", points=SMALL, color=NEUTRAL["muted"])
        board.text((11, 1.8), "variances $r_1 … r_N$", points=SMALL, color=NEUTRAL["muted"])
        lines = [
            "$Λ = \\sum_n 1/r_n$", "$η = \\sum_n (y_n - m_u)/r_n$", "$k = 1/(1 + uΛ)$", "$m_u^+ = m_u + u\\,k\\,η$",
            "$m_l^+ = m_l + s\\,k\\,η$", "$u^+ = u\\,k,\\quad s^+ = s\\,k$", "$l^+ = l - s^2Λ\\,k$",
        ]  # fmt: skip
        _column(board, lines, (25, 24.5), 3.7)
    caption = (
        "Conditioning. A set of observations of the upper half enters through two sums, in any order, and one gain "
        "moves mean and covariance; what is not valid counts as nothing. One observation is a set of one: the same "
        "layer serves the state on the fast level and the task on the slow one."
    )
    alt = "A latent node x with arrows to observed nodes y1 to yN, beside the equations of the update."
    return Drawing(board.figure, caption, alt)


def draw_marginalization() -> Drawing:
    """Draw what a linear step does to beliefs."""
    with style():
        board = _Board(2.9)
        after = board.node((18, 15), "$x'$", FAST)
        causes = (("$z$", "A", FAST, 25.5), ("$l$", "C", SLOW, 18.5), ("$α$", "B", SLOW, 11.5))
        for text, matrix, color, y in causes:
            board.arrow(board.node((4, y), text, color), after, color)
            board.text((10.5, y + (15 - y) * 0.45 + 1.6), f"${matrix}$", color=color)
        board.arrow(board.node((4, 4.5), "$a$", HELD, seen=True), after, HELD)
        board.text((13.2, 8.2), "$b$", color=HELD)
        lines = [
            "$m' = \\sum_i M_i m_i + b(a)$",
            "$Σ' = \\sum_i M_i Σ_i M_i^{\\mathsf{T}} + Q$",
            "kept: the diagonals",
            "of the four blocks,",
            "$u'$, $l'$ and $s'$",
        ]
        _column(board, lines, (23.5, 22.5), 4.0)
    caption = (
        "Marginalization. The next belief is that of a sum of independent causes, each through a matrix of its own, "
        "plus noise Q. On the fast level the causes are the state z, the task l and a held input a; on the slow one "
        "the task and an abstract action α. Of the covariance three vectors are kept, so that a step is one product "
        "with a constant matrix."
    )
    alt = "Nodes z, l, alpha and a with arrows to the next state x', beside the equations of mean and covariance."
    return Drawing(board.figure, caption, alt)


def draw_covariance(latent_dim: int = 4) -> Drawing:
    """Draw a covariance in full before it is cut to three vectors, and after.

    Args:
        latent_dim: d, half of the rows.
    """
    whole, kept = _pushed(latent_dim)
    with style():
        figure, (axes,) = new_figure(1, 2, height=2.9)
        bound = float(np.abs(whole).max())
        titles = "$MΣM^{\\mathsf{T}}$", "kept: $u$, $l$, $s$"
        for axis, values, title in zip(axes, (whole, kept), titles, strict=True):
            axis.imshow(values, cmap="RdBu_r", vmin=-bound, vmax=bound)
            _blocks(axis, latent_dim, title)
        for row, column, name in ((0, 0, "u"), (1, 1, "l"), (0, 1, "s"), (1, 0, "s")):
            at = (column * latent_dim + 0.62 * latent_dim, row * latent_dim + 0.12 * latent_dim)
            axes[1].text(*at, f"${name}$", fontsize=NORMAL, va="center")
    lost = float(np.abs(whole - kept).sum() / np.abs(whole).sum())
    caption = (
        f"Left, the covariance after one step with a full matrix, {2 * latent_dim} rows of the latent state; right, "
        "what is carried on: the diagonals of four blocks, three vectors of length d instead of a matrix. Red is above "
        f"zero, blue below. In this example {lost:.0%} of the sum of absolute entries is dropped."
    )
    alt = "Two square matrices of colored cells, the left one full, the right one with three diagonals."
    return Drawing(figure, caption, alt)


def _pushed(latent_dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Return M Σ Mᵀ whole and as the library keeps it, of a drawn M and Σ."""
    import torch  # when it is drawn: reading figures' code needs none

    from tdlib.models.beliefs import Belief, dense_covariance, linear_map, push

    g = torch.Generator().manual_seed(1)
    matrix = 0.7 * torch.eye(2 * latent_dim) + 0.35 * torch.randn(2 * latent_dim, 2 * latent_dim, generator=g)
    upper, lower = (0.5 + torch.rand(latent_dim, generator=g) for _ in range(2))
    before = Belief(torch.zeros(2 * latent_dim), torch.cat([upper, lower, 0.4 * (upper * lower).sqrt()]))
    whole = matrix @ dense_covariance(before) @ matrix.T
    return whole.numpy(), dense_covariance(push(linear_map(matrix), before)).numpy()


def _blocks(axis: Axes, latent_dim: int, title: str) -> None:
    """Name a matrix and the halves of its rows and columns."""
    axis.set_title(title, fontsize=NORMAL, loc="center")
    middle = (latent_dim - 1) / 2
    places, names = (middle, middle + latent_dim), ("upper", "lower")
    axis.set_xticks(places, names)
    axis.set_yticks(places, names, rotation=90, va="center")
    axis.tick_params(length=0)
    axis.grid(False)
    for draw in (axis.axhline, axis.axvline):
        draw(latent_dim - 0.5, color=NEUTRAL["text"], linewidth=0.8)


def _column(board: _Board, lines: Sequence[str], top: Point, step: float) -> None:
    for i, line in enumerate(lines):
        board.text((top[0], top[1] - i * step), line, side="left")


SKETCHES: dict[str, Callable[[], Drawing]] = {
    "graphical_model": draw_graphical_model,
    "architecture": draw_architecture,
    "conditioning": draw_conditioning,
    "marginalization": draw_marginalization,
    "covariance": draw_covariance,
}
