"""Milliseconds per model and optimizer step: `python tests/benchmarks/bench_training.py [--device cuda] [--quick]`.

A step of ours is everything: drawing and gathering the batch, forward, loss, backward, clipping, Adam. Peers train one
model with the same sizes, loss, clipping and optimizer (`training_peers`). Validation is left out on both sides.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "1000000000"}  # as in run.py

if __name__ == "__main__" and not MALLOC.items() <= os.environ.items():  # read when a process starts
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **MALLOC})

sys.path[:0] = [str(HERE), str(HERE.parent.parent / ".peers")]

import harness  # noqa: E402  (sets the threads before torch starts them)
import torch  # noqa: E402
import training_peers as peers  # noqa: E402
from torch import Tensor  # noqa: E402

from tdlib.core.seeding import torch_generator  # noqa: E402
from tdlib.core.transitions import Transitions  # noqa: E402
from tdlib.data import collect_random  # noqa: E402
from tdlib.dynamics_model_training import DynamicsDataset  # noqa: E402
from tdlib.models import SIZES, build_model  # noqa: E402
from tdlib.models.families.gru import GRUOptions  # noqa: E402
from tdlib.study.arms import Arm, build_arm  # noqa: E402
from tdlib.systems import SYSTEMS  # noqa: E402
from tdlib.training import Budget, Trial  # noqa: E402
from tdlib.training.run import CHUNK, Learner, StackRun  # noqa: E402

ENV, BATCH, EPISODE = "Pendulum-v1", 256, 100
SPEC = SYSTEMS[ENV].spec
UNIT, RATE = "ms / model / step", "model steps / s"
JUMP = Arm("jump", "multi_resolution", "scaled_concat", train_frequency="mixed")
SMALL = Arm("jump", "baseline", size="small", train_frequency="20")
LSTM = Arm("lstm", "multi_resolution", "scaled_concat", train_frequency="mixed")
GRU = Arm("gru", "baseline", train_frequency="20")
GRU_SPEC = SYSTEMS["double_cart_pole"].spec
WINDOWS = 32  # per step and model, as in the GRU's founding document
NEWTONIAN = Arm("newtonian", "ode", "rk4", train_frequency="mixed")
PORT = Arm("port_hamiltonian", "ode", "rk4", train_frequency="mixed")
DISTINCT = (1, 3, 10, 30, 100, 256)


def transitions(frequency: float, count: int, seed: int) -> Transitions:
    """Random states and inputs with their true next states."""
    system, g = SYSTEMS[ENV], torch.Generator().manual_seed(seed)
    state = 2 * torch.rand(count, system.spec.state_dim, generator=g) - 1
    action = 4 * torch.rand(count, 1, generator=g) - 2
    delta_t = torch.full((count,), 1 / frequency)
    return Transitions(state, action, system.flow(state, action, delta_t), delta_t)


def training_sets(arm: Arm) -> list[Transitions]:
    """One set per rate of the arm."""
    return [transitions(f, 14000, 1) for f in arm.frequencies]


def stack_run(arm: Arm, count: int, device: str, sets: list[Transitions] | None = None) -> StackRun:
    """A stack of `count` models, ready to train."""
    train = sets or training_sets(arm)
    val = [transitions(f, 3000, 2) for f in arm.frequencies]
    offsets = [[torch.arange(0, len(p) + 1, EPISODE) for p in parts] for parts in (train, val)]
    learners = []
    for seed in range(count):
        model = build_arm(arm, SPEC, seed)
        model.fit_scales(Transitions.concatenate(train))
        trial = Trial(arm, seed, model, train, val, *offsets)
        streams = (torch_generator(seed, name) for name in ("batches", "validation"))
        learners.append(Learner(trial, model, *streams))
    return StackRun(learners, Budget(10_000, 1e-3, batch_size=BATCH), device)


def stacked_steps(arm: Arm, count: int, device: str, chunks: int, sets: list[Transitions] | None = None) -> Callable:
    """A callable that takes `chunks * CHUNK` steps of a stack; recording or capturing is done before."""
    return recorded_steps(stack_run(arm, count, device, sets), chunks)


def recorded_steps(run: StackRun, chunks: int) -> Callable:
    """A callable that takes `chunks * CHUNK` steps of a stack that it has recorded."""
    run.draw(CHUNK)
    run.prepare()

    def steps() -> None:
        for _ in range(chunks):
            run.draw(CHUNK)
            for k in range(CHUNK):
                run.train_step(k, k)

    return steps


def gru_run(count: int, memory: str) -> tuple[StackRun, Tensor, Tensor]:
    """A stack of GRUs of the founding document's size; and its windows, features (N, T + 1, F) and inputs (N, T, A)."""
    data = collect_random(GRU_SPEC.name, float(GRU.train_frequency), 0, 4000)
    parts, offsets = data.transitions_with_offsets(torch.float32)
    offsets, learners = torch.as_tensor(offsets), []
    for seed in range(count):
        model = build_model(GRU.model, GRU_SPEC, seed=seed, memory=memory, relative=(0,))
        model.fit_scales(parts)
        trial = Trial(GRU, seed, model, [parts], [parts], [offsets], [offsets])
        learners.append(Learner(trial, model, *(torch_generator(seed, name) for name in ("batches", "validation"))))
    length = model.needs.window
    run = StackRun(learners, Budget(10_000, 1e-3, batch_size=WINDOWS * length, clip=1.0), "cpu")
    examples = DynamicsDataset(data, [0]).examples
    windows = examples.windows(range(len(examples)))
    return run, model.scales.features(torch.cat([windows.states, windows.targets], dim=1)), windows.actions


