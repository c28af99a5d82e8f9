"""Phase 1: the data of one environment - PPO agents per rate, random inputs per rate, and branched pairs."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tdlib.core.facts import FRICTION, env_folder
from tdlib.core.time_grid import delta_t_of, rate_label
from tdlib.data import (
    TransitionDataset,
    load_dataset,
    load_splits,
    read_attributes,
    split_path,
    write_branched,
    write_normalization_stats,
    write_random,
)
from tdlib.data.sources.ppo_settings import has_ppo
from tdlib.data.sources.sequences import write_sequences
from tdlib.data.splits import SPLITS
from tdlib.data.verify import short_share
from tdlib.evaluation.control.collect import write_with_planned
from tdlib.study.clock import part
from tdlib.study.progress import Progress
from tdlib.study.provenance import STAMP, Result, sources_of
from tdlib.study.run import Run
from tdlib.systems import SYSTEMS


def ppo_dataset_path(run: Run, env: str, rate: float, seed: int) -> Path:
    """Path of the whole set that one PPO agent left behind."""
    label = rate_label(rate)
    return run.layout.ppo_folder(env, label, seed) / f"final_dataset_{label}.h5"


def random_dataset_path(run: Run, env: str, rate: float, seed: int) -> Path:
    """Path of the whole set under random inputs."""
    label = rate_label(rate)
    return run.layout.random_folder(env, label, seed) / f"dataset_{label}.h5"


def friction_dataset_path(run: Run, env: str, rate: float, seed: int, factor: float) -> Path:
    """Path of the whole set under random inputs of the system with so many times its losses."""
    path = random_dataset_path(run, env, rate, seed)
    return path.parent / f"{FRICTION}{factor:g}" / path.name


def main_dataset_path(run: Run, env: str, rate: float, seed: int) -> Path:
    """Path of the set that models of this rate and seed train on: PPO's where there is one."""
    choose = ppo_dataset_path if has_ppo(env) else random_dataset_path
    return choose(run, env, rate, seed)


def branched_path(run: Run, env: str, seed: int, split: str) -> Path:
    """Path of one split of the pairs flowed to log-uniform intervals."""
    return run.layout.branched_folder(env, seed) / f"log_uniform_{split}.h5"


def load_branched(run: Run, env: str, seed: int, split: str) -> TransitionDataset:
    """Load one split of the branched pairs."""
    return load_dataset(branched_path(run, env, seed, split))


def collect_environment(run: Run, env: str, seeds: Sequence[int] | None = None) -> pd.DataFrame:
    """Collect everything of one environment that is not there yet; return one row per set.

    Args:
        run: Preset and folders.
        env: One of the preset's environments.
        seeds: Some of the preset's seeds; None or empty for all.
    """
    ensure_collected(run, env, seeds)
    return summarize_data(run, env, seeds)


@part("collection")
def ensure_collected(run: Run, env: str, seeds: Sequence[int] | None = None) -> None:
    """Collect what is missing of one environment, and what does not stand any more."""
    env, seeds = run.select_environment(env), run.select_seeds(seeds)
    total = run.preset.collection.num_transitions * len(seeds) * len(run.preset.train_frequencies)
    progress = Progress(f"collecting {env}")
    for result, place, make in _collections(run, env, seeds, lambda done: progress(done, total)):
        if not result.is_current():
            make()
            result.record(_files(place))


def adopt_data(run: Run, env: str) -> int:
    """Take the sets that lie in the run's folders as those of this preset and source, and mark them as adopted.

    For data of another version of the library, or of another machine, that are to be used as they are.

    Returns:
        How many results there are.

    Raises:
        ValueError: If a set is missing.
    """
    count = 0
    for result, place, _ in _collections(run, run.select_environment(env), run.preset.own_seeds, lambda _: None):
        result.record(_files(place), adopted=True)
        count += 1
    return count


def data_hashes(
    run: Run, env: str, seeds: Sequence[int], split: str, which: Callable[..., Path] = main_dataset_path
) -> dict[str, str]:
    """Return the content hashes of one split of the sets of some seeds, by rate and seed."""
    return {
        f"{rate_label(rate)}/seed{seed}": content_hash_of(split_path(which(run, env, rate, seed), split))
        for seed in seeds
        for rate in run.preset.train_frequencies
    }


