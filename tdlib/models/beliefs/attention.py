"""A causal transformer in the place of a memory: every row looks back at all rows before it."""

import math

import torch
from torch import Tensor, nn

NEVER = -1e9  # weight of a row that may not be looked at, before the softmax; finite, so that a row alone has no nan


class Attention(nn.Module):
    """Heads that look at rows before, less at those further away: softmax(q·k/√n − slope · rows between) v.

    The penalty stands for a position, so that sequences may be longer than in training.

    Args:
        width: W.
        num_heads: n heads; that of head i = 1 … n is 2^(−8i/n).

    Source:
        Vaswani et al. (2017); the penalty: Press, Smith, Lewis (2022), ALiBi.
    """

    def __init__(self, width: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.read, self.write = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.register_buffer("slopes", 2.0 ** (-8.0 * torch.arange(1, num_heads + 1) / num_heads), persistent=False)

    def forward(self, rows: Tensor, exists: Tensor | None = None) -> Tensor:
        """(..., T, W), (..., T) bool -> (..., T, W)."""
        num_rows = rows.shape[-2]
        query, key, value = (
            x.unflatten(-1, (self.num_heads, -1)).transpose(-2, -3) for x in self.read(rows).chunk(3, dim=-1)
        )  # (..., heads, T, W/heads)
        steps = torch.arange(num_rows, device=rows.device)
        between = steps[:, None] - steps
        allowed = between >= 0
        if exists is not None:
            allowed = allowed & (exists.unsqueeze(-2) | (between == 0))
            allowed = allowed.unsqueeze(-3)
        scores = query @ key.mT / math.sqrt(key.shape[-1]) - self.slopes.to(rows)[:, None, None] * between
        weights = torch.where(allowed, scores, torch.full_like(scores, NEVER)).softmax(dim=-1)
        return self.write((weights @ value).transpose(-2, -3).flatten(-2))


class Block(nn.Module):
    """Attention, then a layer on each row by itself; both are added to what comes in, normalized before."""

    def __init__(self, width: int, num_heads: int):
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.attention = Attention(width, num_heads)
        self.inner = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, rows: Tensor, exists: Tensor | None = None) -> Tensor:
        rows = rows + self.attention(self.norms[0](rows), exists)
        return rows + self.inner(self.norms[1](rows))


class CausalMemory(nn.Module):
    """What each row knows of those before it, in place of a recurrent memory.

    Args:
        input_dim: I, length of a row.
        memory_dim: W, a multiple of `num_heads`.
        num_layers: Blocks.
        num_heads: Heads of each.

    Raises:
        ValueError: If the heads do not divide the width.
    """

    def __init__(self, input_dim: int, memory_dim: int, num_layers: int = 2, num_heads: int = 4):
        super().__init__()
        if memory_dim % num_heads:
            raise ValueError(f"memory_dim must be a multiple of num_heads = {num_heads}, got {memory_dim}")
        self.begin = nn.Linear(input_dim, memory_dim)
        self.blocks = nn.ModuleList(Block(memory_dim, num_heads) for _ in range(num_layers))
        self.end = nn.LayerNorm(memory_dim)

    def forward(self, rows: Tensor, exists: Tensor | None = None) -> Tensor:
        """(..., T, I), (..., T) bool -> (..., T, W)."""
        rows = self.begin(rows)
        for block in self.blocks:
            rows = block(rows, exists)
        return self.end(rows)
