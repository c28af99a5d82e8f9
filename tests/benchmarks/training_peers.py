"""Training loops as one would write them without this library: one model, one step at a time.

The peers get easier work: features, normalized inputs and targets of the discrete model are computed beforehand.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchdiffeq import odeint

from tdlib.core.specs import EnvironmentSpec, state_features
from tdlib.core.transitions import Transitions
from tdlib.models import DynamicsModel

CLIP, LEARNING_RATE = 10.0, 1e-3
EMBEDDING = 8


class PlainNetwork(nn.Module):
    """Next-state network on prepared inputs, of the sizes of the jump model with a continuous action."""

    def __init__(self, spec: EnvironmentSpec, widths: tuple[int, ...]):
        super().__init__()
        self.num_features = spec.feature_dim
        self.encoder = nn.Linear(spec.action_dim, EMBEDDING)
        layers, size = [], spec.feature_dim + EMBEDDING + 1
        for width in widths:
            layers += [nn.Linear(size, width), nn.SiLU()]
            size = width
        self.layers = nn.Sequential(*layers, nn.Linear(size, spec.state_dim))

    def forward(self, inputs: Tensor) -> Tensor:
        """Predict the scaled rate of change from (features, Δt, action)."""
        known, action = inputs[:, : self.num_features + 1], inputs[:, self.num_features + 1 :]
        return self.layers(torch.cat([known, self.encoder(action)], dim=-1))


def prepared(parts: list[Transitions], spec: EnvironmentSpec, device: str) -> tuple[Tensor, Tensor]:
    """Inputs and targets of the plain network, both standardized."""
    data = Transitions.concatenate(parts)
    delta_t = data.delta_t.unsqueeze(-1)
    inputs = torch.cat([state_features(data.state, spec), delta_t, data.action], dim=-1)
    targets = (data.next_state - data.state) / delta_t
    return tuple(((x - x.mean(0)) / x.std(0).clamp(min=1e-6)).to(device) for x in (inputs, targets))


def update(optimizer: torch.optim.Optimizer, parameters: list[Tensor], loss: Tensor) -> None:
    """Backward, clipping, one step of the optimizer."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, CLIP)
    optimizer.step()


def loader_loop(data: tuple[Tensor, Tensor], network: nn.Module, batch: int, steps: int) -> Callable[[], None]:
    """The usual loop: shuffled `TensorDataset`, `DataLoader`, `torch.optim.Adam`; continues where it stopped."""
    loader = DataLoader(TensorDataset(*data), batch_size=batch, shuffle=True, drop_last=True)
    parameters = list(network.parameters())
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)

    def batches() -> Iterator[list[Tensor]]:
        while True:
            yield from loader

    stream = batches()

    def run() -> None:
        for _ in range(steps):
            inputs, targets = next(stream)
            update(optimizer, parameters, nn.functional.mse_loss(network(inputs), targets))

    return run


def gather_loop(
    data: tuple[Tensor, Tensor], network: nn.Module, batch: int, steps: int, **adam: bool
) -> Callable[[], None]:
    """A careful loop: random rows of tensors that lie on the device, and a chosen implementation of Adam."""
    parameters = list(network.parameters())
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, **adam)
    inputs, targets = data

    def run() -> None:
        for _ in range(steps):
            index = torch.randint(len(inputs), (batch,), device=inputs.device)
            update(optimizer, parameters, nn.functional.mse_loss(network(inputs[index]), targets[index]))

    return run


class PlainGRU(nn.Module):
    """`nn.GRU` on prepared rows of features and inputs, and the change read off its memory.

    Args:
        num_features: F.
        num_inputs: A.
        width: Length of the memory.
        history: Rows that the first change is read off.
        carried: Whether the memory goes on from step to step; else the last `history` rows are read anew at each.
    """

    def __init__(self, num_features: int, num_inputs: int, width: int, history: int, carried: bool):
        super().__init__()
        self.history, self.carried = history, carried
        self.gru = nn.GRU(num_features + num_inputs, width, batch_first=True)
        self.change = nn.Linear(width, num_features)

    def forward(self, features: Tensor, inputs: Tensor) -> Tensor:
        """Mean squared error of the changes predicted, each from the prediction before: (B, T + 1, F), (B, T, A)."""
        seen, losses, memory = features[:, : self.history], [], None
        for first in range(inputs.shape[1] - self.history + 1):
            known = inputs[:, first : first + self.history]
            if self.carried and first:
                rows = torch.cat([seen[:, -1:], known[:, -1:]], dim=-1)
            else:
                rows = torch.cat([seen, known], dim=-1)
            outputs, memory = self.gru(rows, memory if self.carried else None)
            change = self.change(outputs[:, -1])
            losses.append((change - (features[:, first + self.history] - seen[:, -1])).square().mean())
            following = (seen[:, -1] + change).unsqueeze(1)
            seen = torch.cat([seen[:, 1:], following], dim=1)
        return torch.stack(losses).mean()


