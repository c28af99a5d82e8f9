"""CPU time of closed-loop control per model and rate: `python tests/benchmarks/bench_planning.py --help`.

Models are untrained, since their cost does not depend on weights; CartPole episodes that end early cost less, so times
per evaluation count the time alive. Prints, asserts nothing.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from tdlib.envs import SYSTEMS
from tdlib.evaluation.control import ControlSettings, Oracle, control_starts, evaluate_control, recorded
from tdlib.models import RescaledIncrement, Stack, build_model
from tdlib.planning import CEM

# (model, options, arms of one environment): members = arms x seeds
GROUPS = (
    ("jump", {"form": "scaled_concat"}, 22),
    ("rescaled", {}, 3),
    ("lstm", {}, 7),
    ("first_order_ode", {}, 5),
    ("first_order_ode", {"solver": "euler"}, 3),
    ("newtonian", {}, 5),
    ("newtonian", {"solver": "euler"}, 3),
    ("velocity", {}, 5),
    ("velocity", {"solver": "euler"}, 3),
    ("port_hamiltonian", {}, 5),
    ("port_hamiltonian", {"solver": "euler"}, 3),
    ("ensemble", {"form": "scaled_concat"}, 2),
)


def build(system: object, model: str, options: dict, count: int) -> object:
    """Return the dynamics of one group."""
    name = "jump" if model == "rescaled" else model
    stack = Stack([build_model(name, system.spec, seed=i, **options) for i in range(count)])
    return recorded(RescaledIncrement(stack, 0.05, system.spec) if model == "rescaled" else stack)


def main() -> None:
    """Print one line per group and rate, and the total."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="Pendulum-v1", choices=sorted(SYSTEMS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--episodes", type=int, default=1)
    parser.add_argument("--duration", type=float, default=6.0, help="[s]; the study's is 10")
    parser.add_argument("--replan", type=float, default=0.2, help="[s]; the study's is every control step (0)")
    parser.add_argument("--population", type=int, default=32, help="the study's is 64")
    parser.add_argument("--rates", type=float, nargs="+", default=[10, 20, 50])
    parser.add_argument("--models", nargs="+", help="some of the models below; all if not given")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    system = SYSTEMS[arguments.env]
    settings = ControlSettings(duration=arguments.duration, replan_interval=arguments.replan)
    planner, starts = CEM(population=arguments.population), control_starts(system, arguments.episodes)
    print(f"{'model':17} {'options':26} members  rate   CPU s ms/episode µs/evaluation")
    total = 0.0
    for model, options, arms in (("oracle", {}, 1), *GROUPS):
        if arguments.models and model not in arguments.models:
            continue
        members = 1 if model == "oracle" else arms * arguments.seeds
        dynamics = Oracle(system) if model == "oracle" else build(system, model, options, members)
        for rate in arguments.rates:
            result = evaluate_control(
                dynamics, system, rate, starts, num_members=members, planner=planner, settings=settings
            )
            alive = result.exit_time.clamp(max=arguments.duration).mean(dim=1)
            plans = alive.sum() / max(arguments.replan, 1 / rate) * arguments.episodes
            evaluations = plans * planner.population * planner.num_iterations * rate * settings.horizon
            episodes = members * arguments.episodes
            print(
                f"{model:17} {str(options):26} {members:7d} {rate:5g} {result.seconds:7.2f} "
                f"{1e3 * result.seconds / episodes:10.1f} {1e6 * result.seconds / evaluations:13.2f}"
            )
            total += result.seconds
    print(f"{arguments.env}: {total:.1f} s in all, the first recording included")


if __name__ == "__main__":
    main()
