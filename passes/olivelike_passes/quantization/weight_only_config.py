"""What `weight_only` is told: formats for all matrices, and exceptions by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from pydantic import Field, model_validator

from olivelike.contracts.data import DataName
from olivelike.contracts.passes import PassConfig
from olivelike_passes.quantization.blocks.grid import Bits, BlockSize

MethodName: TypeAlias = Literal["rtn", "mse", "k_quant", "hqq", "awq", "gptq"]


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
    method: Literal["as_others", "rtn", "mse", "k_quant", "hqq", "awq", "gptq"] = "as_others"
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
    """Without `symmetric`: whether zero lies on one of the codes, or anywhere. Floats need the format `matmul_nbits`, are
    for at most 4 bits (matrices of 8 get whole ones), take more room, and the CPU computes with them in float32
    whatever `accuracy_level` says."""
    method: MethodName = "rtn"
    """How weights are rounded: `rtn` to the nearest of levels over their whole range, `mse` in the clipped range of the least
    squared error, `k_quant` to scales fitted by least squares in which large weights count more, `hqq` with zero points that
    leave outliers to err. Two learn from `data`: `gptq` lets the weights that are still to be rounded make up for the errors
    of those that are, `awq` gives finer steps to inputs that carry much. `mse` and `k_quant` weigh errors by what the
    inputs are like if `data` are given, and need none."""
    data: DataName = ""
    """The data entry that inputs are looked at on: some hundred samples like those the model will see. `gptq` and `awq` need
    one."""
    samples: int = Field(0, ge=0)
    """How many samples of `data` to use, the first ones; 0 uses all."""
    act_order: bool = False
    """For `gptq`: round inputs of large values first, with scales taken before (`act_order`)."""
    damping: float = Field(0.01, gt=0, le=1)
    """For `gptq`: the share of the inputs' mean square that is added to each one's, lest errors be carried too far."""
    format: Literal["matmul_nbits", "qdq"] = "matmul_nbits"
    """`matmul_nbits` writes ONNX Runtime's operator; `qdq` a blocked `DequantizeLinear` before the `MatMul`, which is ONNX's
    own (opset 21; 25 for 2 bits), and which the runtime turns into its operator as it loads the model."""
    accuracy_level: Literal[0, 1, 4] = 0
    """What `MatMulNBits` may compute in: 0 and 1 float32, 4 activations rounded to int8, much faster on most CPUs. The format
    `qdq` has no place for it: there it becomes an option of the session, without which the runtime takes 4."""
    embedding_bits: Literal[0, 2, 4, 8] = 0
    """Bits of embeddings (`Gather`), in blocks of the same size; 0 leaves them in float. A last layer that shares the table
    then reads it too, and takes no room of its own. The format `qdq` takes 0 and 8."""
    op_types: tuple[Literal["MatMul", "Gemm"], ...] = ("MatMul", "Gemm")
    """Operator types to quantize; of `Gather`, `embedding_bits` says."""
    nodes: tuple[str, ...] = ()
    """Names of nodes to quantize, `*` and `?` match as in file names; none means all."""
    exclude_nodes: tuple[str, ...] = ()
    """Names of nodes that stay as they are."""
    overrides: tuple[Override, ...] = ()
    """Other formats for some nodes; of several that match, the first counts. A table shared with the last layer goes by the
    name of its `Gather`."""
    most_sensitive: int = Field(0, ge=0)
    """So many matrices, those that lose most of their output when they are rounded (`sensitivity`; judged on `data`, or by
    weights alone), get `sensitive_bits` instead, where no override says otherwise."""
    sensitive_bits: Literal["float", 8] = 8
    """For `most_sensitive`: the bits of their weights, or `float` to leave them as they are."""
    if_quantized: Literal["refuse", "rest"] = "refuse"
    """What to do with a model that holds quantized operators: refuse it, or quantize what is still in float."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_has_no_effect(cls, value: object) -> object:
        """Equal models have equal configurations, so that none is tried twice."""
        if not isinstance(value, Mapping):
            return value
        methods = {value.get("method", "rtn")}
        methods |= {each.get("method") for each in value.get("overrides", ()) if isinstance(each, Mapping)}
        idle = set()
        if value.get("symmetric", True) is True and "hqq" not in methods:
            idle.add("zero_points")
        if "gptq" not in methods:
            idle |= {"act_order", "damping"}
        if not value.get("most_sensitive"):
            idle.add("sensitive_bits")
        if not methods & {"gptq", "awq", "mse", "k_quant"} and not value.get("most_sensitive"):
            idle |= {"data", "samples"}
        return {name: item for name, item in value.items() if name not in idle}

    @model_validator(mode="after")
    def _go_together(self) -> WeightOnlyConfig:
        methods = {self.method, *(each.method for each in self.overrides)}
        floats = self.zero_points == "float" and not self.symmetric
        if "hqq" in methods and not floats:
            raise ValueError(
                "hqq moves zero points between the codes: it needs symmetric: false and zero_points: float"
            )
        if not self.data and methods & {"gptq", "awq"}:
            learning = " and ".join(sorted(methods & {"gptq", "awq"}))
            raise ValueError(f"{learning} looks at data: name an entry with data")
        if floats and self.bits == 8:
            raise ValueError("zero_points: float exist for 2, 3 and 4 bits: the runtime has no kernel for 8")
        if floats and self.format == "qdq":
            raise ValueError("zero_points: float exist in the format matmul_nbits only")
        if self.format == "qdq" and self.embedding_bits not in (0, 8):
            raise ValueError("the format qdq takes embeddings of 8 bits or none: Gather reads no smaller types")
        return self

    @property
    def needs_gram(self) -> bool:
        """Whether somebody asks for the products of inputs."""
        return "gptq" in {self.method, *(each.method for each in self.overrides)} or self.most_sensitive > 0

    @property
    def looks_at_inputs(self) -> bool:
        """Whether some method asks for statistics of inputs."""
        methods = {self.method, *(each.method for each in self.overrides)}
        return bool(self.data) and bool(methods & {"gptq", "awq", "mse", "k_quant"})
