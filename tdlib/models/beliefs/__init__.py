"""Models whose memory is a Gaussian belief: an algebra of three operations, layers made of it, models made of those."""

from tdlib.models.beliefs.attention import CausalMemory
from tdlib.models.beliefs.belief import Belief, dense_covariance, independent_sum, information, isotropic
from tdlib.models.beliefs.checks import checked_belief, evidence
from tdlib.models.beliefs.compositions import MTS3, AcRKN, Filtered, HiPRSSM
from tdlib.models.beliefs.conditioning import Evidence, aggregate, condition, condition_whole
from tdlib.models.beliefs.filtering import filter_beliefs
from tdlib.models.beliefs.levels import FastLevel, Predicted, SlowLevel, Tasks
from tdlib.models.beliefs.likelihood import negative_log_likelihood
from tdlib.models.beliefs.marginalization import LinearMap, linear_map, marginalize, push
from tdlib.models.beliefs.networks import BeliefDecoder, Control, GaussianEncoder
from tdlib.models.beliefs.options import BeliefOptions, HiPRSSMOptions, MTS3Options
from tdlib.models.beliefs.recurrent import GRUMemory, LSTMMemory, RecurrentBaseline
from tdlib.models.beliefs.rotations import DampedRotations
from tdlib.models.beliefs.transitions import Dynamics, Transition

__all__ = [
    "MTS3",
    "AcRKN",
    "Belief",
    "BeliefDecoder",
    "BeliefOptions",
    "CausalMemory",
    "Control",
    "DampedRotations",
    "Dynamics",
    "Evidence",
    "FastLevel",
    "Filtered",
    "GRUMemory",
    "GaussianEncoder",
    "HiPRSSM",
    "HiPRSSMOptions",
    "LSTMMemory",
    "LinearMap",
    "MTS3Options",
    "Predicted",
    "RecurrentBaseline",
    "SlowLevel",
    "Tasks",
    "Transition",
    "aggregate",
    "checked_belief",
    "condition",
    "condition_whole",
    "dense_covariance",
    "evidence",
    "filter_beliefs",
    "independent_sum",
    "information",
    "isotropic",
    "linear_map",
    "marginalize",
    "negative_log_likelihood",
    "push",
]
