"""Types and shapes of a graph's values, inner ones too: declared, inferred, or asked of the runtime; no large weight is read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.inference import inferred
from olivelike.onnxfile.light import is_stand_in, without_weights
from olivelike.onnxfile.write import write_model
from olivelike_passes.runtime import open_session

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

UNKNOWN = 1 << 40


class ValueTypes:
    """What is known of a main graph's values by name.

    A value's own declaration counts first, then ONNX's shape inference with data propagation, then, behind operators of
    other domains, what the runtime infers as it loads the graph; it is handed weights as inputs and so holds none.
    """

    def __init__(self, model: ModelProto, source: Artifact, scratch: Path) -> None:
        """Looks at a model as it is.

        Args:
            model: the structure of the source's model.
            source: the artifact it was read from.
            scratch: an empty folder.
        """
        self._model = model
        self._source = source
        self._scratch = scratch
        self._known = _declared(model)
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self._stages = [self._infer, self._ask_runtime]

    def of(self, name: str) -> ValueInfoProto:
        """Returns a value's declaration, as an input or output has one.

        Raises:
            RefusedError: OL301, its type cannot be found.
        """
        import onnx

        if name in self._weights:
            return onnx.helper.make_tensor_value_info(name, self._weights[name].data_type, self._weights[name].dims)
        while name not in self._known and self._stages:
            self._stages.pop(0)()
        if name not in self._known:
            claim = f"the type or the rank of the value {name!r} is declared nowhere and cannot be inferred"
            raise fail(RefusedError, "OL301", claim, hint="choose another value to cut at")
        return self._known[name]

    def bytes_of(self, name: str, dynamic: int = 1) -> int:
        """Returns the bytes of a value, every dynamic dimension taken as `dynamic`.

        0 for what is no tensor, `UNKNOWN` where the type is not known, so that no cut is made there if it can be helped.
        """
        try:
            kind = self.of(name).type
        except RefusedError:
            return UNKNOWN
        if not kind.tensor_type.elem_type or not kind.tensor_type.HasField("shape"):
            return 0
        dims = [dim.dim_value if dim.HasField("dim_value") else dynamic for dim in kind.tensor_type.shape.dim]
        return math.prod(dims) * _item_bytes(kind.tensor_type.elem_type)

    def _infer(self) -> None:
        import onnx

        try:
            found = inferred(self._model, self._source.model)
        except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
            return  # the runtime may know what ONNX's own inference does not
        self._known = {**_declared(found), **self._known}

    def _ask_runtime(self) -> None:
        made = (name for node in self._model.graph.node for name in node.output)
        untyped = [name for name in made if name and name not in self._known]
        probe = without_weights(self._model, self._source.model)
        probe.graph.name = probe.graph.name or "graph"
        _weights_to_inputs(probe)
        _only_outputs(probe, untyped)
        folder = self._scratch / "probe"
        folder.mkdir()
        try:
            session = open_session(write_model(probe, folder, beside=self._source.model), self._source)
        except RefusedError:
            return
        names = _dim_names(self._model)
        for argument in session.get_outputs():
            entry = _read(argument.name, argument.type, argument.shape, names)
            # An empty shape is a scalar's, and also what the runtime says of a tensor whose rank it does not know.
            if entry.type.tensor_type.elem_type and entry.type.tensor_type.shape.dim:
                self._known[argument.name] = entry


def _declared(model: ModelProto) -> dict[str, ValueInfoProto]:
    graph = model.graph
    ends = (*graph.value_info, *graph.output, *graph.input)
    return {entry.name: entry for entry in ends if _is_whole(entry)}


def _is_whole(entry: ValueInfoProto) -> bool:
    """Whether a declaration says enough to stand at a graph's edge: an element type, and of tensors a rank."""
    kind = entry.type.WhichOneof("value")
    if kind == "tensor_type":
        return bool(entry.type.tensor_type.elem_type) and entry.type.tensor_type.HasField("shape")
    return kind is not None


def _weights_to_inputs(model: ModelProto) -> None:
    import onnx

    graph = model.graph
    large = [tensor for tensor in graph.initializer if is_stand_in(tensor)]
    listed = {entry.name for entry in graph.input}
    graph.input.extend(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in large
        if tensor.name not in listed
    )
    for place in reversed(range(len(graph.initializer))):
        if is_stand_in(graph.initializer[place]):
            del graph.initializer[place]


def _only_outputs(model: ModelProto, names: Iterable[str]) -> None:
    import onnx

    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)


def _dim_names(model: ModelProto) -> frozenset[str]:
    entries = (*model.graph.input, *model.graph.output, *model.graph.value_info)
    return frozenset(dim.dim_param for entry in entries for dim in entry.type.tensor_type.shape.dim if dim.dim_param)


def _read(name: str, kind: str, shape: Iterable[object], names: frozenset[str]) -> ValueInfoProto:
    """Reads a type as the runtime writes it (`tensor(float16)`); names of dimensions of its own making are left out."""
    import onnx

    types: dict[str, int] = dict(onnx.TensorProto.DataType.items())
    element = types.get(kind.removeprefix("tensor(").removesuffix(")").upper(), 0)
    dims = [dim if isinstance(dim, int) or dim in names else None for dim in shape]
    return onnx.helper.make_tensor_value_info(name, element, dims)


def _item_bytes(element: int) -> int:
    import onnx

    if element == onnx.TensorProto.STRING:
        return 8  # a pointer: what is in the strings is not known
    return int(onnx.helper.tensor_dtype_to_np_dtype(element).itemsize)
