"""The metric `size`: the bytes of a model's files as they are and as a packager compresses them, counted exactly."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from olivelike.contracts.artifact import PARTS_KIND, Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, MetricConfig, ValueSpec
from olivelike.contracts.outcome import Measurement

BLOCK = 1 << 20
LEVEL = 6
"""What `zip`, `gzip` and wheel builders use unless told otherwise."""


class SizeConfig(MetricConfig):
    """What to count."""

    compressed: bool = False
    """Also give the bytes after compression, which takes some seconds for each 100 MB."""


class Size(Metric[SizeConfig]):
    """The bytes that must be shipped for the model to run: model, external data, custom operators, adapters.

    Companions (tokenizer, processor) and the artifact's own description are no part of it: no pass changes them, and they
    would hide what a pass does to a small model. Nothing is run, so models that cannot be loaded here have a size too.

    `compressed` is what an archive makes of them: each file deflated at level 6 (RFC 1951, as `zip` and wheels do), without
    the archive's own few bytes for each file. Float weights hardly shrink; int8 weights and repeated values do.
    """

    name = "size"
    config = SizeConfig
    cost = Cost.FREE
    runs = False
    kinds: ClassVar[frozenset[str]] = frozenset({"onnx", PARTS_KIND, "hf", "adapter", "genai", "openvino-ir"})

    def values(self, config: SizeConfig) -> tuple[ValueSpec, ...]:
        """Returns `bytes`, and `compressed` where it is asked for; lower is better."""
        names = ("bytes", "compressed") if config.compressed else ("bytes",)
        return tuple(ValueSpec(name, "bytes", "lower") for name in names)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: SizeConfig, context: MeasureContext
    ) -> Mapping[str, Measurement]:
        """Adds up the candidate's files."""
        del reference, context
        counted = {"bytes": candidate.model_bytes}
        if config.compressed:
            counted["compressed"] = sum(map(deflated, candidate.model_files))
        return {name: Measurement.exact(count, "bytes", "lower") for name, count in counted.items()}


def deflated(path: Path) -> int:
    """Returns the bytes of a file after raw deflate at level 6; memory stays flat."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    count = 0
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            count += len(packer.compress(block))
    return count + len(packer.flush())
