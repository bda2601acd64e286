"""The pass `simplify`: what the runtime and onnx-ir can take out of a graph without changing what it computes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.carry import deliver, keep
from olivelike.contracts.passes import Pass, PassConfig, PassContext
from olivelike.onnxfile.external import model_files
from olivelike.onnxfile.read import read_model, read_structure
from olivelike.onnxfile.write import write_model
from olivelike_passes.header import restore_header, unite_imports
from olivelike_passes.holds import has_half
from olivelike_passes.runtime import SaveTo, open_session, quiet
from olivelike_passes.weights import free_weights, lift_constants, replaceable_weights, weights_off_inputs

if TYPE_CHECKING:
    from onnx import ModelProto

NO_FOLDING = ("ConstantFolding",)


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
        Runs the runtime's basic graph optimizations (constant folding, redundant nodes, convolution with batch norm) once,
        at build time, then onnx-ir's clean-ups: constants become initializers; identities, repeated nodes, equal weights
        and what leads nowhere go. Opset, metadata, and the names of inputs and outputs stay. The result is never larger
        than the model that came in: where folding makes it larger, it is left out.

    When to use it:
        First, before any other pass: quantizers then find the weights of exporters that write them as `Constant` nodes.

    Limits:
        The runtime's part is left out for models in half precision, for which the CPU would insert casts to float32.
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
    tools = ("onnx", "onnx-ir", "onnxruntime")
    lossless = True

    def run(self, source: Artifact, out: Path, config: SimplifyConfig, context: PassContext) -> Manifest:
        """Delivers the first of its variants that is no larger than the source; the source itself when none is."""
        start = _start(source, config, context.scratch)
        # Weights that become constants make the model another one: then there is nothing to fall back to.
        structure = read_structure(source.model)
        allowed = math.inf if config.fix_weights and replaceable_weights(structure) else _bytes(source.model)
        for number, file in enumerate(_variants(start, source, config, context.scratch)):
            folder = context.scratch / f"cleaned{number}"
            folder.mkdir()
            path = write_model(_cleaned(file, start), folder, beside=file)
            if _bytes(path) <= allowed:
                return _delivered(source, out, path, config)
        return _delivered(source, out, source.model, config) if config.infer_shapes else keep(source, out)


def _delivered(source: Artifact, out: Path, path: Path, config: SimplifyConfig) -> Manifest:
    model = read_structure(path)
    return deliver(source, out, _with_shapes(model) if config.infer_shapes else model, beside=path)


def _with_shapes(model: ModelProto) -> ModelProto:
    """Returns a model with the types and shapes of its inner values; what a shape says of values is followed, too."""
    from onnx.shape_inference import infer_shapes

    with quiet():
        return infer_shapes(model, data_prop=True)


def _start(source: Artifact, config: SimplifyConfig, scratch: Path) -> Path:
    model = read_model(source.model)
    unite_imports(model)
    lift_constants(model)
    free_weights(model)
    if config.fix_weights:
        weights_off_inputs(model)
    folder = scratch / "start"
    folder.mkdir()
    return write_model(model, folder)


def _variants(start: Path, source: Artifact, config: SimplifyConfig, scratch: Path) -> Iterator[Path]:
    """Yields files to clean up, the most thoroughly optimized first; the last is the start itself."""
    if not has_half(read_structure(start)):
        folding = [(), NO_FOLDING] if config.fold_constants else [NO_FOLDING]
        for number, without in enumerate(folding):
            folder = scratch / f"optimized{number}"
            folder.mkdir()
            open_session(start, source, "ENABLE_BASIC", SaveTo(folder / start.name, without))
            yield folder / start.name
    yield start


def _cleaned(file: Path, start: Path) -> ModelProto:
    """Returns a file's model after onnx-ir's clean-ups, with the header (versions, metadata) of the model it came from."""
    import onnx_ir
    from onnx_ir.passes import common

    model = onnx_ir.load(file)
    clean = onnx_ir.passes.Sequential(
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.IdentityEliminationPass(),
        common.DeduplicateHashedInitializersPass(),
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedFunctionsPass(),  # type: ignore[no-untyped-call]
    )
    with quiet():
        cleaned: ModelProto = onnx_ir.to_proto(clean(model).model)
    restore_header(cleaned, read_structure(start))
    return cleaned


def _bytes(model: Path) -> int:
    return sum((model.parent / name).stat().st_size for name in model_files(model))
