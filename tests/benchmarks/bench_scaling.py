"""Unit costs of this machine, and how cost grows with models, seeds, transitions and rates.

    python tests/benchmarks/bench_scaling.py [--device cuda] [--preset full]

Unit costs (one optimizer step of one model, one predicted, planned or collected transition) go to
`runs/bench/scaling.json`; `tdlib.study.cost` multiplies them with what a preset asks for. On the processor CPU time is
measured, which other processes disturb least; on a card wall time. Differences of a long and a short run leave out what
is paid once.
"""

import argparse
import functools
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from harness import Row, device_name  # noqa: E402, I001  (sets the threads before torch starts them)
import torch  # noqa: E402

from tdlib.data import collect_random  # noqa: E402
from tdlib.data.sources.mujoco import MACHINES, collect_mujoco, missing_packages  # noqa: E402
from tdlib.data.sources.partly_seen import parts_of_name  # noqa: E402
from tdlib.data.sources.ppo import collect_ppo  # noqa: E402
from tdlib.data.sources.sequences import collect_sequences  # noqa: E402
from tdlib.systems import SYSTEMS  # noqa: E402
from tdlib.evaluation import build_test_set, collect_planned, evaluate_stack  # noqa: E402
from tdlib.evaluation.control.episodes import ControlSettings, evaluate_control  # noqa: E402
from tdlib.evaluation.control.plans import knot_clock  # noqa: E402
from tdlib.evaluation.control.starts import control_starts  # noqa: E402
from tdlib.evaluation.control.dynamics import Oracle  # noqa: E402
from tdlib.core.facts import MODES  # noqa: E402
from tdlib.core.files import write_text  # noqa: E402
from tdlib.speed import Stack  # noqa: E402
from tdlib.planning import CEM  # noqa: E402
from tdlib.study.cost import (  # noqa: E402
    ORACLE,
    family,
    growth_exponent,
    load_units,
    predicted_hours,
    training_unit,
)
from tdlib.study.layout import runs_root  # noqa: E402
from tdlib.study.presets import load_preset  # noqa: E402
from tdlib.study.arms import Arm, build_arm  # noqa: E402
from tdlib.study.selection import arms_of  # noqa: E402
from tdlib.training import Budget, Trial, fit  # noqa: E402
from picture_units import picture_unit_costs  # noqa: E402

ENV = "Pendulum-v1"
RATES = (10.0, 20.0, 50.0)
TEST_RATES = (10.0, 20.0, 50.0, 5.0, 25.0, 100.0, 16.0, 33.3)  # the first two divide each other
MIXED = "mixed"
PRESETS = ("quick", "full", "full_literal", "physics", "history", "mts3", "visual")  # whose hours are printed
FAR_AHEAD = load_preset("mts3")  # its models predict whole sequences; none of them plans
BELIEFS = {arm.model: arm for arm in arms_of(FAR_AHEAD) if arm.source == arm}  # of each the last, which costs most
TRAINED = [  # arm, models in the stack, optimizer steps of the long run
    (Arm("jump", "multi_resolution", "scaled_concat", train_frequency=MIXED), 16, 200),
    (Arm("lstm", "multi_resolution", "scaled_concat", train_frequency=MIXED), 14, 40),
    # a third of it is recorded too, without which a step of a GRU takes three times as long
    (Arm("gru", "multi_resolution", "scaled", train_frequency=MIXED), 5, 330),
    (Arm("ensemble", "multi_resolution", "scaled_concat", train_frequency=MIXED), 4, 120),
    *(
        (Arm(field, "ode", solver, train_frequency=MIXED), 10, steps)
        for field, steps in (("first_order_ode", 60), ("newtonian", 60), ("velocity", 60), ("port_hamiltonian", 30))
        for solver in ("rk4", "euler")
    ),
    (Arm("separable_hamiltonian", "ode", "rk4", train_frequency=MIXED), 10, 30),
    (Arm("mass_matrix", "ode", "rk4", train_frequency=MIXED), 10, 30),
    *((Arm("newtonian", f"ode_{mode}", "rk4", train_frequency=MIXED), 10, 30) for mode in MODES[1:]),
    (Arm("jump", "baseline", size="small", train_frequency="20"), 1, 150),
    (Arm("jump", "baseline", size="medium", train_frequency="20"), 1, 30),
    (Arm("jump", "baseline", size="large", train_frequency="20"), 1, 9),
    *((arm, len(FAR_AHEAD.seeds), 330) for arm in BELIEFS.values()),  # recorded too
]
# transitions per step where they are not `Budget`'s, as their chapters train: of the GRU 32 windows
BATCH = {"gru": 32 * 19} | dict.fromkeys(BELIEFS, FAR_AHEAD.training.batch_size)
STACK = 4  # models that are evaluated and planned with together
PLANNER = CEM()
REPLAN = 0.1  # [s] between plans
SEQUENCED, LENGTH = "three_body", 50  # of the systems that draw parameters, the one whose truth costs most
SWUNG = "double_cart_pole"  # whose planned episodes a chapter trains on
REPEATS = 1
LONGER_ON_CARD = 40  # times as many steps: the first are not captured yet, and capturing takes as long as many steps


