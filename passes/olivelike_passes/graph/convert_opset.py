"""The pass `convert_opset`: the same model in another version of the ONNX operator set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.carry import deliver, keep
from olivelike.contracts.passes import Pass, PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.external import model_files
from olivelike.onnxfile.read import opset, read_model, read_structure
from olivelike_passes.header import restore_header, unite_imports
from olivelike_passes.weights import free_weights

CONVERTER_LIMIT = 2**31 - 1


def _exists(value: int) -> int:
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if value > newest:
        raise ValueError(f"opset {value} does not exist in the installed onnx, whose newest is {newest}")
    return value


class ConvertOpsetConfig(PassConfig):
    """Where `convert_opset` is to go."""

    target: Annotated[int, Field(ge=7), AfterValidator(_exists)]
    """The version of the default operator set (`ai.onnx`) that the model is to import."""


class ConvertOpset(Pass[ConvertOpsetConfig]):
    """Converts a model to another version of the ONNX operator set.

    What it does:
        Rewrites every operator of the default domain whose definition has changed between the two versions, with ONNX's
        own version converter. Operators of other domains stay as they are. A model that is there already stays byte by byte.

    When to use it:
        Before a pass that asks for a later opset: per-channel QDQ quantization needs 13, 16-bit activations need 21.

    Limits:
        Up works nearly always, down only where the converter has an adapter. Models above 2 GiB are refused.

    Example:
        ```yaml
        passes:
          - convert_opset: {target: 17}
          - static_quant: {per_channel: true, data: calibration}
        ```
    """

    name = "convert_opset"
    config = ConvertOpsetConfig
    tools = ("onnx",)
    lossless = True

    def refuses(self, source: Artifact, config: ConvertOpsetConfig, target: Target) -> Sequence[str]:
        """Refuses models without operators of the default domain, and those that the converter cannot hold."""
        reasons = []
        if not opset(read_structure(source.model)):
            reasons.append("the model has no operator of the default domain, so there is nothing to convert")
        size = sum((source.model.parent / name).stat().st_size for name in model_files(source.model))
        if size > CONVERTER_LIMIT:
            reasons.append(f"the model has {size} bytes, and the converter holds at most {CONVERTER_LIMIT}")
        return reasons

    def run(self, source: Artifact, out: Path, config: ConvertOpsetConfig, context: PassContext) -> Manifest:
        """Converts the model.

        Raises:
            RefusedError: OL301, the converter has no way from the one version to the other for some operator.
        """
        import onnx

        model = read_model(source.model)
        if opset(model) == config.target:
            return keep(source, out)
        unite_imports(model)
        free_weights(model)
        before = opset(model)
        try:
            converted = onnx.version_converter.convert_version(model, config.target)
        except (RuntimeError, ValueError) as error:
            claim = f"there is no way from opset {before} to {config.target}: {' '.join(str(error).split())[-200:]}"
            raise fail(RefusedError, "OL301", claim) from error
        converted.ir_version = max(model.ir_version, onnx.helper.find_min_ir_version_for(converted.opset_import, True))
        restore_header(converted, model)
        return deliver(source, out, converted)
