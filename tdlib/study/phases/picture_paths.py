"""One motion in pictures at any rate of a slider: what a camera saw, what models of pictures predict, and errors."""

import functools
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tdlib.evaluation.tables import frequency_label
from tdlib.evaluation.visual import PROTOCOLS, Films, baselines, visual_open_loop_rollout
from tdlib.evaluation.visual.pictures import ball_error, ground_of, mean_squared_error
from tdlib.models.visual import VisualWorldModel
from tdlib.study.arms import Arm
from tdlib.study.chapters.visual import END_TO_END
from tdlib.study.phases.filmed import (
    FilmedSets,
    camera_of,
    films_of,
    known_of,
    motion_hold,
    seeing_arms,
    select_pictures,
)
from tdlib.study.phases.offered import OfferedPaths
from tdlib.study.phases.pictures import load_pictured
from tdlib.study.run import Run
from tdlib.study.selection import Selection

RATES = (2, 4, 5, 8, 10, 16, 20)  # [Hz] whose intervals divide a second
ROUNDING = 1e-9
KEPT = 128  # predictions of all motions by one model at one rate


@dataclass(frozen=True)
class PicturePath:
    """One model, one motion, one rate, one test; time 0 is where nothing more is seen.

    Args:
        times: (K + 1 + T,) of true frames, the last known one at 0 [s].
        truth: (K + 1 + T, C, H, W) in [0, 1].
        predicted: (T, C, H, W).
        errors: (T,) mean squared error of each by name: of the model, of a copy of the last frame, of the mean image.
        ball: (T,) distance of the predicted ball from the true one [pixels]; nan where none is predicted.
    """

    times: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    errors: dict[str, np.ndarray]
    ball: np.ndarray


class PicturePaths(OfferedPaths[VisualWorldModel]):
    """Motions of a system's first seed, predicted by the chosen models that see pictures; starts are those of tables.

    Attributes:
        rates: On offer [Hz]; that of training is among them.
    """

    def __init__(self, run: Run, env: str, chosen: Selection | None = None):
        super().__init__(run, env, chosen)
        self.train_rate = run.preset.train_frequencies[0]
        before = max((known_of(run, arm.method) for arm in self.arms), default=1)
        whole = [rate for rate in {*RATES, self.train_rate} if _fits(rate, motion_hold(run), before)]
        self.rates = tuple(sorted(int(rate) if rate == int(rate) else rate for rate in whole))
        self._sets = FilmedSets(run, env)
        self._films = functools.cache(self._film)
        self._predicted = functools.lru_cache(maxsize=KEPT)(self._predict)

    def offered_arms(self, chosen: Selection | None) -> list[Arm]:
        """Return those that see pictures."""
        return seeing_arms(select_pictures(self.run, self.env, chosen), self.seed)

    def load(self, arm: Arm) -> VisualWorldModel:
        return load_pictured(self.run, self.env, arm, self.seed)

    def page_arms(self) -> list[Arm]:
        """Return those of a page: pictures of one size, of predictors that share an encoder the first and the last."""
        size = [camera_of(self.run, arm.method).img_size for arm in self.arms]
        arms = [arm for arm, own in zip(self.arms, size, strict=True) if own == size[0]]
        found: list[Arm] = []
        for method in dict.fromkeys(arm.method for arm in arms):
            own = [arm for arm in arms if arm.method == method]
            found += own if method == END_TO_END else dict.fromkeys([own[0], own[-1]])
        return found

    def by_change(self) -> list[int]:
        """Return the motions on offer, that whose frames change most first."""
        asked = self._films(self.arms[0].method).sequences["A", frequency_label(self.train_rate)]
        change = (asked.truth - asked.start.unsqueeze(1))[: len(self.starts)].square().flatten(1).mean(dim=1)
        return [self.starts[k] for k in change.argsort(descending=True, stable=True).tolist()]

    def path(self, arm: Arm, start: int, rate: float, test: str) -> PicturePath:
        """Predict one motion by one arm, at one rate [Hz], in one test.

        Raises:
            ValueError: If the arm, the start, the rate or the test is not on offer.
        """
        self.check_offered(arm, start, rate=(rate, self.rates), test=(test, PROTOCOLS))
        films = self._films(arm.method)
        one = films.sequences[test, frequency_label(rate)].part(slice(start, start + 1))
        predicted = self._predicted(arm, rate, test)[start : start + 1].nan_to_num()  # what is no number is black
        shown = {"model": predicted, **baselines(one, films.mean_image)}
        errors = {name: mean_squared_error(frames, one.truth)[0].numpy() for name, frames in shown.items()}
        ball = ball_error(shown["model"], one.truth, ground_of(one.truth))[0]
        before = -one.delta_t[0, : one.known].flip(0).cumsum(dim=0).flip(0)
        times = np.concatenate([before, [0.0], one.times]).round(6)
        return PicturePath(times, one.images[0].numpy(), shown["model"][0].numpy(), errors, ball.numpy())

    def _film(self, method: str) -> Films:
        return films_of(self.run, self.env, method, self.seed, self._sets, self.rates)

    def _predict(self, arm: Arm, rate: float, test: str) -> Tensor:
        """Predict all motions on offer at once: (S, T, C, H, W)."""
        asked = self._films(arm.method).sequences[test, frequency_label(rate)].part(slice(len(self.starts)))
        return visual_open_loop_rollout(self.model(arm), asked, device=self.run.device).images


def _fits(rate: float, hold: float, before: int) -> bool:
    """Whether intervals divide what an input is held for, and so many of them fit into it."""
    return abs(hold * rate - round(hold * rate)) < ROUNDING and before <= hold * rate + ROUNDING
