"""Settings of the PPO agents in seconds, so that a rate changes the number of steps and not the problem.

γ and λ are given per reference interval Δt_ref and raised to Δt/Δt_ref, as in Tallec, Blier & Ollivier (ICML 2019,
"Making Deep Q-learning Methods Robust to Time Discretization"); rollouts and exploration noise last for seconds.
"""

import math
from dataclasses import dataclass

from tdlib.core.time_grid import delta_t_of

NUM_ENVS = 4


@dataclass(frozen=True)
class PPOSettings:
    """One agent's settings.

    Args:
        rollout: Time every environment is simulated between two updates [s].
        minibatch: Transitions per gradient step.
        num_epochs: Passes over a rollout.
        learning_rate: Of Adam, at the start.
        final_learning_rate: At the end of the collection; linear between.
        gamma: Discount per `reference_delta_t`.
        gae_lambda: λ of the advantage estimate per `reference_delta_t`.
        reference_delta_t: Δt_ref [s].
        noise_hold: Time after which the state-dependent exploration noise is drawn anew [s]; None draws independent
            noise at every step.
        log_std: Logarithm of the initial standard deviation of continuous actions.
        entropy: Weight of the entropy bonus.
        clip_range: PPO's ε.
        reward_scale: Factor on the reward that the agent learns from; the data keep the raw reward.
        hidden: Widths of policy and value network.
    """

    rollout: float
    minibatch: int
    num_epochs: int
    learning_rate: float
    final_learning_rate: float
    gamma: float
    gae_lambda: float
    reference_delta_t: float
    noise_hold: float | None = None
    log_std: float = 0.0
    entropy: float = 0.0
    clip_range: float = 0.2
    reward_scale: float = 0.1
    hidden: tuple[int, ...] = (64, 64)

    def discount(self, delta_t: float) -> float:
        """Return γ of one interval [s]."""
        return self.gamma ** (delta_t / self.reference_delta_t)

    def trace_decay(self, delta_t: float) -> float:
        """Return λ of one interval [s]."""
        return self.gae_lambda ** (delta_t / self.reference_delta_t)

    def rollout_steps(self, delta_t: float, num_transitions: int) -> int:
        """Return steps per environment between updates: whole minibatches, and eight updates in a small collection."""
        longest = max(16, num_transitions // (8 * NUM_ENVS))
        steps = max(2, min(round(self.rollout / delta_t), longest))
        whole = max(1, self.minibatch // NUM_ENVS)
        return steps - steps % whole if steps > whole else steps

    def noise_steps(self, delta_t: float) -> int:
        """Return steps between draws of the exploration noise, at least 1."""
        return max(1, round((self.noise_hold or delta_t) / delta_t))

    def algorithm_options(self, delta_t: float, num_transitions: int) -> dict[str, object]:
        """Return what stable-baselines3's `PPO` is told at one interval [s] for a collection of a given size."""
        num_steps, held = self.rollout_steps(delta_t, num_transitions), self.noise_hold is not None
        start, final = self.learning_rate, self.final_learning_rate
        return {
            "n_steps": num_steps,
            "batch_size": min(self.minibatch, num_steps * NUM_ENVS),
            "n_epochs": self.num_epochs,
            "learning_rate": lambda remaining: final + remaining * (start - final),
            "gamma": self.discount(delta_t),
            "gae_lambda": self.trace_decay(delta_t),
            "clip_range": self.clip_range,
            "ent_coef": self.entropy,
            "use_sde": held,
            "sde_sample_freq": self.noise_steps(delta_t) if held else -1,
        }

    @property
    def policy_options(self) -> dict[str, object]:
        """Shape and first noise of the policy, as stable-baselines3's `policy_kwargs`."""
        return {"net_arch": list(self.hidden), "log_std_init": self.log_std}


def _pendulum(rollout: float) -> PPOSettings:
    return PPOSettings(
        rollout=rollout,
        minibatch=256,
        num_epochs=10,
        learning_rate=1e-3,
        final_learning_rate=1e-4,
        gamma=0.95,
        gae_lambda=0.95,
        reference_delta_t=0.05,
        noise_hold=0.2,
    )


def _cartpole(rollout: float, gae_lambda: float) -> PPOSettings:
    return PPOSettings(
        rollout=rollout,
        minibatch=256,
        num_epochs=10,
        learning_rate=1e-3,
        final_learning_rate=1e-5,
        gamma=0.98,
        gae_lambda=gae_lambda,
        reference_delta_t=0.02,
    )


# a rollout is 512 or 1024 (CartPole: 128) decisions per environment, so that no rate runs short of updates
PPO_SETTINGS: dict[str, dict[float, PPOSettings]] = {
    "Pendulum-v1": {10: _pendulum(51.2), 20: _pendulum(51.2), 50: _pendulum(20.48)},
    "CartPole-v1": {10: _cartpole(12.8, 0.95), 20: _cartpole(6.4, 0.9), 50: _cartpole(2.56, 0.9)},
}


def ppo_settings(env: str, control_frequency: float) -> PPOSettings:
    """Return the settings of an environment at a rate [Hz]; a rate without its own takes those of the nearest.

    Raises:
        ValueError: If the environment has no PPO settings, or the rate is not a positive number.
    """
    if env not in PPO_SETTINGS:
        raise ValueError(f"env must be one of {sorted(PPO_SETTINGS)} to be collected with PPO, got {env!r}")
    wanted = delta_t_of(control_frequency)
    rates = PPO_SETTINGS[env]
    return rates[min(rates, key=lambda rate: abs(math.log(delta_t_of(rate) / wanted)))]
