"""Models by name: which there are, and the same weights for the same seed."""

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict

import torch
from torch import nn

from tdlib.core.imports import import_object, is_import_path
from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import DynamicsModel
from tdlib.models.families import (
    acrkn,
    ensemble,
    first_order_ode,
    gaussian_gru,
    gaussian_lstm,
    gaussian_transformer,
    gru,
    hip_rssm,
    jump,
    lstm,
    mass_matrix,
    mts3,
    newtonian,
    port_hamiltonian,
    separable_hamiltonian,
    velocity,
    visual_world_model,
)
from tdlib.models.family import Family, family_of

MODELS: dict[str, Family] = {
    "jump": jump.FAMILY,
    "lstm": lstm.FAMILY,
    "gru": gru.FAMILY,
    "first_order_ode": first_order_ode.FAMILY,
    "newtonian": newtonian.FAMILY,
    "velocity": velocity.FAMILY,
    "port_hamiltonian": port_hamiltonian.FAMILY,
    "separable_hamiltonian": separable_hamiltonian.FAMILY,
    "mass_matrix": mass_matrix.FAMILY,
    "ensemble": ensemble.FAMILY,
    "acrkn": acrkn.FAMILY,
    "hip_rssm": hip_rssm.FAMILY,
    "mts3": mts3.FAMILY,
    "gaussian_gru": gaussian_gru.FAMILY,
    "gaussian_lstm": gaussian_lstm.FAMILY,
    "gaussian_transformer": gaussian_transformer.FAMILY,
    "visual_world_model": visual_world_model.FAMILY,
}
DISCRETE: dict[str, type[DynamicsModel]] = {  # maps of states
    name: family.model
    for name, family in MODELS.items()
    if issubclass(family.model, DynamicsModel) and "state" in family.reads
}
FIELDS: dict[str, type[nn.Module]] = {
    name: family.model for name, family in MODELS.items() if not issubclass(family.model, DynamicsModel)
}


def models_reading(what: str) -> list[str]:
    """Return the names of the models that must be told the state, an observation, or an image of a start."""
    return [name for name, family in MODELS.items() if what in family.reads]


def find_family(name: str) -> Family:
    """Return a family by its name in `MODELS`, or that of a class by its import path, "package.module:Class".

    A path imports the module, and with it runs its code: it must be the user's own, not a stranger's.

    Raises:
        ValueError: If there is no such model; the message lists the names.
    """
    if name in MODELS:
        return MODELS[name]
    if not is_import_path(str(name)):
        raise ValueError(f"model must be one of {list(MODELS)} or an import path 'package.module:Class', got {name!r}")
    found = import_object(name)
    return family_of(_checked(found, name))


def known_family(name: str, path: str, classes: Iterable[type[DynamicsModel]] = ()) -> tuple[str, Family]:
    """Return the family of a stored model, and the name to build it by, without importing or running anything.

    A stranger may have written the names.

    Args:
        name: What the model was built as: a key of `MODELS`, or an import path.
        path: Import path of its class.
        classes: Classes that the caller offers.

    Raises:
        ValueError: If the class is neither in `MODELS`, nor offered, nor in a module that is imported already, or if it
            is no subclass of DynamicsModel.
    """
    if name in MODELS:
        return name, MODELS[name]
    for offered in classes:
        if import_path(offered) == path:
            return path, family_of(_checked(offered, path))
    module, _, attribute = path.partition(":")
    found = vars(sys.modules[module]).get(attribute) if module in sys.modules else None  # no getattr: it may import
    if found is None:
        raise ValueError(
            f"model must be one of {list(MODELS)}, or its class {path!r} must be imported or passed in classes, "
            f"got {name!r}"
        )
    return path, family_of(_checked(found, path))


def import_path(model: type) -> str:
    """Return "package.module:Class"."""
    return f"{model.__module__}:{model.__qualname__}"


def _checked(found: object, name: str) -> type[DynamicsModel]:
    if not (isinstance(found, type) and issubclass(found, DynamicsModel)):
        raise ValueError(f"model {name!r} must be a subclass of DynamicsModel, got {found!r}")
    return found


def register_model(model: type[DynamicsModel] | Family, name: str = "") -> str:
    """Make a model of your own one of `MODELS`, and return its name; the same class may come again.

    Args:
        model: A subclass of `DynamicsModel` that says of itself what the study needs (`family_of`), or its `Family`.
        name: Its name in tables and folders; by default that of the class, `MyModel` -> `my_model`.

    Raises:
        ValueError: If another model has this name.
    """
    family = model if isinstance(model, Family) else family_of(model)
    name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", family.model.__name__).lower()
    taken = MODELS.setdefault(name, family).model
    if (taken.__module__, taken.__qualname__) != (family.model.__module__, family.model.__qualname__):
        raise ValueError(f"name must be of its own, {name!r} is taken by {taken.__module__}.{taken.__qualname__}")
    MODELS[name] = family
    return name


def model_options(name: str) -> dict[str, object]:
    """Return the options of a model with their defaults.

    Raises:
        ValueError: If there is no such model; the message lists the names.
    """
    return asdict(find_family(name).options())


def build_model(
    name: str,
    spec: EnvironmentSpec,
    *,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    **options: object,
) -> DynamicsModel:
    """Build an untrained model by name; the same seed gives the same weights and leaves global generators alone.

    Args:
        name: Key in `MODELS`, or an import path "package.module:Class".
        spec: State and action sizes and units of the environment.
        seed: Seed of the weights.
        generator: Source of that seed where none is given; without both the global generator is drawn from.
        options: Fields of the family's `Options`; all of ours have train_delta_t [s], size (a key of `SIZES`),
            hidden_dim (of size hidden64), action_embedding_dim.

    Raises:
        ValueError: If a name, an option or a value is unknown; the message lists the valid ones.
    """
    family = find_family(name)
    if seed is None:
        seed = int(torch.randint(2**62, (), generator=generator))
    return build_family(family, name, spec, seed, options)


def build_family(
    family: Family, name: str, spec: EnvironmentSpec, seed: int, options: Mapping[str, object]
) -> DynamicsModel:
    """Build an untrained model of a known family.

    Raises:
        ValueError: If an option is unknown or breaks a rule of the family's dataclass.
    """
    chosen = family.options.of(options, name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = family.build(spec, chosen)
    model.options, model.built_as = chosen, name
    return model
