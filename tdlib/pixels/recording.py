"""Sets of pictures that an environment shows: for simulators that paint themselves, whose states say too little.

A set of a system needs none of this: its states are stored, and painted when they are asked for.
"""

import gymnasium
import numpy as np
import torch

from tdlib.core.seeding import derive_seed
from tdlib.core.specs import EnvironmentSpec, continued, wrap_state
from tdlib.core.time_grid import delta_t_of
from tdlib.data.schema import DatasetError, TransitionDataset, check_dataset
from tdlib.pixels.frames import FRAMES

STEPS = ("state", "next_state", "action", "reward", "terminated", "delta_t", "exit_time", "limit_hit")
POLICY = "actions drawn uniformly at every interval"


def record_frames(
    env: gymnasium.Env, spec: EnvironmentSpec, num_episodes: int, num_steps: int, *, seed: int = 0
) -> TransitionDataset:
    """Record episodes under actions drawn from the environment's space, anew at every interval.

    Args:
        env: Shows pixels (H, W, C), has a `control_frequency`, and says `state` in the info of a reset and of a step,
            the latter at the end of the interval (or as `next_state`); of a step also `delta_t` [s], where it was cut
            short, `exit_time` [s] and `limit_hit`, where it knows them.
        spec: Names of states and actions; actions are indices of its table, or its inputs.
        num_episodes: How many.
        num_steps: Intervals of each; an episode that ends before is shorter.
        seed: Of starts and actions.

    Returns:
        A set with a column `frames`, the picture at the start of each interval.

    Raises:
        ValueError: If a number is not positive.
        DatasetError: If the environment shows no pixels, or says no state.
    """
    for name, value in (("num_episodes", num_episodes), ("num_steps", num_steps)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    shown = env.observation_space
    if not isinstance(shown, gymnasium.spaces.Box) or shown.dtype != np.uint8 or len(shown.shape) != 3:
        raise DatasetError(f"env must show pixels (H, W, C) uint8 to be recorded, got {shown}")
    frequency = float(env.get_wrapper_attr("control_frequency"))
    env.action_space.seed(derive_seed(seed, "record", spec.name) % 2**32)
    episodes = []
    for number in range(num_episodes):
        start = derive_seed(seed, "record", spec.name, number) % 2**32
        episodes.append(_episode(env, spec, num_steps, delta_t_of(frequency), start))
    origin: dict[str, str | int | float] = {"env": spec.name, "seed": seed, "policy": POLICY}
    return check_dataset(TransitionDataset.from_episodes(episodes, spec, frequency, origin), "recording")


def _episode(
    env: gymnasium.Env, spec: EnvironmentSpec, num_steps: int, delta_t: float, seed: int
) -> dict[str, np.ndarray]:
    frame, info = env.reset(seed=seed)
    if "state" not in info:
        raise DatasetError(f"env must say its state in the info of a reset, got {sorted(info)}")
    columns: dict[str, list] = {name: [] for name in (FRAMES, *STEPS)}
    for _ in range(num_steps):
        before, action = info.get("next_state", info["state"]), env.action_space.sample()
        columns[FRAMES].append(frame)
        frame, reward, terminated, truncated, info = env.step(action)
        lasted = info.get("delta_t", delta_t)  # less than an interval where the episode ended inside it
        exit_time = info.get("exit_time", lasted if terminated else np.inf)
        following, held = info.get("next_state", info["state"]), np.reshape(action, -1)
        values = before, following, held, reward, terminated, lasted, exit_time, info.get("limit_hit", False)
        for name, value in zip(STEPS, values, strict=True):
            columns[name].append(value)
        if terminated or truncated:
            break
    found = {name: np.asarray(values) for name, values in columns.items()}
    state, following = (torch.from_numpy(found[name].astype(np.float64)) for name in ("state", "next_state"))
    state = wrap_state(state, spec)
    count = len(state)
    found |= {"state": state.numpy(), "next_state": continued(following, state, spec).numpy()}
    found |= {"observation": state.numpy(), "truncated": np.arange(count) == count - 1}
    found["truncated"] &= ~found["terminated"]
    found["t"] = np.cumsum(found["delta_t"]) - found["delta_t"]
    return found if not spec.parameter_names else found | {"parameters": np.asarray(info["parameters"])}
