"""GRU: the next state is read off a memory of the last rows of states and inputs, and fed back for several steps."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tdlib.core.columns import Columns
from tdlib.core.context import Batch, Context, Prediction
from tdlib.core.facts import MIXED, REFERENCE_DELTA_T
from tdlib.core.solvers import TABLEAUS, runge_kutta_step
from tdlib.core.specs import EnvironmentSpec, state_features
from tdlib.models.contract import CPU_STACK, DEVICE_STACK, DynamicsModel, Needs, ParameterGroup
from tdlib.models.derived import FOR_MEMORIES
from tdlib.models.encoders import ActionEncoder, mlp
from tdlib.models.family import Arms, Family, Shown
from tdlib.models.forms import StepForm
from tdlib.models.options import Options
from tdlib.models.recurrence import GRUCell, gru_advance

# form -> (how Δt enters input and output, as in `tdlib.models.forms`; what the memory does with an interval)
CLOCKS = {
    "none": ("none", "rows"),
    "concat": ("concat", "rows"),
    "scaled": ("scaled", "rows"),
    "scaled_concat": ("scaled_concat", "rows"),
    "warped": ("scaled", "warped"),
    "decay": ("none", "decay"),
    "decay_scaled": ("scaled", "decay"),
    "ode": ("none", "ode"),
    "ode_scaled": ("scaled", "ode"),
}
MEMORIES = ("window", "carried")
LOSSES = ("delta", "state")


@dataclass(frozen=True)
class GRUOptions(Options):
    """Options of the GRU; the numbers are those of the founding document, which reads a window anew at every step.

    Args:
        form: How Δt enters, a name in `CLOCKS`:

            | form | Δt input | increment per | memory over an interval |
            |---|---|---|---|
            | none | – | row | one row is one row |
            | concat | Δt / 0.05 s | row | one row is one row |
            | scaled | – | Δt | one row is one row |
            | scaled_concat | Δt / 0.05 s | Δt | one row is one row |
            | warped | – | Δt | keep gate z becomes z^(Δt/h): as often kept per second as in training |
            | decay | – | row | decays at learned rates, as in GRU-D |
            | decay_scaled | – | Δt | the same |
            | ode | – | row | follows a learned field, as in ODE-RNN |
            | ode_scaled | – | Δt | the same |

        hidden_dim: H, length of the memory.
        action_embedding_dim: Length of the action embedding.
        history_length: Rows (state, input) that the first prediction is read off, the present one among them.
        prediction_horizon: Steps of the training loss, each from the prediction before.
        relative: State dimensions that are fed relative to the first row of the history; no angles.
        memory: `window` reads the last `history_length` rows anew at every step, as in training of the founding
            document; `carried` goes on from the memory of the step before, with the history's first row as origin, at
            less than half of the arithmetic in training and a tenth in a plan.
        loss_on: What is compared: `delta`, the increments from where the prediction stands, an angle's as the pair
            that turns it; or `state`, the states themselves, an angle's as (cos, sin). They differ in the length of
            the pair alone.
        dropout: Share of the memory that the output layer does not see in training.
        weight_decay: Part of the weights taken off per step and unit of the learning rate, as in AdamW.
    """

    form: str = "none"
    hidden_dim: int = 128
    action_embedding_dim: int = 8
    history_length: int = 11
    prediction_horizon: int = 9
    relative: tuple[int, ...] = ()
    memory: str = "carried"
    loss_on: str = "delta"
    dropout: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        for name in ("hidden_dim", "action_embedding_dim", "history_length", "prediction_horizon"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name, known in (("form", tuple(CLOCKS)), ("memory", MEMORIES), ("loss_on", LOSSES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {list(known)}, got {getattr(self, name)!r}")
        if self.history_length + self.prediction_horizon < 3:
            raise ValueError("history_length + prediction_horizon must be at least 3 for a window, got 1 + 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be finite and not negative, got {self.weight_decay}")


class Rows(NamedTuple):
    """Rows that a memory reads, oldest first.

    Args:
        features: (..., T, F) standardized state features.
        others: (..., T, E + 1) embedded input and the form's Δt input.
        delta_t: (..., T) interval of each row [s].
        exists: (..., T) whether the row does; what is remembered starts after the last False. None: all do.
    """

    features: Tensor
    others: Tensor
    delta_t: Tensor
    exists: Tensor | None

    def followed_by(self, row: "Rows") -> "Rows":
        """Append a row, (..., 1, ·), whose batch shape may be larger."""
        shape = row.delta_t.shape[:-1]
        features, others = (
            torch.cat([old.expand(*shape, *old.shape[-2:]), new], dim=-2)
            for old, new in ((self.features, row.features), (self.others, row.others))
        )
        delta_t = torch.cat([self.delta_t.expand(*shape, -1), row.delta_t], dim=-1)
        exists = self.exists
        if exists is not None:
            exists = torch.cat([exists.expand(*shape, -1), torch.ones_like(row.delta_t, dtype=torch.bool)], dim=-1)
        return Rows(features, others, delta_t, exists)

    def last(self, count: int) -> "Rows":
        """Keep the last rows."""
        begin = max(0, self.delta_t.shape[-1] - count)
        exists = None if self.exists is None else self.exists[..., begin:]
        return Rows(self.features[..., begin:, :], self.others[..., begin:, :], self.delta_t[..., begin:], exists)


class Carry(NamedTuple):
    """What is carried from step to step.

    Args:
        memory: (..., H) after the rows so far; not used by models that read a window anew.
        origin: (..., F) features of the first row, from which relative dimensions are counted.
        started: (..., 1) whether there was a row.
        rows: The last rows, of models that read a window anew; for others nothing, which has no tensors to map.
        state: (..., D) the predicted one, where the next step starts if it is told nothing else.
    """

    memory: Tensor
    origin: Tensor
    started: Tensor
    rows: Rows | tuple[()]
    state: Tensor


class GRUModel(DynamicsModel):
    """x̂ = x ⊕ s(Δt)·σ·W m, m the memory after the rows up to (x, a); ⊕ adds, and turns angles on the unit circle.

    An angle's increment is the pair (c, s) added to (1, 0) and brought to length one, which turns (cos x, sin x); the
    memory is zero before the first row. The cell is written out, since `nn.GRU` does not run under `torch.func.vmap`.

    Args:
        spec: State and action sizes and units of the environment.
        options: See `GRUOptions`.

    Raises:
        ValueError: If a relative dimension does not exist or is an angle.

    Source:
        Seed 001; cell of Cho et al. (2014) as in `torch.nn.GRU`; decay: Che et al. (2018), GRU-D; ode: Rubanova, Chen,
        Duvenaud (2019), ODE-RNN; warped: the leak of Tallec and Ollivier (2018) applied to a trained cell.
    """

    Options = GRUOptions
    options: GRUOptions
    needs = Needs(window=19)
    mixes = ("train_delta_t", "form")

    def __init__(self, spec: EnvironmentSpec, options: GRUOptions | None = None):
        super().__init__(spec, options)
        options = self.options
        wrong = [i for i in options.relative if not 0 <= i < spec.state_dim or i in spec.angle_dims]
        if wrong:
            raise ValueError(f"relative must be dimensions of {spec.name} that are no angles, got {wrong}")
        window = options.history_length + options.prediction_horizon - 1
        self.needs = Needs(window=window, noise=options.hidden_dim if options.dropout else 0)
        self.apply_delta: Callable[[Tensor, Tensor], Tensor] | None = None  # ⊕ of one's own, for transformed states
        step_form, self.clock = CLOCKS[options.form]
        hidden = options.hidden_dim
        self.action_encoder = ActionEncoder(spec, options.action_embedding_dim)
        self.form = StepForm(step_form, options.train_delta_t)
        self.input_gates = nn.Linear(spec.feature_dim + options.action_embedding_dim + 1, 3 * hidden)
        self.memory_gates = nn.Linear(hidden, 3 * hidden)
        self.network = nn.Linear(hidden, spec.feature_dim)
        if self.clock == "decay":
            self.decay = nn.Parameter(torch.zeros(hidden))
        if self.clock == "ode":
            self.field = mlp(hidden, (hidden,), hidden, nn.Tanh)
        # which state dimension a feature is of, and whether it is fed relative to the first row
        self._owners = Columns([i for i in range(spec.state_dim) for _ in range(1 + (i in spec.angle_dims))])
        relative = [float(i in options.relative) for i in self._owners.places]
        self.register_buffer("relative", torch.tensor(relative), persistent=False)

    # --- predicting -------------------------------------------------------------------------------------------------

    def initial(self, context: Context) -> Carry:
        """Return what the true steps of a context leave; nothing is remembered before them or across a masked one."""
        states = context.states
        rows = self._rows(states, context.actions, context.delta_t.to(states), context.mask)
        return self._start(self._cell(), rows, states)

    def _cell(self) -> GRUCell:
        return GRUCell.of(self.input_gates, self.memory_gates)

    def _start(self, cell: GRUCell, rows: Rows, states: Tensor) -> Carry:
        """Return the carry after rows; `states` (..., T, D) gives shape and precision."""
        window, shape = self.options.memory == "window", states.shape[:-2]
        if window:
            rows = rows.last(self.options.history_length - 1)
        state = states.new_zeros(*shape, self.spec.state_dim)
        started = states.new_zeros(*shape, 1, dtype=torch.bool)
        origin = states.new_zeros(*shape, self.spec.feature_dim)
        memory = states.new_zeros(*shape, 0 if window else self.options.hidden_dim)
        if rows.delta_t.shape[-1]:
            started = torch.ones_like(started) if rows.exists is None else rows.exists[..., -1:]
            origin = self._origin(rows)
            memory = memory if window else self._read(cell, rows, origin)
        return Carry(memory, origin, started, rows if window else (), state)

    def step(
        self, carry: Carry, action: Tensor, delta_t: Tensor | float | None = None, observed: Tensor | None = None
    ) -> tuple[Carry, Prediction]:
        before, carry, change = self._change(self._cell(), carry, action, delta_t, observed)
        following = self._moved(before, change)
        return carry._replace(state=following), Prediction(following)

    def _change(
        self,
        cell: GRUCell,
        carry: Carry,
        action: Tensor,
        delta_t: Tensor | float | None,
        observed: Tensor | None,
        kept: Tensor | float = 1.0,
    ) -> tuple[Tensor, Carry, Tensor]:
        """Read one more row; return where it starts (..., D), the carry without its new state, and the change (..., F).

        Args:
            cell: Weights of the memory.
            carry: From the step before.
            action: (..., A) held input.
            delta_t: (...) interval [s].
            observed: (..., D) true start; None starts from the prediction.
            kept: (..., H) factors on the memory before the output layer: dropout.
        """
        state, action, interval = self.broadcast(carry.state if observed is None else observed, action, delta_t)
        told, step = self.form(interval)
        row = self._row(state, action, interval, told)
        if not isinstance(carry.rows, Rows):
            own = row.features.squeeze(-2)
            origin = torch.where(carry.started, carry.origin, own)
            # without the axis of rows, so that a stack's weights meet all its samples in one product
            gates = cell.gates(self._read_as(own, row.others.squeeze(-2), origin))
            memory = self._advance(cell, gates, carry.memory.expand_as(gates[0]), interval)
            started = torch.ones_like(carry.started)
            carry = Carry(memory, origin, started, (), carry.state)
        else:
            rows = carry.rows.followed_by(row)
            origin = self._origin(rows)
            memory = self._read(cell, rows, origin)
            carry = carry._replace(rows=rows.last(self.options.history_length - 1))
        unit = self._owners(step * self.scales.rate_scale)
        return state, carry, unit * self.network(memory * kept)

    def _moved(self, state: Tensor, change: Tensor) -> Tensor:
        """Add a change: (..., D), (..., F) -> (..., D); the pair of an angle turns it."""
        if self.apply_delta is not None:
            return self.apply_delta(state, change)
        parts, columns = iter(change.unbind(dim=-1)), []
        for i, value in enumerate(state.unbind(dim=-1)):
            if i in self.spec.angle_dims:
                cos_part, sin_part = next(parts), next(parts)
                columns.append(value + torch.atan2(sin_part, 1 + cos_part))
            else:
                columns.append(value + next(parts))
        return torch.stack(columns, dim=-1)

    def _rows(self, states: Tensor, actions: Tensor, delta_t: Tensor, exists: Tensor | None = None) -> Rows:
        """What the memory reads of steps: (..., T, D), (..., T, A), (..., T) -> rows."""
        others = torch.cat([self.action_encoder(actions), self.form(delta_t)[0]], dim=-1)
        return Rows(self.scales.features(states), others, delta_t, exists)

    def _row(self, state: Tensor, action: Tensor, delta_t: Tensor, told: Tensor) -> Rows:
        """One step as a row: (..., D), (..., A), (...) [s], and the form's Δt input of it (..., 1)."""
        others = torch.cat([self.action_encoder(action), told], dim=-1)
        return Rows(self.scales.features(state).unsqueeze(-2), others.unsqueeze(-2), delta_t.unsqueeze(-1), None)

    def _origin(self, rows: Rows) -> Tensor:
        """Features of the first row after the last that does not exist; of the last row if that one does not."""
        if rows.exists is None:
            return rows.features[..., 0, :]
        origin, joined = rows.features[..., -1, :], rows.exists[..., -1:]
        for t in range(rows.delta_t.shape[-1] - 2, -1, -1):
            joined = joined & rows.exists[..., t, None]
            origin = torch.where(joined, rows.features[..., t, :], origin)
        return origin

    def _read_as(self, features: Tensor, others: Tensor, origin: Tensor) -> Tensor:
        """Rows as the memory reads them, relative to their origin: (..., F), (..., E + 1), (..., F) -> (..., I)."""
        return torch.cat([features - self.relative.to(origin) * origin, others], dim=-1)

    def _read(self, cell: GRUCell, rows: Rows, origin: Tensor) -> Tensor:
        """Return the memory after rows, (..., H), from an empty one on."""
        if rows.exists is None and self.clock == "rows":  # rows first: what they add to the gates is much to move
            features, others = (x.movedim(-2, 0) for x in (rows.features, rows.others))
            return cell.unroll(cell.gates(self._read_as(features, others, origin)))
        gates = cell.gates(self._read_as(rows.features, rows.others, origin.unsqueeze(-2)))
        memory = gates[0].new_zeros(*gates[0].shape[:-2], self.options.hidden_dim)
        for t in range(rows.delta_t.shape[-1]):
            advanced = self._advance(cell, [gate[..., t, :] for gate in gates], memory, rows.delta_t[..., t])
            exists = None if rows.exists is None else rows.exists[..., t, None]
            memory = advanced if exists is None else torch.where(exists, advanced, torch.zeros_like(memory))
        return memory

    def _advance(self, cell: GRUCell, gates: Sequence[Tensor], memory: Tensor, delta_t: Tensor) -> Tensor:
        """Read a row and let its interval pass: three of (..., H), (..., H), (...) [s] -> (..., H)."""
        delta_t = delta_t.unsqueeze(-1)
        if self.clock == "warped":
            return gru_advance(gates, cell.own(memory), memory, delta_t / self.train_delta_t.to(delta_t))
        memory = cell.unroll([gate.unsqueeze(0) for gate in gates], memory)
        if self.clock == "decay":
            return memory * torch.exp(-nn.functional.softplus(self.decay) * delta_t / REFERENCE_DELTA_T)
        if self.clock == "ode":
            return runge_kutta_step(TABLEAUS["rk4"], self.field, memory, delta_t / REFERENCE_DELTA_T)
        return memory

    # --- training ---------------------------------------------------------------------------------------------------

    def loss(self, batch: Batch, progress: Tensor) -> Tensor:
        """Mean of (error/(Δt·σ))² over features and the steps of the horizon, each from the prediction before.

        Windows of which no step of the horizon exists count nothing.
        """
        del progress
        first = self.options.history_length - 1
        states = batch.state[..., :first, :]
        history = self._rows(states, batch.action[..., :first, :], batch.delta_t[..., :first])
        cell = self._cell()
        carry, observed = self._start(cell, history, states), batch.state[..., first, :]
        befores, changes, followings = (list[Tensor]() for _ in range(3))
        for t in range(first, first + self.options.prediction_horizon):
            kept = self._kept(batch, t)
            action, interval = batch.action[..., t, :], batch.delta_t[..., t]
            before, carry, change = self._change(cell, carry, action, interval, observed, kept)
            following = self._moved(before, change)
            carry, observed = carry._replace(state=following), None
            befores, changes, followings = [*befores, before], [*changes, change], [*followings, following]
        true = batch.next_state[..., first:, :]
        if self.options.loss_on == "delta":
            error = torch.stack(changes, dim=-2) - self._wanted(torch.stack(befores, dim=-2), true)
        else:
            error = state_features(torch.stack(followings, dim=-2), self.spec) - state_features(true, self.spec)
        if batch.unit is None:
            step = batch.delta_t[..., first:, None] * self.rate_scale
        else:
            step = batch.unit.unsqueeze(-2)
        found = (error / self._owners(step)).square().mean(dim=-1)
        if batch.valid is None:
            return found.mean()
        weight = batch.valid[..., first:].to(found)
        return (found * weight).sum() / weight.sum().clamp(min=1)

    def _wanted(self, before: Tensor, true: Tensor) -> Tensor:
        """The change that leads to the true state: (..., D), (..., D) -> (..., F)."""
        columns = []
        for i, change in enumerate((true - before).unbind(dim=-1)):
            columns += [change.cos() - 1, change.sin()] if i in self.spec.angle_dims else [change]
        return torch.stack(columns, dim=-1)

    def _kept(self, batch: Batch, t: int) -> Tensor | float:
        """Factors of dropout at a step, (..., H): zero for the share of lowest numbers, else 1/(1 − share)."""
        share = self.options.dropout
        if not share or batch.noise is None or not self.training:
            return 1.0
        below = math.sqrt(2) * torch.erfinv(torch.tensor(2 * share - 1, dtype=torch.float64)).item()
        return (batch.noise[..., t, :] > below) / (1 - share)

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup(weight_decay=self.options.weight_decay)]

    def with_form(self, form: str) -> "GRUModel":
        """Return a model of the same weights that puts its increment, or its memory too, on the clock of seconds.

        At the training interval h it is the same function. At others `scaled` stretches the increment by Δt/h, and
        `warped` besides keeps z^(Δt/h) of the memory in place of z.

        Raises:
            ValueError: If this model's form is not `none`, or the other one needs weights that it does not have.
        """
        if self.options.form != "none" or form not in ("scaled", "warped"):
            raise ValueError(f"form must go from 'none' to 'scaled' or 'warped', got {self.options.form!r} to {form!r}")
        other = copy.deepcopy(self)
        other.options = replace(self.options, form=form)
        step_form, other.clock = CLOCKS[form]
        other.form = StepForm(step_form, self.options.train_delta_t).to(self.form.coefficients.device)
        return other

    @property
    def row_form(self) -> str:
        """Where the memory is carried and neither decays nor follows a field; see `tdlib.speed.row_form`."""
        plain = self.clock in ("rows", "warped") and self.apply_delta is None
        return "gru" if plain and self.options.memory == "carried" else ""

    def structure(self) -> tuple:
        return (*super().structure(), self.clock)

    def stack_limit(self, device: str) -> int:
        """As for few weights: a row's products are small whatever H, and there are twenty of them in a step."""
        return CPU_STACK if device == "cpu" else DEVICE_STACK


ONE_RATE, SEVERAL = ("none",), tuple(name for name in CLOCKS if name != "warped")
ARMS = (
    *(Arms("baseline", form, derived=FOR_MEMORIES) for form in ONE_RATE),
    *(Arms("multi_resolution", form, (MIXED,)) for form in SEVERAL),
)
ON_PAGE = (("baseline", "none", "20"), ("multi_resolution", "scaled", MIXED))  # nine times a jump's weights
FAMILY = Family(GRUModel, GRUModel, GRUOptions, ARMS, label="GRU", short_label="GRU", shown=Shown(on_page=ON_PAGE))
