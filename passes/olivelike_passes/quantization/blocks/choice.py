"""Which matrices are quantized, and how: what the configuration says of each, and what cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from olivelike_passes.matrices import Matrix, matrices
from olivelike_passes.quantization.blocks.grid import Bits, BlockSize, Grid
from olivelike_passes.quantization.weight_only_config import MethodName, Override, WeightOnlyConfig

if TYPE_CHECKING:
    from onnx import ModelProto

FLOAT, FLOAT16 = 1, 10
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


def choices(model: ModelProto, config: WeightOnlyConfig) -> Choices:
    """Returns what a configuration makes of each of a model's matrices."""
    found = Choices()
    for matrix in matrices(model):
        what = _choice(matrix, config)
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


def _choice(matrix: Matrix, config: WeightOnlyConfig) -> Choice | str:
    name = name_of(matrix)
    if matrix.tensor.data_type not in (FLOAT, FLOAT16):
        return NO_KERNEL
    if (config.nodes and not _matches(name, config.nodes)) or _matches(name, config.exclude_nodes):
        return "not asked for"
    override = next((each for each in config.overrides if fnmatchcase(name, each.nodes)), Override(nodes=name))
    if override.keep:
        return "kept by an override"
    table = matrix.kind == "Gather"
    bits = _bits(config, override, table)
    if bits is None:
        return "embeddings stay in float"
    method = config.method if override.method == "as_others" else override.method
    block: BlockSize = config.block_size if override.block_size == "as_others" else override.block_size
    floats = config.zero_points == "float" and not config.symmetric and not table
    half = matrix.tensor.data_type == FLOAT16
    grid = Grid(bits, block, config.symmetric, floats, half)
    if table and config.format == "qdq" and bits != 8:
        return "Gather reads no types of less than 8 bits"
    if not table and config.format == "qdq" and grid.stored_bits == 2 and matrix.outputs % 4:
        return (
            f"{matrix.outputs} outputs end inside a byte of 2-bit codes, which the runtime's own form of QDQ gets wrong"
        )
    if table and config.format != "qdq" and matrix.inputs * grid.stored_bits % 8:
        return f"rows of {matrix.inputs} weights of {bits} bits end inside a byte"
    if table:
        return Choice(matrix, grid, "mse" if method in ("hqq", "gptq", "awq") else method)
    return Choice(matrix, grid, method, matrix.node.input[0] if config.data else "")


def _bits(config: WeightOnlyConfig, override: Override, table: bool) -> Bits | None:
    """Returns the bits of a matrix's weights; nothing where it stays in float."""
    if override.bits != "as_others":
        return override.bits
    if not table:
        return config.bits
    return config.embedding_bits or None


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
