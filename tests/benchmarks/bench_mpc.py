"""One command of MPC on a model with a memory: 256 samples over 20 steps of 50 ms of the double cart-pole, one thread.

    python tests/benchmarks/bench_mpc.py

A command reads the executed history once and carries the memory along every sampled plan. The same model that reads the
last rows anew before every step, as where no memory is carried, is timed in turn with it.

The controllers that the founding document names, those of hydrax on dynamics of its own, are no peer here: the package
index has another project by that name, a loader of data for JAX.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

import harness  # noqa: E402  (sets the threads before torch starts them)
import torch  # noqa: E402
from harness import Row, compare  # noqa: E402
from torch import Tensor  # noqa: E402

from tdlib.core.context import Context  # noqa: E402
from tdlib.core.seeding import torch_generator  # noqa: E402
from tdlib.evaluation.control.dynamics import Dynamics  # noqa: E402
from tdlib.evaluation.control.plans import declared_inputs, knot_clock, planning_objective  # noqa: E402
from tdlib.evaluation.control.starts import control_starts  # noqa: E402
from tdlib.models import MODELS, build_model  # noqa: E402
from tdlib.planning import build_planner, fresh_start  # noqa: E402
from tdlib.speed import Replayed, Stack, prepared  # noqa: E402
from tdlib.systems import SYSTEMS  # noqa: E402

SYSTEM = SYSTEMS["double_cart_pole"]
SAMPLES, HORIZON, DELTA_T = 256, 1.0, 0.05
HISTORY = 11  # rows that the founding document's model is told
WIDTH = 128
GOAL = 12  # [ms]
MODEL = "gru" if "gru" in MODELS else "lstm"


def rows(device: str = "cpu", quick: bool = False, model: str = MODEL) -> list[Row]:
    """Time one command with a family's model of width 128; on the processor, whatever the device."""
    del device  # a command has to be ready within a control step: a small program on one core
    torch.set_num_threads(1)
    options = {"hidden_dim": WIDTH} if model == "lstm" else {}  # the history family has this width by itself
    network = build_model(model, SYSTEM.spec, seed=0, **options).eval()
    stack = Stack([network])
    products = sum(weight.numel() for weight in network.parameters() if weight.ndim == 2)
    with torch.inference_mode():
        carried, again = Command(prepared(stack)), Command(Reading(stack))
        # what lies before the rows that are read anew is nearly forgotten
        torch.testing.assert_close(carried.scores(), again.scores(), rtol=1e-2, atol=1e-3)
        steps = carried.clock.num_steps
        row = compare(
            f"MPC command, {model} of width {WIDTH}, {SAMPLES} samples x {steps} steps (goal {GOAL} ms)",
            carried,
            again,
            unit="ms / command",
            peer_name=f"the same model, reading {HISTORY} rows at every step",
            flops=2.0 * products * (SAMPLES * steps + HISTORY),
            repeats=3 if quick else 15,
        )
    return [row]


class Command:
    """One planning call as closed-loop control makes it, with the history of one episode.

    Args:
        dynamics: One model that depends on its context.
    """

    def __init__(self, dynamics: Dynamics):
        self.dynamics, self.inputs = dynamics, declared_inputs(SYSTEM)
        self.planner = build_planner(SYSTEM.planning.planner, population=SAMPLES)
        self.clock = knot_clock(SYSTEM, DELTA_T, horizon=HORIZON)
        self.context, self.start = executed_history()
        self.warm_start = fresh_start(self.inputs, (1, 1), self.clock.num_knots)
        self.generator = torch_generator(0, "bench mpc")

    def __call__(self) -> None:
        objective = planning_objective(self.dynamics, SYSTEM, self.start, self.context, self.clock, 0.0, 0.5)
        moved = self.warm_start.shifted(1, self.inputs)
        self.warm_start = self.planner.plan(objective, self.inputs, moved, self._noise).warm_start

    def scores(self) -> Tensor:
        """Return the scores of the first draws, (1, 1, P)."""
        drawn = self.inputs.sample(self.warm_start.proposal, self._noise(SAMPLES, self.clock.num_knots))
        self.generator = torch_generator(0, "bench mpc")
        return planning_objective(self.dynamics, SYSTEM, self.start, self.context, self.clock, 0.0, 0.5)(drawn)

    def _noise(self, population: int, knots: int) -> Tensor:
        return self.inputs.draw_noise(population, knots, self.generator).expand(1, 1, -1, -1, -1)


class Reading:
    """A model that keeps no memory along a plan: before every step it reads the last rows, its own predictions among
    them.

    Args:
        stack: One model.
    """

    has_memory = True

    def __init__(self, stack: Stack):
        self.stack = stack
        self._replayed = Replayed(self._next)

    def predict_sequence(self, state: Tensor, actions: Tensor, delta_t: float, context: Context) -> Tensor:
        batch, found = state.shape[:-1], []
        past = [x.expand(*batch, *x.shape[3:]).contiguous() for x in (context.states, context.actions)]
        intervals = state.new_full((*batch, past[0].shape[-2]), delta_t)
        mask = torch.ones_like(intervals, dtype=torch.bool)
        for action in actions.unbind(dim=-2):
            following = self._replayed(*past, intervals, mask, state, action.contiguous())
            rows = ((past[0], state), (past[1], action))
            past = [torch.cat([x[..., 1:, :], row.unsqueeze(-2)], dim=-2) for x, row in rows]
            found.append(state := following)
        return torch.stack(found, dim=-2)

    def _next(
        self, states: Tensor, actions: Tensor, intervals: Tensor, mask: Tensor, state: Tensor, action: Tensor
    ) -> Tensor:
        carry = self.stack.initial(Context(states, actions, intervals, mask))
        return self.stack.step(carry, action, intervals[..., -1], state)[1].state.contiguous()


def executed_history() -> tuple[Context, Tensor]:
    """Return true steps of an episode under inputs at random, (1, 1, 1, C, ...), and where it stands, (1, 1, 1, D)."""
    generator = torch_generator(0, "bench mpc history")
    state, states = control_starts(SYSTEM, 1), []
    actions = 2 * torch.rand(1, HISTORY, 1, dtype=torch.float64, generator=generator) - 1
    for action in actions.unbind(dim=1):
        states.append(state)
        state = SYSTEM.flow(state, action, DELTA_T)
    past = torch.stack(states, dim=1).float()[None, None], actions.float()[None, None]
    intervals = torch.full(past[0].shape[:-1], DELTA_T)
    return Context(*past, intervals, torch.ones_like(intervals, dtype=torch.bool)), state.float()[None, None]


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--model", default=MODEL, help="family with a memory")
    options = parser.parse_args()
    for row in rows(quick=options.quick, model=options.model):
        print(row.line())
    print(f"matrix product at the peak: {harness.matmul_peak() / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
