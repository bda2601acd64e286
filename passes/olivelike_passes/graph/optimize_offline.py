"""The pass `optimize_offline`: the graph as ONNX Runtime optimizes it for a target, done once and saved."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.carry import deliver
from olivelike.contracts.passes import Pass, PassConfig, PassContext, Reads
from olivelike.contracts.target import Target
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.defects import defects
from olivelike.onnxfile.read import opset, read_structure
from olivelike.onnxfile.walk import nodes
from olivelike_passes.graph.settle import settle
from olivelike_passes.header import replace_all, restore_header
from olivelike_passes.holds import has_sparse, unknown_operators
from olivelike_passes.runtime import Level, SaveTo, open_session, quiet
from olivelike_passes.weights import FREE_WEIGHTS_IR

if TYPE_CHECKING:
    from onnx import ModelProto

    from olivelike.digest import Json

AT_LOAD = "graph_optimization_level"
FOLD_AT_MOST = "optimization.constant_folding_max_output_size_in_bytes"
BLOCKED_LAYOUT = "com.microsoft.nchwc"
"""The domain of convolutions in a layout whose blocks are as wide as the machine's vector registers."""


class OptimizeOfflineConfig(PassConfig):
    """How far `optimize_offline` goes."""

    level: Literal["basic", "extended", "layout", "all"] = "all"
    """`basic`: what holds for every provider. `extended`: fusions into the runtime's own operators. `layout` and `all`: layouts
    that suit this machine's instruction set too."""
    at_load: Literal["auto", "again", "off"] = "auto"
    """Whether the runtime optimizes again when it loads the model: `off` writes into the model's session options that it need
    not, which shortens loading; `auto` does so for the level `all`, after which nothing is left to do."""
    without: list[str] = Field(default_factory=list)
    """Optimizers to leave out, by the runtime's names (`ConstantFolding`, `GeluFusionL2`)."""
    fold_at_most: int = Field(default=16 * 2**20, ge=0)
    """Bytes above which a value that weights alone decide is not computed at build time, so that the file does not grow."""


class OptimizeOffline(Pass[OptimizeOfflineConfig]):
    """Lets ONNX Runtime optimize the graph for the target once, at build time, and keeps the result.

    What it does:
        Opens the model on the target's providers, as a program would, and saves the graph that the runtime made of it. Names
        and types of inputs and outputs, metadata and imports of the model stay; an IR version below 4 becomes 4. The notes say
        what the result is bound to.

    When to use it:
        Last, where loading must be short: servers that start often, functions in a cloud, phones. The graph that runs is the
        one that the runtime would have made anyway, so speed changes little once it is loaded.

    Limits:
        The result belongs to this runtime's version, to the providers, and from `layout` on to the machine's instruction set:
        make it where it runs. No other pass should follow: they do not know the runtime's own operators. Refuses targets that
        are not present, providers that the runtime does not offer, and graphs that a provider compiles, which cannot be saved.
        The runtime believes what a model says of its shapes: wrong ones (`strip` takes out those of inner values) become
        wrong constants.

    Example:
        ```yaml
        passes:
          - simplify: {}
          - optimize_offline: {level: all}
        ```
    """

    name = "optimize_offline"
    config = OptimizeOfflineConfig
    reads = frozenset({Reads.MACHINE, Reads.TARGET})
    tools = ("onnx", "onnxruntime")
    lossless = True

    def refuses(self, source: Artifact, config: OptimizeOfflineConfig, target: Target) -> Sequence[str]:
        """Refuses broken models and targets that this machine does not have."""
        import onnxruntime

        offered = onnxruntime.get_available_providers()
        found = [
            f"the runtime here offers no {each.name}, and would silently optimize for {offered[-1]}"
            for each in target.providers
            if each.name not in offered
        ]
        if not target.present:
            found.append("the target is not present on this machine, and the graph is optimized by running its runtime")
        model = read_structure(source.model)
        if has_sparse(model):
            found.append("the model holds sparse tensors, which the runtime saves without their indices")
        return [*found, *defects(model)]

    def run(self, source: Artifact, out: Path, config: OptimizeOfflineConfig, context: PassContext) -> Manifest:
        """Saves the runtime's graph.

        Raises:
            RefusedError: OL301, the runtime cannot load the model, or cannot save what it made of it.
        """
        import onnxruntime

        saved = context.scratch / "optimized.onnx"
        level = cast("Level", f"ENABLE_{config.level.upper()}")
        providers = context.target.providers
        with quiet():
            save = SaveTo(saved, tuple(config.without))
            session = open_session(
                source.model, source, level, save, providers, _entries(source, config, context.target)
            )
        used = session.get_providers()
        del session
        model, original = read_structure(saved), read_structure(source.model)
        if unknown := set(unknown_operators(model)) - set(unknown_operators(original)):
            claim = f"the runtime writes {', '.join(sorted(unknown))} as ONNX's own, which opset {opset(model)} does not have"
            hint = "put `convert_opset` to 17 or later before it, or choose the level `basic`"
            raise fail(RefusedError, "OL301", claim, hint=hint)
        restore_header(model, original)
        _free_weights(model, original)
        settle(model, original)  # the runtime numbers what it makes in an order that is not the same each time
        own = sorted({f"{node.domain}.{node.op_type}" for node in nodes(model) if node.domain not in ("", "ai.onnx")})
        bound: dict[str, Json] = {
            "runtime": onnxruntime.__version__,
            "providers": [*used],
            "machine": platform.machine(),
            "instruction_set": any(node.domain == BLOCKED_LAYOUT for node in nodes(model)),
        }
        manifest = deliver(source, out, model, beside=saved)
        if config.at_load == "off" or (config.at_load == "auto" and config.level == "all"):
            manifest = replace(manifest, session={**manifest.session, AT_LOAD: "disable_all"})
        return manifest.noted(optimize_offline={"level": config.level, "bound_to": bound, "operators": [*own]})


def _free_weights(model: ModelProto, original: ModelProto) -> None:
    """Ends the rule of IR versions below 4 that weights are inputs as well: the runtime adds weights, and drops others."""
    if original.ir_version < FREE_WEIGHTS_IR:
        model.ir_version = max(model.ir_version, FREE_WEIGHTS_IR)
        weights = {tensor.name for tensor in original.graph.initializer}
        replace_all(model.graph.input, [entry for entry in model.graph.input if entry.name not in weights])


def _entries(source: Artifact, config: OptimizeOfflineConfig, target: Target) -> Mapping[str, str]:
    """Returns the configuration entries that a program's session would have; some of them decide what is fused."""
    options = {**source.manifest.session, **target.session}
    texts = {
        name: str(int(value)) if isinstance(value, bool) else str(value)
        for name, value in options.items()
        if "." in name
    }
    return {FOLD_AT_MOST: str(config.fold_at_most)} | texts
