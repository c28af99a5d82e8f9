"""Ac-RKN, HiP-RSSM and MTS3 as compositions of three operations: condition, aggregate, marginalize.

| model | fast level | task |
|---|---|---|
| RKN, Ac-RKN | condition, marginalize | none |
| HiP-RSSM | condition, marginalize | aggregate pairs of observations at the start, once |
| MTS3 | condition, marginalize | aggregate and condition, marginalize: a filter of its own, window by window |

Without actions (`action_dim` 0) Ac-RKN is the RKN with constant matrices, and MTS3 is unactuated.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tdlib.models.beliefs.belief import Belief, isotropic
from tdlib.models.beliefs.conditioning import aggregate, condition_whole
from tdlib.models.beliefs.levels import TASK, FastLevel, Predicted, SlowLevel, Tasks
from tdlib.models.beliefs.networks import GaussianEncoder
from tdlib.models.beliefs.options import BeliefOptions, HiPRSSMOptions, MTS3Options
from tdlib.models.beliefs.windows import StepWindows, TimeWindows, Windows, sense, with_interval


def check_sequence(
    observations: Tensor,
    actions: Tensor | None,
    valid: Tensor | None,
    sizes: tuple[int, int],
    delta_t: Tensor | None = None,
) -> None:
    """Refuse sequences whose shapes do not match.

    Raises:
        ValueError: If observations are not (..., T, O), actions not (..., T, A) or None without actions, a mask not
            (..., T) of bool, or intervals not (..., T).
    """
    observation_dim, action_dim = sizes
    if observations.ndim < 2 or observations.shape[-1] != observation_dim or not observations.shape[-2]:
        raise ValueError(f"observations must be (..., T >= 1, {observation_dim}), got {tuple(observations.shape)}")
    shape = observations.shape[:-1]
    got, expected = None if actions is None else tuple(actions.shape), (*shape, action_dim) if action_dim else None
    if got != expected:
        raise ValueError(f"actions must be {expected} beside the observations, got {got}")
    if valid is not None and (valid.shape != shape or valid.dtype != torch.bool):
        raise ValueError(f"valid must be {tuple(shape)} of bool, got {tuple(valid.shape)} of {valid.dtype}")
    if delta_t is not None and delta_t.shape != shape:
        raise ValueError(f"delta_t must be {tuple(shape)} beside the observations, got {tuple(delta_t.shape)}")


class AcRKN(nn.Module):
    """p(o' | o, a) by one filter.

    Args:
        observation_dim: O.
        action_dim: A; 0 for none.
        options: `norm` is `post` in the official code.

    Source:
        Shaj et al. (2020), Ac-RKN, as a baseline in Shaj et al. (2023); without actions Becker et al. (2019), RKN.
    """

    def __init__(self, observation_dim: int, action_dim: int, options: BeliefOptions):
        super().__init__()
        self.sizes = observation_dim, action_dim
        self.fast = FastLevel(observation_dim, action_dim, options)

    def forward(
        self,
        observations: Tensor,
        actions: Tensor | None,
        valid: Tensor | None = None,
        delta_t: Tensor | None = None,
    ) -> Predicted:
        """Predict the observation after each step from those so far.

        Args:
            observations: (..., T, O) at the start of each step.
            actions: (..., T, A) held over it; None without actions.
            valid: (..., T) bool, which observations are seen; None if all are.
            delta_t: (..., T) intervals [s], for forms in which beliefs move on by time.
        """
        check_sequence(observations, actions, valid, self.sizes, delta_t)
        return self.fast(observations, actions, valid, delta_t=delta_t)


class HiPRSSM(nn.Module):
    """A filter with a task that is read once off pairs of observations, and acts on every step.

    Args:
        observation_dim: O.
        action_dim: A; 0 for none.
        options: Sizes, length of the context.

    Source:
        Shaj et al. (2022), HiP-RSSM, as a baseline in Shaj et al. (2023).
    """

    def __init__(self, observation_dim: int, action_dim: int, options: HiPRSSMOptions):
        super().__init__()
        self.sizes, self.options = (observation_dim, action_dim), options
        width, hidden, d = 2 * observation_dim + action_dim, options.set_hidden_dim, options.latent_dim
        width += options.time.flows
        self.pairs = GaussianEncoder(width, hidden, 2 * d, options.norm, options.variance)
        self.fast = FastLevel(observation_dim, action_dim, options, (TASK,))

    def task(
        self,
        observations: Tensor,
        actions: Tensor | None,
        valid: Tensor | None = None,
        delta_t: Tensor | None = None,
    ) -> Belief:
        """Read the task off pairs of observations and the next: (..., T, ·) -> (..., ·).

        In a form in which beliefs move on by time a pair is read with the time between its observations.
        """
        inputs = [] if actions is None else [actions[..., :-1, :]]
        pairs = torch.cat([observations[..., :-1, :], *inputs, observations[..., 1:, :]], dim=-1)
        if self.options.time.flows:
            pairs = with_interval(pairs, None if delta_t is None else delta_t[..., :-1])
        counted = None
        if valid is not None:
            counted = valid[..., :-1] & valid[..., 1:] if self.options.both_ends else valid[..., :-1]
        found = sense(self.pairs, pairs, counted)
        return condition_whole(isotropic(self.options.latent_dim, 1.0, like=observations), aggregate(found))

    def forward(
        self,
        observations: Tensor,
        actions: Tensor | None,
        valid: Tensor | None = None,
        delta_t: Tensor | None = None,
    ) -> Predicted:
        """As `AcRKN.forward`; the task is read off the first steps."""
        check_sequence(observations, actions, valid, self.sizes, delta_t)
        count = self.options.context_length
        acting = None if actions is None else actions[..., :count, :]
        known, between = (None if x is None else x[..., :count] for x in (valid, delta_t))
        task = self.task(observations[..., :count, :], acting, known, between)
        return self.fast(observations, actions, valid, task.as_row(), delta_t=delta_t)


class Filtered(NamedTuple):
    """What MTS3 makes of a sequence.

    Args:
        predicted: What is expected after each step.
        tasks: Of each slow level, the fastest first.
        windows: Of each slow level, likewise.
    """

    predicted: Predicted
    tasks: tuple[Tasks, ...]
    windows: tuple[Windows, ...]


class MTS3(nn.Module):
    """Filters of several time scales: each level's belief acts on the steps of the level below while its window lasts.

    Args:
        observation_dim: O.
        action_dim: A; 0 for none.
        options: Sizes, windows and oddities.

    Source:
        Shaj et al. (2023), Multi Time Scale World Models; with more than one window, levels between the slowest and
        the fastest have both an abstract action and a task, as the official layer `submanager`.
    """

    def __init__(self, observation_dim: int, action_dim: int, options: MTS3Options):
        super().__init__()
        self.sizes, self.options = (observation_dim, action_dim), options
        slowest = options.windows[-1]
        self.slow = nn.ModuleList(
            SlowLevel(
                observation_dim, action_dim, window, options, window != slowest, options.abstract_action_covariance
            )
            for window in options.windows
        )
        self.fast = FastLevel(observation_dim, action_dim, options, (TASK,))

    def forward(
        self,
        observations: Tensor,
        actions: Tensor | None,
        valid: Tensor | None = None,
        exists: Tensor | None = None,
        delta_t: Tensor | None = None,
    ) -> Filtered:
        """As `AcRKN.forward`; the last window may be shorter than the others.

        With the posterior as `task_feed` what is expected within a window depends on what is seen to its end.

        Args:
            observations: (..., T, O) at the start of each step.
            actions: (..., T, A) held over it; None without actions.
            valid: (..., T) bool, which observations are seen; None if all are.
            exists: (..., T) bool, which steps there were: beliefs and windows begin after the last that was not. None:
                all.
            delta_t: (..., T) intervals [s], for forms in which beliefs move on, or windows last, by time.
        """
        check_sequence(observations, actions, valid, self.sizes, delta_t)
        if valid is None:
            valid = torch.ones_like(observations[..., 0], dtype=torch.bool)
        windows, tasks, cuts, acting = self.options.windows, [], [], None
        for i in reversed(range(len(windows))):
            ratio = 1 if acting is None else windows[i + 1] // windows[i]
            cuts.append(self._windows(i, observations, exists, delta_t))
            tasks.append(self.slow[i](observations, actions, valid, acting, ratio, exists, delta_t, cuts[-1]))
            acting = self.acting(tasks[-1])
        assert acting is not None  # there is a level at least
        detach_every = windows[0] if self.options.detach_between_windows else None
        predicted = self.fast(observations, actions, valid, cuts[-1].spread(acting), detach_every, exists, delta_t)
        return Filtered(predicted, tuple(reversed(tasks)), tuple(reversed(cuts)))

    def acting(self, tasks: Tasks) -> Belief:
        """Return the beliefs of a slow level that act on the steps of its windows: (..., K, ·)."""
        return tasks.posteriors if self.options.task_feed == "posterior" else tasks.priors

    def _windows(self, level: int, like: Tensor, exists: Tensor | None, delta_t: Tensor | None) -> Windows:
        """Cut a sequence (..., T, O) into the windows of a slow level."""
        options = self.options
        if not options.time.seconds:
            window = options.windows[level]
            if exists is None:
                return StepWindows(window, like.shape[-2], like)
            rows = torch.ones_like(
                like[..., 0], dtype=torch.float64
            )  # a time of one each: windows begin with the first
            return TimeWindows(window, window, rows, exists)
        if delta_t is None:
            raise ValueError("delta_t must be given where windows are counted in seconds, got None")
        ratio = options.windows[level] // options.windows[0]
        return TimeWindows(options.window_seconds * ratio, options.fewest_steps * ratio, delta_t, exists)
