"""Train one PPO agent per environment, rate and seed, and keep every transition of its training.

This is the one file that imports stable-baselines3, so that SAC for other simulators is here too. By hand:

    python -m tdlib.data.sources.ppo --env Pendulum-v1 --rate 20 --seed 0 --transitions 500000 --out FOLDER
"""

import argparse
import dataclasses
import hashlib
import json
import logging
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv

from tdlib.core.files import atomic_path
from tdlib.core.time_grid import delta_t_of, rate_label
from tdlib.data.schema import SCHEMA_VERSION, TransitionDataset
from tdlib.data.sources.attempts import MAX_ATTEMPTS, Attempt, agent_seed, attempts_text, outcome_of
from tdlib.data.sources.policy import Policy, save_policy
from tdlib.data.sources.ppo_settings import MIN_TRANSITIONS, ppo_environments, ppo_settings
from tdlib.data.sources.recorder import EpisodeRecorder
from tdlib.data.sources.written_out_policy import WrittenOutPolicy
from tdlib.data.splits import write_splits
from tdlib.data.storage import save_dataset
from tdlib.envs import SystemEnvironment
from tdlib.systems import get_system
from tdlib.systems.system import System
from tdlib.systems.task import NUM_ENVS, PPOSettings

EPISODES_PER_CHECKPOINT = 100
FINAL_MODEL = "final_model.zip"
SAC_STARTS = 1000  # decisions at random before the first update
ADAM_EPSILON = 1e-5  # stable-baselines3's for actor-critics, which naming any option of Adam would drop
logger = logging.getLogger(__name__)


class MultiFrequencyDataCollector(DummyVecEnv):
    """Environments side by side in one process, recorded below every wrapper that may change what the agent sees.

    The recorder gets the raw observation, reward and true next state before an automatic reset; the agent gets the
    reward times `reward_scale`.

    Args:
        system: Equation and task.
        control_frequency: Decisions per second [Hz].
        num_transitions: Number of transitions to keep; further steps run unrecorded.
        num_envs: Number of environments.
        reward_scale: Factor on the reward the agent learns from.
    """

    def __init__(
        self,
        system: System,
        control_frequency: float,
        num_transitions: int,
        num_envs: int = NUM_ENVS,
        reward_scale: float = 1.0,
    ):
        super().__init__([lambda: SystemEnvironment(system, control_frequency) for _ in range(num_envs)])
        self.recorder = EpisodeRecorder(system.spec, num_envs, num_transitions)
        self.reward_scale = reward_scale
        self._observations: list[np.ndarray] = []
        self._returns, self._lengths = np.zeros(num_envs), np.zeros(num_envs, dtype=int)

    def reset(self) -> np.ndarray:
        """Start all environments anew."""
        observations = super().reset()
        self._observations = list(observations.copy())
        return observations

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict]]:
        """Step every environment once, record, and reset those whose episode ended."""
        rewards, ended, infos = np.zeros(self.num_envs, np.float32), np.zeros(self.num_envs, bool), []
        for i, env in enumerate(self.envs):
            held = np.asarray(self.actions[i]).reshape(-1).tolist()
            observation, reward, terminated, truncated, info = env.step(held)
            self.recorder.add(i, self._observations[i], held, reward, observation, terminated, truncated, info)
            self._returns[i] += reward
            self._lengths[i] += 1
            rewards[i], ended[i] = self.reward_scale * reward, terminated or truncated
            report = {}
            if ended[i]:
                report = {
                    "TimeLimit.truncated": truncated and not terminated,
                    "terminal_observation": observation,
                    "episode": {"r": self._returns[i], "l": int(self._lengths[i]), "t": time.perf_counter()},
                }
                self._returns[i], self._lengths[i] = 0.0, 0
                observation, self.reset_infos[i] = env.reset()
            self._observations[i] = observation
            infos.append(report)
        return np.stack(self._observations), rewards, ended, infos


