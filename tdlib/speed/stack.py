"""Unrelated models of one structure evaluated as one program; every result has a leading axis K."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tdlib.core.context import Context, Prediction
from tdlib.models.contract import Carry, DynamicsModel, step_of
from tdlib.speed.pytrees import map_leaves


class MethodCall(nn.Module):
    """Calls a named method of a model, so that `torch.func.functional_call` reaches more than `forward`.

    Args:
        model: Template; its weights are replaced in every call.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, method: str, *arguments: object) -> object:
        """Return model.<method>(*arguments)."""
        return getattr(self.model, method)(*arguments)


def call_stacked(
    template: MethodCall,
    tensors: dict[str, Tensor],
    method: str,
    arguments: tuple,
    in_dims: tuple,
    alone: bool = False,
) -> Any:
    """Call one method of K models at once, or one after the other if their class does not stack.

    A batch of one matrix is multiplied more slowly than the matrix: MTS3 alone trains a tenth to a quarter faster so.

    Args:
        template: Holds the structure, not the weights.
        tensors: Parameters and buffers named as the template names them, each (K, ...).
        method: Name of the method.
        arguments: Its arguments; tensors, or trees of them, with leading K, or shared.
        in_dims: 0 for an argument with leading K, None for a shared one.
        alone: Whether a single model is called without the axis of a stack. A recording follows neither a write into a
            slice of `tensors`, as of batch statistics, nor slices whose number of rows changes from call to call.

    Returns:
        What the method returns, every tensor with leading K.
    """

    def call(weights: dict[str, Tensor], *arguments: object) -> object:
        return torch.func.functional_call(template, weights, (method, *arguments), tie_weights=False)

    count = len(next(iter(tensors.values())))
    if template.model.stacks and not (alone and count == 1):
        return torch.func.vmap(call, in_dims=(0, *in_dims))(tensors, *arguments)
    results = []
    for k in range(count):
        own = [x if dim is None else map_leaves(lambda leaf, k=k: leaf[k], x)
               for x, dim in zip(arguments, in_dims, strict=True)]  # fmt: skip
        results.append(call({name: x[k] for name, x in tensors.items()}, *own))
    return map_leaves(lambda *leaves: torch.stack(leaves), *results)


