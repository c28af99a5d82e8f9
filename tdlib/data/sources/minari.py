"""Exchange sets with Minari, the Farama format of offline data, as local folders (nothing is downloaded).

Minari knows episodes, not time: t, Δt and physical states travel in `infos`, rate and specification in the metadata.
"""

import json
import math
import os
import tempfile
from pathlib import Path

import gymnasium
import minari
import numpy as np
from minari import EpisodeData
from minari.data_collector import EpisodeBuffer

from tdlib.core.specs import EnvironmentSpec, spec_values
from tdlib.core.time_grid import delta_t_of
from tdlib.data.observations import observe, state_from_observation
from tdlib.data.schema import PARAMETERS, DatasetError, TransitionDataset, check_dataset, continue_angles
from tdlib.data.storage import spec_from_json
from tdlib.envs import make_environment
from tdlib.systems import SYSTEMS

PHYSICAL = ("state", "next_state", "exit_time", "limit_hit", "t", "delta_t")
EXTRA = "extra_"  # in front of the names of further columns
SPEC_KEY, RATE_KEY = "tdlib_spec", "tdlib_control_frequency"


def export_minari(dataset: TransitionDataset, folder: Path | str, dataset_id: str) -> Path:
    """Write a set as a Minari data set in `folder / dataset_id`.

    Args:
        dataset: Set of kind "episodes" of a registered environment.
        folder: Folder of Minari data sets.
        dataset_id: Name such as `tdlib/pendulum-10hz-v0`.

    Raises:
        ValueError: If the set is branched, its environment unknown, or the target exists.
    """
    target = Path(folder) / dataset_id
    if dataset.kind != "episodes":
        raise DatasetError(f"dataset must be of kind 'episodes', got {dataset.kind!r}")
    if target.exists():
        raise ValueError(f"dataset_id must be new in this folder, {str(target)!r} exists")
    env = make_environment(dataset.spec.name, dataset.control_frequency or 1 / dataset.spec.reward_delta_t)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".tmp-") as temporary:
        _create(dataset, env, dataset_id, temporary)
        os.replace(Path(temporary) / dataset_id, target)
    return target


def _create(dataset: TransitionDataset, env: gymnasium.Env, dataset_id: str, folder: str) -> None:
    buffers = [_episode_buffer(dataset, i) for i in range(dataset.num_episodes)]
    before = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = folder  # Minari has no other way to say where
    try:
        created = minari.create_dataset_from_buffers(
            dataset_id,
            buffers,
            env=env.spec,
            eval_env=env.spec,
            algorithm_name=str(dataset.attributes.get("policy", "unknown")),
            description=f"{dataset.spec.name}; physical states, t and delta_t in infos",
            data_format="hdf5",
            author="tdlib",
            author_email="none",
            code_permalink="none",
        )
        rate = math.nan if dataset.control_frequency is None else dataset.control_frequency
        created.storage.update_metadata({SPEC_KEY: json.dumps(spec_values(dataset.spec)), RATE_KEY: rate})
    finally:
        if before is None:
            del os.environ["MINARI_DATASETS_PATH"]
        else:
            os.environ["MINARI_DATASETS_PATH"] = before


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
        control_frequency: Rate of a foreign set [Hz].

    Raises:
        DatasetError: If the folder holds no data set, or a foreign set comes without spec or rate.
    """
    path = Path(path)
    data = path / "data" if (path / "data").is_dir() else path
    if not (data / "metadata.json").is_file():
        raise DatasetError(f"path must be the folder of a Minari data set, got {str(path)!r}")
    source = minari.MinariDataset(data)
    metadata = source.storage.metadata
    own = SPEC_KEY in metadata
    if own:
        rate = float(metadata[RATE_KEY])
        spec, control_frequency = spec_from_json(metadata[SPEC_KEY]), None if math.isnan(rate) else rate
        episodes = [_own_episode(episode) for episode in source.iterate_episodes()]
    elif spec is None or control_frequency is None:
        raise DatasetError("spec and control_frequency must be given for a Minari data set without them, got None")
    else:
        episodes = [_foreign_episode(episode, spec, control_frequency) for episode in source.iterate_episodes()]
    attributes = {"policy": str(metadata.get("algorithm_name", "unknown")), "imported_from": "Minari"}
    dataset = TransitionDataset.from_episodes(episodes, spec, control_frequency, attributes)
    return check_dataset(dataset, path.name)


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
    state, next_state = continue_angles(states[:-1], states[1:], spec)
    for i in spec.angle_dims:  # an interval is taken to turn by less than half a turn
        next_state[:, i] -= 2 * math.pi * np.round((next_state[:, i] - state[:, i]) / (2 * math.pi))
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
