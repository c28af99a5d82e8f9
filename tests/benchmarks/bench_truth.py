"""True transitions per second of systems with hidden parameters, many side by side under random actions.

    python tests/benchmarks/bench_truth.py [--quick]

One transition is the system's own control interval from a start as sequences have them, with the parameters that its
sequence drew. Nothing else of a collection is counted: no files, no rewards.
"""

import argparse

import harness
import torch

from tdlib.core.seeding import torch_generator
from tdlib.core.specs import random_actions
from tdlib.systems import SYSTEMS, System

GOALS = {"oscillator": 1e6, "three_body": 1e5}  # transitions per second on one core
SIDE_BY_SIDE = 8192  # a column of so many numbers stays in a core's second cache


def rows(device: str = "cpu", quick: bool = False) -> list[harness.Row]:
    """Measure `flow` of each system that has a goal."""
    del device  # truth is computed in double precision on the processor
    found = []
    for name, goal in GOALS.items():
        system, generator = SYSTEMS[name], torch_generator(0, "truth", name)
        state = system.draw_starts(SIDE_BY_SIDE, generator)
        action = random_actions(system.spec, SIDE_BY_SIDE, generator)
        drawn = system.draw_parameters(SIDE_BY_SIDE, generator) if system.spec.parameter_names else None
        title = f"truth of {name}, {1000 * system.delta_t:g} ms, {SIDE_BY_SIDE:,} side by side (goal {goal:,.0f})"
        work = harness.compare(
            title, lambda args=(system, state, action, drawn): _flow(*args), count=SIDE_BY_SIDE,
            unit="transitions / s", repeats=3 if quick else 15,
        )  # fmt: skip
        found.append(work)
    return found


def _flow(system: System, state: torch.Tensor, action: torch.Tensor, drawn: torch.Tensor | None) -> None:
    with torch.no_grad():
        system.flow(state, action, system.delta_t, drawn)


def main() -> None:
    """Print one row per system."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    torch.set_num_threads(1)
    for row in rows(quick=parser.parse_args().quick):
        print(row.line(), flush=True)


if __name__ == "__main__":
    main()
