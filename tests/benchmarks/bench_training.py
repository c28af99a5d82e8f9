"""Milliseconds per model and optimizer step: `OMP_NUM_THREADS=1 python tests/benchmarks/bench_training.py`.

A step is everything: drawing and gathering the batch, forward, loss, backward, clipping, Adam; validation is apart.
Wall time is what a user waits for; CPU time is less disturbed by other processes. The best of several runs is printed.
"""

import argparse
import time

import torch

from tdlib.envs import SYSTEMS
from tdlib.seeding import torch_generator
from tdlib.training import Arm, Budget, Member, build_arm
from tdlib.training.run import CHUNK, Single, StackRun
from tdlib.trajectories import Transitions

EPISODE = 100
CASES = [  # label, arm, members, chunks of steps
    ("jump hidden64", Arm("jump", "multi_resolution", "scaled_concat", train_frequency="mixed"), (1, 10, 16, 24), 6),
    ("lstm hidden64", Arm("lstm", "multi_resolution", "scaled_concat", train_frequency="mixed"), (1, 10, 14), 1),
    ("newtonian rk4", Arm("newtonian", "ode", "rk4", train_frequency="mixed"), (1, 10, 24), 2),
    ("first_order_ode euler", Arm("first_order_ode", "ode", "euler", train_frequency="20"), (10,), 4),
    ("port_hamiltonian rk4", Arm("port_hamiltonian", "ode", "rk4", train_frequency="mixed"), (1, 10), 1),
    ("jump small", Arm("jump", "baseline", size="small", train_frequency="20"), (1,), 2),
    ("jump medium", Arm("jump", "baseline", size="medium", train_frequency="20"), (1,), 1),
]


def transitions(env: str, frequency: float, count: int, seed: int) -> Transitions:
    """Random states and inputs with their true next states."""
    system, g = SYSTEMS[env], torch.Generator().manual_seed(seed)
    state = 2 * torch.rand(count, system.spec.state_dim, generator=g) - 1
    action = torch.randint(0, 2, (count, 1), generator=g).float()
    delta_t = torch.full((count,), 1 / frequency)
    return Transitions(state, action, system.flow(state, action, delta_t), delta_t)


def stack_run(env: str, arm: Arm, count: int, device: str) -> StackRun:
    """A stack of `count` members, ready to train."""
    spec = SYSTEMS[env].spec
    parts = {
        split: [transitions(env, f, size, seed) for f in arm.frequencies]
        for split, size, seed in (("train", 14000, 1), ("val", 3000, 2))
    }
    offsets = {split: [torch.arange(0, len(p) + 1, EPISODE) for p in sets] for split, sets in parts.items()}
    singles = []
    for seed in range(count):
        model = build_arm(arm, spec, seed)
        model.fit_scales(Transitions.concatenate(parts["train"]))
        member = Member(arm, seed, model, parts["train"], parts["val"], offsets["train"], offsets["val"])
        singles.append(Single(member, torch_generator(seed, "batches"), torch_generator(seed, "validation")))
    return StackRun(singles, Budget(10_000, 1e-3), device)


def measure(run: StackRun, chunks: int, repeats: int, device: str) -> tuple[float, float, float]:
    """Best wall and CPU seconds per step, and seconds per validation, of the whole stack."""

    def steps() -> None:
        for _ in range(chunks):
            run._draw(CHUNK)
            for k in range(CHUNK):
                run._train_step(k, 1e-3)
        if device != "cpu":
            torch.cuda.synchronize()

    steps()
    wall, cpu, validation = [], [], []
    for _ in range(repeats):
        clocks = time.perf_counter(), time.process_time()
        steps()
        wall.append((time.perf_counter() - clocks[0]) / chunks / CHUNK)
        cpu.append((time.process_time() - clocks[1]) / chunks / CHUNK)
        clock = time.perf_counter()
        run._validate(1, 1e-3)
        validation.append(time.perf_counter() - clock)
    return min(wall), min(cpu), min(validation)


def rows(repeats: int = 3) -> list[dict]:
    """Measure the cases at their largest stack; one row each for bench.json."""
    found = []
    for label, arm, counts, chunks in CASES:
        count = max(counts)
        run = stack_run("Pendulum-v1", arm, count, "cpu")
        wall, cpu, _ = (1e3 / count * x for x in measure(run, chunks, repeats, "cpu"))
        name = f"train {label}, stack of {count}"
        found.append({"name": name, "ours": wall, "cpu": cpu, "unit": "ms / model / step"})
    return found


def main() -> None:
    """Measure every case and print one row per stack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="Pendulum-v1", choices=sorted(SYSTEMS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="", help="substring of the case's name")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("per model and step, batch 256")
    print(f"{'model':24}{'members':>8}{'wall ms':>10}{'cpu ms':>10}{'validation ms':>15}")
    for label, arm, counts, chunks in CASES:
        if options.only in label:
            for count in counts:
                run = stack_run(options.env, arm, count, options.device)
                wall, cpu, validation = (1e3 / count * x for x in measure(run, chunks, options.repeats, options.device))
                print(f"{label:24}{count:8d}{wall:10.3f}{cpu:10.3f}{validation:15.2f}", flush=True)


if __name__ == "__main__":
    main()
