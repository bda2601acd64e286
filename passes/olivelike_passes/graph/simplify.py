"""The pass `simplify`: what can be taken out of a graph without changing what it computes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.carry import deliver, keep
from olivelike.contracts.passes import Pass, PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.onnxfile.defects import defects
from olivelike.onnxfile.external import bytes_of, inside_bytes, is_external
from olivelike.onnxfile.inference import forget_stated_shapes, typed
from olivelike.onnxfile.names import all_names
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.walk import tensors
from olivelike.onnxfile.wiring import put_in_order
from olivelike.onnxfile.write import write_model
from olivelike_passes.graph.cleanup import clean, drop_default_attributes, drop_unused_functions, unite_large_weights
from olivelike_passes.graph.known_shapes import use_known_shapes
from olivelike_passes.graph.matmul_add import undo_gemm
from olivelike_passes.graph.settle import name_new_values
from olivelike_passes.graph.skeleton import HELD, lend, take_back, write_linked
from olivelike_passes.header import header_of, replace_all, restore_header, unite_imports
from olivelike_passes.holds import has_half, has_sparse
from olivelike_passes.runtime import SaveTo, open_session
from olivelike_passes.weights import free_weights, lift_constants, replaceable_weights, weights_off_inputs

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

NO_FOLDING = ("ConstantFolding",)
OUTSIDE_FROM = "session.optimized_model_external_initializers_min_size_in_bytes"
MOST_FOLDED = "optimization.constant_folding_max_output_size_in_bytes"
LARGEST_FOLDED = (64 << 20, 1 << 12, 0)
"""How large a constant that is computed at build time may be, in bytes; where the model grows by it, the next is tried."""


class SimplifyConfig(PassConfig):
    """What `simplify` may do."""

    fold_constants: bool = True
    """Compute at build time what depends on weights alone. Left out by itself where it would make the model larger."""
    fix_weights: bool = False
    """Take weights off the model's inputs, where old exporters list them, so that they count as constants."""
    infer_shapes: bool = False
    """Write the types and shapes of all inner values into the model, for tools that read them; some bytes for each value."""


class Simplify(Pass[SimplifyConfig]):
    """Takes out of a graph what it does not need.

    What it does:
        Runs the runtime's basic graph optimizations (constant folding, redundant nodes, transposes, branches that are never
        taken, convolution with batch norm) once, at build time, then takes out what is left over: constants become
        initializers; identities, repeated nodes, equal small weights and what leads nowhere go. Opset, metadata, and the names
        of inputs and outputs stay. Large weights are not read, so that models of any size go through in little memory. The
        result is never larger than the model that came in: where a constant would make it larger, it is left to be
        computed as the model runs.

    When to use it:
        First, before any other pass: quantizers then find the weights of exporters that write them as `Constant` nodes.

    Limits:
        The runtime's part is left out for models in half precision: whatever it is told to optimize, it saves them with casts to
        float32 around what the CPU does not compute in half. It is left out for those with sparse tensors, too, which it does
        not save as the specification has them. Identities, repeated nodes, sizes read off fixed shapes and dead ends go all
        the same.
        Weights that are inputs as well stay inputs (`fix_weights` changes that). Shapes of inner values are not written by
        default (`infer_shapes` does it): the runtime and the quantizing passes infer them anew.

    Example:
        ```yaml
        passes:
          - simplify: {}
        ```
    """

    name = "simplify"
    config = SimplifyConfig
    tools = ("onnx", "onnxruntime")
    lossless = True

    def refuses(self, source: Artifact, config: SimplifyConfig, target: Target) -> Sequence[str]:
        """Refuses what is no model at all."""
        return defects(read_structure(source.model))

    def run(self, source: Artifact, out: Path, config: SimplifyConfig, context: PassContext) -> Manifest:
        """Delivers the first of its variants that is no larger than the source; the source itself when none is."""
        begin = _begin(source, config, context.scratch)
        for model, beside in _variants(source, config, context.scratch, begin):
            fits = bytes_of(model) <= begin.allowed
            if not fits:
                drop_default_attributes(model)  # other tools may look for those that are written out
            if fits or bytes_of(model) <= begin.allowed:
                return deliver(source, out, _typed(model, beside, config), beside=beside, outside=begin.was_outside)
        if not config.infer_shapes:
            return keep(source, out)
        return deliver(source, out, _typed(read_structure(source.model), source.model, config), beside=source.model)


