"""Transitions collected per second, beside stable-baselines3 on Gymnasium's own environments.

    python tests/benchmarks/bench_collection.py [--quick]
    python tests/benchmarks/bench_collection.py --learning 100000 --seeds 2

Ours is everything up to the files on disk: exact physics at the rate, PPO, the recorder, HDF5 with its splits. The peer
only trains: the same PPO settings and number of environments, and once its own default settings. `--learning` prints
the returns that our settings and the defaults reach with equal transitions; both returns are Gymnasium's over 10 s.
"""

import argparse
import importlib.metadata
import itertools
import tempfile
import time

import harness
import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from tdlib.core.time_grid import delta_t_of
from tdlib.data import collect_random, load_dataset
from tdlib.data.sources.ppo import collect_ppo
from tdlib.data.sources.ppo_settings import ppo_settings
from tdlib.systems.task import NUM_ENVS

RATES = (10, 20, 50)
NATIVE = {"Pendulum-v1": 20, "CartPole-v1": 50}  # the rates of Gymnasium's own environments [Hz]
PEER = f"stable-baselines3 {importlib.metadata.version('stable-baselines3')}"
NUM_TRANSITIONS = 4096  # whole rollouts at every rate


def ours(env: str, rate: float, num_transitions: int, seed: int = 0) -> np.ndarray:
    """Collect as a run does and return the returns of complete episodes."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = load_dataset(collect_ppo(env, rate, seed, num_transitions, folder))
    return dataset.episode_returns[dataset.episode_complete]


def same_settings(env: str, rate: float, num_transitions: int) -> None:
    """Train stable-baselines3's PPO with our settings on Gymnasium's own environment."""
    settings = ppo_settings(env, rate)
    agent = PPO(
        "MlpPolicy",
        make_vec_env(env, NUM_ENVS, seed=0),
        **settings.algorithm_options(delta_t_of(rate), num_transitions),
        policy_kwargs=settings.policy_options,
        seed=0,
        device="cpu",
    )
    agent.learn(num_transitions)


def default_settings(env: str, num_transitions: int, seed: int = 0) -> np.ndarray:
    """Train stable-baselines3's PPO as it comes, on one environment; return the episodes' returns."""
    vec_env = make_vec_env(env, 1, seed=seed)
    PPO("MlpPolicy", vec_env, seed=seed, device="cpu").learn(num_transitions)
    return np.array(vec_env.envs[0].get_wrapper_attr("get_episode_rewards")())


def rows(device: str = "cpu", quick: bool = False) -> list[harness.Row]:
    """Measure collection at every rate, against the defaults, and random inputs alone."""
    del device  # environments and policies of 64 units stay on the processor
    count, options = NUM_TRANSITIONS, {"unit": "transitions / s", "repeats": 1 if quick else 3}
    found = [
        harness.compare(
            f"collect PPO {env} {rate} Hz, same settings",
            lambda env=env, rate=rate: ours(env, rate, count),
            lambda env=env, rate=rate: same_settings(env, rate, count),
            count=count,
            peer_name=PEER,
            goal=0.9,
            **options,
        )
        for env, rate in itertools.product(NATIVE, RATES)
    ]
    for env, rate in NATIVE.items():
        found.append(
            harness.compare(
                f"collect PPO {env} {rate} Hz, peer's default settings",
                lambda env=env, rate=rate: ours(env, rate, count),
                lambda env=env: default_settings(env, count),
                count=count,
                peer_name=f"{PEER}, defaults",
                goal=2.0,
                **options,
            )
        )
    for env, rate in itertools.product(("Pendulum-v1", "CartPoleContinuous-v1"), (10, 50)):
        work = harness.compare(
            f"collect random {env} {rate} Hz", lambda env=env, rate=rate: collect_random(env, rate, 0, count),
            count=count, **options,
        )  # fmt: skip
        found.append(work)
    return found


def compare_learning(num_transitions: int, num_seeds: int) -> None:
    """Print mean returns in the last fifth of the transitions, ours and the defaults, and the seconds both took."""
    for (env, rate), seed in itertools.product(NATIVE.items(), range(num_seeds)):
        line = f"{env} {rate} Hz seed {seed}, last fifth of {num_transitions} transitions:"
        for name, collect in (
            ("ours", lambda: ours(env, rate, num_transitions, seed)),  # noqa: B023  called at once
            ("defaults", lambda: default_settings(env, num_transitions, seed)),  # noqa: B023
        ):
            started = time.perf_counter()
            reached = _last_fifth(collect(), rate, num_transitions)
            line += f"  {name} {reached:.0f} in {time.perf_counter() - started:.0f} s"
        print(line, flush=True)


def _last_fifth(returns: np.ndarray, rate: float, num_transitions: int) -> float:
    """Mean return of the last episodes; all of Pendulum's last 10 s, CartPole's do once it has learned."""
    return returns[-max(5, round(num_transitions / 5 / (10 * rate))) :].mean()


def main() -> None:
    """Print one row per measurement, or the comparison of learning."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--learning", type=int, default=0, help="compare returns after so many transitions")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    if options.learning:
        compare_learning(options.learning, options.seeds)
        return
    for row in rows(quick=options.quick):
        print(row.line(), flush=True)


if __name__ == "__main__":
    main()
