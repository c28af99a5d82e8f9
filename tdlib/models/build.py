"""Models by name: which there are, which options each takes, and the same weights for the same seed."""

import torch
from torch import nn

from tdlib.core.specs import EnvironmentSpec
from tdlib.models.contract import DynamicsModel
from tdlib.models.discrete import JumpModel, LSTMModel
from tdlib.models.ensemble import Ensemble
from tdlib.models.fields import FirstOrderODE, NewtonianDynamicsModel, PortHamiltonianModel, VelocityDynamicsModel
from tdlib.models.ode import TrajectoryMatchingModel, TrajectoryShootingModel

DISCRETE: dict[str, type[DynamicsModel]] = {"jump": JumpModel, "lstm": LSTMModel}
FIELDS: dict[str, type[nn.Module]] = {
    "first_order_ode": FirstOrderODE,
    "newtonian": NewtonianDynamicsModel,
    "velocity": VelocityDynamicsModel,
    "port_hamiltonian": PortHamiltonianModel,
}
MODELS: dict[str, type[nn.Module]] = {**DISCRETE, **FIELDS, "ensemble": Ensemble}
SIZES: dict[str, tuple[int, ...]] = {
    "hidden64": (64, 64),
    "small": (256, 256),
    "medium": (512, 512, 512),
    "large": (1024, 1024, 1024, 1024),
}
TRAJECTORIES = ("matching", "shooting")

COMMON_OPTIONS = {"train_delta_t": 0.05, "size": "hidden64", "hidden_dim": 64, "action_embedding_dim": 8}
DISCRETE_OPTIONS = {**COMMON_OPTIONS, "form": "none"}
FIELD_OPTIONS = {**COMMON_OPTIONS, "solver": "rk4", "substeps": 1, "trajectory": "matching"}


def model_options(name: str) -> dict[str, object]:
    """Return the options of a model with their defaults.

    Raises:
        ValueError: If there is no such model; the message lists the names.
    """
    if name not in MODELS:
        raise ValueError(f"model must be one of {list(MODELS)}, got {name!r}")
    if name == "ensemble":
        return {**DISCRETE_OPTIONS, "num_members": 5}
    return dict(FIELD_OPTIONS if name in FIELDS else DISCRETE_OPTIONS)


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
        name: Key in `MODELS`.
        spec: State and action sizes and units of the environment.
        seed: Seed of the weights.
        generator: Source of that seed where none is given; without both the global generator is drawn from.
        options: Of every model: train_delta_t [s], size (a key of `SIZES`), hidden_dim (of size hidden64),
            action_embedding_dim. Of jump, lstm, ensemble: form (a name in `FORMS`). Of the fields: solver, substeps,
            trajectory ("matching" or "shooting"). Of ensemble: num_members.

    Raises:
        ValueError: If a name, an option or a value is unknown; the message lists the valid ones.
    """
    values = model_options(name)
    unknown = sorted(set(options) - set(values))
    if unknown:
        raise ValueError(f"options of model {name!r} must be among {sorted(values)}, got {unknown}")
    values.update(options)
    if seed is None:
        seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _construct(name, spec, values)
    model.build_options = {"name": name, **values}
    return model


def layer_widths(size: str, hidden_dim: int = 64) -> tuple[int, ...]:
    """Return the hidden layers of a named size.

    Raises:
        ValueError: If the size is unknown, or hidden_dim is given for a size that fixes its widths.
    """
    if size not in SIZES:
        raise ValueError(f"size must be one of {list(SIZES)}, got {size!r}")
    if isinstance(hidden_dim, bool) or not isinstance(hidden_dim, int) or hidden_dim < 1:
        raise ValueError(f"hidden_dim must be a whole number >= 1, got {hidden_dim!r}")
    if size == "hidden64":
        return (hidden_dim, hidden_dim)
    if hidden_dim != COMMON_OPTIONS["hidden_dim"]:
        raise ValueError(f"hidden_dim can be chosen for size 'hidden64' only, got {hidden_dim} with size {size!r}")
    return SIZES[size]


def _construct(name: str, spec: EnvironmentSpec, options: dict) -> DynamicsModel:
    widths = layer_widths(options["size"], options["hidden_dim"])
    sizes = {"widths": widths, "action_embedding_dim": options["action_embedding_dim"]}
    train_delta_t = options["train_delta_t"]
    if name == "ensemble":
        members = range(options["num_members"])
        return Ensemble([JumpModel(spec, options["form"], train_delta_t, **sizes) for _ in members])
    if name in DISCRETE:
        return DISCRETE[name](spec, options["form"], train_delta_t, **sizes)
    if options["trajectory"] not in TRAJECTORIES:
        raise ValueError(f"trajectory must be one of {list(TRAJECTORIES)}, got {options['trajectory']!r}")
    field = FIELDS[name](spec, **sizes)
    solver = {"solver": options["solver"], "substeps": options["substeps"]}
    matching = TrajectoryMatchingModel(field, spec, train_delta_t, options["action_embedding_dim"], **solver)
    return matching if options["trajectory"] == "matching" else TrajectoryShootingModel(matching)
