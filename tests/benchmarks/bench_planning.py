"""Planning against its peers at an equal budget: 512 samples, one second at 20 Hz, the same learned Pendulum.

    python tests/benchmarks/bench_planning.py

Every sample is scored once over 20 steps, and every step has its own input, on both sides. One episode, and 50 episodes
at once, are compared with one command of the peer. Then the planner itself: what 512 plain samples reach, against a
quarter of them through knots, warm start and kept elites.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / ".peers")]

import harness  # noqa: E402  (sets the threads before torch starts them)
import numpy as np  # noqa: E402
import torch  # noqa: E402
from harness import Row, compare  # noqa: E402
from plain_pendulum import DELTA_T, HORIZON, SAMPLES, PlainPendulum, cost  # noqa: E402

from tdlib.core.seeding import torch_generator  # noqa: E402
from tdlib.core.transitions import Transitions  # noqa: E402
from tdlib.evaluation.control.dynamics import Dynamics, Oracle  # noqa: E402
from tdlib.evaluation.control.episodes import ControlSettings, evaluate_control  # noqa: E402
from tdlib.evaluation.control.plans import knot_clock, planning_objective  # noqa: E402
from tdlib.evaluation.control.starts import control_starts  # noqa: E402
from tdlib.models import DynamicsModel  # noqa: E402
from tdlib.planning import CEM, MPPI, fresh_start, inputs_of  # noqa: E402
from tdlib.speed import Stack, has_row_form, prepared  # noqa: E402
from tdlib.speed.row_form import row_steps  # noqa: E402
from tdlib.speed.rows import RowLayout  # noqa: E402
from tdlib.study.arms import Arm, build_arm  # noqa: E402
from tdlib.systems import SYSTEMS  # noqa: E402
from tdlib.training import Budget, Trial, fit  # noqa: E402

PENDULUM = SYSTEMS["Pendulum-v1"]
EPISODES = 50
PLAIN = ControlSettings(knots_per_second=20.0)  # an input of its own for every step
ONE_PASS = {"population": SAMPLES, "num_iterations": 1, "num_kept": 0}
FOUR_PASSES = CEM(population=SAMPLES // 4, num_iterations=4, num_elites=13, num_kept=0)  # a tenth, as in mbrl
QUARTER = CEM(population=SAMPLES // 8, num_iterations=2)  # the study's planner: 128 samples


def rows(device: str = "cpu", quick: bool = False) -> list[Row]:
    """Time planning against its peers and compare what planners reach; on the processor, whatever the device."""
    del device  # the peers of this comparison run on the processor
    torch.set_num_threads(1)
    model = trained_model()
    with torch.inference_mode():
        return [*speed(model, 3 if quick else 15), *quality(model, 5 if quick else 20)]


def trained_model() -> DynamicsModel:
    """The jump model of width 64, trained for two seconds on pairs from the whole state space."""
    generator = torch_generator(0, "bench planning")
    parts = []
    for count in (8192, 1024):
        low, high = torch.tensor([-np.pi, -8.0, -2.0]), torch.tensor([np.pi, 8.0, 2.0])
        draw = low + (high - low) * torch.rand(count, 3, generator=generator).double()
        state, action, interval = draw[:, :2], draw[:, 2:], torch.full((count,), DELTA_T).double()
        following = PENDULUM.flow(state, action, interval)
        parts.append(Transitions(*(x.float() for x in (state, action, following, interval))))
    arm = Arm("jump", "baseline", train_frequency="20")
    model = build_arm(arm, PENDULUM.spec, 0)
    offsets = [[torch.arange(0, len(part.delta_t) + 1, 64)] for part in parts]
    fit([Trial(arm, 0, model, [parts[0]], [parts[1]], *offsets)], Budget(1000, 3e-3))
    return model.eval()


def speed(model: DynamicsModel, repeats: int) -> list[Row]:
    """Rows of one episode and of a batch against pytorch-mppi and mbrl."""
    dynamics, arrays = prepared(Stack([model])), plain_arrays(model)
    plain = PlainPendulum(arrays).eval()
    _check_same_model(model, plain)
    mppi = _pytorch_mppi(plain)
    one = Command(dynamics, MPPI(**ONE_PASS), 1)
    many = Command(dynamics, MPPI(**ONE_PASS), EPISODES)
    refits = Command(dynamics, FOUR_PASSES, EPISODES)
    common = {"unit": "ms / command", "repeats": repeats}
    sizes = f"{SAMPLES} samples x {HORIZON} steps"
    found = []
    calls = 10  # short programs run several times between two turns
    ours, flops = _times(one, calls), _flops(arrays)
    batch = {"count": EPISODES, "flops": EPISODES * flops}
    versus: dict = {"peer": _times(mppi, calls), "peer_name": "pytorch-mppi 0.9.1"} if mppi else {}
    alone = {"count": calls, "flops": calls * flops, "goal": 1.5}
    found.append(compare(f"MPPI, 1 episode, {sizes}", ours, **alone, **versus, **common))
    versus |= {"peer_count": calls} if mppi else {}
    found.append(compare(f"MPPI, {EPISODES} episodes at once, {sizes}", many, goal=1.7, **batch, **versus, **common))
    if mppi:  # not the plain network but the model as the library hands it out, called as a module
        library = _pytorch_mppi(lambda state, action: model(state, action, DELTA_T))
        versus |= {"peer": _times(library, calls), "peer_name": "pytorch-mppi 0.9.1 calling the library's model"}
        found.append(compare("MPPI, 1 episode, the library's model", ours, **alone, **versus, **common))
        name = f"MPPI, {EPISODES} episodes at once, the library's model"
        found.append(compare(name, many, goal=1.7, **batch, **versus, **common))
    with MbrlProcess(arrays) as mbrl:
        versus = {"peer": lambda: mbrl.run(3), "peer_count": 3, "peer_name": "mbrl 0.2.0 CEM"} if mbrl.ready else {}
        name = f"CEM 4 x {SAMPLES // 4}, {EPISODES} episodes, {HORIZON} steps"
        found.append(compare(name, refits, goal=2.0, **batch, **versus, **common))
    return found


class Command:
    """One planning call for all episodes as closed-loop control makes it: shift, draw, predict, score, refit.

    Args:
        dynamics: One model.
        planner: CEM or MPPI.
        episodes: Episodes planned at once.
    """

    def __init__(self, dynamics: Dynamics, planner: CEM | MPPI, episodes: int):
        self.dynamics, self.planner, self.inputs = dynamics, planner, inputs_of(PENDULUM.spec)
        self.clock = knot_clock(PENDULUM, DELTA_T, knots_per_second=PLAIN.knots_per_second)
        self.warm_start = fresh_start(self.inputs, (1, episodes), self.clock.num_knots)
        self.generators = [torch_generator(0, "planner", e) for e in range(episodes)]
        self.start = control_starts(PENDULUM, episodes).float().expand(1, -1, -1).unsqueeze(2)

    def __call__(self) -> None:
        def noise(population: int, knots: int) -> torch.Tensor:
            return torch.stack([self.inputs.draw_noise(population, knots, g) for g in self.generators])

        objective = planning_objective(
            self.dynamics, PENDULUM, self.start, None, self.clock, 0.0, PLAIN.terminal_weight
        )
        plan = self.planner.plan(objective, self.inputs, self.warm_start.shifted(1, self.inputs), noise)
        self.warm_start = plan.warm_start


class MbrlProcess:
    """mbrl in a process of its own, with its own Gymnasium; `ready` is False where it is not installed.

    Args:
        arrays: Weights of the plain model.
    """

    def __init__(self, arrays: list[np.ndarray]):
        self.arrays, self.process, self.ready = arrays, None, False
        self.folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> "MbrlProcess":
        packages = ROOT / ".peers-mbrl"
        if packages.is_dir():
            weights = Path(self.folder.name) / "weights.npz"
            np.savez(weights, *self.arrays)
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", str(HERE / "mbrl_process.py"), str(weights)],
                env={"PYTHONPATH": str(packages), "PATH": "", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self.ready = self.process.stdout.readline().strip() == "ready"
        if not self.ready:
            print("mbrl is not installed in .peers-mbrl: ours alone")
        return self

    def run(self, commands: int) -> float:
        """Plan a number of times; return the seconds it took there."""
        self.process.stdin.write(f"run {commands}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(timeout=30)
        self.folder.cleanup()


def plain_arrays(model: DynamicsModel) -> list[np.ndarray]:
    """The folded matrices and biases of the jump model at 20 Hz, for inputs (ω, cos θ, sin θ, torque)."""
    stack = Stack([model])
    assert has_row_form(stack)
    layout, steps = RowLayout(stack.spec), row_steps(stack, torch.float64)
    (network,) = steps.networks(DELTA_T)
    ((_, cos, sin),) = layout.angles
    first = network.first[0]
    bias = first[:, layout.one] + DELTA_T * first[:, layout.delta_t]
    layers = [(first[:, [1, cos, sin, layout.action.start]], bias)]
    layers += [(matrix[0], bias[0, :, 0]) for bias, matrix in network.hidden]
    layers.append((network.last[0], network.bias[0, :, 0]))
    return [array.float().numpy() for layer in layers for array in layer]


def _check_same_model(model: DynamicsModel, plain: PlainPendulum) -> None:
    state, action = 3 * torch.rand(64, 2), 2 * torch.rand(64, 1)
    torch.testing.assert_close(plain(state, action), model(state, action, DELTA_T), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(cost(state, action), PENDULUM.cost(state, action), rtol=1e-4, atol=1e-4)


def _pytorch_mppi(dynamics: Callable) -> Callable[[], object] | None:
    try:
        import pytorch_mppi
    except ImportError:
        print("pytorch-mppi is not installed in .peers: ours alone")
        return None
    bound = torch.tensor(PENDULUM.spec.input_high[0])
    planner = pytorch_mppi.MPPI(
        dynamics, cost, 2, torch.eye(1), num_samples=SAMPLES, horizon=HORIZON, u_min=-bound, u_max=bound
    )
    state = control_starts(PENDULUM, 1)[0].float()
    return lambda: planner.command(state)


def _times(program: Callable[[], object], count: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(count):
            program()

    return run


def _flops(arrays: list[np.ndarray]) -> float:
    """Of all matrix products of one command, as the plain network needs them."""
    return 2.0 * SAMPLES * HORIZON * sum(array.size for array in arrays[::2])


def quality(model: DynamicsModel, episodes: int) -> list[Row]:
    """What a quarter of the samples reaches on the true Pendulum, planning with the truth and with the learned model.

    The cost of an episode is the negative return; both sides meet the same starts, and the range is the 95 % bootstrap
    interval of the ratio over starts.
    """
    starts, found = control_starts(PENDULUM, episodes), []
    for name, dynamics in (("the true equation", Oracle(PENDULUM)), ("the learned model", prepared(Stack([model])))):
        costs = [
            -evaluate_control(dynamics, PENDULUM, 20.0, starts, planner=planner, settings=settings).episode_return[0]
            for planner, settings in ((QUARTER, ControlSettings()), (MPPI(**ONE_PASS), PLAIN))
        ]
        low, high = _interval(*costs)
        ours, peer = (float(x.mean()) for x in costs)
        found.append(
            Row(
                name=f"planner quality, {QUARTER.population} x 2 against {SAMPLES} plain samples on {name}",
                ours=ours,
                peer=peer,
                unit=f"cost / episode (n = {episodes})",
                ratio=peer / ours,
                fraction_of_peak=None,
                threads=torch.get_num_threads(),
                device="cpu",
                peer_name=f"MPPI with {SAMPLES} plain samples",
                ratio_low=low,
                ratio_high=high,
                repeats=episodes,
                goal=1.0,
            )
        )
    return found


def _interval(ours: torch.Tensor, peer: torch.Tensor, draws: int = 2000) -> tuple[float, float]:
    """95 % bootstrap interval of the ratio of mean costs, starts drawn in pairs."""
    index = torch.randint(len(ours), (draws, len(ours)), generator=torch_generator(0, "bench bootstrap"))
    ratios = (peer[index].mean(dim=1) / ours[index].mean(dim=1)).sort().values
    return float(ratios[int(0.025 * draws)]), float(ratios[int(0.975 * draws)])


def main() -> None:
    """Print one line per row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    for row in rows(quick=parser.parse_args().quick):
        print(row.line())
    print(f"matrix product at the peak: {harness.matmul_peak() / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
