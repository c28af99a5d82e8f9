"""Dynamics models that predict whole sequences: what is known and what is to come are one, of which a part is seen."""

from torch import Tensor

from tdlib.core.context import Context, Prediction
from tdlib.models.beliefs.model import BeliefModel


class SequenceModel(BeliefModel):
    """The steps of a context, the start and the steps to come in a row; nothing is seen after the start."""

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        state, action, step = self.broadcast(state, action, delta_t)
        return self.predict(state, action.unsqueeze(-2), step.unsqueeze(-1)).state.squeeze(-2)

    def predict(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, context: Context | None = None
    ) -> Prediction:
        row = self.row(state, actions, delta_t, context)
        found = self.filtered(row.features, row.inputs, row.seen, row.delta_t, row.exists)
        return self.read_off(*row.ahead(found.mean, found.variance), row.start)
