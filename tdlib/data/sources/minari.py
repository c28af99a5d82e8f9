"""Exchange sets with Minari, the Farama format of offline data, as local folders (nothing is downloaded).

Minari knows episodes, not time: t, Δt and physical states travel in `infos`; rate, specification, origin and the
numbers of the episodes in the metadata.
"""

import dataclasses
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
from gymnasium import spaces
from minari import EpisodeData
from minari.data_collector import EpisodeBuffer

from tdlib.core.specs import EnvironmentSpec, spec_values
from tdlib.core.time_grid import delta_t_of
from tdlib.data.observations import observe, state_from_observation
from tdlib.data.schema import PARAMETERS, DatasetError, TransitionDataset, check_dataset
from tdlib.data.sources.logs import rows_of_states
from tdlib.data.sources.recording import AS_FOUND, Reading, refuse_unused
from tdlib.data.storage import check_rate, spec_from_json
from tdlib.envs import ENVIRONMENTS, make_environment
from tdlib.systems import SYSTEMS

PHYSICAL = ("state", "next_state", "exit_time", "limit_hit", "t", "delta_t")
EXTRA = "extra_"  # in front of the names of further columns
SPEC_KEY, RATE_KEY, ORIGIN_KEY = "tdlib_spec", "tdlib_control_frequency", "tdlib_origin"
DATASET_ID = re.compile(r"(?:[\w-]+/)*[\w-]+-v\d+")
NOT_WHOLE = (OSError, KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, AssertionError)


def export_minari(dataset: TransitionDataset, folder: Path | str, dataset_id: str) -> Path:
    """Write a set as a Minari data set in `folder / dataset_id`.

    Args:
        dataset: Set of kind "episodes"; an environment that is registered travels with it.
        folder: Folder of Minari data sets.
        dataset_id: Name such as `tdlib/pendulum-10hz-v0`.

    Raises:
        ValueError: If the set is branched, the name is not one that Minari takes, or the target exists; nothing is made
            then.
    """
    if dataset.kind != "episodes":
        raise DatasetError(f"dataset must be of kind 'episodes', got {dataset.kind!r}")
    if not DATASET_ID.fullmatch(dataset_id):
        raise ValueError(f"dataset_id must be a name such as 'tdlib/pendulum-10hz-v0', got {dataset_id!r}")
    target = Path(folder) / dataset_id
    if target.exists():
        raise ValueError(f"dataset_id must be new in this folder, {str(target)!r} exists")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".tmp-") as temporary:
        _create(dataset, dataset_id, temporary)
        os.replace(Path(temporary) / dataset_id, target)
    return target


def _create(dataset: TransitionDataset, dataset_id: str, folder: str) -> None:
    buffers = [_episode_buffer(dataset, i) for i in range(dataset.num_episodes)]
    before = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = folder  # Minari has no other way to say where
    try:
        created = minari.create_dataset_from_buffers(
            dataset_id,
            buffers,
            **_described(dataset),
            algorithm_name=str(dataset.attributes.get("policy", "unknown")),
            description=f"{dataset.spec.name}; physical states, t and delta_t in infos",
            data_format="hdf5",
            author="tdlib",
            author_email="none",
            code_permalink="none",
        )
        rate = math.nan if dataset.control_frequency is None else dataset.control_frequency
        attributes = {key: np.asarray(value).item() for key, value in dataset.attributes.items()}
        origin = {"attributes": attributes, "episode_id": dataset.episode_id.tolist()}
        values = {SPEC_KEY: json.dumps(spec_values(dataset.spec)), RATE_KEY: rate, ORIGIN_KEY: json.dumps(origin)}
        created.storage.update_metadata(values)
    finally:
        if before is None:
            del os.environ["MINARI_DATASETS_PATH"]
        else:
            os.environ["MINARI_DATASETS_PATH"] = before


def _described(dataset: TransitionDataset) -> dict[str, Any]:
    """The environment of a set, or the spaces of one that is not registered, as a log's."""
    spec = dataset.spec
    if spec.name in ENVIRONMENTS:
        env = make_environment(spec.name, dataset.control_frequency or 1 / spec.reward_delta_t)
        return {"env": env.spec, "eval_env": env.spec}
    action: gymnasium.Space = spaces.Box(-np.inf, np.inf, (spec.action_dim,), np.float32)
    if spec.num_actions is not None:
        action = spaces.Discrete(spec.num_actions)
    return {
        "observation_space": spaces.Box(-np.inf, np.inf, dataset.observation.shape[1:], np.float32),
        "action_space": action,
    }


def _episode_buffer(dataset: TransitionDataset, index: int) -> EpisodeBuffer:
    rows = dataset.episode(index)
    drawn = None if dataset.parameters is None else dataset.parameters[index]
    last = observe(dataset.next_state[rows.stop - 1], dataset.spec, drawn)
    action = dataset.action[rows]
    others = {EXTRA + name: column[rows] for name, column in dataset.extras.items()}
    if dataset.parameters is not None:
        others[PARAMETERS] = np.repeat(dataset.parameters[index : index + 1], len(action), axis=0)
    return EpisodeBuffer(
        id=index,
        observations=np.concatenate([dataset.observation[rows], last[None]]),
        actions=action[:, 0].astype(np.int64) if dataset.spec.discrete else action.astype(np.float32),
        rewards=dataset.reward[rows],
        terminations=dataset.terminated[rows],
        truncations=dataset.truncated[rows],
        infos={**{name: getattr(dataset, name)[rows] for name in PHYSICAL}, "action": action, **others},
    )


