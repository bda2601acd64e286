"""The pass `cluster`: each weight holds few different values, and the file a short number for each of its elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.made import Made
from olivelike.onnxfile.names import Names, all_names
from olivelike.onnxfile.read import opset
from olivelike.onnxfile.tensors import kept_apart, mapped
from olivelike_passes.compression.candidates import candidates, emptied, not_finite, reasons_against
from olivelike_passes.compression.kmeans import centres, codes_of
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.header import replace_all
from olivelike_passes.slices import in_slices
from olivelike_passes.weights import free_weights, lift_constants

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto

    Values = NDArray[np.generic]

FOUR_BITS = 21
"""The opset that has tensors of 4 bits, and `Cast` from them."""


class ClusterConfig(PassConfig):
    """How `cluster` shares values."""

    bits: int = Field(8, ge=1, le=8)
    """Each weight has at most 2 to the power of this many different values."""
    format: Literal["lookup", "values"] = "lookup"
    """`lookup` stores a number for each element and a table of values, which the runtime looks up when it loads the model;
    `values` leaves the graph as it is and stores the shared values themselves: smaller only once it is compressed."""
    nodes: tuple[str, ...] = ("*",)
    """Names of the nodes whose weights are clustered; `*` and `?` match as in file names."""
    exclude_nodes: tuple[str, ...] = ()
    """Names of nodes whose weights stay as they are."""
    min_elements: int = Field(1024, ge=2)
    """Smaller weights stay as they are: the table would outweigh what is saved."""


class Cluster(GraphPass[ClusterConfig]):
    """Lets the elements of each weight share a few values.

    What it does:
        Finds the 2 to the power of `bits` values with the least squared error (k-means, a table for each weight) and stores for
        each element which one it is: a quarter of float32 at 8 bits; at 4 bits and below an eighth from opset 21 on, and a
        quarter that compresses well before. Weights are read one at a time, so any size will do. Zeros of a pruned weight
        stay zeros.

    When to use it:
        To ship a small file whose arithmetic stays float32, for providers without integer kernels. After S. Han et al., "Deep
        Compression", 2015 (arXiv 1510.00149).

    Limits:
        Not faster, and not smaller in memory: the runtime turns tables into full weights when it loads the model. Quantized
        models are refused; weights inside branches and loops, inputs and outputs stay as they are.

    Example:
        ```yaml
        passes:
          - cluster: {bits: [4, 6, 8], exclude_nodes: ["*head*"]}
        ```
    """

    name = "cluster"
    config = ClusterConfig
    tools = ("numpy", "onnx")

    def unsuitable(self, model: ModelProto, config: ClusterConfig, target: Target) -> Sequence[str]:
        """Refuses quantized models, unknown nodes, and models without a weight that is large enough."""
        reasons = reasons_against(model, config.nodes, config.exclude_nodes)
        lift_constants(model)
        free_weights(model)
        if not reasons and not any(candidates(model, config.nodes, config.exclude_nodes, config.min_elements)):
            reasons.append(
                f"the model has no constant weight of two axes and at least {config.min_elements} elements to cluster"
            )
        return reasons

    def rewrite(self, model: ModelProto, source: Artifact, config: ClusterConfig, context: PassContext) -> Rewritten:
        """Announces tables and codes in the place of weights.

        Raises:
            RefusedError: OL301, a weight is not finite.
        """
        lift_constants(model)
        free_weights(model)
        weights = list(candidates(model, config.nodes, config.exclude_nodes, config.min_elements))
        bad = not_finite(weights, source.model)
        if bad:
            raise fail(RefusedError, "OL301", f"the weight {bad!r} holds NaN or an infinity, which no value stands for")
        made = Made()
        put = _Lookups(model, made, config.bits) if config.format == "lookup" else _SharedValues(made)
        wanted = {tensor.name for tensor in weights}
        kept = []
        for tensor in list(model.graph.initializer):
            if tensor.name in wanted:
                kept += put.instead_of(tensor, _reading(tensor, source.model), config.bits)
            else:
                kept.append(tensor)
        replace_all(model.graph.initializer, kept)
        replace_all(model.graph.node, [*put.nodes, *model.graph.node])
        return Rewritten(model, {"weights": len(weights), "bits": config.bits}, made)


class _SharedValues:
    """Puts weights of the same shape, with shared values, in the place of weights."""

    def __init__(self, made: Made) -> None:
        self._made = made
        self.nodes: list[NodeProto] = []

    def instead_of(self, tensor: TensorProto, read: Callable[[], Values], bits: int) -> list[TensorProto]:
        """Returns what is to stand for a weight."""
        new = emptied(tensor)

        def make() -> list[Values]:
            values = read()
            table = centres(values, 1 << bits)
            return [table[_coded(values, table)].astype(values.dtype).reshape(values.shape)]

        self._made.announce([new], make)
        return [new]


class _Lookups:
    """Puts tables, codes and the nodes that look one up in the other in the place of weights."""

    def __init__(self, model: ModelProto, made: Made, bits: int) -> None:
        import onnx

        self._made = made
        self._names = Names(all_names(model))
        self._packed = bits <= 4 and opset(model) >= FOUR_BITS
        self._kind = onnx.TensorProto.UINT4 if self._packed else onnx.TensorProto.UINT8
        if self._packed:
            model.ir_version = max(model.ir_version, 10)
        self.nodes: list[NodeProto] = []

    def instead_of(self, tensor: TensorProto, read: Callable[[], Values], bits: int) -> list[TensorProto]:
        """Returns what is to stand for a weight, and adds the nodes that make it."""
        import numpy as np
        import onnx

        codes = onnx.TensorProto(name=self._names.fresh(f"{tensor.name}_codes"), data_type=self._kind, dims=tensor.dims)
        table = onnx.TensorProto(
            name=self._names.fresh(f"{tensor.name}_table"), data_type=tensor.data_type, dims=[1 << bits]
        )
        places = self._names.fresh(f"{tensor.name}_places")
        self.nodes += [
            onnx.helper.make_node("Cast", [codes.name], [places], name=f"{places}_cast", to=onnx.TensorProto.INT32),
            onnx.helper.make_node("Gather", [table.name, places], [tensor.name], name=f"{tensor.name}_lookup", axis=0),
        ]

        def make() -> list[Values]:
            values = read()
            found = centres(values, 1 << bits)
            coded = _coded(values, found).reshape(-1)
            entries = np.concatenate([found, np.full((1 << bits) - found.size, found[-1])]).astype(values.dtype)
            return [_packed(coded) if self._packed else coded, entries]

        self._made.announce([codes, table], make)
        return [codes, table]


def _reading(tensor: TensorProto, model: Path) -> Callable[[], Values]:
    held = kept_apart(tensor)
    return lambda: mapped(held, model)


def _coded(values: Values, table: NDArray[np.float32]) -> NDArray[np.uint8]:
    import numpy as np

    flat = values.reshape(-1)
    coded = np.empty(flat.size, np.uint8)

    def work(part: slice) -> None:
        coded[part] = codes_of(flat[part], table)

    in_slices(flat.size, 1, work)
    return coded.reshape(values.shape)


def _packed(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Puts two codes of 4 bits into a byte, the first into the lower half (onnx.proto, `TensorProto.raw_data`)."""
    import numpy as np

    even = np.append(codes, np.uint8(0)) if codes.size % 2 else codes
    return (even[::2] | (even[1::2] << 4)).astype(np.uint8)
