"""The real system under closed loop: many episodes at once, in float64, with the past that models with memory need."""

import math

import torch
from torch import Tensor

from tdlib.core.time_grid import num_steps as whole_steps
from tdlib.models import Context
from tdlib.systems.system import System


class Plant:
    """M x E episodes of one system, recorded at the control times, and between them where a model steps finer.

    Args:
        system: The real system.
        state: (M, E, D) starts.
        delta_t: Control step [s].
        record_delta_t: Time between recorded states [s]; a whole fraction of the control step.
        parameters: (M, E, P) parameters of the equation in every episode; nominal if None.
    """

    def __init__(
        self, system: System, state: Tensor, delta_t: float, record_delta_t: float, parameters: Tensor | None = None
    ):
        self.system, self.state, self.delta_t, self.parameters = system, state, delta_t, parameters
        self.substeps = whole_steps(delta_t, record_delta_t)
        self.record_delta_t = delta_t / self.substeps
        self.states, self.actions = [state], list[Tensor]()  # at the recording times
        self.rewards = list[Tensor]()  # over the recording times
        self.episode_return = torch.zeros(state.shape[:2], dtype=torch.float64)
        self.exit_time = torch.full_like(self.episode_return, math.inf)

    def step(self, live: Tensor, action: Tensor) -> None:
        """Hold the actions (m, E, A) of the live members for one control step; ended episodes stay where they are."""
        full = torch.zeros(*self.state.shape[:2], action.shape[-1], dtype=torch.float64)
        full[live] = action
        for _ in range(self.substeps):
            now = len(self.actions) * self.record_delta_t
            index = self.exit_time.isinf().nonzero(as_tuple=True)
            drawn = None if self.parameters is None else self.parameters[index]
            outcome = self.system.simulate_rows(self.state[index], full[index], self.record_delta_t, drawn)
            self.state = self.state.index_put(index, outcome.next_state)
            self.rewards.append(torch.zeros_like(self.episode_return).index_put(index, outcome.reward))
            self.episode_return[index] += outcome.reward
            self.exit_time[index] = now + outcome.exit_time
            self.states.append(self.state)
            self.actions.append(full)

    def context(
        self, live: Tensor, num_steps: int, delta_t: float, dtype: torch.dtype, device: torch.device | str
    ) -> Context:
        """Return the last true steps of length `delta_t` [s] of the live members, masked where the episode began later.

        A longer model step sees the mean of the inputs held in it, of discrete ones the majority. With the steps go the
        parameters of the episodes where there are any, (M, E, 1, P).
        """
        stride, now = whole_steps(delta_t, self.record_delta_t), len(self.actions)
        begins = [now - stride * (num_steps - c) for c in range(num_steps)]
        states = torch.stack([self.states[max(i, 0)][live] for i in begins], dim=-2).unsqueeze(2)  # (M, E, 1, C, D)
        actions = torch.stack([self._mean_action(max(i, 0), stride)[live] for i in begins], dim=-2).unsqueeze(2)
        mask = (torch.tensor(begins) >= 0).expand(states.shape[:-1])
        intervals = torch.full(states.shape[:-1], delta_t)
        states, actions, intervals = (x.to(device, dtype) for x in (states, actions, intervals))
        drawn = None if self.parameters is None else self.parameters[live].unsqueeze(2).to(device, dtype)
        return Context(states=states, actions=actions, delta_t=intervals, mask=mask.to(device), parameters=drawn)

    def _mean_action(self, begin: int, stride: int) -> Tensor:
        held = self.actions[begin : begin + stride]
        if not held:
            return self._no_action()
        values = torch.stack(held)
        if not self.system.spec.discrete:
            return values.mean(dim=0)
        counts = (values == torch.arange(self.system.spec.num_actions)).sum(dim=0)  # (M, E, n)
        return counts.argmax(dim=-1, keepdim=True).double()  # the first of equals

    def _no_action(self) -> Tensor:
        return torch.zeros(*self.state.shape[:2], self.system.spec.action_dim, dtype=torch.float64)

    def episodes(self, total: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return states (M, E, T+1, D), actions (M, E, T, A), reward (M, E, T) and times (T+1,) [s] of T control steps.

        If all episodes ended before, their last states are repeated, and there is no reward.
        """
        missing = total * self.substeps - len(self.actions)
        states = torch.stack(self.states + [self.state] * missing, dim=2)[:, :, :: self.substeps]
        actions = self.actions + [self._no_action()] * missing
        rewards = torch.stack(self.rewards + [torch.zeros_like(self.episode_return)] * missing, dim=2)
        reward = rewards.unflatten(2, (total, self.substeps)).sum(dim=-1)
        times = torch.arange(total + 1, dtype=torch.float64) * self.delta_t
        return states, torch.stack(actions, dim=2)[:, :, :: self.substeps], reward, times
