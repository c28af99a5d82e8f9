"""What stable-baselines3's actor-critic computes, written out: the same numbers with a fraction of the calls.

Four observations at a time cost a policy of 64 units far more in modules and distribution objects than in arithmetic.
Acting is therefore written in numpy on views of the network's own parameters, scoring of minibatches in plain tensors:

    continuous: a = μ(h) + hᵀE,  E ~ N(0, σ²) drawn now and then,  a ~ N(μ(h), Σ hᵢ²σᵢ² + 1e-6)
    discrete:   a ~ softmax(logits(h))

Random numbers are drawn as stable-baselines3 draws them.

Source: Raffin, Kober, Stulp (2021), Smooth exploration for robotic reinforcement learning (state-dependent noise).
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

LOG_SQRT_TWO_PI = 0.5 * math.log(2 * math.pi)


class WrittenOutPolicy:
    """Acting and scoring of one policy; takes the place of `forward` and `evaluate_actions` by `install`.

    Args:
        policy: stable-baselines3 `ActorCriticPolicy` with tanh layers and flat observations; continuous actions with
            state-dependent noise, or discrete ones.
    """

    def __init__(self, policy: nn.Module):
        self.policy = policy
        self.discrete = not hasattr(policy, "log_std")
        networks = policy.mlp_extractor
        self.actor = [*(m for m in networks.policy_net if isinstance(m, nn.Linear)), policy.action_net]
        self.critic = [*(m for m in networks.value_net if isinstance(m, nn.Linear)), policy.value_net]
        # views: the optimizer updates parameters in place
        self._actor, self._critic = (
            [(layer.weight.detach().numpy().T, layer.bias.detach().numpy()) for layer in layers]
            for layers in (self.actor, self.critic)
        )

    def install(self) -> None:
        """Let the policy act and score this way."""
        self.policy.forward, self.policy.evaluate_actions = self.act, self.evaluate_actions

    def act(self, observation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sample actions: (N, O) -> actions (N, A) or (N,), values (N, 1), log-probabilities (N,)."""
        inputs = observation.numpy()
        latent, head = _run(self._actor, inputs)
        values = torch.from_numpy(_run(self._critic, inputs)[1])
        if self.discrete:
            log_probability = torch.from_numpy(head).log_softmax(dim=-1)
            actions = torch.multinomial(log_probability.exp(), 1, replacement=True)
            return actions.squeeze(1), values, log_probability.gather(1, actions).squeeze(1)
        variance = (latent**2) @ np.exp(2 * self.policy.log_std.detach().numpy()) + self.policy.action_dist.epsilon
        noise = self._noise(latent)
        log_probability = -(noise**2) / (2 * variance) - 0.5 * np.log(variance) - LOG_SQRT_TWO_PI
        return torch.from_numpy(head + noise), values, torch.from_numpy(log_probability.sum(axis=-1))

    def evaluate_actions(self, observation: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score given actions: (N, O), (N, A) or (N,) -> values (N, 1), log-probabilities (N,), entropies (N,)."""
        latent, values = observation, observation
        for layer in self.actor[:-1]:
            latent = torch.tanh(layer(latent))
        for layer in self.critic[:-1]:
            values = torch.tanh(layer(values))
        values, head = self.critic[-1](values), self.actor[-1](latent)
        if self.discrete:
            log_probabilities = head.log_softmax(dim=-1)
            chosen = log_probabilities.gather(1, actions.long().view(-1, 1)).squeeze(1)
            return values, chosen, -(log_probabilities.exp() * log_probabilities).sum(dim=-1)
        # the noise teaches its own scale, not the features it reads
        variance = latent.detach() ** 2 @ torch.exp(2 * self.policy.log_std) + self.policy.action_dist.epsilon
        log_std = 0.5 * variance.log()
        log_probability = -((actions - head) ** 2) / (2 * variance) - log_std - LOG_SQRT_TWO_PI
        return values, log_probability.sum(dim=-1), (log_std + 0.5 + LOG_SQRT_TWO_PI).sum(dim=-1)

    def _noise(self, latent: np.ndarray) -> np.ndarray:
        """State-dependent noise, one matrix E per environment: (N, H) -> (N, A)."""
        return np.matmul(latent[:, None], self.policy.action_dist.exploration_matrices.detach().numpy())[:, 0]


def _run(layers: list[tuple[np.ndarray, np.ndarray]], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the last hidden activations and the output: (N, I) -> (N, H), (N, O)."""
    for weight, bias in layers[:-1]:
        values = np.tanh(values @ weight + bias)
    weight, bias = layers[-1]
    return values, values @ weight + bias
