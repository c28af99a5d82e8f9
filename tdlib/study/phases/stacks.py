"""Load the arms of a run as stacks: trained ones by structure, derived ones as wrappers around the stack they read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tdlib.evaluation.tables import arm_of
from tdlib.models import DERIVATIONS, DynamicsModel, Persistence
from tdlib.speed import Stack
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
        models: The loaded models, in order; for derived arms the models that they read.
        derive: Turns a stack into the derived arm's dynamics; None for trained arms.
    """

    env: str
    members: tuple[tuple[Arm, int], ...]
    models: tuple[DynamicsModel, ...]
    derive: Callable[[Stack], DynamicsModel] | None = None

    @property
    def dynamics(self) -> Stack | DynamicsModel:
        """The models as one callable with a leading axis K."""
        if not self.models:
            return Persistence(SYSTEMS[self.env].spec)
        stack = Stack(self.models)
        return stack if self.derive is None else self.derive(stack)

    @property
    def keys(self) -> list[dict]:
        """Key columns of every model."""
        return [dict(arm_of(arm, seed, self.env)) for arm, seed in self.members]

    def select(self, wanted: Callable[[dict], bool]) -> "StackOfArms | None":
        """Return the models whose key columns are wanted; None if there are none."""
        index = [i for i, key in enumerate(self.keys) if wanted(key)]
        if not index:
            return None
        return StackOfArms(
            self.env, tuple(self.members[i] for i in index), tuple(self.models[i] for i in index), self.derive
        )


def load_stacks(run: Run, env: str, members: Sequence[Member]) -> list[StackOfArms]:
    """Load arms and seeds, trained and derived, as few stacks as possible."""
    sources = dict.fromkeys((arm.source, seed) for arm, seed in members if arm.source is not None)
    loaded = {(arm, seed): load_checkpoint(model_folder(run, env, arm, seed)).to(run.device) for arm, seed in sources}
    groups: dict[tuple, list[Member]] = {}
    for arm, seed in members:
        if arm.source == arm:
            # the structure of an ensemble names its members, so ensembles group by themselves
            groups.setdefault(loaded[arm, seed].structure(), []).append((arm, seed))
    stacks = []
    for keys in groups.values():
        for i in range(0, len(keys), LARGEST_STACK):
            chunk = tuple(keys[i : i + LARGEST_STACK])
            stacks.append(StackOfArms(env, chunk, tuple(loaded[key] for key in chunk)))
    derived = {arm: arm.source for arm, _ in members if arm.source is not None and arm.source != arm}
    for arm, source in derived.items():
        own = tuple(member for member in members if member[0] == arm)
        models = tuple(loaded[source, seed] for _, seed in own)
        stacks.append(StackOfArms(env, own, models, _derivation(arm, env)))
    if unmoved := tuple(member for member in members if member[0] == PERSISTENCE):
        stacks.append(StackOfArms(env, unmoved, ()))
    return stacks


def _derivation(arm: Arm, env: str) -> Callable[[Stack], DynamicsModel]:
    wrap, spec, delta_t = DERIVATIONS[arm.method].wrap, SYSTEMS[env].spec, arm.train_delta_t
    return lambda stack: wrap(stack, delta_t, spec)