@dataclass(frozen=True, slots=True)
class _Begin:
    """What all variants begin with.

    Attributes:
        model: constants lifted, one import per operator set, weights no inputs.
        outside: the file beside which its large weights lie.
        was_outside: whether weights of the source lie outside its file.
        allowed: the bytes that a result may have.
    """

    model: ModelProto
    outside: Path
    was_outside: bool
    allowed: float


def _typed(model: ModelProto, beside: Path, config: SimplifyConfig) -> ModelProto:
    """Returns a model with the types and shapes of its inner values; what a shape says of values is followed, too."""
    if not config.infer_shapes:
        return model
    return typed(model, beside)


def _variants(
    source: Artifact, config: SimplifyConfig, scratch: Path, begin: _Begin
) -> Iterator[tuple[ModelProto, Path]]:
    """Yields simplified models, each with the file beside which its external data lie; the most thoroughly optimized first.

    The last has not been through the runtime.
    """
    model, outside = begin.model, begin.outside
    header = header_of(model)
    outputs = _without_stated_shapes(model)
    unite_large_weights(model, outside)  # first: what is computed with them turns out to be the same
    known = all_names(model)
    names = {output: node.name for node in model.graph.node for output in node.output}
    lent = lend(model)
    start = write_linked(model, _fresh(scratch, "start"), outside)

    def finished(model: ModelProto, beside: Path) -> tuple[ModelProto, Path]:
        take_back(model, lent, outside, beside)
        undo_gemm(model, beside, known, names)
        name_new_values(model, known)
        lift_constants(model)
        use_known_shapes(model)
        lift_constants(model)
        clean(model)
        drop_unused_functions(model)
        restore_header(model, header)
        replace_all(model.graph.output, outputs)
        return model, beside

    if not has_half(model) and not has_sparse(model):
        for most in LARGEST_FOLDED if config.fold_constants else (0,):
            path = _fresh(scratch, f"basic{most}") / "model.onnx"
            _optimize(start, source, path, most)
            yield finished(read_structure(path), path)
    yield finished(model, start)


def _begin(source: Artifact, config: SimplifyConfig, scratch: Path) -> _Begin:
    model = read_structure(source.model)
    # Weights that become constants make the model another one: then there is nothing to fall back to.
    allowed = math.inf if config.fix_weights and replaceable_weights(model) else bytes_of(model)
    was_outside = any(is_external(tensor) for tensor in tensors(model))
    put_in_order(model)
    unite_imports(model)
    lift_constants(model)
    free_weights(model)
    if config.fix_weights:
        weights_off_inputs(model)
    if inside_bytes(model) <= HELD:
        return _Begin(model, source.model, was_outside, allowed)
    outside = write_model(model, _fresh(scratch, "outside"), external_above=HELD, beside=source.model)
    return _Begin(read_structure(outside), outside, was_outside, allowed)


def _without_stated_shapes(model: ModelProto) -> list[ValueInfoProto]:
    """Takes out what a model says of shapes that it computes, which may be wrong and must fold nothing, in place.

    Returns:
        The outputs as they were.
    """
    outputs = [type(entry).FromString(entry.SerializeToString()) for entry in model.graph.output]
    forget_stated_shapes(model)
    return outputs


def _optimize(start: Path, source: Artifact, path: Path, most: int) -> None:
    """Writes the model as the runtime's basic level leaves it; constants of more bytes than `most` are not computed."""
    settings = {OUTSIDE_FROM: str(1 << 20)}
    if most:
        settings[MOST_FOLDED] = str(most)
    open_session(start, source, "ENABLE_BASIC", SaveTo(path, () if most else NO_FOLDING), entries=settings)


def _fresh(scratch: Path, name: str) -> Path:
    folder = scratch / name
    folder.mkdir()
    return folder
