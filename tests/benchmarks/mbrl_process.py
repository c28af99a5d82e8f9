"""mbrl 0.2.0's CEM in a process of its own, since it wants Gymnasium 0.26: `python mbrl_process.py weights.npz`.

Plans once for every number of commands that comes as a line `run 5`, and answers with a line of seconds per call.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time

import gymnasium
import mbrl.models
import mbrl.planning
import numpy as np
import omegaconf
import torch
from plain_pendulum import HORIZON, SAMPLES, PlainPendulum, cost

ITERATIONS = 4


class Learned(mbrl.models.Model):
    """The plain model behind the interface that mbrl's `ModelEnv` calls."""

    def __init__(self, arrays: list[np.ndarray]):
        super().__init__("cpu")
        self.network = PlainPendulum(arrays)

    def reset(self, obs, rng=None):
        """Start from observations (N, 2), which are the states here."""
        return {"obs": torch.from_numpy(obs)}

    def sample(self, act, model_state, deterministic=False, rng=None):
        """Predict one step; reward and end come from `ModelEnv`."""
        following = self.network(model_state["obs"], act)
        return following, None, None, {"obs": following}

    def loss(self, model_in, target=None):
        raise RuntimeError("the model is trained already")

    def eval_score(self, model_in, target=None):
        raise RuntimeError("the model is trained already")

    def update(self, model_in, optimizer, target=None):
        raise RuntimeError("the model is trained already")


def planner(arrays: list[np.ndarray]) -> mbrl.planning.TrajectoryOptimizerAgent:
    """mbrl's agent: CEM with 512 samples in four iterations, its defaults otherwise."""
    env = gymnasium.make("Pendulum-v1")
    model_env = mbrl.models.ModelEnv(
        env,
        Learned(arrays),
        termination_fn=lambda act, obs: torch.zeros(len(obs), 1, dtype=torch.bool),
        reward_fn=lambda act, obs: -cost(obs, act)[:, None],
    )
    optimizer = {
        "_target_": "mbrl.planning.CEMOptimizer",
        "num_iterations": ITERATIONS,
        "elite_ratio": 0.1,
        "population_size": SAMPLES // ITERATIONS,
        "alpha": 0.1,
        "device": "cpu",
        "lower_bound": "???",
        "upper_bound": "???",
    }
    agent = {
        "_target_": "mbrl.planning.TrajectoryOptimizerAgent",
        "_recursive_": False,  # as under hydra 1.0: the agent builds its optimizer itself
        "action_lb": [-2.0],
        "action_ub": [2.0],
        "planning_horizon": HORIZON,
        "optimizer_cfg": optimizer,
    }
    return mbrl.planning.create_trajectory_optim_agent_for_model(model_env, omegaconf.OmegaConf.create(agent))


def main() -> None:
    """Answer one line per request until the input ends."""
    torch.set_num_threads(1)
    with np.load(sys.argv[1], allow_pickle=False) as saved:
        agent = planner([saved[name] for name in saved.files])
    state = np.array([3.0, 0.0], dtype=np.float32)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        started = time.perf_counter()
        for _ in range(int(line.split()[1])):
            agent.act(state)
        sys.stdout.write(f"{time.perf_counter() - started}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