class Stack:
    """K models of one structure; forms, seeds and training rates may differ.

    Every tensor argument has a leading axis of size K (one slice per model) or 1 (shared by all models): states
    (K or 1, ..., D), actions (K or 1, ..., A), delta_t (K or 1, ...), or one number for all. Results are (K, ..., D).

    Args:
        models: Models with equal `structure()`. Ensembles run all their members in the same program.

    Raises:
        ValueError: If there is no model, or the structures differ.
    """

    def __init__(self, models: Sequence[DynamicsModel]):
        if not models:
            raise ValueError("models must hold at least one model, got none")
        if len({model.structure() for model in models}) > 1:
            raise ValueError("models must share class, sizes, number of members, solver and precision to be stacked")
        members = [member for model in models for member in model.learners()]
        self.spec = models[0].spec
        self.num_models = len(models)
        self.num_members = len(members) // len(models)  # members of each ensemble; 1 for plain models
        self.has_memory, self.whole_sequences = models[0].has_memory, models[0].whole_sequences
        self.branches_on_values = models[0].branches_on_values or not models[0].stacks
        parameters, buffers = torch.func.stack_module_state([MethodCall(model) for model in members])
        self._tensors = {name: x.detach() for name, x in (parameters | buffers).items()}
        self._template = MethodCall(copy.deepcopy(members[0]).to("meta")).eval()

    def __len__(self) -> int:
        return self.num_models

    def __call__(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        return self.forward(state, action, delta_t)

    @property
    def train_delta_t(self) -> Tensor:
        """Training step of every model, (K,) [s]."""
        return self._tensors["model.train_delta_t"][:: self.num_members]

    @property
    def template(self) -> DynamicsModel:
        """The structure that all models share, without weights."""
        return self._template.model

    def weights(self) -> dict[str, Tensor]:
        """Parameters and buffers by their name in one model, each (K·M, ...) with the members of each ensemble."""
        return {name.removeprefix("model."): x for name, x in self._tensors.items()}

    def to(self, device: torch.device | str) -> "Stack":
        """Move the weights in place and return the stack."""
        self._tensors = {name: x.to(device) for name, x in self._tensors.items()}
        return self

    def double(self) -> "Stack":
        """Make the weights double precision in place and return the stack."""
        self._tensors = {name: x.double() if x.is_floating_point() else x for name, x in self._tensors.items()}
        return self

    def with_solver(self, solver: str, substeps: int = 1) -> "Stack":
        """Return a stack of the same fields integrated by another solver."""
        other = copy.copy(self)
        other._template = MethodCall(self._template.model.with_solver(solver, substeps))
        other.branches_on_values = not other._template.model.stacks
        return other

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        """Predict the state `delta_t` seconds later: (K|1, ..., D), (K|1, ..., A), (K|1, ...) [s] -> (K, ..., D)."""
        return self._mean(self._call("forward", state, action, delta_t))

    def member_predictions(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        """Predictions of every ensemble member, (K, M, ..., D); M = 1 for plain models."""
        predictions = self._call("forward", state, action, delta_t)
        return predictions.unflatten(0, (self.num_models, self.num_members))

    def spread(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        """Standard deviation over the members of each ensemble, (K, ..., D) [unit].

        Raises:
            ValueError: If the models are not ensembles.
        """
        if self.num_members == 1:
            raise ValueError("models must be ensembles to have a spread")
        return self.member_predictions(state, action, delta_t).std(dim=1)

    def derivative(self, state: Tensor, action: Tensor) -> Tensor:
        """Learned ds/dt of stacked fields: (K|1, ..., D), (K|1, ..., A) -> (K, ..., D) [unit/s]."""
        return self._call("derivative", state, action)

    def energy(self, state: Tensor) -> Tensor:
        """Learned energies of fields that have one, each up to an affine scale: (K|1, ..., D) -> (K, ...)."""
        return self._mean(self._call("energy", state))

    def predict_sequence(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, context: Context | None = None
    ) -> Tensor:
        """Predict open loop: (K|1, ..., D), (K|1, ..., T, A), (K|1, ..., T) [s] -> (K, ..., T, D)."""
        if self.has_memory:
            return self._mean(self._call("predict_sequence", state, actions, delta_t, *([context] if context else [])))
        predictions = []
        for t in range(actions.shape[-2]):
            state = self.forward(state, actions[..., t, :], step_of(delta_t, t))
            predictions.append(state)
        return torch.stack(predictions, dim=-2)

    def predict(
        self, state: Tensor, actions: Tensor, delta_t: Tensor | float | None = None, context: Context | None = None
    ) -> Prediction:
        """Predict open loop; return all that the models predict, the members of each ensemble averaged."""
        found = self._call("predict", state, actions, delta_t, *([context] if context else []))
        return found.map(self._mean)

    def initial(self, context: Context) -> Carry:
        """What the models carry into the step after a context, tensors (K·M, ...)."""
        return self._call("initial", context)

    def step(
        self, carry: Carry, action: Tensor, delta_t: Tensor | float | None = None, observed: Tensor | None = None
    ) -> tuple[Carry, Prediction]:
        """Advance every model by one interval: carry from `initial` or `step`, (K|1, ..., A), (K|1, ...) or () [s].

        Args:
            carry: What the models carry.
            action: Held inputs.
            delta_t: Intervals.
            observed: (K|1, ..., D) what is seen at the step's start; None if nothing is.
        """
        others = [self._prepare(x) for x in (action, delta_t, *(() if observed is None else (observed,)))]
        values, in_dims = zip((carry, 0), *others, strict=True)
        carry, prediction = call_stacked(self._template, self._tensors, "step", values, in_dims)
        return carry, prediction.map(self._mean)

    def select(self, index: Tensor) -> "Stack":
        """Return a stack of some of the models, by index (k,)."""
        other = copy.copy(self)
        by_model = {name: x.unflatten(0, (self.num_models, self.num_members)) for name, x in self._tensors.items()}
        other._tensors = {name: x[index].flatten(0, 1) for name, x in by_model.items()}
        other.num_models = len(index)
        return other

    def _mean(self, found: Tensor) -> Tensor:
        """Mean over the members of each ensemble: (K·M, ...) -> (K, ...)."""
        if self.num_members == 1:
            return found
        return found.unflatten(0, (self.num_models, self.num_members)).mean(dim=1)

    def _call(self, method: str, *arguments: Tensor | Context | float | None) -> Any:
        prepared = [self._prepare(argument) for argument in arguments]
        values, in_dims = zip(*prepared, strict=True)
        return call_stacked(self._template, self._tensors, method, values, in_dims)

    def _prepare(self, argument: Tensor | Context | float | None) -> tuple[object, int | None]:
        """Return an argument as `vmap` wants it, with its axis: 0 per model, None shared."""
        if isinstance(argument, Context):
            return argument.map(lambda x: self._per_member(x.expand(self.num_models, *x.shape[1:]))), 0
        if not isinstance(argument, Tensor) or argument.ndim == 0:
            return argument, None
        if argument.shape[0] == 1:
            return argument[0], None
        if argument.shape[0] != self.num_models:
            raise ValueError(
                f"arguments must have a leading axis of {self.num_models} (one slice per model) or 1 (shared), "
                f"got shape {tuple(argument.shape)}"
            )
        return self._per_member(argument), 0

    def _per_member(self, x: Tensor) -> Tensor:
        """Give every member of an ensemble its model's slice: (K, ...) -> (K·M, ...)."""
        return x if self.num_members == 1 else x.repeat_interleave(self.num_members, dim=0)
