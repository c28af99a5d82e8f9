"""What a model believes along one long prediction: mean and band of its states, its windows, what each level knows.

One start of a test set, asked at any rate that divides what an input is held for: the same second is known and the same
seconds are imagined, under the same physical input.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch

from tdlib.core.facts import MIXED
from tdlib.core.specs import EnvironmentSpec
from tdlib.evaluation.measures.imagined import HORIZON, NUM_WINDOWS, WINDOW
from tdlib.evaluation.sets.imagination import Imagined
from tdlib.evaluation.tables import frequency_label
from tdlib.models import DynamicsModel, Prediction, find_family
from tdlib.models.beliefs.belief import Belief, information
from tdlib.models.beliefs.levels import LevelBeliefs
from tdlib.study.arms import Arm
from tdlib.study.phases.evaluate import load_test_set, main_rate
from tdlib.study.phases.offered import OfferedPaths
from tdlib.study.phases.train import model_folder
from tdlib.study.run import Run
from tdlib.study.selection import Selection, everything
from tdlib.systems import SYSTEMS
from tdlib.training import load_checkpoint

RATES = (5, 10, 15, 20, 25, 30, 40, 50)  # [Hz] whose intervals divide the 0.2 s of one input
AHEAD = 3.0  # [s] of a prediction: what a picture shows


@dataclass(frozen=True)
class Level:
    """What one level knows.

    Args:
        windows: (W,) times at which its windows begin [s]; empty of the fast level.
        known: (C + T,) information since it began [bits per pair of coordinates], after each step of the fast level,
            of a slow one while the step lasts.
        size: (C + T,) root mean square of its mean.
    """

    windows: np.ndarray
    known: np.ndarray
    size: np.ndarray


@dataclass(frozen=True)
class BeliefPath:
    """One model, one start, one rate; time 0 is where nothing more is seen.

    Args:
        times: (C + T + 1,) [s], the first C before 0.
        truth: (C + T + 1, D) true states; angles are continuous, and so are predicted ones, perhaps another turn.
        mean: (T, D) predicted, after each step from 0 on.
        spread: (T, D) standard deviations.
        levels: From the fast one up.
    """

    times: np.ndarray
    truth: np.ndarray
    mean: np.ndarray
    spread: np.ndarray
    levels: tuple[Level, ...]

    @property
    def known_steps(self) -> int:
        """C."""
        return len(self.truth) - len(self.mean) - 1


class BeliefPaths(OfferedPaths[DynamicsModel]):
    """Long predictions of a system's first seed by the chosen arms that have levels.

    Attributes:
        ahead: How far starts are followed [s].
    """

    def __init__(self, run: Run, env: str, chosen: Selection | None = None):
        super().__init__(run, env, chosen)
        self.ahead = min(AHEAD, run.preset.evaluation.imagined or HORIZON)
        self._followed = functools.lru_cache(maxsize=len(RATES))(self._follow)
        self._test_set = functools.cache(lambda: load_test_set(run, env, self.seed))

    @property
    def spec(self) -> EnvironmentSpec:
        """Names and units of the states."""
        return SYSTEMS[self.env].spec

    def offered_arms(self, chosen: Selection | None) -> list[Arm]:
        """Return those that have levels."""
        members = (chosen or everything(self.run)).on(self.env).trained_members
        return [arm for arm, own in members if own == self.seed and hasattr(find_family(arm.model).model, "follow")]

    def load(self, arm: Arm) -> DynamicsModel:
        model = load_checkpoint(model_folder(self.run, self.env, arm, self.seed))
        return model.double().eval().requires_grad_(False)

    def page_arms(self) -> list[Arm]:
        """Return those of a page, which has little room: of each model that of one rate, and the last of several."""
        found: list[Arm] = []
        for model in dict.fromkeys(arm.model for arm in self.arms):
            own = [arm for arm in self.arms if arm.model == model]
            several = [arm for arm in own if arm.train_frequency == MIXED]
            one = [arm for arm in own if arm.method == "baseline" and arm.train_frequency == main_rate(self.run)]
            found += [*one, *several[-1:]]
        return found or self.arms[-1:]

    def path(self, arm: Arm, start: int, rate: int) -> BeliefPath:
        """Follow one arm from one start at one rate [Hz].

        Raises:
            ValueError: If the arm, the start or the rate is not on offer.
        """
        self.check_offered(arm, start, rate=(rate, RATES))
        rollouts, (found, levels) = self._imagined(rate).rollouts, self._followed(arm, rate)
        context = rollouts.context
        assert context is not None and found.variance is not None  # a stretch is known; models with levels have one
        before, delta_t = context.delta_t[start], rollouts.delta_t[start]
        times = np.concatenate([[0.0], torch.cat([before, delta_t]).cumsum(dim=0).numpy()]) - float(before.sum())
        truth = torch.cat([context.states[start], rollouts.state[start, None], rollouts.states[start]])
        mean, spread = found.state[start], found.variance[start].sqrt()
        inside = tuple(_level(level, start, times.round(9)) for level in levels)
        return BeliefPath(times.round(9), truth.numpy(), mean.numpy(), spread.numpy(), inside)

    def _follow(self, arm: Arm, rate: int) -> tuple[Prediction, list[LevelBeliefs]]:
        """Follow all starts at once."""
        rollouts, model = self._imagined(rate).rollouts, self.model(arm)
        count = len(self.starts)
        assert rollouts.context is not None
        told = (x[:count] for x in (rollouts.state, rollouts.actions, rollouts.delta_t))
        with torch.inference_mode():
            return model.follow(*told, rollouts.context.map(lambda x: x[:count]))

    def _imagined(self, rate: int) -> Imagined:
        imagined = self._test_set().imagined
        assert imagined is not None  # of a system
        labels = tuple(frequency_label(each) for each in RATES)  # all at once: one input for them all
        return imagined(labels, NUM_WINDOWS * WINDOW, self.ahead)[frequency_label(rate)]


def _level(level: LevelBeliefs, start: int, times: np.ndarray) -> Level:
    belief = Belief(*(part[start] for part in level.belief))
    windows = np.empty(0) if level.begins is None else times[:-1][level.begins[start].numpy()]
    known, size = information(belief, level.first), belief.mean.square().mean(dim=-1).sqrt()
    return Level(windows, known.numpy(), size.numpy())