def rows(device: str = "cpu", quick: bool = False) -> list[Row]:
    """Measure unit costs and growth, save both for `tdlib.study.cost`, and return the unit costs."""
    torch.set_num_threads(1)
    clock = Clock(device, 1 if quick else REPEATS)
    pictured = picture_unit_costs(["visual_quick"] if quick else ["visual_quick", "visual"], clock.seconds, device)
    costs = itertools.chain(unit_costs(clock), pictured)
    units = [{"kind": kind, "what": what, "seconds": seconds} for kind, what, seconds in costs]
    series = [] if quick else list(growth(clock))
    name = device_name(device)
    path = runs_root() / "bench" / "scaling.json"
    saved = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    saved[name] = {"units": units, "series": series or saved.get(name, {}).get("series", [])}
    write_text(path, json.dumps(saved, indent=1) + "\n")
    return [_row(unit, name, clock.repeats) for unit in units]


class Clock:
    """Times programs: CPU seconds on the processor, wall seconds on a card; the best of some runs.

    Args:
        device: Where models are.
        repeats: Runs, after one that is not counted.
    """

    def __init__(self, device: str, repeats: int):
        self.device, self.repeats = device, repeats

    @property
    def on_card(self) -> bool:
        """Whether models are on a card."""
        return self.device.startswith("cuda")

    def seconds(self, program: Callable[[], object], more: int = 0) -> float:
        """Seconds of the best run; some more where one is so short that a pause of the interpreter doubles it."""
        return min(self._once(program) for _ in range(self.repeats + 1 + more))

    def _once(self, program: Callable[[], object]) -> float:
        now = time.perf_counter if self.on_card else time.process_time
        started = now()
        program()
        if self.on_card:
            torch.cuda.synchronize()
        return now() - started


def unit_costs(clock: Clock) -> Iterator[tuple[str, str, float]]:
    """Yield (kind, what, seconds per unit)."""
    if clock.device == "cpu":  # agents and their environments are on the processor
        with tempfile.TemporaryDirectory() as folder:
            yield "collection", "PPO transitions", _slope(lambda n: _ppo(clock, n, folder), 2048, 6144)
        yield "collection", "random transitions", _slope(lambda n: _random(clock, n), 2000, 12_000)
        yield "collection", "sequence transitions", _slope(lambda n: _sequences(clock, n), 5000, 40_000)
        yield "collection", "planned transitions", _slope(lambda n: _planned(clock, n), 50, 200)
        for name in FAR_AHEAD.seen_sets:
            yield from machine_costs(clock, name)
    for arm, count, steps in TRAINED:
        yield "training", training_unit(arm), max(step_seconds(clock, arm, count, steps), 0.0) / count
    predicted = list({family(arm): arm for arm, _, _ in reversed(TRAINED)}.values())[::-1]  # whatever trained them
    for arm in predicted:
        most = 1024 if arm.model in BELIEFS else 4096  # of fewer a model's own cost hides the difference
        count, sizes = (STACK, (128, most)) if arm.size == "hidden64" else (1, (32, 256))
        small, large = (evaluate_seconds(clock, arm, count, pairs) for pairs in sizes)
        each = max(0.0, (large[0] - small[0]) / (large[1] - small[1]))
        yield "evaluation", family(arm), each
        yield "evaluation", f"{family(arm)}, per model", max(0.0, small[0] - each * small[1]) / count
    for arm in (arm for arm in predicted if arm.model not in BELIEFS):
        count, duration = (STACK, 1.0) if arm.size == "hidden64" else (1, 0.2)
        stack = Stack(models(arm, count)).to(clock.device)
        yield "control", family(arm), plan_seconds(clock, stack, count, duration)
    yield "control", ORACLE, plan_seconds(clock, Oracle(SYSTEMS[ENV]), 1, 1.0)