def gru_flops(memory: str) -> float:
    """Arithmetic of the products in one step of one GRU, forward and backward."""
    options = GRUOptions()
    width, horizon, history = options.hidden_dim, options.prediction_horizon, options.history_length
    rows = horizon * history if memory == "window" else history + horizon - 1
    cell = (GRU_SPEC.feature_dim + peers.EMBEDDING + 1 + width) * 3 * width
    return 3 * 2 * WINDOWS * (rows * cell + horizon * width * GRU_SPEC.feature_dim)


def step_flops(arm: Arm) -> float:
    """Arithmetic of the matrix products in one step of one model, forward and backward."""
    widths, features = SIZES[arm.size], SPEC.feature_dim
    if arm.model == "port_hamiltonian":  # the energy's gradient: the hidden layers there and back, four times
        layers = [features * widths[0], widths[0] * widths[1]] * 2
        return 4 * 3 * 2 * BATCH * sum(layers)
    if arm.model == "lstm":
        cell = (features + peers.EMBEDDING + 1 + widths[0]) * 4 * widths[0]
        return 3 * 2 * BATCH * (cell + widths[0] * widths[1] + widths[1] * SPEC.state_dim)
    ode = arm.method == "ode"
    sizes = [features + peers.EMBEDDING + (not ode), *widths, 1 if ode else SPEC.state_dim]
    layers = [a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    return (4 if ode else 1) * 2 * BATCH * (3 * sum(layers) - layers[0])


def rows(device: str = "cpu", quick: bool = False) -> list[harness.Row]:
    """Measure every case; on a card, stacks against one-model loops there and against the processor."""
    repeats = 3 if quick else 7
    if device != "cpu":
        return _on_card(device, repeats)
    return _discrete(repeats) + _histories(repeats) + _fields(repeats) + _irregular(repeats)


def version(package: str) -> str:
    """Name and version of a peer."""
    return f"{package} {importlib.metadata.version(package)}"


def _row(arm: Arm, count: int, name: str, peer: Callable | None, peer_steps: int, **how: object) -> harness.Row:
    chunks = how.pop("chunks", 2)
    steps = chunks * CHUNK
    ours = stacked_steps(arm, count, "cpu", chunks, how.pop("sets", None))
    about = {"count": count * steps, "peer_count": peer_steps, "unit": UNIT, "flops": count * steps * step_flops(arm)}
    return harness.compare(f"train {name}", ours, peer, **about, **how)


def _discrete(repeats: int) -> list[harness.Row]:
    torch_name = f"torch {torch.__version__.split('+')[0]}"
    plain = peers.PlainNetwork(SPEC, SIZES["hidden64"])
    data = peers.prepared(training_sets(JUMP), SPEC, "cpu")
    loader = peers.loader_loop(data, plain, BATCH, 100)
    found = [
        _row(JUMP, 16, "jump [64,64], stack of 16", loader, 100, repeats=repeats, goal=8,
             peer_name=f"DataLoader and Adam, {torch_name}"),
        _row(JUMP, 1, "jump [64,64], one model", loader, 100, repeats=repeats, chunks=4,
             peer_name=f"DataLoader and Adam, {torch_name}"),
    ]  # fmt: skip
    data = peers.prepared(training_sets(SMALL), SPEC, "cpu")
    for adam in ({"foreach": True}, {"fused": True}):
        loop = peers.gather_loop(data, peers.PlainNetwork(SPEC, SIZES["small"]), BATCH, 64, **adam)
        name = f"tensor loop, Adam({next(iter(adam))}), {torch_name}"
        found.append(_row(SMALL, 1, "jump [256,256], one model", loop, 64, repeats=repeats, goal=1, peer_name=name))
    return [*found, _row(LSTM, 14, "lstm 64, stack of 14", None, 1, repeats=repeats, chunks=1)]


def _histories(repeats: int, count: int = 5) -> list[harness.Row]:
    """GRUs with a history: a stack against `nn.GRU`, one model after the other."""
    found, torch_name, steps = [], f"torch {torch.__version__.split('+')[0]}", 16
    for memory, words in (("window", "window read anew"), ("carried", "memory carried")):
        run, features, inputs = gru_run(count, memory)
        options = GRUOptions()
        width, history = options.hidden_dim, options.history_length
        plain = peers.PlainGRU(GRU_SPEC.feature_dim, GRU_SPEC.action_dim, width, history, memory == "carried")
        row = harness.compare(
            f"train gru {width}, {words}, batch {WINDOWS}, stack of {count}",
            recorded_steps(run, 1),
            peers.window_loop(features, inputs, plain, WINDOWS, steps),
            count=count * CHUNK, peer_count=steps, unit=UNIT, flops=count * CHUNK * gru_flops(memory),
            peer_name=f"nn.GRU and AdamW(fused), {torch_name}", repeats=min(repeats, 5), goal=2,
        )  # fmt: skip
        found.append(row)
    return found


def _fields(repeats: int) -> list[harness.Row]:
    found, name = [], version("torchdiffeq")
    solvers = {"rk4": peers.once_per_interval(method="rk4"), "default dopri5": peers.once_per_interval()}
    for arm, count, goals in ((NEWTONIAN, 30, (3.5, 20)), (PORT, 10, (3.5, 18))):
        sets = training_sets(arm)
        data = Transitions.concatenate(sets)
        for (solver, solve), goal, steps in zip(solvers.items(), goals, (20, 5), strict=True):
            model = build_arm(arm, SPEC, 0)
            model.fit_scales(data)
            loop = peers.field_loop(data, model, solve, None, BATCH, steps)
            title = f"{arm.model} rk4, three rates, stack of {count}"
            found.append(_row(arm, count, title, loop, steps, repeats=repeats, chunks=1, goal=goal, sets=sets,
                              peer_name=f"{name} {solver} per rate"))  # fmt: skip
    return found


def _irregular(repeats: int) -> list[harness.Row]:
    """How the cost of a batch depends on the number of distinct intervals in it."""
    found = []
    if not importlib.util.find_spec("torchode"):
        print("torchode is not installed (tests/benchmarks/requirements-peers.txt): its rows are left out")
    for count in DISTINCT:
        delta_ts = [0.02 + 0.08 * (i + 1) / count for i in range(count)]
        sets = [_with_intervals(delta_ts)]
        rivals = {f"{version('torchdiffeq')} rk4, union of times": (peers.union_of_times, max(1, 20 // count))}
        if importlib.util.find_spec("torchode"):
            rivals[f"{version('torchode')} Dopri5, one step"] = (peers.torchode_one_step, 10)
        for name, (solve, steps) in rivals.items():
            model = build_model("newtonian", SPEC, seed=0)
            model.fit_scales(sets[0])
            loop = peers.field_loop(sets[0], model, solve, delta_ts, BATCH, steps)
            title = f"newtonian rk4, irregular Δt, {count} distinct, stack of 10"
            how = {"repeats": min(repeats, 5 if steps > 1 else 3), "chunks": 1, "sets": sets, "peer_name": name}
            found.append(_row(NEWTONIAN, 10, title, loop, steps, **how))
    return found


def _with_intervals(delta_ts: list[float]) -> Transitions:
    base = transitions(20, 14000, 1)
    delta_t = torch.tensor(delta_ts).repeat(-(-len(base) // len(delta_ts)))[: len(base)]
    return Transitions(base.state, base.action, SYSTEMS[ENV].flow(base.state, base.action, delta_t), delta_t)


def _on_card(device: str, repeats: int) -> list[harness.Row]:
    found = []
    data = peers.prepared(training_sets(JUMP), SPEC, device)
    for arm, width in ((JUMP, "hidden64"), (SMALL, "small")):
        for count in (1, 16, 256):
            plain = peers.PlainNetwork(SPEC, SIZES[width]).to(device)
            loop = peers.gather_loop(data, plain, BATCH, 100, fused=True)
            found.append(_card_row(arm, count, device, loop, 100, "one-model loop on this card", repeats))
    for arm, count, cpu_count in ((JUMP, 256, 16), (NEWTONIAN, 240, 24), (PORT, 240, 10), (LSTM, 140, 14)):
        cpu = stacked_steps(arm, cpu_count, "cpu", 1)
        found.append(_card_row(arm, count, device, cpu, cpu_count * CHUNK, "this library on the processor", repeats))
    return found


def _card_row(
    arm: Arm, count: int, device: str, peer: Callable, peer_steps: int, peer_name: str, repeats: int
) -> harness.Row:
    name = f"train {arm.model} {arm.size}, stack of {count}"
    ours = stacked_steps(arm, count, device, 2)
    steps = count * 2 * CHUNK
    about = {"count": steps, "peer_count": peer_steps, "unit": RATE, "flops": steps * step_flops(arm)}
    return harness.compare(name, ours, peer, peer_name=peer_name, repeats=repeats, device=device, **about)


def main() -> None:
    """Print every row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true", help="few repeats: a look")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for row in rows(options.device, options.quick):
        print(row.line(), flush=True)


if __name__ == "__main__":
    main()
