"""What `weight_only` is told: formats for all matrices, and exceptions by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from pydantic import model_validator

from olivelike.contracts.passes import PassConfig
from olivelike_passes.quantization.blocks.grid import Bits, BlockSize

MethodName: TypeAlias = Literal["rtn", "mse", "k_quant", "hqq"]


class Override(PassConfig):
    """Another format for some matrices, or none."""

    nodes: str
    """The nodes whose matrices are meant; `*` and `?` match as in file names (`*down_proj*`)."""
    keep: bool = False
    """Leave them as they are."""
    bits: Literal["as_others", 2, 3, 4, 8] = "as_others"
    """Bits of a weight."""
    block_size: Literal["as_others", 16, 32, 64, 128, 256] = "as_others"
    """How many weights share a scale."""
    method: Literal["as_others", "rtn", "mse", "k_quant", "hqq"] = "as_others"
    """How weights are rounded."""


class WeightOnlyConfig(PassConfig):
    """How `weight_only` quantizes."""

    bits: Bits = 4
    """Bits of a weight. Operators take 2, 4 and 8: of 3 bits there are 8 levels, in 4 bits of the file."""
    block_size: BlockSize = 32
    """How many weights share a scale (and zero point): fewer are more accurate, and take more room."""
    symmetric: bool = True
    """Put zero in the middle of each block's codes; without it each block has a zero point of its own."""
    zero_points: Literal["integer", "float"] = "integer"
    """Without `symmetric`: whether zero lies on one of the codes, or anywhere. Floats need the format `matmul_nbits` and at
    most 4 bits, take more room, and the CPU computes with them in float32 whatever `accuracy_level` says."""
    method: MethodName = "rtn"
    """How weights are rounded: `rtn` to the nearest of levels over their whole range, `mse` in the clipped range of the least
    squared error, `k_quant` to scales fitted by least squares in which large weights count more, `hqq` with zero points that
    leave outliers to err."""
    format: Literal["matmul_nbits", "qdq"] = "matmul_nbits"
    """`matmul_nbits` writes ONNX Runtime's operator; `qdq` a blocked `DequantizeLinear` before the `MatMul`, which is ONNX's
    own (opset 21; 25 for 2 bits), and which the runtime turns into its operator as it loads the model."""
    accuracy_level: Literal[0, 1, 4] = 0
    """What `MatMulNBits` may compute in: 0 and 1 float32, 4 activations rounded to int8, much faster on most CPUs. The format
    `qdq` has no place for it: there it becomes an option of the session, without which the runtime takes 4."""
    embedding_bits: Literal[0, 2, 4, 8] = 0
    """Bits of embeddings (`Gather`), in blocks of the same size; 0 leaves them in float. A last layer that shares the table
    then reads it too, and takes no room of its own. The format `qdq` takes 0 and 8."""
    nodes: tuple[str, ...] = ()
    """Names of nodes to quantize, `*` and `?` match as in file names; none means all."""
    exclude_nodes: tuple[str, ...] = ()
    """Names of nodes that stay as they are."""
    overrides: tuple[Override, ...] = ()
    """Other formats for some nodes; of several that match, the first counts. A table shared with the last layer goes by the
    name of its `Gather`."""
    if_quantized: Literal["refuse", "rest"] = "refuse"
    """What to do with a model that holds quantized operators: refuse it, or quantize what is still in float."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_has_no_effect(cls, value: object) -> object:
        """Equal models have equal configurations, so that none is tried twice."""
        if isinstance(value, Mapping) and value.get("symmetric", True) is True and value.get("method") != "hqq":
            return {name: item for name, item in value.items() if name != "zero_points"}
        return value

    @model_validator(mode="after")
    def _go_together(self) -> WeightOnlyConfig:
        methods = {self.method, *(each.method for each in self.overrides)}
        bits = {self.bits, *(each.bits for each in self.overrides)}
        floats = self.zero_points == "float" and not self.symmetric
        if "hqq" in methods and not floats:
            raise ValueError(
                "hqq moves zero points between the codes: it needs symmetric: false and zero_points: float"
            )
        if floats and 8 in bits:
            raise ValueError("zero_points: float exist for 2, 3 and 4 bits: the runtime has no kernel for 8")
        if floats and self.format == "qdq":
            raise ValueError("zero_points: float exist in the format matmul_nbits only")
        if self.format == "qdq" and self.embedding_bits not in (0, 8):
            raise ValueError("the format qdq takes embeddings of 8 bits or none: Gather reads no smaller types")
        return self