def machine_costs(clock: Clock, name: str) -> Iterator[tuple[str, str, float]]:
    """Yield what transitions of a machine cost, and decisions that its policy learns from, if the extra is there."""
    (key, seen), rate = parts_of_name(name), FAR_AHEAD.seen_sets[name].rate
    if key not in MACHINES or missing_packages(key):
        return

    def seconds(transitions: int, decisions: int) -> float:
        how = {"control_frequency": rate, "observed": seen, "training_steps": decisions}
        return clock.seconds(lambda: collect_mujoco(key, transitions, 0, **how))

    machine = MACHINES[key]
    yield "collection", f"{machine.env_id} transitions", _slope(lambda n: seconds(n, 16), 500, 1500)
    if machine.scripted is None:
        yield "collection", f"{machine.env_id} decisions learned from", _slope(lambda n: seconds(10, n), 300, 900)


def growth(clock: Clock) -> Iterator[dict]:
    """Yield how seconds grow with models, seeds, transitions and rates."""
    jump = TRAINED[0][0]
    field = next(arm for arm, _, _ in TRAINED if arm.model == "newtonian" and arm.form == "rk4")
    for arm, counts, steps in ((jump, (1, 2, 4, 8, 16, 32), 90), (field, (1, 2, 4, 8, 16), 30)):
        per_step = [max(1e-6, step_seconds(clock, arm, count, steps)) for count in counts]
        yield _series(f"training step, {family(arm)}", "models in the stack", counts, per_step)
    seeds = (1, 2, 4, 8)
    yield _series("evaluation, jump", "seeds", seeds, [evaluate_seconds(clock, jump, n, 512, n)[0] for n in seeds])
    pairs = (256, 1024, 4096, 16_384)
    found = [evaluate_seconds(clock, jump, 2, n)[0] for n in pairs]
    yield _series("evaluation, jump", "test transitions", pairs, found)
    counts = (4000, 8000, 16_000, 32_000)
    yield _series("random collection", "transitions", counts, [_random(clock, n) for n in counts])
    rates = (2, 3, 5, 8)
    found = [evaluate_seconds(clock, jump, 2, 2048, rates=TEST_RATES[:n])[0] for n in rates]
    yield _series("evaluation, jump", "test rates", rates, found)


