"""The pass `insert_pre_post_processing`: a model that takes pixels and gives classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, ClassVar

from olivelike.contracts.artifact import LIBRARIES, Artifact, Manifest
from olivelike.contracts.extensions import PACKAGE, extensions_library
from olivelike.contracts.passes import PassContext
from olivelike.contracts.target import Target
from olivelike_passes.graph.class_end import insert_behind, scores_output
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.graph.image_end import image_input, insert_in_front, unfit_image
from olivelike_passes.graph.processing_config import InsertPrePostProcessingConfig

if TYPE_CHECKING:
    from onnx import ModelProto


class InsertPrePostProcessing(GraphPass[InsertPrePostProcessingConfig]):
    """Builds what comes before and after an image model into its graph.

    What it does:
        In front of an input: resizes a uint8 image, cuts out its middle, and normalizes it as `(pixel * scale - mean) / std`,
        in float32 and in the model's layout and type; what is resized is rounded to whole numbers, as image libraries do.
        Behind an output: softmax, the best class, or the best `k` with their numbers. Only standard ONNX operators are used;
        except for `take: file`, whose decoder is that of onnxruntime-extensions: its library goes into the artifact. Input and
        output keep their names.

    When to use it:
        Last, before shipping, so that every language and device prepares images alike. Metrics then feed images as well.

    Limits:
        Resizing takes opset 11, smoothing 18. Pillow rounds between its two directions, so that single pixels may differ by
        1 of 255. With `image` and `file` the model runs one image at a time. `take: file` needs onnxruntime-extensions
        installed where the pass runs, and its library is for this kind of machine.

    Example:
        ```yaml
        passes:
          - convert_opset: {target: 18}
          - insert_pre_post_processing:
              take: image
              resize: crop
              mean: [0.485, 0.456, 0.406]
              std: [0.229, 0.224, 0.225]
              classes: softmax_top_k
        ```
    """

    name = "insert_pre_post_processing"
    config = InsertPrePostProcessingConfig
    tools: ClassVar[tuple[str, ...]] = ("numpy", "onnx", PACKAGE)

    def unsuitable(self, model: ModelProto, config: InsertPrePostProcessingConfig, target: Target) -> Sequence[str]:
        """Refuses models without such an input or output, and versions that lack an operator."""
        del target
        found: list[str] = []
        if config.take != "nothing_new":
            image = image_input(model, config)
            found += [image] if isinstance(image, str) else unfit_image(image, model, config)
        if config.classes != "scores":
            scores = scores_output(model, config)
            found += [scores] if isinstance(scores, str) else []
        return found

    def run(self, source: Artifact, out: Path, config: InsertPrePostProcessingConfig, context: PassContext) -> Manifest:
        """Rewrites the model, and puts the decoder's library beside it where it needs one."""
        manifest = super().run(source, out, config, context)
        if config.take != "file":
            return manifest
        file = extensions_library()
        name = f"{LIBRARIES}/{file.name}"
        if name not in manifest.custom_operators:
            (out / LIBRARIES).mkdir(exist_ok=True)
            copyfile(file, out / name)
            manifest = replace(manifest, custom_operators=(*manifest.custom_operators, name))
        return manifest

    def rewrite(
        self, model: ModelProto, source: Artifact, config: InsertPrePostProcessingConfig, context: PassContext
    ) -> Rewritten:
        """Puts nodes in front of the input and behind the output."""
        image, scores = image_input(model, config), scores_output(model, config)
        if config.take != "nothing_new" and not isinstance(image, str):
            insert_in_front(model, image, config)
        if config.classes != "scores" and not isinstance(scores, str):
            insert_behind(model, scores, config)
        return Rewritten(model)
