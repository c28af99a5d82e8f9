"""How many transitions per second are collected, and at what peak memory; prints, never asserts.

    python tests/benchmarks/bench_collection.py [--transitions 20000]
"""

import argparse
import resource
import tempfile
import time

from tdlib.data import collect_random, load_dataset
from tdlib.data.collection import collect_ppo


def rows(num_transitions: int = 20_000) -> list[dict]:
    """Collect every kind of set once; one row each for bench.json."""
    found = []
    for env in ("Pendulum-v1", "CartPole-v1"):
        for rate in (10, 20, 50):
            with tempfile.TemporaryDirectory() as folder:
                origin = load_dataset(collect_ppo(env, rate, 0, num_transitions, folder)).attributes
            wall, cpu = (num_transitions / origin[f"{clock}_seconds"] for clock in ("wall", "cpu"))
            found.append({"name": f"collect PPO {env} {rate} Hz", "ours": wall, "cpu": cpu, "unit": "transitions / s"})
    for env in ("Pendulum-v1", "CartPoleContinuous-v1"):
        for rate in (10, 50):
            started = time.perf_counter(), time.process_time()
            collect_random(env, rate, 0, num_transitions)
            wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
            name = f"collect random {env} {rate} Hz"
            found.append(
                {"name": name, "ours": num_transitions / wall, "cpu": num_transitions / cpu, "unit": "transitions / s"}
            )
    return found


def main() -> None:
    """Print one row per set, and the peak memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--transitions", type=int, default=20_000)
    print(f"{'collection':<36}{'per wall second':>16}{'per CPU second':>16}")
    for row in rows(parser.parse_args().transitions):
        print(f"{row['name']:<36}{row['ours']:>16.0f}{row['cpu']:>16.0f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