class _CollectionCallback(BaseCallback):
    """Stop at N transitions, save the policy every 100 episodes, report progress."""

    def __init__(self, collector: MultiFrequencyDataCollector, folder: Path, progress: Callable | None):
        super().__init__()
        self.collector, self.folder, self.progress = collector, folder, progress
        self.next_checkpoint = EPISODES_PER_CHECKPOINT
        self.next_report = 0

    def _on_step(self) -> bool:
        recorder = self.collector.recorder
        if recorder.num_episodes >= self.next_checkpoint:
            with atomic_path(self.folder / f"policy_episode{self.next_checkpoint:06d}.pth") as temporary:
                torch.save(self.model.policy.state_dict(), temporary)
            self.next_checkpoint += EPISODES_PER_CHECKPOINT
        if self.progress is not None and (recorder.num_recorded >= self.next_report or recorder.full):
            self.progress(recorder.num_recorded, recorder.num_transitions)
            self.next_report = recorder.num_recorded + recorder.num_transitions // 100
        return not recorder.full


def collect_ppo(
    env: str,
    control_frequency: float,
    seed: int,
    num_transitions: int,
    out_dir: Path | str,
    progress: Callable[[int, int], None] | None = None,
    *,
    settings: PPOSettings | None = None,
    require_gain: bool = False,
) -> Path:
    """Train a PPO agent for exactly `num_transitions` steps and write all of them.

    Leaves in `out_dir`: `final_dataset_<rate>.h5` with its splits, `final_model.zip` (for others; never loaded here),
    `policy.pth` and `policy.yaml`, `checkpoints/` (policy every 100 episodes), `tensorboard/`. The whole set is written
    last, so its presence means that the collection is complete.

    Args:
        env: A system with settings of PPO.
        control_frequency: Decisions per second [Hz].
        seed: Experiment seed.
        num_transitions: N, at least 100.
        out_dir: Folder of this environment, rate and seed.
        progress: Called with (transitions so far, N).
        settings: Replace the settings of the system's own.
        require_gain: Let another agent take the place of one whose return did not rise, as `sources.attempts` says; the
            set names its `attempt` and all `attempts`.

    Returns:
        Path of the whole set.

    Raises:
        ValueError: If the environment has no PPO settings, or rate, seed or N is not usable.
    """
    settings = settings or ppo_settings(env, control_frequency)
    if isinstance(num_transitions, bool) or not isinstance(num_transitions, int) or num_transitions < MIN_TRANSITIONS:
        raise ValueError(f"num_transitions must be a whole number >= {MIN_TRANSITIONS}, got {num_transitions!r}")
    system, out_dir = get_system(env), Path(out_dir)
    origin = {"seed": seed, "num_transitions": num_transitions, **_describe(env, control_frequency, settings)}
    origin["settings_hash"] = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()
    path = out_dir / f"final_dataset_{rate_label(control_frequency)}.h5"
    attempts: list[Attempt] = []
    while True:
        chosen = agent_seed(seed, env, control_frequency, len(attempts) + 1)
        collector = MultiFrequencyDataCollector(
            system, control_frequency, num_transitions, reward_scale=settings.reward_scale
        )
        agent, dataset = _train(collector, settings, control_frequency, chosen, out_dir, origin, progress)
        attempts.append(outcome_of(dataset, len(attempts) + 1, chosen))
        if attempts[-1].gained or not require_gain or len(attempts) == MAX_ATTEMPTS:
            break
        logger.warning("%s at %g Hz, seed %d: no gain in %s", env, control_frequency, seed, attempts[-1])
    tried: dict[str, str | int | float] = {"attempt": len(attempts), "attempts": attempts_text(attempts)}
    dataset = dataset.with_attributes(**tried)
    with atomic_path(out_dir / FINAL_MODEL) as temporary:
        agent.save(temporary)
    save_policy(out_dir, _plain_policy(agent, system), {"origin": {**origin, **tried}})
    write_splits(dataset, path, seed)
    return save_dataset(dataset, path)


