"""MTS3: a fast filter, and slow ones whose belief acts on the steps of its window; whole sequences are predicted."""

from dataclasses import dataclass

from torch import Tensor

from tdlib.core.context import Context, Prediction
from tdlib.models.beliefs.compositions import MTS3
from tdlib.models.beliefs.forms import BELIEF_FORMS
from tdlib.models.beliefs.levels import LevelBeliefs, Predicted, first_belief
from tdlib.models.beliefs.model import arms_of
from tdlib.models.beliefs.options import MTS3Options
from tdlib.models.beliefs.sequence_model import SequenceModel
from tdlib.models.family import family_of


@dataclass(frozen=True)
class MTS3ModelOptions(MTS3Options):
    """Options of MTS3 as the study trains it: nothing of a window is known before its end, and it is smaller.

    The published model is `MTS3Options()`: a task that has seen its window (`task_feed` posterior), latent states of
    30, layers of 120 and 240.
    """

    latent_dim: int = 14
    hidden_dim: int = 48
    control_hidden_dim: int = 48
    set_hidden_dim: int = 64
    decoder_hidden_dim: int = 64
    mask_window: int = 10
    windows: tuple[int, ...] = (10,)
    task_feed: str = "prior"
    abstract_action_covariance: bool = True


class MTS3Model(SequenceModel):
    """l ~ condition(l, aggregate(o of a window)), which acts on z' ~ marginalize(A z + b(a) + C l + noise) within it.

    The fast belief is z ~ condition(z, o) as everywhere; the slow one goes on from window to window by
    l' ~ marginalize(A l + B α + noise), α ~ aggregate(a of the next window).

    Windows are counted from the first step of the context. A prediction depends on all inputs of its window, so that
    there is no `step`.

    Args:
        spec: State and action sizes and units of the environment.
        options: See `MTS3ModelOptions`.

    Source:
        Shaj et al. (2023), Multi time scale world models; seed 004.
    """

    Options = MTS3ModelOptions
    Network = MTS3
    ARMS = arms_of(tuple(BELIEF_FORMS))
    label = "MTS3"
    options: MTS3ModelOptions
    network: MTS3

    def filtered(
        self, observations: Tensor, inputs: Tensor, valid: Tensor, delta_t: Tensor, exists: Tensor | None = None
    ) -> Predicted:
        return self.network(observations, inputs, valid, exists, delta_t).predicted

    def follow(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, context: Context | None = None
    ) -> tuple[Prediction, list[LevelBeliefs]]:
        """Predict as `predict` does, and say what each level knows along it, from the fast one up: C + T steps."""
        row = self.row(state, actions, delta_t, context)
        found = self.network(row.features, row.inputs, row.seen, row.exists, row.delta_t)
        first, predicted = first_belief(self.options, row.features), found.predicted
        slow = [
            LevelBeliefs(first, windows.spread(self.network.acting(tasks)), windows.begins)
            for tasks, windows in zip(found.tasks, found.windows, strict=True)
        ]
        assert predicted.belief is not None  # of a level
        prediction = self.read_off(*row.ahead(predicted.mean, predicted.variance), row.start)
        return prediction, [LevelBeliefs(first, predicted.belief), *slow]


FAMILY = family_of(MTS3Model)
