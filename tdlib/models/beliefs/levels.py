"""The two kinds of level: a fast one that sees single observations, and a slow one that sees windows of them."""

from typing import NamedTuple

from torch import Tensor, nn

from tdlib.core.facts import REFERENCE_DELTA_T
from tdlib.models.beliefs.belief import Belief, isotropic
from tdlib.models.beliefs.conditioning import Evidence, condition, condition_whole
from tdlib.models.beliefs.filtering import filter_beliefs
from tdlib.models.beliefs.networks import BeliefDecoder, GaussianEncoder
from tdlib.models.beliefs.options import BeliefOptions
from tdlib.models.beliefs.rotations import DampedRotations
from tdlib.models.beliefs.transitions import Dynamics, Transition
from tdlib.models.beliefs.windows import StepWindows, Windows, over_steps, sense, with_interval

ABSTRACT_ACTION, TASK = "abstract_action", "task"


class Predicted(NamedTuple):
    """What is expected of the observation after each step.

    Args:
        mean: (..., T, O), entry t of what is seen at the end of step t.
        variance: (..., T, O).
        belief: (..., T, ·) that it is decoded from; None of a memory without one.
    """

    mean: Tensor
    variance: Tensor
    belief: Belief | None = None


class Tasks(NamedTuple):
    """What a slow level believes, window by window.

    Args:
        priors: (..., K, ·) before each window, from those before it and the actions in it.
        posteriors: (..., K, ·) after it.
        abstract_actions: (..., K − 1, ·) of each window but the first; None without actions.
    """

    priors: Belief
    posteriors: Belief
    abstract_actions: Belief | None


class LevelBeliefs(NamedTuple):
    """What one level of a model knows, step by step.

    Args:
        first: (·) what it believes before anything is seen.
        belief: (..., T, ·) of the fast level after each step, of a slow one while the step lasts.
        begins: (..., T) bool, whether a window of the level begins with the step; None of the fast level.
    """

    first: Belief
    belief: Belief
    begins: Tensor | None = None


class FastLevel(nn.Module):
    """One filter: condition on an observation, marginalize over a step, decode.

    Args:
        observation_dim: O.
        action_dim: A; 0 for none.
        options: Sizes and oddities.
        causes: `(TASK,)` for one that a task acts on.
    """

    def __init__(self, observation_dim: int, action_dim: int, options: BeliefOptions, causes: tuple[str, ...] = ()):
        super().__init__()
        self.options = options
        d = options.latent_dim
        self.observation = GaussianEncoder(observation_dim, options.hidden_dim, d, options.norm, options.variance)
        self.transition = Transition(own_dynamics(options), d, causes, action_dim, options.control_hidden_dim)
        self.decoder = BeliefDecoder(d, options.decoder_hidden_dim, observation_dim, options.variance)

    def step(
        self,
        belief: Belief,
        action: Tensor | None,
        observation: Tensor | None = None,
        task: Belief | None = None,
        delta_t: Tensor | None = None,
    ) -> Belief:
        """Take one step: (..., 2d) and (..., 3d) -> the same, before the next observation.

        Args:
            belief: Before what is observed at the step's start.
            action: (..., A) held over it; None without actions.
            observation: (..., O); None if nothing is seen.
            task: (..., ·) that acts, if one does.
            delta_t: (...) interval [s]; None where a step is a step.
        """
        if observation is not None:
            belief = condition(belief, sense(self.observation, observation, None))
        effects = self.transition.effects({} if task is None else {TASK: task})
        effects = self.transition.controlled(effects.expand(*belief.mean.shape[:-1]), action)
        return self.transition.prepared()(belief, self.transition.over(effects, delta_t))

    def forward(
        self,
        observations: Tensor,
        actions: Tensor | None,
        valid: Tensor | None = None,
        task: Belief | None = None,
        detach_every: int | None = None,
        exists: Tensor | None = None,
        delta_t: Tensor | None = None,
    ) -> Predicted:
        """Filter a sequence and decode what is expected after each step.

        Args:
            observations: (..., T, O) at the start of each step.
            actions: (..., T, A) held over it; None without actions.
            valid: (..., T) bool, which observations are seen; None if all are.
            task: (..., T, ·) that acts on each step, or (..., 1, ·) on all of them, if one does.
            detach_every: As `filter_beliefs` has it.
            exists: (..., T), as there.
            delta_t: (..., T) intervals [s]; None where a step is a step.
        """
        effects = self.transition.effects({} if task is None else {TASK: task})
        effects = self.transition.controlled(effects.expand(*observations.shape[:-1]), actions)
        moves = self.transition.over(effects, delta_t)
        seen = sense(self.observation, observations, valid)
        prior = first_belief(self.options, observations)
        priors, _ = filter_beliefs(prior, seen, moves, self.transition.prepared(), detach_every, exists)
        belief = Belief(*(part[..., 1:, :] for part in priors))
        mean, variance = self.decoder(belief)
        return Predicted(mean, variance, belief)


