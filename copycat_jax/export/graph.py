"""ONNX graphs written node by node: the door of onnx.

A `Tensor` stands for a value of a graph and has Python's operators, so that a model reads here much as it does in JAX.
Constants that float16 holds exactly, as a bundle's weights are, are stored in it and widened by a Cast: half the file,
no bit lost. Every node has a name of its own and the version of the format is fixed: older runtimes ask for both.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 17, 8
INT32, INT64, FLOAT, DOUBLE, BOOL = (
    TensorProto.INT32,
    TensorProto.INT64,
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
    TensorProto.BOOL,
)
_END = 2**31 - 1
_HALVED = 256  # elements above which a constant is worth a Cast


class Tensor:
    """A value of a graph."""

    def __init__(self, graph: "Graph", name: str):
        self.graph, self.name = graph, name

    def __add__(self, other: "Value") -> "Tensor":
        return self.graph.op("Add", self, other)

    def __sub__(self, other: "Value") -> "Tensor":
        return self.graph.op("Sub", self, other)

    def __mul__(self, other: "Value") -> "Tensor":
        return self.graph.op("Mul", self, other)

    def __truediv__(self, other: "Value") -> "Tensor":
        return self.graph.op("Div", self, other)

    def __matmul__(self, other: "Value") -> "Tensor":
        return self.graph.op("MatMul", self, other)

    def __gt__(self, other: "Value") -> "Tensor":
        return self.graph.op("Greater", self, other)

    def __lt__(self, other: "Value") -> "Tensor":
        return self.graph.op("Less", self, other)

    def __ge__(self, other: "Value") -> "Tensor":
        return self.graph.op("GreaterOrEqual", self, other)

    def __le__(self, other: "Value") -> "Tensor":
        return self.graph.op("LessOrEqual", self, other)

    def __and__(self, other: "Value") -> "Tensor":
        return self.graph.op("And", self, other)

    def equals(self, other: "Value") -> "Tensor":
        """Where the two are equal."""
        return self.graph.op("Equal", self, other)

    def cast(self, kind: int) -> "Tensor":
        """In another type of numbers."""
        return self.graph.op("Cast", self, to=kind)

    def widen(self, *axes: int) -> "Tensor":
        """With axes of length 1 where the result has these."""
        return self.graph.op("Unsqueeze", self, self.graph.places(*axes))

    def drop(self, *axes: int) -> "Tensor":
        """Without these axes, which have length 1."""
        return self.graph.op("Squeeze", self, self.graph.places(*axes))

    def permute(self, *axes: int) -> "Tensor":
        """With its axes in another order."""
        return self.graph.op("Transpose", self, perm=list(axes))

    def reshape(self, *shape: int) -> "Tensor":
        """In another shape; 0 keeps an axis, -1 is what is left."""
        return self.graph.op("Reshape", self, self.graph.places(*shape))

    def part(self, axis: int, start: int = 0, stop: int = _END, step: int = 1) -> "Tensor":
        """[start:stop:step] along an axis."""
        return self.graph.op("Slice", self, *(self.graph.places(n) for n in (start, stop, axis, step)))

    def pad(self, *begin_and_end: int) -> "Tensor":
        """With zeros around it: those before every axis, then those behind every axis."""
        return self.graph.op("Pad", self, self.graph.places(*begin_and_end))

    def sum(self, axis: int, keep: bool = True) -> "Tensor":
        """Summed over an axis."""
        return self.graph.op("ReduceSum", self, self.graph.places(axis), keepdims=int(keep))

    def shape(self, axis: int) -> "Tensor":
        """The length of an axis, int64 [1]."""
        return self.graph.op("Shape", self, start=axis, end=axis + 1)

    def size(self, axis: int) -> "Tensor":
        """The length of an axis, an int32 scalar."""
        return self.shape(axis).drop(0).cast(INT32)

    def expand(self, *shape: "Tensor | int") -> "Tensor":
        """Repeated to a shape, of numbers and of int64 tensors [1]."""
        sizes = [n if isinstance(n, Tensor) else self.graph.places(n) for n in shape]
        return self.graph.op("Expand", self, self.graph.op("Concat", *sizes, axis=0))

    def call(self, kind: str, **attributes: Any) -> "Tensor":
        """One operator on this value alone."""
        return self.graph.op(kind, self, **attributes)


Value = Tensor | np.ndarray | np.generic | float | int


class Graph:
    """A graph in the making. Python's floats and ints are float32 and int32 constants."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._known: dict[tuple, Tensor] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def op(self, kind: str, *inputs: "Value | None", **attributes: Any) -> Tensor:
        """A node with one output; None leaves an optional input out."""
        return self.ops(kind, *inputs, count=1, **attributes)[0]

    def ops(self, kind: str, *inputs: "Value | None", count: int, **attributes: Any) -> list[Tensor]:
        """A node with several outputs."""
        names = ["" if value is None else self._tensor(value).name for value in inputs]
        stem = f"{kind.lower()}_{len(self._nodes)}"
        outputs = [stem if i == 0 else f"{stem}_{i}" for i in range(count)]
        self._nodes.append(helper.make_node(kind, names, outputs, name=stem, **attributes))
        return [Tensor(self, name) for name in outputs]

    def constant(self, value: Any, kind: Any = None) -> Tensor:
        """A constant; what was given before is stored once. float64 becomes float32 unless `kind` says otherwise."""
        array = np.array(value, kind, order="C")  # np.ascontiguousarray would make a vector of a scalar
        if kind is None and array.dtype == np.float64:
            array = array.astype(np.float32)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self._store(array)
        return self._known[key]

    def places(self, *numbers: int) -> Tensor:
        """An int64 vector: axes, shapes, ends of slices."""
        return self.constant(numbers, np.int64)

    def where(self, condition: Tensor, yes: Value, no: Value) -> Tensor:
        """`yes` where the condition holds, else `no`; a NaN in the one not taken leaves no trace."""
        return self.op("Where", condition, yes, no)

    def concat(self, *tensors: Value, axis: int = -1) -> Tensor:
        """One behind the other."""
        return self.op("Concat", *tensors, axis=axis)

    def count(self, number: Tensor | int) -> Tensor:
        """0, 1, ... below an int32 scalar."""
        return self.op("Range", self.constant(0, np.int32), number, self.constant(1, np.int32))

    def input(self, name: str, kind: int, shape: Sequence[str | int]) -> Tensor:
        """An input; names stand for lengths that may vary."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return Tensor(self, name)

    def output(self, value: Tensor, name: str, kind: int, shape: Sequence[str | int]) -> None:
        """An output."""
        self._nodes.append(helper.make_node("Identity", [value.name], [name], name=f"output_{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def model(self, name: str, notes: Mapping[str, object]) -> onnx.ModelProto:
        """The finished model, checked, with `notes` as its metadata."""
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="copycat_jax")
        model.ir_version = IR
        helper.set_model_props(model, {key: str(value) for key, value in notes.items()})
        onnx.checker.check_model(model, full_check=True)
        return model

    def _tensor(self, value: Value) -> Tensor:
        if isinstance(value, Tensor):
            return value
        if isinstance(value, int | float):
            return self.constant(value, np.float32 if isinstance(value, float) else np.int32)
        return self.constant(value)

    def _store(self, array: np.ndarray) -> Tensor:
        name = f"constant_{len(self._constants)}"
        if array.dtype == np.float32 and array.size > _HALVED and np.array_equal(array, _rounded(array)):
            self._constants.append(numpy_helper.from_array(array.astype(np.float16), f"{name}_half"))
            self._nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], name=f"widen_{name}", to=FLOAT))
        else:
            self._constants.append(numpy_helper.from_array(array, name))
        return Tensor(self, name)


def _rounded(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(np.float32)


def describe(model: onnx.ModelProto) -> list[tuple[str, str, str, str]]:
    """Inputs and outputs of a model: ("input" or "output", name, type, shape)."""
    rows = []
    for way, values in (("input", model.graph.input), ("output", model.graph.output)):
        for value in values:
            kind = TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
            sizes = [size.dim_param or str(size.dim_value) for size in value.type.tensor_type.shape.dim]
            rows.append((way, value.name, kind.replace("float", "float32"), f"[{', '.join(sizes)}]"))
    return rows
