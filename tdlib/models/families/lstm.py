"""LSTM: the next state is a learned map of the present one and of a memory of those before."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tdlib.core.context import Context, Prediction
from tdlib.core.facts import MIXED
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import DynamicsModel, Needs
from tdlib.models.encoders import ActionEncoder, mlp
from tdlib.models.family import Arms, Family, Shown
from tdlib.models.forms import StepForm
from tdlib.models.options import NetworkOptions
from tdlib.models.recurrence import advance, unroll


@dataclass(frozen=True)
class LSTMOptions(NetworkOptions):
    """Options of the LSTM; the first hidden layer is the cell.

    Args:
        form: How Δt enters, a name in `FORMS`.
    """

    form: str = "none"


class Carry(NamedTuple):
    """What an LSTM carries from step to step.

    Args:
        output: (..., H) of the cell.
        cell: (..., H) its state.
        state: (..., D) the predicted one, where the next step starts if it is told nothing else.
    """

    output: Tensor
    cell: Tensor
    state: Tensor


class LSTMModel(DynamicsModel):
    """The jump model with its first hidden layer replaced by an LSTM cell; the memory is zero at the start of a window.

    The cell is written out, since `nn.LSTM` does not run under `torch.func.vmap`.

    Args:
        spec: State and action sizes and units of the environment.
        options: Form, training step, sizes: the first width is H of the cell, the others are layers that read it.

    Source:
        Seed 000, Phase 2, model 2; cell of Hochreiter and Schmidhuber (1997) with forget gate.
    """

    Options = LSTMOptions
    options: LSTMOptions
    needs = Needs(window=16)
    row_form = "residual_lstm"  # see `tdlib.speed.row_form`
    mixes = ("train_delta_t", "form")

    def __init__(self, spec: EnvironmentSpec, options: LSTMOptions | None = None):
        super().__init__(spec, options)
        options = self.options
        width, *others = options.widths
        self.action_encoder = ActionEncoder(spec, options.action_embedding_dim)
        self.form = StepForm(options.form, options.train_delta_t)
        self.input_gates = nn.Linear(spec.feature_dim + options.action_embedding_dim + 1, 4 * width)
        self.memory_gates = nn.Linear(width, 4 * width, bias=False)
        self.network = mlp(width, tuple(others), spec.state_dim)

    def initial(self, context: Context) -> Carry:
        """Return the memory after the true steps of a context; it is empty before them and after a masked step."""
        states = context.states
        empty = states.new_zeros(*states.shape[:-2], self.memory_gates.in_features)
        output = cell = empty
        num_steps = states.shape[-2]
        if num_steps:
            inputs, _ = self._inputs(states, context.actions, context.delta_t.to(states))
        for t in range(num_steps):
            exists = context.mask[..., t, None]
            output, cell = (torch.where(exists, x, empty) for x in self._advance(inputs[..., t, :], output, cell))
        return Carry(output, cell, states.new_zeros(*states.shape[:-2], states.shape[-1]))

    def step(
        self, carry: Carry, action: Tensor, delta_t: Tensor | float | None = None, observed: Tensor | None = None
    ) -> tuple[Carry, Prediction]:
        state, action, delta_t = self.broadcast(carry.state if observed is None else observed, action, delta_t)
        inputs, step = self._inputs(state, action, delta_t)
        output, cell = self._advance(inputs, carry.output, carry.cell)
        following = state + step * self.scales.rate_scale * self.network(output)
        return Carry(output, cell, following), Prediction(following)

    def teacher_forced(self, states: Tensor, actions: Tensor, delta_t: Tensor) -> Tensor:
        inputs, step = self._inputs(states, actions, delta_t)
        outputs = unroll(inputs.movedim(-2, 0).contiguous(), self.input_gates, self.memory_gates)  # (T, ..., H)
        return states + step * self.scales.rate_scale * self.network(outputs).movedim(0, -2)

    def _inputs(self, state: Tensor, action: Tensor, delta_t: Tensor) -> tuple[Tensor, Tensor]:
        delta_t_input, step = self.form(delta_t)
        return torch.cat([self.scales.features(state), self.action_encoder(action), delta_t_input], dim=-1), step

    def _advance(self, inputs: Tensor, output: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        return advance(self.input_gates(inputs) + self.memory_gates(output), cell)


FORMS_TRAINED = ("concat", "scaled_concat")
ARMS = (
    Arms("baseline"),
    *(Arms("dt_conditioned", form, ("20",)) for form in FORMS_TRAINED),
    *(Arms("multi_resolution", form, (MIXED,)) for form in FORMS_TRAINED),
)
SHOWN = Shown(
    among=(("baseline", "none"),),
    on_page=(("baseline", "none", "20"), ("multi_resolution", "scaled_concat", MIXED)),  # four times a jump's weights
)
FAMILY = Family(
    LSTMModel,
    LSTMModel,
    LSTMOptions,
    ARMS,
    label="LSTM",
    short_label="LSTM",
    look=(("markerfacecolor", "white"),),
    shown=SHOWN,
)