def content_hash_of(path: Path) -> str:
    """Return the content hash that a set's file carries."""
    return str(read_attributes(path)["content_hash"])


def summarize_data(run: Run, env: str, seeds: Sequence[int] | None = None) -> pd.DataFrame:
    """Tabulate the sets of one environment, one row per policy, rate and seed; `short_episodes` is a share of rows."""
    rows = []
    for seed, rate, policy, path in whole_sets(run, env, seeds):
        dataset = load_dataset(path, rate)
        complete = dataset.episode_returns[dataset.episode_complete]
        tail = max(1, len(complete) // 5)
        rows.append(
            {
                "env": env,
                "policy": policy,
                "control_frequency": f"{rate:g}",
                "seed": seed,
                "transitions": len(dataset),
                "seconds": round(dataset.seconds, 1),
                "episodes": dataset.num_episodes,
                "short_episodes": short_share(dataset),
                "first_returns": complete[:tail].mean() if len(complete) else float("nan"),
                "last_returns": complete[-tail:].mean() if len(complete) else float("nan"),
                "limit_hits": int(dataset.limit_hit.sum()),
                "cut_short": dataset.num_cut_short,
            }
        )
    return pd.DataFrame(rows)


def load_returns(run: Run, env: str, seeds: Sequence[int] | None = None) -> pd.DataFrame:
    """Load the returns of all complete PPO episodes against the physical time collected so far."""
    rows = []
    for seed in run.select_seeds(seeds) if has_ppo(env) else ():
        for rate in run.preset.train_frequencies:
            dataset = load_dataset(ppo_dataset_path(run, env, rate, seed), rate)
            ends = np.cumsum(dataset.delta_t)[dataset.episode_offsets[1:] - 1]
            kept = dataset.episode_complete
            rows.append(
                pd.DataFrame(
                    {
                        "env": env,
                        "control_frequency": f"{rate:g}",
                        "seed": seed,
                        "time": ends[kept],
                        "episode_return": dataset.episode_returns[kept],
                    }
                )
            )
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def load_coverage(run: Run, env: str, seeds: Sequence[int] | None = None, num_states: int = 2000) -> pd.DataFrame:
    """Load states of every main set, at most `num_states` each, evenly spread over the collection."""
    tables = []
    for seed in run.select_seeds(seeds):
        for rate in run.preset.train_frequencies:
            dataset = load_dataset(main_dataset_path(run, env, rate, seed), rate)
            rows = np.linspace(0, len(dataset) - 1, min(num_states, len(dataset))).astype(int)
            columns = dict(zip(dataset.spec.state_names, dataset.state[rows].T, strict=True))
            policy = "ppo" if has_ppo(env) else "random"
            place = {"env": env, "control_frequency": f"{rate:g}", "seed": seed, "source": policy}
            tables.append(pd.DataFrame(columns).assign(**place))
    return pd.concat(tables, ignore_index=True)


def whole_sets(run: Run, env: str, seeds: Sequence[int] | None) -> Iterator[tuple[int, float, str, Path]]:
    """Yield (seed, rate, policy, path) of every whole set of one environment."""
    for seed in run.select_seeds(seeds):
        for rate in run.preset.train_frequencies:
            if has_ppo(env):
                yield seed, rate, "ppo", ppo_dataset_path(run, env, rate, seed)
            yield seed, rate, "random", random_dataset_path(run, env, rate, seed)
            for factor in run.preset.frictions(env):
                path = friction_dataset_path(run, env, rate, seed, factor)
                yield seed, rate, f"random, {FRICTION}{factor:g}", path


def _collections(
    run: Run, env: str, seeds: Sequence[int], report: Callable[[int], None]
) -> Iterator[tuple[Result, Path, Callable[[], object]]]:
    """Yield what belongs to the data of one environment: the result, its folder, and what makes it, in order.

    Args:
        run: Preset and folders.
        env: Environment.
        seeds: Seeds.
        report: Called with the number of PPO transitions that are there.
    """
    rates, collection = run.preset.train_frequencies, run.preset.collection
    count, num_random = collection.num_transitions, collection.num_random_transitions
    makers = ("sources.ppo", "sources.random", "sources.sequences", "sources.branched", "splits")
    sources = {name: sources_of(f"tdlib.data.{name}", system=env) for name in makers}
    for place, (seed, rate) in enumerate((seed, rate) for seed in seeds for rate in rates):
        what = {"env": env, "rate": rate, "seed": seed}
        if has_ppo(env):
            folder = run.layout.ppo_folder(env, rate_label(rate), seed)
            gain = collection.require_gain
            result = Result(folder / STAMP, sources=sources["sources.ppo"], **what, count=count, require_gain=gain)

            def told(done: int, _: int, before: int = place * count) -> None:
                report(before + done)

            yield result, folder, partial(_collect_ppo, env, rate, seed, count, folder, told, gain)
        report((place + 1) * count)
        folder = run.layout.random_folder(env, rate_label(rate), seed)
        if (length := collection.sequence_length) is None:
            make = partial(write_random, env, rate, seed, num_random, folder)
            made_by, settings = sources["sources.random"], dict[str, Any]()
            if share := run.preset.planned_share(env):
                planner, replan = run.preset.planner(env, collecting=True), run.preset.control.replan_seconds
                settings = {"planned_share": share, "replan_seconds": replan, "planner": repr(planner)}
                planned = settings | {"planner": planner}
                make = partial(write_with_planned, env, rate, seed, num_random, folder, **planned)
                made_by = sources_of("tdlib.evaluation.control.collect", system=env)
            yield Result(folder / STAMP, sources=made_by, **what, count=num_random, **settings), folder, make
        else:
            made_by = sources["sources.sequences"]
            collect = partial(
                write_sequences,
                num_sequences=num_random // length,
                sequence_length=length,
                seed=seed,
                delta_t=delta_t_of(rate),
            )
            result = Result(folder / STAMP, sources=made_by, **what, count=num_random, sequence_length=length)
            yield result, folder, partial(collect, env, path=random_dataset_path(run, env, rate, seed))
            for factor in run.preset.frictions(env):
                path, other = friction_dataset_path(run, env, rate, seed, factor), SYSTEMS[env].with_losses(factor)
                also = {"count": num_random, "sequence_length": length, "friction": factor}
                result = Result(path.parent / STAMP, sources=made_by, **what, **also)
                yield result, path.parent, partial(collect, other, path=path)
    for seed in seeds:
        folder = run.layout.branched_folder(env, seed)
        data = {split: data_hashes(run, env, [seed], split) for split in SPLITS}
        made_by = sources["sources.branched"]
        result = Result(folder / STAMP, sources=made_by, env=env, seed=seed, rates=rates, data=data)
        yield result, folder, partial(_branch, run, env, seed, folder)
    if tuple(seeds) == run.preset.own_seeds:
        path = run.layout.data / "processed" / f"normalization_stats_{env_folder(env)}.json"
        hashes = data_hashes(run, env, seeds, "train")
        result = Result(path.with_suffix(".yaml"), sources=sources["splits"], data=hashes)
        yield result, path, partial(_write_stats, run, env, seeds, path)


def _files(place: Path) -> list[Path]:
    """Return the files of a result that lies in a folder of its own, or is one file."""
    if not place.is_dir():
        return [place]
    return [path for path in sorted(place.iterdir()) if path.is_file() and path.name != STAMP and path.name[0] != "."]


def _collect_ppo(
    env: str, rate: float, seed: int, count: int, folder: Path, progress: Callable[[int, int], None], gain: bool
) -> None:
    from tdlib.data.sources.ppo import collect_ppo  # stable-baselines3 is slow to import and not always needed

    collect_ppo(env, rate, seed, count, folder, progress, require_gain=gain)


def _branch(run: Run, env: str, seed: int, folder: Path) -> None:
    rates = run.preset.train_frequencies
    splits = [load_splits(main_dataset_path(run, env, rate, seed), rate) for rate in rates]
    sources = {split: [parts[split] for parts in splits] for split in SPLITS}
    write_branched(env, sources, seed, folder, frequencies=rates)


def _write_stats(run: Run, env: str, seeds: Sequence[int], path: Path) -> None:
    sets = {
        f"{env}/{rate_label(rate)}/seed{seed}": load_dataset(
            split_path(main_dataset_path(run, env, rate, seed), "train"), rate
        )
        for seed in seeds
        for rate in run.preset.train_frequencies
    }
    write_normalization_stats(sets, path)
