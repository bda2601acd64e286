"""What the passes to 16-bit floats have in common: the plan, the casts, the weights, and what is said about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias, TypeVar

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.walk import nodes, tensors
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.graph.value_types import ValueTypes
from olivelike_passes.header import unite_imports
from olivelike_passes.holds import has_half, quantized_reasons
from olivelike_passes.precision.angles import first_output
from olivelike_passes.precision.convert import convert
from olivelike_passes.precision.definitions import OWN
from olivelike_passes.precision.kinds import kind_of
from olivelike_passes.precision.narrow import Narrow
from olivelike_passes.precision.plan import Part, Scheme, is_narrow, is_wide, planned, steps_of, unknown
from olivelike_passes.weights import (
    WEIGHTS_ARE_INPUTS,
    float_constants,
    free_weights,
    lift_constants,
    replaceable_weights,
)

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Stays: TypeAlias = "Callable[[NodeProto], bool]"
"""Whether a node stays in float32."""
STAY = ("CumSum", "NonMaxSuppression", "Range", "RoiAlign", "TopK")
"""Operators that count, add up or compare positions: whole numbers beyond 2048 have no float16 of their own."""


class HalfConfig(PassConfig):
    """What stays in float32."""

    keep_io_types: bool = True
    """Leave inputs and outputs in float32, so that callers need not change."""
    op_block_list: tuple[str, ...] = ()
    """Operator types that stay in float32, beside those that always do (see the limits)."""
    node_block_list: tuple[str, ...] = ()
    """Names of nodes that stay in float32; `*` and `?` match as in file names."""


ConfigT = TypeVar("ConfigT", bound=HalfConfig)


class HalfPass(GraphPass[ConfigT]):
    """A pass that turns float32 into a 16-bit float. A subclass says which (`to`)."""

    tools = ("onnx", "onnxruntime", "numpy", "ml_dtypes")
    to: ClassVar[Narrow]

    def unsuitable(self, model: ModelProto, config: ConfigT, target: Target) -> Sequence[str]:
        """Refuses models that are half precision or quantized already, or hold no float32 weight, and unknown nodes."""
        from onnx import TensorProto

        reasons = []
        if has_half(model):
            reasons.append("the model is in half precision already")
        elif not any(tensor.data_type == TensorProto.FLOAT for tensor in tensors(model)):
            reasons.append("the model holds no float32 weight")
        elif replaceable_weights(model) and not float_constants(model) - replaceable_weights(model):
            reasons.append(WEIGHTS_ARE_INPUTS)
        reasons += quantized_reasons(model)
        if model.training_info:
            reasons.append("the model holds training graphs, whose weights are not converted")
        missing = names_without_node(model, config.node_block_list)
        return [*reasons, *(f"node_block_list has {pattern!r}, which matches no node" for pattern in missing)]

    def rewrite(self, model: ModelProto, source: Artifact, config: ConfigT, context: PassContext) -> Rewritten:
        """Plans what becomes narrow, and converts the graph; weights are converted as they are written.

        Raises:
            RefusedError: OL301, the type of a value cannot be found, or nothing can be narrow.
        """
        prepare(model)
        part = self.plan(model, source, config, context.scratch)
        return finished(model, part, source, config, self.to)

    def plan(
        self, model: ModelProto, source: Artifact, config: ConfigT, scratch: Path, also: Collection[str] = ()
    ) -> Part:
        """Returns the plan for a prepared model.

        Args:
            model: the model; `prepare` was called with it.
            source: the artifact it comes from.
            config: which nodes stay in float32.
            scratch: an empty folder.
            also: first outputs of further nodes that stay.

        Raises:
            RefusedError: OL301, the type of a value cannot be found.
        """

        def stays(node: NodeProto) -> bool:
            by_kind = node.op_type in config.op_block_list or (node.op_type in STAY and node.domain in OWN)
            return by_kind or first_output(node) in also or _matches(node.name, config.node_block_list)

        return typed_plan(model, source, scratch, f"tensor({self.to})", stays, ends=not config.keep_io_types)


def prepare(model: ModelProto) -> None:
    """Makes constants weights, and weights no inputs where the IR version lets them be none, in place."""
    _constants_as_tensors(model)
    lift_constants(model)
    unite_imports(model)
    free_weights(model)


def typed_plan(model: ModelProto, source: Artifact, scratch: Path, narrow: str, stays: Stays, *, ends: bool) -> Part:
    """Returns the plan by which float32 becomes a narrow type; types that nothing tells are asked of the runtime.

    Raises:
        RefusedError: OL301, a type cannot be found.
    """
    functions = {(each.domain, each.name): each for each in model.functions}
    opsets = {"" if entry.domain in OWN else entry.domain: entry.version for entry in model.opset_import}
    replaceable = replaceable_weights(model)
    part = planned(model.graph, Scheme(narrow, stays, opsets, functions, {}, ends, replaceable))
    if not unknown(part):
        return part
    types = ValueTypes(model, source, scratch)
    known = {name: kind_of(types.of(name)) for name in unknown(part)}
    part = planned(model.graph, Scheme(narrow, stays, opsets, functions, known, ends, replaceable))
    if left := unknown(part):
        raise fail(
            RefusedError, "OL301", f"the type of the value {left[0]!r} is declared nowhere and cannot be inferred"
        )
    return part


def finished(model: ModelProto, part: Part, source: Artifact, config: HalfConfig, to: Narrow) -> Rewritten:
    """Converts a model as planned; its notes fill as the weights are written, before anybody reads them.

    Raises:
        RefusedError: OL301, nothing becomes narrow by this plan.
    """
    refuse_idle(part, model, to)
    outcome = convert(model, part, source.model, to, ends=not config.keep_io_types)
    notes: dict[str, Json] = {"clipped": outcome.clipped, "lifted": outcome.lifted, "in_float32": wide_kinds(part)}
    return Rewritten(model, notes, outcome.made)


def refuse_idle(part: Part, model: ModelProto, to: Narrow) -> None:
    """Refuses a plan by which nothing becomes narrow.

    Raises:
        RefusedError: OL301.
    """
    if any(map(is_narrow, steps_of(part))):
        return
    kinds = ", ".join(wide_kinds(part)) or "no operator computes with float32"
    hint = "put `inline_functions: {}` before it" if model.functions else "put `convert_opset: {target: 17}` before it"
    raise fail(RefusedError, "OL301", f"nothing in the model can be {to}: it has {kinds}", hint=hint)


def wide_kinds(part: Part) -> dict[str, Json]:
    """Returns how many nodes of which type stay in float32, sorted by type."""
    return dict(sorted(Counter(step.node.op_type for step in steps_of(part) if is_wide(step)).items()))


def names_without_node(model: ModelProto, patterns: Iterable[str]) -> list[str]:
    """Returns the patterns that match no node, neither in the main graph nor in those inside it."""
    names = {node.name for node in nodes(model)}
    return [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _constants_as_tensors(model: ModelProto) -> None:
    """Gives `Constant` nodes that hold bare numbers a tensor instead, which becomes a weight."""
    import numpy as np
    import onnx

    for node in nodes(model):
        if node.op_type != "Constant" or node.domain not in OWN or len(node.attribute) != 1:
            continue
        held = node.attribute[0]
        if held.name in ("value_float", "value_floats"):
            number = held.f if held.name == "value_float" else list(held.floats)
            tensor = onnx.numpy_helper.from_array(np.asarray(number, np.float32))
            held.CopyFrom(onnx.helper.make_attribute("value", tensor))
