"""The metric `size`: the bytes of a model's files, counted exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, ValueSpec
from olivelike.contracts.outcome import Measurement


class SizeConfig(MetricConfig):
    """`size` has no options."""


class Size(Metric[SizeConfig]):
    """The bytes that must be shipped for the model to run: model, external data, custom operators, adapters.

    Companions (tokenizer, processor) and the artifact's own description are no part of it: no pass changes them, and they
    would hide what a pass does to a small model. Nothing is run, so models that cannot be loaded here have a size too.
    """

    name = "size"
    config = SizeConfig
    cost = Cost.FREE
    runs = False
    kinds: ClassVar[frozenset[str]] = frozenset({"onnx", "hf", "adapter", "genai", "openvino-ir"})

    def values(self, config: SizeConfig) -> tuple[ValueSpec, ...]:
        """Returns `bytes`, lower is better."""
        del config
        return (ValueSpec("bytes", "bytes", "lower"),)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: SizeConfig, context: MeasureContext
    ) -> Mapping[str, Measurement]:
        """Adds up the candidate's files."""
        del reference, config, context
        return {"bytes": Measurement.exact(candidate.model_bytes, "bytes", "lower")}
