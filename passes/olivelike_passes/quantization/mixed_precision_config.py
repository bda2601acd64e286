"""What `mixed_precision` is told: formats by name, or a budget of bits and formats to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from glob import escape
from typing import Literal, TypeAlias, cast, get_args

from pydantic import Field, model_validator

from olivelike.contracts.data import DataName
from olivelike.contracts.passes import PassConfig
from olivelike.digest import Json
from olivelike_passes.quantization.formats import Format, FormatName
from olivelike_passes.quantization.weight_only_config import MethodName, WeightOnlyConfig

BlockFormat: TypeAlias = Literal[
    "int2_b16", "int2_b32", "int4_b16", "int4_b32", "int4_b64", "int4_b128", "int8_b32", "int8_b128"
]
NAMES: tuple[BlockFormat, ...] = get_args(BlockFormat)
MixedFormat: TypeAlias = Literal[BlockFormat, "float"]
FLOAT: MixedFormat = "float"


class Assignment(PassConfig):
    """A format for some nodes."""

    nodes: str
    """The nodes whose matrices are meant; `*` and `?` match as in file names (`*down_proj*`)."""
    format: MixedFormat
    """Their format: `int4_b32` has 4 bits in blocks of 32 inputs with a scale each, `float` stays as it is."""


class MixedPrecisionConfig(PassConfig):
    """Which matrix gets which format."""

    assign: tuple[Assignment, ...] = ()
    """Formats by name; of several that match, the first counts."""
    rest: MixedFormat = "float"
    """Without `bits`: the format of matrices that `assign` does not name."""
    bits: float = Field(0, ge=0, le=32)
    """The bits that a weight of all these matrices may take in the mean, scales included; formats of those that `assign` does
    not name are then chosen so that the layers' errors, summed up, are least. 0 chooses nothing."""
    formats: tuple[BlockFormat, ...] = ("int4_b32", "int8_b32")
    """With `bits`: the formats to choose from, beside `float`."""
    data: DataName = ""
    """With `bits`, and for methods that learn: the data entry that layers are judged on. Without one, only their weights
    are looked at."""
    samples: int = Field(0, ge=0)
    """How many samples of `data` to use, the first ones; 0 uses all."""
    embeddings: bool = False
    """Whether tables (`Gather`) get a format too; `assign` names them in any case."""
    method: MethodName = "rtn"
    """How weights are rounded, as in `weight_only`; those that choose zero points (`hqq`) are not for this pass."""
    accuracy_level: Literal[0, 1, 4] = 0
    """What `MatMulNBits` may compute in, as in `weight_only`."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_has_no_effect(cls, value: object) -> object:
        """Equal models have equal configurations, so that none is tried twice."""
        if not isinstance(value, Mapping):
            return value
        idle = {"rest"} if value.get("bits") else {"formats", "embeddings"}
        if not value.get("bits") and value.get("method", "rtn") == "rtn":
            idle |= {"data", "samples"}
        if not value.get("data"):
            idle.add("samples")
        return {name: item for name, item in value.items() if name not in idle}

    @model_validator(mode="after")
    def _says_something(self) -> MixedPrecisionConfig:
        if not self.bits and not self.assign and self.rest == FLOAT:
            raise ValueError("nothing is asked for: give `assign`, `rest` or `bits`")
        if self.bits and not self.formats:
            raise ValueError("with `bits` there must be formats to choose from")
        weight_only(self, {})
        return self


def weight_only(config: MixedPrecisionConfig, asked: Mapping[str, MixedFormat]) -> WeightOnlyConfig:
    """Returns the configuration of `weight_only` that gives each node what is asked for it, and leaves all others."""
    overrides: list[Json] = []
    for name, format in asked.items():
        if format == FLOAT:
            continue
        form = Format.named(cast("FormatName", format))
        overrides.append({"nodes": escape(name), "bits": form.bits, "block_size": form.block})
    return WeightOnlyConfig.model_validate(
        {
            "overrides": [*overrides, {"nodes": "*", "keep": True}],
            "method": config.method,
            "data": config.data,
            "samples": config.samples,
            "accuracy_level": config.accuracy_level,
        }
    )