def import_minari(
    path: Path | str, *, spec: EnvironmentSpec | None = None, control_frequency: float | None = None
) -> TransitionDataset:
    """Read a Minari data set from its folder.

    One that `export_minari` wrote comes back exactly. For any other, `spec` and `control_frequency` say what it holds:
    the state is the observation (Pendulum's θ by atan2), time is counted in intervals, and limits are unknown.

    Args:
        path: Folder of the data set, which holds `data/`.
        spec: Environment of a foreign set.
        control_frequency: Rate of a foreign set [Hz]; of our own, the rate that it must have.

    Raises:
        DatasetError: If the folder holds no whole data set, a foreign set comes without spec or rate, or its
            observations are no arrays.
        RateError: If our own has another rate.
    """
    path = Path(path)
    data = path / "data" if (path / "data").is_dir() else path
    if not (data / "metadata.json").is_file():
        raise DatasetError(f"path must be the folder of a Minari data set, got {str(path)!r}")
    with _whole(path):
        source = minari.MinariDataset(data)
        metadata = source.storage.metadata
        episodes = list(source.iterate_episodes())
    if not episodes:
        raise DatasetError(f"path must be a Minari data set with episodes, got {str(path)!r} with none")
    if SPEC_KEY in metadata:
        return _own_set(path, metadata, episodes, spec, control_frequency)
    if spec is None or control_frequency is None:
        raise DatasetError("spec and control_frequency must be given for a Minari data set without them, got None")
    if not isinstance(episodes[0].observations, np.ndarray):
        kind = type(episodes[0].observations).__name__
        raise DatasetError(f"path must be a Minari data set whose observations are arrays, got {str(path)!r}: {kind}")
    with _whole(path):
        rows = [_foreign_episode(episode, spec, control_frequency) for episode in episodes]
    attributes = {"policy": str(metadata.get("algorithm_name", "unknown")), "imported_from": "Minari"}
    return check_dataset(TransitionDataset.from_episodes(rows, spec, control_frequency, attributes), path.name)


def read_minari_log(path: Path | str, reading: Reading = AS_FOUND) -> TransitionDataset:
    """Read a Minari data set as `import_minari` does, told its environment and rate by a `Reading`."""
    refuse_unused(reading, ("control_frequency", "spec", "stamps"), Path(path).name)
    return import_minari(path, spec=reading.spec, control_frequency=reading.control_frequency)


def _own_set(
    path: Path,
    metadata: dict[str, Any],
    episodes: list[EpisodeData],
    spec: EnvironmentSpec | None,
    control_frequency: float | None,
) -> TransitionDataset:
    with _whole(path):
        rate, own = float(metadata[RATE_KEY]), spec_from_json(metadata[SPEC_KEY])
        origin = json.loads(metadata.get(ORIGIN_KEY, "{}"))
        rows = [_own_episode(episode) for episode in episodes]
    if spec is not None and spec != own:
        raise DatasetError(f"spec must be the set's own, that of {own.name}, got another of {spec.name}")
    attributes = origin.get("attributes") or {
        "policy": str(metadata.get("algorithm_name", "unknown")),
        "imported_from": "Minari",
    }
    dataset = TransitionDataset.from_episodes(rows, own, None if math.isnan(rate) else rate, attributes)
    if "episode_id" in origin:
        dataset = dataclasses.replace(dataset, episode_id=np.array(origin["episode_id"]))
    dataset = check_dataset(dataset, path.name)
    if control_frequency is not None:
        check_rate(dataset, control_frequency, path.name)
    return dataset


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn what Minari and its files raise in the block into an error that names the folder."""
    try:
        yield
    except DatasetError:
        raise
    except NOT_WHOLE as reason:
        what = f"{type(reason).__name__}: {reason}"
        raise DatasetError(f"path must be a whole Minari data set, got {str(path)!r}: {what}") from reason


def _common(episode: EpisodeData) -> dict[str, np.ndarray]:
    return {
        "observation": episode.observations[:-1],
        "reward": episode.rewards,
        "terminated": episode.terminations,
        "truncated": episode.truncations,
    }


def _own_episode(episode: EpisodeData) -> dict[str, np.ndarray]:
    infos = episode.infos
    extras = {name.removeprefix(EXTRA): infos[name] for name in infos if name.startswith(EXTRA)}
    drawn = {PARAMETERS: infos[PARAMETERS][0]} if PARAMETERS in infos else {}
    return {**_common(episode), **{name: infos[name] for name in (*PHYSICAL, "action")}, **drawn, **extras}


def _foreign_episode(episode: EpisodeData, spec: EnvironmentSpec, control_frequency: float) -> dict[str, np.ndarray]:
    length, delta_t = len(episode), delta_t_of(control_frequency)
    states = state_from_observation(episode.observations, spec)
    state, next_state = rows_of_states(states, spec)
    return {
        **_common(episode),
        "state": state,
        "next_state": next_state,
        "action": np.asarray(episode.actions, dtype=np.float64).reshape(length, -1),
        "exit_time": np.where(episode.terminations, delta_t, np.inf),
        "limit_hit": _at_a_limit(next_state, spec),
        "t": np.arange(length) * delta_t,
        "delta_t": np.full(length, delta_t),
    }


def _at_a_limit(next_state: np.ndarray, spec: EnvironmentSpec) -> np.ndarray:
    limits = SYSTEMS[spec.name].state_limits if spec.name in SYSTEMS else None
    if limits is None:
        return np.zeros(len(next_state), dtype=bool)
    low, high = np.array(limits).T * (1 - 1e-6)  # what is read back may be rounded
    return ((next_state <= low) | (next_state >= high)).any(axis=1)