def learned_policy(env: gymnasium.Env, num_steps: int, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Train SAC with its library's own settings on an environment that is no system; its actions are sampled.

    Args:
        env: Any Gymnasium environment with an observation of plain numbers and inputs in a box.
        num_steps: Decisions to learn from.
        seed: Of the agent and of its environment.
    """
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        first = min(SAC_STARTS, num_steps // 2)
        agent = SAC("MlpPolicy", env, learning_starts=first, buffer_size=num_steps, seed=seed % 2**31, device="cpu")
        agent.learn(num_steps)
    finally:
        torch.set_num_threads(num_threads)
    return lambda observation: agent.predict(observation)[0]


def _train(
    collector: MultiFrequencyDataCollector,
    settings: PPOSettings,
    control_frequency: float,
    seed: int,
    out_dir: Path,
    origin: dict[str, str | int | float],
    progress: Callable[[int, int], None] | None,
) -> tuple[PPO, TransitionDataset]:
    """Train one agent; return it with all transitions of its training."""
    num_transitions, delta_t = collector.recorder.num_transitions, delta_t_of(control_frequency)
    for name in ("checkpoints", "tensorboard"):
        shutil.rmtree(out_dir / name, ignore_errors=True)
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # layers of 64 units: a second thread only costs
    try:
        started = time.perf_counter(), time.process_time()
        agent = _agent(collector, settings, delta_t, num_transitions, seed)
        agent.set_logger(configure(str(out_dir / "tensorboard"), ["tensorboard"]))
        agent.learn(num_transitions, callback=_CollectionCallback(collector, out_dir / "checkpoints", progress))
        agent.logger.close()
        seconds = time.perf_counter() - started[0], time.process_time() - started[1]
    finally:
        torch.set_num_threads(num_threads)
    speed = {"wall_seconds": seconds[0], "cpu_seconds": seconds[1]}
    return agent, collector.recorder.dataset(control_frequency, {**origin, **speed})


def _describe(env: str, control_frequency: float, settings: PPOSettings) -> dict[str, str | int | float]:
    system = get_system(env)
    return {
        "env_id": env,
        "rate": float(control_frequency),
        "policy": "PPO in training, actions sampled",
        "ppo_settings": json.dumps(dataclasses.asdict(settings)),
        "num_envs": NUM_ENVS,
        "time_limit": system.spec.time_limit,
        "sim_step": system.max_substep,
        "integrator": system.integrator,
        "schema_version": SCHEMA_VERSION,
    }


def _agent(
    collector: MultiFrequencyDataCollector, settings: PPOSettings, delta_t: float, num_transitions: int, seed: int
) -> PPO:
    agent = PPO(
        "MlpPolicy",
        collector,
        **settings.algorithm_options(delta_t, num_transitions),
        policy_kwargs={**settings.policy_options, "optimizer_kwargs": {"eps": ADAM_EPSILON, "fused": True}},
        seed=seed,
        device="cpu",
    )
    if settings.noise_hold is not None or collector.recorder.spec.discrete:
        WrittenOutPolicy(agent.policy).install()
    return agent


def _plain_policy(agent: PPO, system: System) -> Policy:
    """Copy the deterministic part of the agent's policy into plain layers."""
    spec, network = system.spec, agent.policy.mlp_extractor.policy_net
    layers = [*(m for m in network if isinstance(m, torch.nn.Linear)), agent.policy.action_net]
    sizes = [layers[0].in_features, *(layer.out_features for layer in layers)]
    policy = Policy(sizes, spec.discrete, spec.input_low, spec.input_high)
    own = [layer for layer in policy.network if isinstance(layer, torch.nn.Linear)]
    for target, source in zip(own, layers, strict=True):
        target.load_state_dict(source.state_dict())
    return policy


def main(arguments: list[str] | None = None) -> int:
    """Run one collection from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", required=True, help=" or ".join(ppo_environments()))
    parser.add_argument("--rate", required=True, type=float, help="control frequency [Hz]")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--transitions", default=500_000, type=int)
    parser.add_argument("--out", required=True, type=Path, help="folder of this environment, rate and seed")
    options = parser.parse_args(arguments)

    def progress(done: int, total: int) -> None:
        end = "\n" if done >= total else ""
        sys.stderr.write(f"\r{options.env} {options.rate:g} Hz: {done} of {total} transitions{end}")

    job = (options.env, options.rate, options.seed, options.transitions, options.out)
    try:
        path = collect_ppo(*job, progress)
    except ValueError as error:
        parser.error(str(error))
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
