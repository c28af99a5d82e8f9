"""A repair as an ONNX file: the graph of a model, and around it what the lines of NumPy do.

Its inputs are state (N, D), action (N, A) and delta_t (1,) or (N,) [s], one number for all rows or one for each; its
output is the state delta_t later. The model's own step h is a constant. Needs the optional package `onnx`; any runtime
executes what is written.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tdlib.core.files import write_bytes
from tdlib.core.imports import optional_module
from tdlib.doctor.onnx_model import ORDER
from tdlib.doctor.repair import WRAPPERS

OPSET = 17
STATE, ACTION, DELTA_T = ORDER


def write_wrapper(repair: str, h: float, model: Path | str, path: Path | str, angles: Sequence[int] = ()) -> Path:
    """Write a repair around the model of an .onnx file.

    Args:
        repair: One of `WRAPPERS`.
        h: Step that the model takes [s].
        model: The file of a model of one interval (`tdlib.doctor.onnx_model`).
        path: File that is written.
        angles: Dimensions of the state that are angles; the model's are continued from those it was given.

    Raises:
        ValueError: If there is no such repair, or the model's graph cannot be wrapped.
        ImportError: If onnx is missing.
    """
    if repair not in WRAPPERS:
        raise ValueError(f"repair must be one of {list(WRAPPERS)}, got {repair!r}")
    onnx = optional_module("onnx", "onnx")
    built = _Wrapper(onnx, onnx.load(str(model)), h, angles).build(repair)
    try:
        onnx.checker.check_model(built, full_check=True)
    except Exception as error:  # the package's own kinds
        raise ValueError(f"model must have a graph that can be wrapped, got {str(model)!r}: {error}") from error
    path = Path(path)
    write_bytes(path, built.SerializeToString())
    return path


class _Wrapper:
    """One graph that grows: names of nodes are counted, and a model is put in as often as it is called."""

    def __init__(self, onnx: Any, model: Any, h: float, angles: Sequence[int]):
        self.onnx, self.helper, self.model = onnx, onnx.helper, model
        self.inputs = [each for each in model.graph.input if each.name not in {x.name for x in model.graph.initializer}]
        named = {each.name for each in self.inputs} <= set(ORDER)
        self.places = [ORDER.index(each.name) if named else i for i, each in enumerate(self.inputs)]
        self.kinds = [each.type.tensor_type.elem_type for each in self.inputs]
        self.real = self.kinds[self.places.index(0)]
        self.count = 0
        self.constants = [
            self._number("h", h), self._number("one", 1.0), self._number("half", 0.5), self._number("close", 1e-5),
            self.helper.make_tensor("first", onnx.TensorProto.INT64, [1], [0]),
            self.helper.make_tensor("last", onnx.TensorProto.INT64, [1], [1]),
            self.helper.make_tensor("upright", onnx.TensorProto.INT64, [2], [-1, 1]),
        ]  # fmt: skip
        self.angles = bool(angles)
        if angles:
            width = self._shape(0)[-1]
            if not isinstance(width, int):
                raise ValueError(f"model must have states of a known width to continue their angles, got {width}")
            for name, value in (("turn", 2 * math.pi), ("per_turn", 1 / (2 * math.pi))):  # 0 where there is no angle
                values = [value if i in angles else 0.0 for i in range(width)]
                self.constants.append(self.helper.make_tensor(name, self.real, [width], values))

    def build(self, repair: str) -> Any:
        helper, nodes = self.helper, list[Any]()
        build = {"rescaled": self._rescaled, "newton_2": self._second_order, "composed": self._composed}[repair]
        ratio = self._do(nodes, "Div", self._do(nodes, "Reshape", DELTA_T, "upright"), "h")  # (1, 1) or (N, 1)
        answer = build(nodes, ratio)
        nodes.append(helper.make_node("Identity", [answer], ["next_state"]))
        tensors = [helper.make_tensor_value_info(STATE, self.real, self._shape(0)),
                   helper.make_tensor_value_info(ACTION, self.kinds[self.places.index(1)], self._shape(1)),
                   helper.make_tensor_value_info(DELTA_T, self.real, ["one or N"])]  # fmt: skip
        after = [helper.make_tensor_value_info("next_state", self.real, self._shape(0))]
        graph = helper.make_graph(nodes, f"{repair} model", tensors, after, [*self.constants, *self._weights()])
        own = {each.domain: each.version for each in self.model.opset_import}
        opsets = [helper.make_opsetid(domain, version) for domain, version in {**own, "": own.get("", OPSET)}.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=self.model.ir_version)

    def _rescaled(self, nodes: list, ratio: str) -> str:
        return self._moved(nodes, STATE, ratio)

    def _second_order(self, nodes: list, ratio: str) -> str:
        once = self._call(nodes, STATE)
        twice = self._call(nodes, once)
        first = self._do(nodes, "Sub", once, STATE)
        second = self._do(nodes, "Sub", self._do(nodes, "Sub", twice, once), first)
        choose = self._do(nodes, "Mul", self._do(nodes, "Mul", ratio, self._do(nodes, "Sub", ratio, "one")), "half")
        line = self._do(nodes, "Add", STATE, self._do(nodes, "Mul", ratio, first))
        return self._do(nodes, "Add", line, self._do(nodes, "Mul", choose, second))

    def _composed(self, nodes: list, ratio: str) -> str:
        """A loop of as many whole steps as any row has, each row for its own, and a part of one where it is left."""
        helper, kinds = self.helper, self.onnx.TensorProto
        almost = self._do(nodes, "Mul", ratio, self._do(nodes, "Add", "one", "close"))
        whole = self._do(nodes, "Floor", almost)
        trips = self._new()
        most = self._do(nodes, "ReduceMax", whole, keepdims=0)
        nodes.append(helper.make_node("Cast", [most], [trips], to=kinds.INT64))
        body: list = [helper.make_node("Identity", ["going"], ["goes_on"])]
        before = self._do(body, "Less", self._do(body, "Cast", "trip", to=self.real), whole)
        stepped = self._do(body, "Where", before, self._call(body, "now"), "now")
        shape = self._shape(0)
        scalar = helper.make_tensor_value_info
        loop = helper.make_graph(
            body, "steps",
            [scalar("trip", kinds.INT64, []), scalar("going", kinds.BOOL, []), scalar("now", self.real, shape)],
            [scalar("goes_on", kinds.BOOL, []), scalar(stepped, self.real, shape)],
        )  # fmt: skip
        there = self._new()
        nodes.append(helper.make_node("Loop", [trips, "", STATE], [there], body=loop))
        rest = self._do(nodes, "Sub", ratio, whole)
        some = self._do(nodes, "Greater", rest, "close")
        return self._do(nodes, "Where", some, self._moved(nodes, there, rest), there)

    def _moved(self, nodes: list, state: str, share: str) -> str:
        change = self._do(nodes, "Sub", self._call(nodes, state), state)
        return self._do(nodes, "Add", state, self._do(nodes, "Mul", share, change))

    def _call(self, nodes: list, state: str) -> str:
        """The model's nodes once more, at a state; its names get a prefix of their own, its weights are shared."""
        prefix, given = f"{self._new()}_", {}
        for each, place, kind in zip(self.inputs, self.places, self.kinds, strict=True):
            given[each.name] = (state, ACTION, self._steps(nodes, state, each, kind) if place == 2 else "")[place]
        weights = {each.name: f"model_{each.name}" for each in self.model.graph.initializer}

        def renamed(name: str) -> str:
            return given.get(name) or weights.get(name) or (prefix + name if name else "")

        for node in self.model.graph.node:
            if any(each.HasField("g") or each.graphs for each in node.attribute):
                raise ValueError(f"model must have a graph without inner graphs to be wrapped, got {node.op_type}")
            copy = self.onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = prefix + node.name if node.name else ""
            copy.input[:], copy.output[:] = map(renamed, node.input), map(renamed, node.output)
            nodes.append(copy)
        answer, found = self.model.graph.output[0], renamed(self.model.graph.output[0].name)
        if answer.type.tensor_type.elem_type != self.real:
            found = self._do(nodes, "Cast", found, to=self.real)
        return self._continued(nodes, found, state) if self.angles else found

    def _continued(self, nodes: list, answer: str, state: str) -> str:
        """The answer, its angles within half a turn of those of the state."""
        apart = self._do(nodes, "Mul", self._do(nodes, "Sub", answer, state), "per_turn")
        return self._do(nodes, "Sub", answer, self._do(nodes, "Mul", self._do(nodes, "Round", apart), "turn"))

    def _steps(self, nodes: list, state: str, each: Any, kind: int) -> str:
        """H for every row, (N,) or (N, 1) as the model's third input wants it."""
        shape = self._new()
        nodes.append(self.helper.make_node("Shape", [state], [shape]))
        rows = self._do(nodes, "Gather", shape, "first")
        if len(each.type.tensor_type.shape.dim) == 2:
            rows = self._do(nodes, "Concat", rows, "last", axis=0)
        wide = self._do(nodes, "Expand", "h", rows)
        cast = self._new()
        nodes.append(self.helper.make_node("Cast", [wide], [cast], to=kind))
        return cast

    def _weights(self) -> Sequence[Any]:
        found = []
        for each in self.model.graph.initializer:
            copy = self.onnx.TensorProto()
            copy.CopyFrom(each)
            copy.name = f"model_{each.name}"
            found.append(copy)
        return found

    def _shape(self, place: int) -> list[Any]:
        dims = self.inputs[self.places.index(place)].type.tensor_type.shape.dim
        return [each.dim_value or each.dim_param or None for each in dims]

    def _number(self, name: str, value: float) -> Any:
        return self.helper.make_tensor(name, self.real, [], [value])

    def _new(self) -> str:
        self.count += 1
        return f"own_{self.count}"

    def _do(self, nodes: list, kind: str, *inputs: str, **options: object) -> str:
        out = self._new()
        nodes.append(self.helper.make_node(kind, list(inputs), [out], **options))
        return out
