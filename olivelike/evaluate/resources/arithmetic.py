"""The metric `arithmetic`: operations of one run and the bytes that they move, counted from shapes; nothing is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, ValueSpec
from olivelike.contracts.outcome import Measurement, Undefined, Value
from olivelike.digest import Json, JsonObject

if TYPE_CHECKING:
    from onnx import NodeProto

    from olivelike.evaluate.resources.tensor_shapes import Shaped, Tensor

UNITS = {"operations": "ops", "macs": "macs", "bytes": "bytes"}
READS_WHAT_IT_TAKES = frozenset({"Gather", "GatherElements", "GatherND", "Slice", "Split"})
MOST_SAID = 3


class ArithmeticConfig(MetricConfig):
    """The sizes at which operations are counted."""

    batch: PositiveInt = 1
    """The size of a dynamic first dimension that `dims` does not name."""
    dims: dict[str, PositiveInt] = Field(default={})
    """Sizes of the model's dynamic dimensions by name; any other one but the first is 1."""


class Arithmetic(Metric[ArithmeticConfig]):
    """The arithmetic of one run at given sizes: an exact count that is the same on every machine.

    `macs` are multiply-accumulates of products and convolutions, of any precision. `operations` count each as two and add
    all else: one for each element of an elementwise operator, five for a softmax, ... `bytes` is what nodes read and write
    when each reads its inputs and writes its outputs once: caches and fused operators move less. What depends on weights
    alone is computed when the model is loaded, and not counted. Shapes come from ONNX's own inference with data
    propagation, and from rules for the runtime's own operators.

    Counted in the graph as it is written: a weight stored in int8 with `DequantizeLinear` is multiplied in float here, and
    fused into an integer product by the runtime. Fewer operations need not be faster: for time measure `latency`.

    Where a node's operator or shapes are not known, or it is an `If`, `Loop` or `Scan`, whose work depends on the values, the
    count would be too low: all three values are then undefined, and the reason gives the nodes and the count without them.
    """

    name = "arithmetic"
    config = ArithmeticConfig
    cost = Cost.FREE
    runs = False
    tools = ("onnx",)

    def values(self, config: ArithmeticConfig) -> tuple[ValueSpec, ...]:
        """Returns `operations`, `macs` and `bytes`; lower is better."""
        del config
        return tuple(ValueSpec(name, unit, "lower") for name, unit in UNITS.items())

    def measure(
        self, candidate: Artifact, reference: Artifact, config: ArithmeticConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Counts.

        Raises:
            InputError: OL202, the file is no ONNX model; OL206, an unknown dimension in `dims`.
            MeasureError: OL504, shapes cannot be inferred, as where the operator set is not named.
        """
        from olivelike.evaluate.resources.tensor_shapes import shaped

        del reference, context
        found = counted(shaped(candidate.model, config.batch, config.dims))
        totals = {"operations": 2 * found.macs + found.others, "macs": found.macs, "bytes": found.bytes}
        if found.unknown:
            return {name: Undefined(_why(found.unknown, total, UNITS[name])) for name, total in totals.items()}
        by_operator: Json = dict(found.by_operator.most_common())
        details: dict[str, JsonObject] = {"operations": {"by_operator": by_operator}, "macs": {}, "bytes": {}}
        return {
            name: Measurement(total, UNITS[name], "lower", total, total, 1, details=details[name])
            for name, total in totals.items()
        }


@dataclass
class Counted:
    """Totals over a model, operations by operator, and the nodes that nobody can count, with why."""

    macs: int = 0
    others: int = 0
    bytes: int = 0
    by_operator: Counter[str] = field(default_factory=Counter)
    unknown: list[str] = field(default_factory=list)


def counted(model: Shaped) -> Counted:
    """Adds up what every node takes that does not depend on constants alone."""
    from olivelike.evaluate.resources.operation_counts import Unknown, work

    total = Counted()
    for node in model.nodes:
        if all(name in model.constants for name in node.output if name):
            continue
        found = work(node, model.tensors)
        if isinstance(found, Unknown):
            total.unknown.append(f"{node.op_type} {node.name or node.output[0]!r} ({found.reason})")
            continue
        total.macs += found.macs
        total.others += found.others
        total.by_operator[node.op_type] += 2 * found.macs + found.others
        if found.moves:
            total.bytes += _moved(node, model.tensors)
    return total


def _moved(node: NodeProto, tensors: Mapping[str, Tensor]) -> int:
    """Returns the bytes of a node's inputs and outputs; of a table that is looked up in, only what is taken from it."""
    written = sum(tensors[name].bytes for name in node.output if name in tensors)
    places = [name for name in node.input if name in tensors]
    if node.op_type in READS_WHAT_IT_TAKES:
        return 2 * written + sum(tensors[name].bytes for name in places[1:])
    return written + sum(tensors[name].bytes for name in places)


def _why(unknown: Sequence[str], total: int, unit: str) -> str:
    more = f" and {len(unknown) - MOST_SAID} more" if len(unknown) > MOST_SAID else ""
    return f"cannot be counted for {', '.join(unknown[:MOST_SAID])}{more}; without them {total:,} {unit}"