def step_seconds(clock: Clock, arm: Arm, count: int, steps: int) -> float:
    """Seconds of one optimizer step of `count` models, from a run of `steps` and one of a third (more on a card)."""
    steps *= LONGER_ON_CARD if clock.on_card else 1
    return _slope(lambda n: train_seconds(clock, arm, count, n), steps // 3, steps)


def train_seconds(clock: Clock, arm: Arm, count: int, steps: int) -> float:
    """Seconds to train `count` models for some steps."""
    train, val = (data_sets(seed) for seed in (0, 1))

    def program() -> None:
        members = []
        for seed, model in enumerate(models(arm, count)):
            rates = arm.frequencies
            parts = [[sets[rate].transitions_with_offsets(torch.float32) for rate in rates] for sets in (train, val)]
            offsets = [[torch.as_tensor(part[1]) for part in split] for split in parts]
            members.append(Trial(arm, seed, model, *([part[0] for part in split] for split in parts), *offsets))
        batch = BATCH.get(arm.model, Budget.batch_size)
        fit(members, Budget(steps, 1e-3, batch_size=batch, num_validations=1), clock.device)

    return clock.seconds(program)


def evaluate_seconds(
    clock: Clock, arm: Arm, count: int, pairs: int, seeds: int = 1, rates: tuple[float, ...] = TEST_RATES
) -> tuple[float, int]:
    """Seconds to evaluate `count` models, and the test transitions that they predict together."""
    system = SYSTEMS[ENV]
    size = {"rates": rates, "num_pairs": pairs, "num_starts": 4}
    sets = {seed: build_test_set(system, list(data_sets(seed).values()), seed=seed, **size) for seed in range(seeds)}
    stack = Stack(models(arm, count)).to(clock.device)
    members = [(arm, number % seeds) for number in range(count)]
    seconds = clock.seconds(lambda: evaluate_stack(stack, members, sets, system, device=clock.device), more=2)
    one = sum(part.state.shape[0] * part.state.shape[1] for part in sets[0].pairs.values())
    one += sum(part.states.shape[0] * (part.states.shape[1] - 1) for part in sets[0].rollouts.values())
    return seconds, count * one


def plan_seconds(clock: Clock, dynamics: object, count: int, duration: float) -> float:
    """Seconds per imagined transition in closed-loop control at 20 Hz, for some seconds."""
    system, episodes = SYSTEMS[ENV], 2
    settings = ControlSettings(duration=duration, replan_interval=REPLAN, device=clock.device)
    starts = control_starts(system, episodes)

    def program() -> None:
        evaluate_control(dynamics, system, 20.0, starts, num_members=count, planner=PLANNER, settings=settings)

    steps = knot_clock(system, 0.05).num_steps
    plans = round(duration / REPLAN)
    return clock.seconds(program) / (count * episodes * plans * PLANNER.population * PLANNER.num_iterations * steps)


def models(arm: Arm, count: int) -> list[torch.nn.Module]:
    """Untrained models with the scales of the data; cost does not depend on weights."""
    parts = [dataset.transitions_with_offsets(torch.float32)[0] for dataset in data_sets(0).values()]
    found = [build_arm(arm, SYSTEMS[ENV].spec, seed) for seed in range(count)]
    for model in found:
        model.fit_scales(type(parts[0]).concatenate(parts))
    return found


@functools.cache
def data_sets(seed: int) -> dict[float, object]:
    """Random-input sets of one seed by rate."""
    return {rate: collect_random(ENV, rate, seed, 2000) for rate in RATES}


def _ppo(clock: Clock, count: int, folder: str) -> float:
    return clock.seconds(lambda: collect_ppo(ENV, 20.0, 0, count, Path(folder)))


def _random(clock: Clock, count: int) -> float:
    return clock.seconds(lambda: collect_random(ENV, 20.0, 0, count))


def _sequences(clock: Clock, count: int) -> float:
    return clock.seconds(lambda: collect_sequences(SEQUENCED, count // LENGTH, LENGTH, 0))


def _planned(clock: Clock, count: int) -> float:
    """Seconds for so many rows, in episodes of one second at 50 Hz."""
    settings = ControlSettings(duration=1.0, replan_interval=REPLAN)
    return clock.seconds(lambda: collect_planned(SYSTEMS[SWUNG], 50.0, 0, count // 50, settings=settings))


def _slope(seconds: Callable[[int], float], few: int, many: int) -> float:
    return (seconds(many) - seconds(few)) / (many - few)


def _series(name: str, axis: str, x: tuple, y: list[float]) -> dict:
    exponent, low, high = growth_exponent(x, y)
    return {"name": name, "axis": axis, "x": list(x), "y": y, "exponent": exponent, "low": low, "high": high}


def _row(unit: dict, device: str, repeats: int) -> Row:
    name = f"{unit['kind']}: {unit['what']}"
    per = "model / step" if unit["kind"] == "training" else "transition"
    per = "model" if unit["what"].endswith("per model") else per
    scale, prefix = (1e3, "ms") if per != "transition" else (1e6, "µs")
    clock = "CPU" if device == "cpu" else "wall"
    shown = f"{prefix} of {clock} time / {per}"
    return Row(name, scale * unit["seconds"], None, shown, None, None, torch.get_num_threads(), device, repeats=repeats)


def main() -> None:
    """Print the unit costs, the exponents, and what a preset costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--preset", nargs="*", default=PRESETS)
    options = parser.parse_args()
    for row in rows(options.device, options.quick):
        print(row.line())
    path = runs_root() / "bench" / "scaling.json"
    for line in json.loads(path.read_text(encoding="utf-8"))[device_name(options.device)]["series"]:
        interval = f"[{line['low']:.2f}, {line['high']:.2f}]"
        print(f"{line['name']} against {line['axis']}: power {line['exponent']:.2f} {interval}")
    for device, units in load_units(path).items():
        for name in options.preset:
            hours = predicted_hours([load_preset(name)], units, 2)
            print(f"{name} by unit costs of {device}: {hours['cpu']:.2f} h in all, {hours['wall']:.2f} h on 2 cores")


if __name__ == "__main__":
    main()
