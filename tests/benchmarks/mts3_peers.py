"""What a training step of MTS3 is timed against: the model step by step, as its founding document's code computes it.

The weights are those of our `MTS3`, the numbers too (tests/test_mts3_speed.py); the way there is the published one: an
observation, an input and a set is encoded when it is needed, a matrix is four blocks that multiply halves one by one,
squares of blocks, effects and noise are worked out at every step, one observation conditions by its gain, a set by two
inversions, and every prediction is decoded alone.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tdlib.models.beliefs import (
    MTS3,
    FastLevel,
    GaussianEncoder,
    RecurrentBaseline,
    SlowLevel,
    negative_log_likelihood,
)

CLIP, RATE = 5.0, 3e-3
Blocks = tuple[Tensor, Tensor, Tensor, Tensor]
Parts = tuple[Tensor, ...]  # mean upper and lower; covariance upper, lower and side


class Stepwise(nn.Module):
    """MTS3 with one slow level, one step and one window after the other: `model(observations, actions, valid)`.

    Args:
        model: Whose weights are used, with the defaults of `MTS3Options`.
    """

    def __init__(self, model: MTS3):
        super().__init__()
        self.model = model

    def forward(self, observations: Tensor, actions: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, O), (B, T, A), (B, T) bool -> mean and variance (B, T, O); T a multiple of the window."""
        fast, slow = self.model.fast, self.model.slow[0]
        window, steps = slow.window, observations.shape[1]
        tasks = slow_pass(slow, observations, actions, valid)
        state = first(fast.options, observations)
        own, task_blocks = blocks(fast.transition.dynamics.matrix()), blocks(fast.transition.matrices["task"])
        means, variances = [], []
        for t in range(steps):
            if t and t % window == 0:
                state = tuple(part.detach() for part in state)
            seen = fast.observation(observations[:, t])
            state = condition_one(state, *seen, valid[:, t, None])
            state = add(push(own, state), push(task_blocks, tasks[t // window]), noise(fast))
            upper, lower = fast.transition.control(actions[:, t]).chunk(2, dim=-1)
            state = (state[0] + upper, state[1] + lower, *state[2:])
            mean = fast.decoder.mean(torch.cat(state[:2], dim=-1))
            variance = fast.decoder.positive(fast.decoder.variance(torch.cat(state[2:], dim=-1)))
            means.append(mean)
            variances.append(variance)
        return torch.stack(means, dim=1), torch.stack(variances, dim=1)


def slow_pass(level: SlowLevel, observations: Tensor, actions: Tensor, valid: Tensor) -> list[Parts]:
    """Filter the windows one after the other and return the belief after each."""
    window, task, found = level.window, first(level.options, observations), []
    own, abstract = blocks(level.transition.dynamics.matrix()), blocks(level.transition.matrices["abstract_action"])
    for start in range(0, observations.shape[1], window):
        here = slice(start, start + window)
        task = condition_set(task, *encoded_set(level.observations, observations[:, here]), valid[:, here, None])
        found.append(task)
        following = actions[:, start + window : start + 2 * window]
        if following.shape[1]:
            action = abstract_action(*encoded_set(level.actions, following))
            upper, lower = push_mean(abstract, action)
            moved = push(own, task)
            task = add((moved[0] + upper, moved[1] + lower, *moved[2:]), noise(level))
    return found


def encoded_set(encoder: GaussianEncoder, members: Tensor) -> tuple[Tensor, Tensor]:
    """Append the time feature i/H and encode: (B, H, n) -> mean and variance."""
    window = members.shape[1]
    time = torch.arange(window, dtype=members.dtype).view(1, -1, 1) / window
    return encoder(torch.cat([members, time.expand(len(members), -1, -1)], dim=-1))


def first(options: object, like: Tensor) -> Parts:
    """Return the first belief of a level, (B, d) each."""
    shape = len(like), options.latent_dim
    return tuple(
        like.new_full(shape, value)
        for value in (0.0, 0.0, options.initial_variance, options.initial_variance, options.initial_side)
    )


def blocks(matrix: Tensor) -> Blocks:
    """Take a matrix apart, (2d, 2d) -> M11, M12, M21, M22."""
    above, below = matrix.chunk(2, dim=0)
    return (*above.chunk(2, dim=1), *below.chunk(2, dim=1))


def push_mean(through: Blocks, mean: Parts) -> tuple[Tensor, Tensor]:
    """Return the halves of M m."""
    m11, m12, m21, m22 = through
    return mean[0] @ m11.T + mean[1] @ m12.T, mean[0] @ m21.T + mean[1] @ m22.T


def push(through: Blocks, belief: Parts) -> Parts:
    """Return the distribution of M x."""
    m11, m12, m21, m22 = through
    _, _, upper, lower, side = belief
    new_upper = upper @ (m11**2).T + 2 * (side @ (m11 * m12).T) + lower @ (m12**2).T
    new_lower = upper @ (m21**2).T + 2 * (side @ (m21 * m22).T) + lower @ (m22**2).T
    new_side = upper @ (m21 * m11).T + side @ (m22 * m11).T + side @ (m21 * m12).T + lower @ (m22 * m12).T
    return (*push_mean(through, belief[:2]), new_upper, new_lower, new_side)


def noise(level: FastLevel | SlowLevel) -> Parts:
    """Return the process noise as something to add."""
    raw = level.transition.raw_noise
    upper, lower = torch.where(raw >= 0, raw + 1, raw.exp()).chunk(2)
    zero = torch.zeros_like(upper)
    return zero, zero, upper, lower, zero


def add(*beliefs: Parts) -> Parts:
    """Return the sum of independent beliefs."""
    return tuple(sum(parts[1:], parts[0]) for parts in zip(*beliefs, strict=True))


def condition_one(prior: Parts, observed: Tensor, variance: Tensor, valid: Tensor) -> Parts:
    """Condition on one observation by its gain; (B, d) each, valid (B, 1)."""
    mean_upper, mean_lower, upper, lower, side = prior
    variance = torch.where(valid, variance, torch.inf)
    observed = torch.where(valid, observed, 0.0)
    gain_upper, gain_lower = upper / (upper + variance), side / (upper + variance)
    residual = observed - mean_upper
    return (
        mean_upper + gain_upper * residual, mean_lower + gain_lower * residual,
        (1 - gain_upper) * upper, lower - gain_lower * side, (1 - gain_upper) * side,
    )  # fmt: skip


def condition_set(prior: Parts, observed: Tensor, variance: Tensor, valid: Tensor) -> Parts:
    """Condition on a set: to precisions, add, and back; (B, N, d), valid (B, N, 1)."""
    mean_upper, mean_lower, upper, lower, side = prior
    weight = 1 / torch.where(valid, variance, torch.inf)
    residual = torch.where(valid, observed, 0.0) - mean_upper.unsqueeze(1)
    determinant = upper * lower - side**2
    precisions = lower / determinant + weight.sum(dim=1), upper / determinant, -side / determinant
    determinant = precisions[0] * precisions[1] - precisions[2] ** 2
    found = precisions[1] / determinant, precisions[0] / determinant, -precisions[2] / determinant
    pull = (weight * residual).sum(dim=1)
    updated = (mean_upper + found[0] * pull, mean_lower + found[2] * pull, *found)
    anything = valid.any(dim=1)
    return tuple(torch.where(anything, new, old) for new, old in zip(updated, prior, strict=True))


def abstract_action(observed: Tensor, variance: Tensor) -> Parts:
    """Aggregate actions with a unit prior: (B, N, 2d) both -> halves of the mean (B, d)."""
    precision = 1 + (1 / variance).sum(dim=1)
    return ((observed / variance).sum(dim=1) / precision).chunk(2, dim=-1)


class LibraryGRU(nn.Module):
    """`torch.nn.GRU` in the place of our memory: (B, T, I) -> (B, T, H)."""

    def __init__(self, input_dim: int, memory_dim: int):
        super().__init__()
        self.cell = nn.GRU(input_dim, memory_dim, batch_first=True)

    def forward(self, rows: Tensor, exists: Tensor | None = None) -> Tensor:
        if exists is not None:
            raise ValueError("exists must be None, the library's memory reads every row")
        return self.cell(rows)[0]


def gru_baseline(observation_dim: int, action_dim: int) -> RecurrentBaseline:
    """Return the deterministic baseline of the same document, on `torch.nn.GRU`."""
    return RecurrentBaseline(observation_dim, action_dim, LibraryGRU)


def training_step(model: nn.Module, sequences: tuple[Tensor, Tensor, Tensor], targets: Tensor) -> Callable[[], None]:
    """Return one step of training: forward, likelihood, backward, clipping, Adam."""
    optimizer = torch.optim.Adam(model.parameters(), RATE)

    def step() -> None:
        optimizer.zero_grad()
        found = model(*sequences)
        found = getattr(found, "predicted", found)
        negative_log_likelihood(targets, *found[:2]).mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()

    return step
