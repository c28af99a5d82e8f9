"""Jump model: the next state is a learned map of the present one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tdlib.core.facts import CONTACTS, LOG_FORMS, LOG_UNIFORM, MIXED, POOLED, SECONDS, TRAIN_RATES
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import DynamicsModel
from tdlib.models.derived import FOR_MAPS
from tdlib.models.encoders import ActionEncoder, mlp
from tdlib.models.family import Arms, Family, Shown
from tdlib.models.forms import StepForm
from tdlib.models.trajectories import TrajectoryOptions, in_trajectory


@dataclass(frozen=True)
class JumpOptions(TrajectoryOptions):
    """Options of the jump model.

    Args:
        form: How Δt enters, a name in `FORMS`.
    """

    form: str = "none"


class JumpModel(DynamicsModel):
    """Residual MLP, x' = x + s(Δt)·σ·g(z(x), e(a), gain·Δt).

    Args:
        spec: State and action sizes and units of the environment.
        options: Form, training step, sizes.

    Source:
        Seed 000, Phase 2, model 1; residual target as in Nagabandi et al. (2018).
    """

    Options = JumpOptions
    options: JumpOptions
    row_form = "residual_network"  # see `tdlib.speed.row_form`
    mixes = ("train_delta_t", "form")

    def __init__(self, spec: EnvironmentSpec, options: JumpOptions | None = None):
        super().__init__(spec, options)
        options = self.options
        self.action_encoder = ActionEncoder(spec, options.action_embedding_dim)
        self.form = StepForm(options.form, options.train_delta_t)
        self.network = mlp(spec.feature_dim + options.action_embedding_dim + 1, options.widths, spec.state_dim)

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        state, action, delta_t = self.broadcast(state, action, delta_t)
        delta_t_input, step = self.form(delta_t)
        inputs = torch.cat([self.scales.features(state), self.action_encoder(action), delta_t_input], dim=-1)
        return state + step * self.scales.rate_scale * self.network(inputs)


def jump_model(spec: EnvironmentSpec, options: JumpOptions) -> DynamicsModel:
    """Build a jump model, to be trained on single intervals or on windows."""
    return in_trajectory(JumpModel(spec, options), options)


MAIN = ("20",)  # the rate at which sizes are compared
ALL_FORMS = ("concat", "scaled", "scaled_concat", *LOG_FORMS)
ARMS = (
    Arms("baseline", larger=MAIN, in_amounts=True, derived=FOR_MAPS),
    Arms("dt_conditioned", "scaled_concat", larger=MAIN, in_amounts=True),
    *(Arms("dt_conditioned", form) for form in ("concat", *LOG_FORMS)),
    Arms("multi_resolution", "scaled_concat", (MIXED,), larger=(MIXED,), in_amounts=True),
    *(Arms("multi_resolution", form, (MIXED,)) for form in ALL_FORMS if form != "scaled_concat"),
    *(Arms("multi_resolution", form, (LOG_UNIFORM,)) for form in ALL_FORMS),
    # at the finest rate equal seconds are all
    Arms("baseline", rates=TRAIN_RATES[:-1], data=SECONDS, in_amounts=True),
    Arms("dt_conditioned", "scaled_concat", TRAIN_RATES[:-1], data=SECONDS, in_amounts=True),
    Arms("multi_resolution", "scaled_concat", (MIXED,), data=SECONDS, in_amounts=True),
    Arms("baseline", data=POOLED),
    Arms("multi_resolution", "scaled_concat", (MIXED,), data=POOLED),
    Arms("baseline", rates=("20",), data=CONTACTS),
)
FAMILY = Family(JumpModel, jump_model, JumpOptions, ARMS, label="jump (MLP)", shown=Shown("maps"))
