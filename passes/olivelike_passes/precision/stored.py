"""Weights stored in a smaller type, with a `DequantizeLinear` for each that makes floats of it as the model runs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext, Reads
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.made import Made
from olivelike.onnxfile.names import Names, all_names
from olivelike.onnxfile.read import opset
from olivelike.onnxfile.tensors import mapped
from olivelike.onnxfile.wiring import graphs_inside
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.header import replace_all, unite_imports
from olivelike_passes.holds import has_half, quantized_reasons
from olivelike_passes.precision.definitions import CPU, OWN, is_cpu, lacks_kernel
from olivelike_passes.precision.half_pass import names_without_node
from olivelike_passes.quantization.quantizable import opset_reason
from olivelike_passes.slices import in_slices
from olivelike_passes.weights import WEIGHTS_ARE_INPUTS, free_weights, lift_constants, replaceable_weights

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

    Raw = NDArray[Any]

CHANNELS: Mapping[str, Callable[[NodeProto], int]] = {
    "Conv": lambda _: 0,
    "Gemm": lambda node: 0 if any(each.name == "transB" and each.i for each in node.attribute) else 1,
    "MatMul": lambda _: -1,
}
"""Operators whose second input is stored, and along which axis of it the outputs lie."""


class StoredConfig(PassConfig):
    """Which weights are stored."""

    per_channel: bool = True
    """One scale for each output instead of one for the whole weight."""
    exclude_nodes: tuple[str, ...] = ()
    """Names of nodes whose weights stay as they are; `*` and `?` match as in file names."""


ConfigT = TypeVar("ConfigT", bound=StoredConfig)


class StoredPass(GraphPass[ConfigT]):
    """A pass that stores the weights of products in a smaller type. A subclass says in which."""

    reads = frozenset({Reads.TARGET})
    tools = ("onnx", "onnxruntime", "numpy", "ml_dtypes")
    stored: ClassVar[str]
    """The type, as ONNX writes it (`int16`)."""
    needed: ClassVar[int]
    """The first opset whose `DequantizeLinear` takes it."""
    elsewhere: ClassVar[tuple[str, ...]]
    """Providers beside the CPU that have kernels for it."""

    @abstractmethod
    def codes(self, steps: Raw) -> Raw:
        """Returns weights, divided by their scale, in the stored type."""

    @abstractmethod
    def reach(self) -> float:
        """Returns the magnitude that the largest weight of a channel gets."""

    def unsuitable(self, model: ModelProto, config: ConfigT, target: Target) -> Sequence[str]:
        """Refuses quantized and half-precision models, opsets too old, targets without kernels, unknown nodes."""
        reasons = quantized_reasons(model)
        if has_half(model):
            reasons.append("the model is in half precision: store the weights of the float32 model")
        if model.training_info:
            reasons.append("the model holds training graphs")
        reasons += opset_reason(model, self.needed, f"DequantizeLinear from {self.stored}")
        missing = names_without_node(model, config.exclude_nodes)
        reasons += [f"exclude_nodes has {pattern!r}, which matches no node" for pattern in missing]
        return [*reasons, *self._without_kernels(model, target)]

    def rewrite(self, model: ModelProto, source: Artifact, config: ConfigT, context: PassContext) -> Rewritten:
        """Puts a `DequantizeLinear` before each weight; codes and scales are made as they are written.

        Raises:
            RefusedError: OL301, there is no such weight, or one is not finite.
        """
        import onnx

        lift_constants(model)
        unite_imports(model)
        free_weights(model)
        model.ir_version = max(model.ir_version, onnx.helper.find_min_ir_version_for(model.opset_import, True))
        found = dict(_weights(model, config))
        if not found:
            claim = (
                WEIGHTS_ARE_INPUTS
                if replaceable_weights(model)
                else "no Conv, Gemm or MatMul has a float32 weight here"
            )
            raise fail(RefusedError, "OL301", claim)
        made, taken = Made(), Names(all_names(model))
        nodes = []
        for name, axis in found.items():
            tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
            nodes.append(self._store(model, tensor, axis, source, made, taken, per_channel=config.per_channel))
        replace_all(model.graph.initializer, [tensor for tensor in model.graph.initializer if tensor.name not in found])
        replace_all(model.graph.node, [*nodes, *model.graph.node])
        notes: dict[str, Json] = {"weights": len(found)}
        return Rewritten(model, notes, made)

    def _store(
        self,
        model: ModelProto,
        tensor: TensorProto,
        axis: int,
        source: Artifact,
        made: Made,
        taken: Names,
        *,
        per_channel: bool,
    ) -> NodeProto:
        import onnx

        names = []
        for ending in (self.stored, "scale"):
            names.append(taken.fresh(f"{tensor.name}_{ending}"))
        axis %= max(len(tensor.dims), 1)
        kind = onnx.TensorProto.DataType.Value(self.stored.upper())
        shape = [tensor.dims[axis]] if per_channel and len(tensor.dims) > 1 else []
        new = [
            onnx.TensorProto(name=names[0], data_type=kind, dims=tensor.dims),
            onnx.TensorProto(name=names[1], data_type=onnx.TensorProto.FLOAT, dims=shape),
        ]
        held = onnx.TensorProto()
        held.CopyFrom(tensor)
        made.announce(new, lambda: self._made(held, mapped(held, source.model), axis, per_channel=bool(shape)))
        model.graph.initializer.extend(new)
        name = f"DequantizeLinear_{tensor.name}"
        return onnx.helper.make_node("DequantizeLinear", names, [tensor.name], name=name, axis=axis)

    def _made(self, tensor: TensorProto, values: Raw, axis: int, *, per_channel: bool) -> list[Raw]:
        import numpy as np

        flat = values
        largest = _largest(flat, axis if per_channel else None)
        if not np.isfinite(largest).all():
            claim = f"the weight {tensor.name!r} holds NaN or an infinity, from which no scale can be taken"
            raise fail(RefusedError, "OL301", claim, hint="mend the model where it was trained")
        scale = np.where(largest > 0, largest / self.reach(), 1).astype(np.float32)
        scale = np.where(scale > 0, scale, 1).astype(np.float32)  # a channel of denormals becomes zeros
        codes = np.empty(flat.shape, self.codes(np.zeros(1, np.float32)).dtype)

        def work(rows: slice) -> None:
            spread = scale
            if per_channel:
                own = scale[rows] if axis == 0 else scale
                spread = own.reshape([-1 if place == axis else 1 for place in range(flat.ndim)])
            codes[rows] = self.codes(flat[rows] / spread)

        if flat.size:
            in_slices(len(flat), flat[0].size, work)
        return [codes, scale]

    def _without_kernels(self, model: ModelProto, target: Target) -> list[str]:
        import onnx

        if is_cpu(target):
            node = onnx.helper.make_node("DequantizeLinear", ["x", "s"], ["y"])
            versions = {"": max(opset(model), self.needed)}
            lacks = lacks_kernel(node, versions, {"T1": f"tensor({self.stored})", "T2": "tensor(float)"})
            return [f"the runtime has no DequantizeLinear from {self.stored} on the CPU"] if lacks else []
        known = {CPU, "AzureExecutionProvider", *self.elsewhere}
        strange = [provider.name for provider in target.providers if provider.name not in known]
        return [f"no kernels of {strange[0]} are known that make floats of {self.stored}"] if strange else []


def _largest(values: Raw, axis: int | None) -> Raw:
    """Returns the largest magnitude of all values, or of each place along an axis."""
    import numpy as np

    found: dict[int, Raw] = {}
    others = None if axis is None else tuple(place for place in range(values.ndim) if place != axis)

    def work(rows: slice) -> None:
        found[rows.start] = np.asarray(np.abs(values[rows]).max(axis=others))

    if not values.size:
        return np.zeros((), np.float32) if axis is None else np.zeros(values.shape[axis], np.float32)
    in_slices(len(values), values[0].size, work)
    parts = [found[start] for start in sorted(found)]
    return np.concatenate(parts) if axis == 0 else np.asarray(np.max(np.stack(parts), axis=0))


def _weights(model: ModelProto, config: StoredConfig) -> Iterator[tuple[str, int]]:
    """Yields the main graph's weights that only products read, each with the axis along which its outputs lie."""
    from fnmatch import fnmatchcase

    uses: dict[str, list[tuple[NodeProto, int]]] = {}
    for node in _nodes(model.graph):
        for place, name in enumerate(node.input):
            uses.setdefault(name, []).append((node, place))
    ends = {entry.name for entry in model.graph.output}
    hidden = {name for graph in _inner(model.graph) for name in _own(graph)}
    replaceable = replaceable_weights(model)
    for tensor in model.graph.initializer:
        if tensor.data_type != tensor.FLOAT or len(tensor.dims) < 2 or tensor.name in ends | hidden | replaceable:
            continue
        users = uses.get(tensor.name, [])
        fit = all(place == 1 and node.op_type in CHANNELS and node.domain in OWN for node, place in users)
        excluded = any(fnmatchcase(node.name, pattern) for node, _ in users for pattern in config.exclude_nodes)
        if users and fit and not excluded:
            yield tensor.name, CHANNELS[users[0][0].op_type](users[0][0])


def _inner(graph: GraphProto) -> Iterator[GraphProto]:
    for node in graph.node:
        for inner in graphs_inside(node):
            yield inner
            yield from _inner(inner)


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for each in (graph, *_inner(graph)):
        yield from each.node


def _own(graph: GraphProto) -> list[str]:
    return [
        *(entry.name for entry in (*graph.input, *graph.initializer)),
        *(n for node in graph.node for n in node.output),
    ]
