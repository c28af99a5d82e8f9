"""LSTM: the next state is a learned map of the present one and of a memory of those before."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tdlib.core.facts import MIXED
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import Context, DynamicsModel, Needs, step_of
from tdlib.models.encoders import ActionEncoder, mlp
from tdlib.models.family import Arms, Family
from tdlib.models.forms import StepForm
from tdlib.models.options import NetworkOptions
from tdlib.models.recurrence import unroll


@dataclass(frozen=True)
class Options(NetworkOptions):
    """Options of the LSTM; the first hidden layer is the cell.

    Args:
        form: How Δt enters, a name in `FORMS`.
    """

    form: str = "none"


class LSTMModel(DynamicsModel):
    """The jump model with its first hidden layer replaced by an LSTM cell; the memory is zero at the start of a window.

    The memory (..., 2H) holds the cell's output and its state side by side. The cell is written out, since `nn.LSTM`
    does not run under `torch.func.vmap`.

    Args:
        spec: State and action sizes and units of the environment.
        options: Form, training step, sizes: the first width is H of the cell, the others are layers that read it.

    Source:
        Seed 000, Phase 2, model 2; cell of Hochreiter and Schmidhuber (1997) with forget gate.
    """

    Options = Options
    has_memory = True
    needs = Needs(window=16)
    row_form = "residual_lstm"  # see `tdlib.speed.row_form`

    def __init__(self, spec: EnvironmentSpec, options: Options | None = None):
        super().__init__(spec, options)
        options = self.options
        first, *others = options.widths
        self.memory_dim = 2 * first
        self.action_encoder = ActionEncoder(spec, options.action_embedding_dim)
        self.form = StepForm(options.form, options.train_delta_t)
        self.input_gates = nn.Linear(spec.feature_dim + options.action_embedding_dim + 1, 4 * first)
        self.memory_gates = nn.Linear(first, 4 * first, bias=False)
        self.network = mlp(first, tuple(others), spec.state_dim)

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


FORMS_TRAINED = ("concat", "scaled_concat")
ARMS = (
    Arms("baseline"),
    *(Arms("dt_conditioned", form, ("20",)) for form in FORMS_TRAINED),
    *(Arms("multi_resolution", form, (MIXED,)) for form in FORMS_TRAINED),
)
FAMILY = Family(
    LSTMModel, LSTMModel, Options, ARMS, label="LSTM", short_label="LSTM", look=(("markerfacecolor", "white"),)
)
