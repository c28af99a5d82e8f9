"""State transitions predicted and scored per second: `evaluate_stack` beside a plain loop over models and test sets.

    python tests/benchmarks/bench_evaluation.py [--quick]

The loop does what a user would write: one model, one rate, one test set after the other, ordinary module calls without
gradients, the same predictions and the same measures (one step, rollouts, consistency, convergence of fields). Ours
makes the tables too. The fraction of the peak counts the multiplications of the networks' matrices only.
"""

import argparse
import functools
import time

import harness
import torch
from torch import Tensor

from tdlib.core.time_grid import delta_t_of, num_steps
from tdlib.data import collect_random
from tdlib.evaluation import FREQUENCY_PAIRS, TestSet, build_test_set, evaluate_stack, mse_over_horizon, squared_error
from tdlib.evaluation.measures.convergence import LEVELS
from tdlib.models import Context, DynamicsModel, build_model
from tdlib.speed import Stack
from tdlib.study.arms import Arm
from tdlib.systems import SYSTEMS

ENV, SEEDS, RATES = "Pendulum-v1", (0, 1), (10.0, 20.0, 50.0)
NUM_PAIRS, NUM_STARTS, NUM_CONSISTENCY, NUM_CONVERGENCE = 512, 10, 256, 64  # as in the preset `quick`
# what the loop takes; fields and energies are not in it
MEASURES = ("one_step", "rollout", "consistency", "convergence")
OPTIONS = {"consistency": {"num_pairs": NUM_CONSISTENCY}, "convergence": {"num_pairs": NUM_CONVERGENCE}}
CASES = {  # model -> its arm and the size of the stack
    "jump": (Arm("jump", "multi_resolution", "scaled_concat", train_frequency="mixed"), 16),
    "lstm": (Arm("lstm", "multi_resolution", "scaled_concat", train_frequency="mixed"), 6),
    "newtonian": (Arm("newtonian", "ode", "rk4", train_frequency="mixed"), 6),
    "port_hamiltonian": (Arm("port_hamiltonian", "ode", "rk4", train_frequency="mixed"), 6),
}
EVALUATIONS_PER_STEP = {"newtonian": 4, "port_hamiltonian": 8}  # Runge-Kutta; an energy is also differentiated


class PlainLoop:
    """One model on one test set; counts the transitions that it predicts and the context steps that it reads."""

    def __init__(self, model: DynamicsModel, test_set: TestSet):
        self.model, self.test_set, self.spec = model, test_set, SYSTEMS[ENV].spec
        self.transitions, self.context_steps = 0, 0

    @torch.no_grad()
    def run(self) -> dict[tuple, Tensor]:
        """Return every measure."""
        measures = {}
        for name, pairs in self.test_set.pairs.items():
            if self.model.has_memory and pairs.context is None:
                continue
            for r, rate in enumerate(pairs.rates):
                known = pairs.context.mask.shape[1] if self.model.has_memory else pairs.delta_t.shape[1]
                predicted = self.predict(
                    pairs.state[r, :known], pairs.action[r, :known, None], pairs.delta_t[r, :known, None],
                    self.context(pairs, r, known),
                )[:, 0]  # fmt: skip
                mse = squared_error(predicted, pairs.next_state[r, :known], self.spec).mean(dim=0)
                scale = (pairs.increment[r, :known] ** 2).mean(dim=0)
                measures[name, rate] = torch.cat([mse, (mse / scale).sqrt()])
        for rate, rollouts in self.test_set.rollouts.items():
            past = rollouts.context if self.model.has_memory else None
            predicted = self.predict(rollouts.state, rollouts.actions, rollouts.delta_t, past)
            mse = mse_over_horizon(predicted, rollouts.states, self.spec)
            change = ((rollouts.states - rollouts.state.unsqueeze(1)) ** 2).mean(dim=0)
            measures["rollout", rate] = torch.cat([mse, (mse / change).sqrt()], dim=-1)
        for fine, coarse in FREQUENCY_PAIRS:
            measures["consistency", fine, coarse] = self.consistency(fine, coarse)
        if not self.model.has_memory and hasattr(self.model, "derivative"):
            measures["convergence",] = self.convergence()
        return measures

    def consistency(self, fine: str, coarse: str) -> Tensor:
        """RMS difference between one coarse step and the fine steps that make it up."""
        pairs, n = self.test_set.pairs["pooled"], NUM_CONSISTENCY
        r, count = pairs.rates.index(coarse), num_steps(delta_t_of(float(coarse)), delta_t_of(float(fine)))
        state, action, delta_t = pairs.state[r, :n], pairs.action[r, :n, None], pairs.delta_t[r, :n, None]
        once = self.predict(state, action, delta_t, self.context(pairs, r, n))[:, -1]
        past = self.context(pairs, pairs.rates.index(fine), n)
        composed = self.predict(state, action.expand(-1, count, -1), (delta_t / count).expand(-1, count), past)[:, -1]
        kept, target = ~pairs.limit_hit[r, :n], pairs.next_state[r, :n]
        compared = (once, composed), (once, target), (composed, target)
        return torch.stack([squared_error(a, b, self.spec)[kept].mean(dim=0) for a, b in compared])

    def convergence(self) -> Tensor:
        """Mean squared error of the field integrated with ever smaller steps."""
        pairs, n = self.test_set.pairs["pooled"], NUM_CONVERGENCE
        state, action, h = pairs.state[0, :n], pairs.action[0, :n], float(self.model.train_delta_t)
        outcome = SYSTEMS[ENV].simulate(state, action, 4 * h)
        errors = []
        for k in LEVELS:
            count = 2 ** (k - LEVELS[0])
            delta_t = torch.full((n, count), 4 * h / count)
            end = self.predict(state, action.unsqueeze(1).expand(-1, count, -1), delta_t)[:, -1]
            errors.append(squared_error(end, outcome.next_state, self.spec)[~outcome.limit_hit].mean(dim=0))
        return torch.stack(errors)

    def context(self, pairs: object, r: int, count: int) -> Context | None:
        """Past of the first pairs of one rate, for models that remember."""
        return Context(*(x[r, :count] for x in pairs.context.tensors())) if self.model.has_memory else None

    def predict(self, state: Tensor, actions: Tensor, delta_t: Tensor, context: Context | None = None) -> Tensor:
        """Predict in single precision and count."""
        self.transitions += delta_t.numel()
        if context is not None:
            self.context_steps += context.mask.numel()
            context = Context(*(x.float() for x in context.tensors()[:3]), context.mask)
        return self.model.predict_sequence(state.float(), actions.float(), delta_t.float(), context).double()


