"""How two programs are timed against each other: in turn, after a warm-up, on one thread, medians and ratios.

A machine's speed drifts while a benchmark runs. Ours and the peer therefore take turns (A B A B ...), so that a drift
meets both, and the range of the pairwise ratios says how far the ratio can be trusted.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch starts its threads
os.environ.setdefault("MKL_NUM_THREADS", "1")

import functools
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch

PEAK_SIZE = 1024  # rows and columns of the product that defines the peak


@dataclass(frozen=True)
class Row:
    """One line of `bench.json`.

    Args:
        name: What was done, with its sizes.
        ours: Median of ours, in `unit`.
        peer: Median of the peer, in `unit`; None if nothing does the same work.
        unit: Such as `ms / model / step` (smaller is better) or `transitions / s` (larger is better).
        ratio: How many times as fast as the peer ours is; None without a peer.
        fraction_of_peak: Arithmetic of ours per second over that of this machine's matrix product; None if not counted.
        threads: Threads of each side.
        device: `cpu` or the card's name.
        peer_name: The peer with its version.
        ratio_low: Smallest ratio of a pair of runs.
        ratio_high: Largest ratio of a pair of runs.
        repeats: Runs of each side, the warm-up not counted.
        goal: The ratio that was aimed at; None if there was none.
    """

    name: str
    ours: float
    peer: float | None
    unit: str
    ratio: float | None
    fraction_of_peak: float | None
    threads: int
    device: str
    peer_name: str = ""
    ratio_low: float | None = None
    ratio_high: float | None = None
    repeats: int = 1
    goal: float | None = None

    def as_dict(self) -> dict:
        """As it is saved."""
        return asdict(self)

    def line(self) -> str:
        """As it is printed."""
        text = f"{self.name:<62}{self.ours:>10.4g}"
        text += f"{self.peer:>10.4g}{self.ratio:>7.2f}x" if self.peer is not None else f"{'':>18}"
        text += f"{100 * self.fraction_of_peak:>6.0f} %" if self.fraction_of_peak is not None else f"{'':>8}"
        goal = f", goal {self.goal:g}x" if self.goal is not None else ""
        spread = f" ({self.ratio_low:.2f}-{self.ratio_high:.2f}{goal})" if self.ratio is not None else ""
        return f"{text}  {self.unit}{spread}" + (f" vs {self.peer_name}" if self.peer_name else "")


def compare(
    name: str,
    ours: Callable[[], object],
    peer: Callable[[], object] | None = None,
    *,
    count: float = 1,
    peer_count: float | None = None,
    unit: str = "ms",
    peer_name: str = "",
    flops: float | None = None,
    repeats: int = 7,
    goal: float | None = None,
    device: str = "cpu",
) -> Row:
    """Time two callables in turn.

    Args:
        name: What is done.
        ours: One run of ours.
        peer: One run of the peer.
        count: Units of work in one run of ours; a unit that ends in `/ s` is a rate, any other is milliseconds.
        peer_count: Units of work in one run of the peer, `count` if not given.
        unit: Unit of the numbers.
        peer_name: The peer with its version.
        flops: Floating-point operations of one run of ours, counted from shapes.
        repeats: Runs of each side after one warm-up.
        goal: The ratio aimed at.
        device: Where ours runs.
    """
    programs = [ours] if peer is None else [ours, peer]
    for program in programs:
        _seconds(program, device)
    times: list[list[float]] = [[] for _ in programs]
    for _ in range(repeats):
        for program, found in zip(programs, times, strict=True):
            found.append(_seconds(program, device))
    counts = (count, count if peer_count is None else peer_count)
    ratios = [(b / counts[1]) / (a / counts[0]) for a, b in zip(*times, strict=True)] if peer else []
    medians = [statistics.median(found) / n for found, n in zip(times, counts, strict=False)]
    shown = [1 / x if unit.endswith("/ s") else 1e3 * x for x in medians]
    return Row(
        name,
        shown[0],
        shown[1] if peer else None,
        unit,
        medians[1] / medians[0] if peer else None,
        flops / statistics.median(times[0]) / matmul_peak(device) if flops else None,
        torch.get_num_threads(),
        device_name(device),
        peer_name,
        min(ratios, default=None),
        max(ratios, default=None),
        repeats,
        goal,
    )


@functools.lru_cache(maxsize=4)
def matmul_peak(device: str = "cpu") -> float:
    """Floating-point operations per second of a float32 matrix product, the best of several runs."""
    a, b = (torch.randn(PEAK_SIZE, PEAK_SIZE, device=device) for _ in range(2))
    out = torch.empty_like(a)
    times = [_seconds(lambda: torch.mm(a, b, out=out), device) for _ in range(12)]
    return 2 * PEAK_SIZE**3 / min(times)


def device_name(device: str) -> str:
    """`cpu`, or the name of the card."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _seconds(program: Callable[[], object], device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    started = time.perf_counter()
    program()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - started