class SlowLevel(nn.Module):
    """A filter of windows: aggregate one and condition on it, aggregate the next one's actions and marginalize.

    Where beliefs move on by time, the step from window k to k + 1 is as long as window k, for the effect of the
    abstract action α_{k+1} too, which comes of the inputs of window k + 1: that matters where windows differ in length.

    Args:
        observation_dim: O.
        action_dim: A; 0 for none.
        window: Steps of a window.
        options: Sizes and oddities.
        below: Whether there is a level above, whose task acts on this one.
        abstract_action_covariance: Whether the uncertainty of an abstract action counts.
    """

    def __init__(
        self,
        observation_dim: int,
        action_dim: int,
        window: int,
        options: BeliefOptions,
        below: bool = False,
        abstract_action_covariance: bool = False,
    ):
        super().__init__()
        self.window, self.options = window, options
        d, hidden, norm, variance = options.latent_dim, options.set_hidden_dim, options.norm, options.variance
        told = 1 + options.time.flows  # the time within the window, and the interval
        self.observations = GaussianEncoder(observation_dim + told, hidden, d, norm, variance)
        self.actions = GaussianEncoder(action_dim + told, hidden, 2 * d, norm, variance) if action_dim else None
        causes = (ABSTRACT_ACTION,) * bool(action_dim) + (TASK,) * below
        bare = () if abstract_action_covariance else (ABSTRACT_ACTION,)
        dynamics = own_dynamics(options, window * REFERENCE_DELTA_T)
        self.transition = Transition(dynamics, d, causes, without_covariance=bare)

    def forward(
        self,
        observations: Tensor,
        actions: Tensor | None,
        valid: Tensor,
        task: Belief | None = None,
        ratio: int = 1,
        exists: Tensor | None = None,
        delta_t: Tensor | None = None,
        windows: Windows | None = None,
    ) -> Tasks:
        """Filter the windows of a sequence.

        Args:
            observations: (..., T, O).
            actions: (..., T, A); None without actions. Those of the first window have no effect.
            valid: (..., T) bool, which observations are seen.
            task: (..., L, ·) of the level above, if there is one.
            ratio: Windows of this level in one of that.
            exists: (..., T) whether a step does, as `filter_beliefs` has it; actions of others count nothing.
            delta_t: (..., T) intervals [s]; None where a step is a step.
            windows: K of them; None for those of as many steps as the level's.
        """
        windows = windows or StepWindows(self.window, observations.shape[-2], observations)
        sets = [x if x is None else self._told(windows.with_time(x), delta_t) for x in (observations, actions)]
        seen = windows.pooled(sense(self.observations, sets[0], valid))
        causes, abstract_actions = {}, None
        if self.actions is not None:
            taken = windows.pooled(sense(self.actions, sets[1], exists))
            later = Evidence(*(part[..., 1:, :] for part in taken))
            abstract_actions = condition_whole(isotropic(self.options.latent_dim, 1.0, like=observations), later)
            causes[ABSTRACT_ACTION] = abstract_actions
        if task is not None:
            causes[TASK] = over_steps(task, ratio, windows.count - 1)
        effects = self.transition.effects(causes).expand(*seen.precision.shape[:-2], windows.count - 1)
        moves = self.transition.over(effects, None if delta_t is None else windows.lasted(delta_t, exists)[..., :-1])
        prior = first_belief(self.options, observations)
        began = None if exists is None else windows.total(exists.to(observations)) > 0
        found = filter_beliefs(prior, seen, moves, self.transition.prepared(), exists=began)
        return Tasks(*found, abstract_actions)

    def _told(self, members: Tensor, delta_t: Tensor | None) -> Tensor:
        return with_interval(members, delta_t) if self.options.time.flows else members


def own_dynamics(options: BeliefOptions, unit: float = REFERENCE_DELTA_T) -> Dynamics | DampedRotations:
    """Return the motion of a level's own state; where it goes on for any time, this is counted in units [s]."""
    if options.time.flows:
        return DampedRotations(options.latent_dim, unit)
    return Dynamics(options.latent_dim, options.identity, options.band or None, options.num_basis or None)


def first_belief(options: BeliefOptions, like: Tensor) -> Belief:
    """Return what is believed before anything is seen, (2d,) and (3d,)."""
    return isotropic(options.latent_dim, options.initial_variance, options.initial_side, like=like)