def flops_per_step(model: DynamicsModel, name: str) -> tuple[float, float]:
    """Multiplications and additions of the networks' matrices: for one transition, and for one step of a context."""
    layers = {key: x for key, x in model.named_parameters() if x.ndim == 2 and "action_encoder" not in key}
    total = 2.0 * sum(x.numel() for x in layers.values()) * EVALUATIONS_PER_STEP.get(name, 1)
    return total, 2.0 * sum(x.numel() for key, x in layers.items() if "gates" in key)


@functools.cache
def test_sets() -> dict[int, TestSet]:
    """One test set per seed, of random episodes."""
    return {
        seed: build_test_set(
            SYSTEMS[ENV], [collect_random(ENV, rate, seed, 2000) for rate in RATES], seed=seed,
            num_pairs=NUM_PAIRS, num_starts=NUM_STARTS,
        )
        for seed in SEEDS
    }  # fmt: skip


def rows(device: str = "cpu", quick: bool = False) -> list[harness.Row]:
    """Measure one stack of every family."""
    found = []
    for name, (arm, size) in CASES.items():
        form = {"form": arm.form} if arm.method != "ode" else {}
        models = [build_model(name, SYSTEMS[ENV].spec, seed=i, **form) for i in range(size)]
        seeds = [SEEDS[i % len(SEEDS)] for i in range(size)]
        stack, members = Stack(models).to(device), [(arm, seed) for seed in seeds]
        loops = [PlainLoop(model, test_sets()[seed]) for model, seed in zip(models, seeds, strict=True)]
        loops[0].run()
        transitions, context_steps = size * loops[0].transitions, size * loops[0].context_steps
        step, reading = flops_per_step(models[0], name)
        row = harness.compare(
            f"evaluate {name}, stack of {size}",
            lambda stack=stack, members=members: evaluate_stack(
                stack, members, test_sets(), SYSTEMS[ENV], measures=MEASURES, options=OPTIONS, device=device
            ),
            lambda loops=loops: [loop.run() for loop in loops],
            count=transitions,
            unit="transitions / s",
            peer_name="plain loop",
            flops=step * transitions + reading * context_steps,
            repeats=1 if quick else 3,
            device=device,
        )  # fmt: skip
        found.append(row)
    return found


def main() -> None:
    """Print one row per family."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    started = time.perf_counter()
    for row in rows(quick=parser.parse_args().quick):
        print(row.line(), flush=True)
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
