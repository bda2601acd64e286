"""Which matrices are quantized, and how: what the configuration says of each, and what cannot be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from olivelike_passes.matrices import Matrix, matrices
from olivelike_passes.quantization.blocks.grid import Bits, BlockSize, Grid
from olivelike_passes.quantization.weight_only_config import MethodName, Override, WeightOnlyConfig

if TYPE_CHECKING:
    from onnx import ModelProto

FLOAT, FLOAT16 = 1, 10
NO_OVERRIDE = Override(nodes="*")
NO_KERNEL = "bfloat16, for which the CPU has no kernel"


@dataclass(frozen=True, slots=True)
class Choice:
    """A matrix and how it is quantized."""

    matrix: Matrix
    grid: Grid
    method: MethodName
    input: str = ""
    """The value that the matrix is multiplied with, where the method looks at data; empty for embeddings."""

    @property
    def blocks(self) -> int:
        """Blocks that an output's weights are cut into."""
        return -(-self.matrix.inputs // self.grid.block)


@dataclass(slots=True)
class Choices:
    """What is quantized, and what is not.

    Attributes:
        chosen: in the order of the graph.
        left: why matrices stay as they are, by the names of their nodes.
    """

    chosen: list[Choice] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def choices(model: ModelProto, config: WeightOnlyConfig, sensitive: Collection[str] = ()) -> Choices:
    """Returns what a configuration makes of each of a model's matrices, some of whose nodes were found to be sensitive."""
    found = Choices()
    for matrix in matrices(model):
        what = _choice(matrix, config, name_of(matrix) in sensitive)
        if isinstance(what, Choice):
            found.chosen.append(what)
        else:
            found.left[name_of(matrix)] = what
    return found


def name_of(matrix: Matrix) -> str:
    """Returns the name of a matrix's node, or of what it makes if it has none."""
    return matrix.node.name or matrix.node.output[0]


def unmatched_patterns(model: ModelProto, config: WeightOnlyConfig) -> Iterator[str]:
    """Yields complaints of patterns that match no node with a matrix."""
    names = [name_of(matrix) for matrix in matrices(model)]
    patterns = {
        "nodes": config.nodes,
        "exclude_nodes": config.exclude_nodes,
        "overrides": [each.nodes for each in config.overrides],
    }
    for key, wanted in patterns.items():
        for pattern in wanted:
            if not any(fnmatchcase(name, pattern) for name in names):
                known = f"there are {len(names)}, such as {names[0]!r}" if names else "there is none"
                yield f"{key} has {pattern!r}, which matches no node with a constant matrix ({known})"


def _choice(matrix: Matrix, config: WeightOnlyConfig, sensitive: bool) -> Choice | str:
    """Returns how a matrix is quantized, or why it is not."""
    override = next((each for each in config.overrides if fnmatchcase(name_of(matrix), each.nodes)), NO_OVERRIDE)
    left = _left(matrix, config, override, sensitive)
    if left:
        return left
    table = matrix.kind == "Gather"
    bits = _bits(config, override, table, sensitive)
    block: BlockSize = config.block_size if override.block_size == "as_others" else override.block_size
    floats = config.zero_points == "float" and not config.symmetric and not table and bits != 8
    grid = Grid(bits, block, config.symmetric, floats, matrix.tensor.data_type == FLOAT16)
    method = config.method if override.method == "as_others" else override.method
    if (method == "hqq" and not floats) or (table and method in ("gptq", "awq")):
        method = "mse"
    read = matrix.node.input[0] if config.looks_at_inputs and not table else ""
    return _unfit(matrix, grid, config.format) or Choice(matrix, grid, method, read)


def _left(matrix: Matrix, config: WeightOnlyConfig, override: Override, sensitive: bool) -> str:
    """Returns why a matrix stays as it is by what was asked for; empty if it does not."""
    name, table = name_of(matrix), matrix.kind == "Gather"
    typed = table or matrix.kind in config.op_types
    if not typed or (config.nodes and not _matches(name, config.nodes)) or _matches(name, config.exclude_nodes):
        return "not asked for"
    if override.keep:
        return "kept by an override"
    if override.bits == "as_others" and sensitive and config.sensitive_bits == "float":
        return "among the most sensitive"
    if override.bits == "as_others" and table and not config.embedding_bits:
        return "embeddings stay in float"
    return ""


def _unfit(matrix: Matrix, grid: Grid, form: str) -> str:
    """Returns why no operator reads a matrix as it would be; empty if one does."""
    table = matrix.kind == "Gather"
    if matrix.tensor.data_type not in (FLOAT, FLOAT16):
        return NO_KERNEL
    if table and form == "qdq" and grid.bits != 8:
        return "Gather reads no types of less than 8 bits"
    if table and form != "qdq" and matrix.inputs * grid.stored_bits % 8:
        return f"rows of {matrix.inputs} weights of {grid.bits} bits end inside a byte"
    if not table and form == "qdq" and grid.stored_bits == 2 and matrix.outputs % 4:
        ends = f"{matrix.outputs} outputs end inside a byte of 2-bit codes"
        return f"{ends}, which the runtime's own form of QDQ gets wrong"
    return ""


def _bits(config: WeightOnlyConfig, override: Override, table: bool, sensitive: bool) -> Bits:
    """Returns the bits of a matrix's weights."""
    if override.bits != "as_others":
        return override.bits
    if table and config.embedding_bits:
        return config.embedding_bits
    return 8 if sensitive else config.bits


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def tables(chosen: Sequence[Choice]) -> dict[int, Choice]:
    """Returns the quantized embeddings that other matrices may read too, by the identity of their tensors."""
    return {
        id(choice.matrix.tensor): choice
        for choice in chosen
        if choice.matrix.kind == "Gather" and choice.matrix.inputs % choice.grid.block == 0
    }


def reads(choice: Choice, shared: Mapping[int, Choice]) -> Choice | None:
    """Returns the table of embeddings that a matrix reads as it is quantized, if it is one of those that share theirs."""
    table = shared.get(id(choice.matrix.tensor))
    return table if table is not None and table is not choice and choice.matrix.rows_are_outputs else None
