"""Discrete-time models: the next state is a learned map of the present one, or of the present one and a memory."""

import torch
from torch import Tensor, nn

from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import Context, DynamicsModel, step_of
from tdlib.models.encoders import ActionEncoder, Scales, mlp
from tdlib.models.forms import StepForm
from tdlib.models.recurrence import unroll


class JumpModel(DynamicsModel):
    """Residual MLP, x' = x + s(Δt)·σ·g(z(x), e(a), gain·Δt).

    Args:
        spec: State and action sizes and units of the environment.
        form: How Δt enters, a name in `FORMS`.
        train_delta_t: Training step [s].
        widths: Hidden layers.
        action_embedding_dim: Length of the action embedding.

    Source:
        Seed 000, Phase 2, model 1; residual target as in Nagabandi et al. (2018).
    """

    row_form = "residual_network"  # see `tdlib.speed.row_form`

    def __init__(
        self,
        spec: EnvironmentSpec,
        form: str = "none",
        train_delta_t: float = 0.05,
        widths: tuple[int, ...] = (64, 64),
        action_embedding_dim: int = 8,
    ):
        super().__init__(spec, train_delta_t)
        self.scales = Scales(spec)
        self.action_encoder = ActionEncoder(spec, action_embedding_dim)
        self.form = StepForm(form, train_delta_t)
        self.network = mlp(spec.feature_dim + action_embedding_dim + 1, widths, spec.state_dim)

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        state, action, delta_t = self.broadcast(state, action, delta_t)
        delta_t_input, step = self.form(delta_t)
        inputs = torch.cat([self.scales.features(state), self.action_encoder(action), delta_t_input], dim=-1)
        return state + step * self.scales.rate_scale * self.network(inputs)


class LSTMModel(DynamicsModel):
    """The jump model with its first hidden layer replaced by an LSTM cell; the memory is zero at the start of a window.

    The memory (..., 2H) holds the cell's output and its state side by side. The cell is written out, since `nn.LSTM`
    does not run under `torch.func.vmap`.

    Args:
        spec: State and action sizes and units of the environment.
        form: How Δt enters, a name in `FORMS`.
        train_delta_t: Training step [s].
        widths: Width H of the cell, then the hidden layers that read it.
        action_embedding_dim: Length of the action embedding.

    Source:
        Seed 000, Phase 2, model 2; cell of Hochreiter and Schmidhuber (1997) with forget gate.
    """

    has_memory = True
    trains_on_windows = True
    row_form = "residual_lstm"

    def __init__(
        self,
        spec: EnvironmentSpec,
        form: str = "none",
        train_delta_t: float = 0.05,
        widths: tuple[int, ...] = (64, 64),
        action_embedding_dim: int = 8,
    ):
        super().__init__(spec, train_delta_t)
        self.memory_dim = 2 * widths[0]
        self.scales = Scales(spec)
        self.action_encoder = ActionEncoder(spec, action_embedding_dim)
        self.form = StepForm(form, train_delta_t)
        self.input_gates = nn.Linear(spec.feature_dim + action_embedding_dim + 1, 4 * widths[0])
        self.memory_gates = nn.Linear(widths[0], 4 * widths[0], bias=False)
        self.network = mlp(widths[0], widths[1:], spec.state_dim)

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        return self.step(self.initial_memory(state), state, action, delta_t)[1]

    def initial_memory(self, state: Tensor) -> Tensor:
        """Empty memory for every state: (..., D) -> (..., 2H)."""
        return torch.zeros_like(state[..., :1]).expand(*state.shape[:-1], self.memory_dim)

    def step(
        self, memory: Tensor, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Advance the memory and predict: (..., 2H), (..., D), (..., A), (...) -> (..., 2H), (..., D)."""
        state, action, delta_t = self.broadcast(state, action, delta_t)
        gates, step = self._gates(state, action, delta_t)
        memory = self._cell(memory, gates)
        return memory, state + step * self.scales.rate_scale * self._read(memory)

    def teacher_forced(self, states: Tensor, actions: Tensor, delta_t: Tensor) -> Tensor:
        """Predict every next state of a window from the true states so far, memory zero at its start.

        Args:
            states: (..., T, D) true states before each step.
            actions: (..., T, A) held inputs.
            delta_t: (..., T) interval of each step [s].

        Returns:
            (..., T, D) predicted next states.
        """
        inputs, step = self._inputs(states, actions, delta_t)
        outputs = unroll(inputs.movedim(-2, 0).contiguous(), self.input_gates, self.memory_gates)  # (T, ..., H)
        return states + step * self.scales.rate_scale * self.network(outputs).movedim(0, -2)

    def window_predictions(self, states: Tensor, actions: Tensor, delta_t: Tensor) -> Tensor:
        """Return what training compares with the true next states: (..., T, D)."""
        return self.teacher_forced(states, actions, delta_t)

    def encode(self, context: Context) -> Tensor:
        """Return the memory after the true steps of a context, (..., 2H); it is empty after a masked step."""
        gates, _ = self._gates(context.states, context.actions, context.delta_t.to(context.states))
        empty = memory = self.initial_memory(context.states[..., 0, :])
        for t in range(context.states.shape[-2]):
            memory = torch.where(context.mask[..., t, None], self._cell(memory, gates[..., t, :]), empty)
        return memory

    def predict_sequence(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, context: Context | None = None
    ) -> Tensor:
        """Predict open loop with the memory carried through; without context it starts empty.

        The context's batch shape may have ones where the state's has more, so that planners encode a history once.
        """
        memory = self.initial_memory(state) if context is None else self.encode(context)
        predictions = []
        for t in range(actions.shape[-2]):
            memory, state = self.step(memory, state, actions[..., t, :], step_of(delta_t, t))
            predictions.append(state)
        return torch.stack(predictions, dim=-2)

    def _gates(self, state: Tensor, action: Tensor, delta_t: Tensor) -> tuple[Tensor, Tensor]:
        inputs, step = self._inputs(state, action, delta_t)
        return self.input_gates(inputs), step

    def _inputs(self, state: Tensor, action: Tensor, delta_t: Tensor) -> tuple[Tensor, Tensor]:
        delta_t_input, step = self.form(delta_t)
        return torch.cat([self.scales.features(state), self.action_encoder(action), delta_t_input], dim=-1), step

    def _cell(self, memory: Tensor, gates: Tensor) -> Tensor:
        output, cell = memory.chunk(2, dim=-1)
        keep, write, candidate, show = (gates + self.memory_gates(output)).chunk(4, dim=-1)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(write) * torch.tanh(candidate)
        return torch.cat([torch.sigmoid(show) * torch.tanh(cell), cell], dim=-1)

    def _read(self, memory: Tensor) -> Tensor:
        return self.network(memory.chunk(2, dim=-1)[0])
