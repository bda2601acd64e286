"""The pass `surgery`: a list of named small rewrites of a graph, applied in order."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.defects import defects
from olivelike.onnxfile.read import read_structure
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.surgery.dims_and_names import InputNames
from olivelike_passes.surgery.opened import Opened
from olivelike_passes.surgery.rewrite import Absent
from olivelike_passes.surgery.step import Step

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto


class SurgeryConfig(PassConfig):
    """What `surgery` is to do."""

    steps: tuple[Step, ...] = Field(json_schema_extra={"minItems": 1})
    """The rewrites, in the order in which they are applied: a name, or a name with its parameters. There are
    `deduplicate_nodes`, `deduplicate_subgraph_initializers`, `gemm_to_matmul_add`, `mask_to_sequence_lengths`,
    `matmul_add_to_gemm`, `packed_attention_to_loop`, `pow_reduce_sum_pow_div_to_lp_norm`, `quantize_embedding_int8`,
    `reciprocal_mul_to_div`, `remove_g_idx`, `remove_memcpy`, `remove_rope_multi_cache`, `rename_input_dims`, `rename_inputs`,
    `rename_output_dims`, `replace_mask_value`, `share_embedding_lm_head`, `simplified_layer_norm_to_l2_norm`,
    `tie_embeddings`."""
    if_absent: Literal["refuse", "skip"] = "refuse"
    """What to do where a step finds nothing to rewrite: refuse the model, or go on with the next step."""

    @field_validator("steps")
    @classmethod
    def _some(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        if not steps:  # not `min_length`, which would complain of steps that are wrong that there are none
            raise ValueError("give at least one step")
        return steps


class Surgery(GraphPass[SurgeryConfig]):
    """Applies small rewrites of a graph by name, one after the other.

    What it does:
        Each step looks for one pattern everywhere in the model, in branches and loops too, and puts another in its place;
        what the new graph no longer reads goes with it. The notes count what each step changed. What each step looks
        for and what it makes of it: [steps of surgery](surgery.md). Names and parameters of the classes of Olive's
        `GraphSurgeries` are taken, too (`TieWordEmbeddings` is `tie_embeddings`).

    When to use it:
        Where a target or a later pass wants one particular form of a graph and you know which.

    Limits:
        A step that finds nothing refuses, with what it looked for; `if_absent: skip` goes on. Functions that the model
        defines itself are left alone. Some steps change numbers (`quantize_embedding_int8`, `replace_mask_value`,
        `simplified_layer_norm_to_l2_norm`, `remove_rope_multi_cache`) or inputs (`mask_to_sequence_lengths`), so that the
        pass is not lossless as a whole. Weights that a step makes anew are held in memory until the model is written.

    Example:
        ```yaml
        passes:
          - surgery:
              steps:
                - gemm_to_matmul_add
                - rename_input_dims: {input: image, dim: 0, name: batch}
        ```
    """

    name = "surgery"
    config = SurgeryConfig

    def refuses(self, source: Artifact, config: SurgeryConfig, target: Target) -> Sequence[str]:
        """Refuses broken models, except for what the steps mend."""
        model = read_structure(source.model)
        mending = [step for step in config.steps if step.rewrite.mends]
        if mending and (found := defects(model)):
            mended = Opened(deepcopy(model), source.model)
            try:
                for step in mending:
                    step.rewrite.apply(mended, step.parameters)
                    mended.close()
            except RefusedError as error:
                return [*found, *(problem.claim for problem in error.problems)]
            return defects(mended.model)
        return defects(model)

    def run(self, source: Artifact, out: Path, config: SurgeryConfig, context: PassContext) -> Manifest:
        """Applies the steps, and notes what inputs that they rename were called: data that name those still feed them."""
        manifest = super().run(source, out, config, context)
        for step in config.steps:
            if isinstance(step.parameters, InputNames):
                manifest = manifest.renaming_inputs(step.parameters.names)
        return manifest

    def rewrite(self, model: ModelProto, source: Artifact, config: SurgeryConfig, context: PassContext) -> Rewritten:
        """Applies the steps.

        Raises:
            RefusedError: OL301, a step found nothing, or cannot do what it should.
        """
        opened = Opened(model, source.model)
        counts: list[Json] = []
        for step in config.steps:
            found = step.rewrite.apply(opened, step.parameters)
            why = found.why if isinstance(found, Absent) else f"found no {step.rewrite.looks_for}"
            count = found if isinstance(found, int) else 0
            if not count and config.if_absent == "refuse":
                raise fail(RefusedError, "OL301", f"step {step.rewrite.name}: {why}", hint="take the step out")
            counts.append({"step": step.rewrite.name, "changed": count})
            opened.close()
        return Rewritten(opened.model, {"steps": counts})