def window_loop(features: Tensor, inputs: Tensor, network: nn.Module, batch: int, steps: int) -> Callable[[], None]:
    """One model on windows that lie ready, (N, T + 1, F) and (N, T, A), drawn at random, with fused AdamW."""
    parameters = list(network.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, fused=True)

    def run() -> None:
        for _ in range(steps):
            index = torch.randint(len(features), (batch,))
            update(optimizer, parameters, network(features[index], inputs[index]))

    return run


Solve = Callable[[Callable[[Tensor, Tensor], Tensor], Tensor, Tensor, Tensor], Tensor]


def field_loop(
    data: Transitions, model: DynamicsModel, solve: Solve, delta_ts: list[float] | None, batch: int, steps: int
) -> Callable[[], None]:
    """Train a field through a solver of others.

    Args:
        data: Transitions to learn.
        model: Its field and action encoder are used, not its solver.
        solve: Maps (field of action embedding and state, start, embedding, intervals) to the end.
        delta_ts: Replaces the data's intervals by these, evenly; None keeps them.
        batch: Transitions per step.
        steps: Steps per run.
    """
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)
    fixed = None if delta_ts is None else torch.tensor(delta_ts).repeat(-(-batch // len(delta_ts)))[:batch]

    def run() -> None:
        for _ in range(steps):
            part = data[torch.randint(len(data), (batch,))]
            delta_t = part.delta_t if fixed is None else fixed
            embedding = model.action_encoder(part.action)
            predicted = solve(lambda e, s: model.field(0.0, s, e), part.state, embedding, delta_t)
            error = (predicted - part.next_state) / (delta_t.unsqueeze(-1) * model.rate_scale)
            update(optimizer, parameters, error.square().mean())

    return run


def once_per_interval(**options: object) -> Solve:
    """One call of torchdiffeq's `odeint` for every distinct Δt."""

    def solve(field: Callable, state: Tensor, embedding: Tensor, delta_t: Tensor) -> Tensor:
        values, group = delta_t.unique(return_inverse=True)
        predicted = torch.empty_like(state)
        for i, value in enumerate(values):
            rows = (group == i).nonzero().squeeze(-1)
            part = embedding[rows]
            times = torch.stack([torch.zeros_like(value), value])
            end = odeint(lambda t, s, e=part: field(e, s), state[rows], times, **options)[-1]
            predicted = predicted.index_copy(0, rows, end)
        return predicted

    return solve


def union_of_times(field: Callable, state: Tensor, embedding: Tensor, delta_t: Tensor) -> Tensor:
    """One call of torchdiffeq's `odeint` for the whole batch, which stops at every Δt that occurs (rk4)."""
    values, group = delta_t.unique(return_inverse=True)
    times = torch.cat([values.new_zeros(1), values])
    states = odeint(lambda t, s: field(embedding, s), state, times, method="rk4")
    return states[group + 1, torch.arange(len(state))]


def torchode_one_step(field: Callable, state: Tensor, embedding: Tensor, delta_t: Tensor) -> Tensor:
    """One call of torchode, every sample its own end: one step of Dopri5, since torchode has no classical RK4."""
    import torchode

    term = torchode.ODETerm(lambda t, s: field(embedding, s))
    solver = torchode.AutoDiffAdjoint(torchode.Dopri5(term=term), torchode.FixedStepController())
    problem = torchode.InitialValueProblem(y0=state, t_start=torch.zeros_like(delta_t), t_end=delta_t)
    return solver.solve(problem, dt0=delta_t).ys[:, -1]
