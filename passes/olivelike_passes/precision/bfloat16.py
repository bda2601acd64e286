"""The pass `bfloat16`: weights and activations in the 16-bit float that has float32's range."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassContext, Reads
from olivelike.contracts.target import Target
from olivelike.errors import RefusedError, fail
from olivelike_passes.graph.graph_pass import Rewritten
from olivelike_passes.precision.definitions import OWN, definition_of, is_cpu, lacks_kernel
from olivelike_passes.precision.half_pass import HalfConfig, HalfPass, finished, prepare
from olivelike_passes.precision.plan import Part, Step, steps_of

if TYPE_CHECKING:
    from onnx import ModelProto


class Bfloat16Config(HalfConfig):
    """What `bfloat16` leaves in float32."""

    without_kernel: Literal["refuse", "float32"] = "refuse"
    """What to do with operators for which the installed runtime has no bfloat16 kernel on the CPU, where that is the target:
    refuse the model, or leave such operators, and the weights that only they read, in float32."""


class Bfloat16(HalfPass[Bfloat16Config]):
    """Converts a float32 model to bfloat16.

    What it does:
        Turns float32 weights and activations into bfloat16, as `float16` does it, in branches and loops too, with casts around
        what stays in float32. Nothing overflows that did not before: the exponents are float32's.

    When to use it:
        For accelerators that compute in bfloat16, with models whose activations overflow float16.

    Limits:
        8 bits of precision instead of float16's 11. Needs opset 13. ONNX Runtime has no bfloat16 kernels on the CPU for
        `MatMul`, `Add`, `Conv` and most others, and casts nothing on its own: such a model is refused for the CPU unless
        `without_kernel: float32` leaves those operators as they are, which makes little smaller but tables that are only
        looked up. Other targets are not checked: their kernels are known only where they are installed.

    Example:
        ```yaml
        passes:
          - bfloat16: {without_kernel: float32}
        ```
    """

    name = "bfloat16"
    config = Bfloat16Config
    reads = frozenset({Reads.TARGET})
    to = "bfloat16"

    def rewrite(self, model: ModelProto, source: Artifact, config: Bfloat16Config, context: PassContext) -> Rewritten:
        """Plans what becomes narrow, asks for kernels where the target is the CPU, and converts the graph.

        Raises:
            RefusedError: OL301, the CPU has no kernels for it; a type cannot be found; nothing can be narrow.
        """
        prepare(model)
        part = self.plan(model, source, config, _folder(context, 0))
        lacking = _lacking(part, model, context.target)
        if lacking and config.without_kernel == "refuse":
            claim = f"the runtime has no bfloat16 kernels on the CPU for {', '.join(lacking)}"
            raise fail(
                RefusedError, "OL301", claim, hint="`float16: {}`, or `without_kernel: float32`, which keeps them"
            )
        rounds = 0
        while lacking:
            rounds += 1
            kept = config.model_copy(update={"op_block_list": (*config.op_block_list, *lacking)})
            config, part = kept, self.plan(model, source, kept, _folder(context, rounds))
            lacking = _lacking(part, model, context.target)
        return finished(model, part, source, config, self.to)


def _folder(context: PassContext, number: int) -> Path:
    folder = context.scratch / f"plan{number}"
    folder.mkdir()
    return folder


def _lacking(part: Part, model: ModelProto, target: Target) -> list[str]:
    """Returns the types of operators that are to be narrow and have no kernel for it on a CPU, sorted."""
    if not is_cpu(target):
        return []
    opsets = {"" if entry.domain in OWN else entry.domain: entry.version for entry in model.opset_import}
    return sorted({step.node.op_type for step in steps_of(part) if _lacks(step, opsets)})


def _lacks(step: Step, opsets: dict[str, int]) -> bool:
    definition = definition_of(step.node, opsets)
    if definition is None or step.inside:  # an operator with graphs inside hands over values of any type
        return False
    narrow = {definition.input(place) for place, _, is_narrow in step.takes if is_narrow}
    narrow |= {definition.output(place) for place, value in step.makes if value.narrow}
    return bool(narrow) and lacks_kernel(step.node, opsets, dict.fromkeys(narrow, "tensor(bfloat16)"))
