"""Load the arms of a run as stacks: trained ones by structure, derived ones as wrappers around the stack they read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from tdlib.core.specs import EnvironmentSpec
from tdlib.evaluation.tables import arm_of
from tdlib.models import DERIVATIONS, DynamicsModel, Persistence
from tdlib.speed import Stack
from tdlib.speed.structure import select_models
from tdlib.study.arms import PERSISTENCE, Arm
from tdlib.study.phases.train import model_folder
from tdlib.study.run import Run
from tdlib.study.selection import Member
from tdlib.systems import SYSTEMS
from tdlib.training import load_checkpoint

LARGEST_STACK = 64  # models evaluated as one program; more only grow the working set


@dataclass(frozen=True)
class StackOfArms:
    """Models of several arms and seeds that predict as one.

    Args:
        env: Environment.
        members: One (arm, seed) per model.
        dynamics: The models as one callable with a leading axis K; of derived arms a wrapper of the stack they read.
    """

    env: str
    members: tuple[Member, ...]
    dynamics: Stack | DynamicsModel

    @property
    def keys(self) -> list[dict]:
        """Key columns of every model."""
        return [dict(arm_of(arm, seed, self.env)) for arm, seed in self.members]

    def select(self, wanted: Callable[[dict], bool]) -> "StackOfArms | None":
        """Return the models whose key columns are wanted; None if there are none."""
        index = [i for i, key in enumerate(self.keys) if wanted(key)]
        if not index:
            return None
        members = tuple(self.members[i] for i in index)
        return StackOfArms(self.env, members, select_models(self.dynamics, torch.tensor(index)))


def load_stacks(
    run: Run, env: str, members: Sequence[Member], spec: EnvironmentSpec | None = None
) -> list[StackOfArms]:
    """Load arms and seeds, trained and derived, as few stacks as possible; `spec` where the set has no system."""
    spec = spec or SYSTEMS[env].spec
    sources = dict.fromkeys((arm.source, seed) for arm, seed in members if arm.source is not None)
    loaded = {(arm, seed): load_checkpoint(model_folder(run, env, arm, seed)).to(run.device) for arm, seed in sources}
    groups: dict[tuple, list[tuple[Member, DynamicsModel]]] = {}
    wrapped: dict[Arm, Arm] = {}
    for arm, seed in members:
        if (source := arm.source) is None:
            continue
        model = loaded[source, seed]
        if source != arm:
            found = DERIVATIONS[arm.method].wrap(model, arm.train_delta_t, spec)
            if type(found) is not type(model):
                wrapped[arm] = source
                continue
            model = found  # a memory repairs itself, and stacks with others of its structure
        # the structure of an ensemble names its members, so ensembles group by themselves
        groups.setdefault(model.structure(), []).append(((arm, seed), model))
    stacks = []
    for several in groups.values():
        for i in range(0, len(several), LARGEST_STACK):
            keys, models = zip(*several[i : i + LARGEST_STACK], strict=True)
            stacks.append(StackOfArms(env, keys, Stack(list(models))))
    for arm, source in wrapped.items():
        own = tuple(member for member in members if member[0] == arm)
        stack = Stack([loaded[source, seed] for _, seed in own])
        stacks.append(StackOfArms(env, own, DERIVATIONS[arm.method].wrap(stack, arm.train_delta_t, spec)))
    if unmoved := tuple(member for member in members if member[0] == PERSISTENCE):
        stacks.append(StackOfArms(env, unmoved, Persistence(spec)))
    return stacks
