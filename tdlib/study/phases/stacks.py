"""Load the arms of a run as stacks: trained ones by structure, derived ones as wrappers around the stack they read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tdlib.evaluation.tables import arm_of
from tdlib.models import DERIVATIONS, DynamicsModel, Persistence
from tdlib.speed import Stack
from tdlib.study.arms import PERSISTENCE, Arm, derived_arms, trained_arms
from tdlib.study.phases.train import model_folder
from tdlib.study.run import Run
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


def load_arm_stacks(run: Run, env: str, models: Sequence[str], seeds: Sequence[int]) -> list[StackOfArms]:
    """Load the trained arms of some models and the derived arms that read them, as few stacks as possible."""
    loaded = {
        (arm, seed): load_checkpoint(model_folder(run, env, arm, seed)).to(run.device)
        for arm in trained_arms(models, run.preset.sizes)
        for seed in seeds
    }
    groups: dict[tuple, list[tuple[Arm, int]]] = {}
    for key, model in loaded.items():
        # the structure of an ensemble names its members, so ensembles group by themselves
        groups.setdefault(model.structure(), []).append(key)
    stacks = []
    for keys in groups.values():
        for i in range(0, len(keys), LARGEST_STACK):
            chunk = tuple(keys[i : i + LARGEST_STACK])
            stacks.append(StackOfArms(env, chunk, tuple(loaded[key] for key in chunk)))
    for arm in derived_arms(models):
        sources = [(arm.source, seed) for seed in seeds]
        if arm.source is not None and all(key in loaded for key in sources):
            stacks.append(
                StackOfArms(
                    env,
                    tuple((arm, seed) for seed in seeds),
                    tuple(loaded[key] for key in sources),
                    _derivation(arm, env),
                )
            )
    return stacks


def persistence_stack(env: str, seeds: Sequence[int]) -> StackOfArms:
    """The prediction that nothing changes, once per seed's test set."""
    return StackOfArms(env, tuple((PERSISTENCE, seed) for seed in seeds), ())


def _derivation(arm: Arm, env: str) -> Callable[[Stack], DynamicsModel]:
    wrap, spec, delta_t = DERIVATIONS[arm.method].wrap, SYSTEMS[env].spec, arm.train_delta_t
    return lambda stack: wrap(stack, delta_t, spec)
