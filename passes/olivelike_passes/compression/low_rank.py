"""The pass `low_rank`: a multiplication by a large matrix becomes two by thin ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import DataName
from olivelike.contracts.passes import Auxiliary, PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.made import Made
from olivelike.onnxfile.names import Names, all_names
from olivelike.onnxfile.tensors import mapped
from olivelike.onnxfile.wiring import tidy
from olivelike_passes.compression.candidates import reasons_against
from olivelike_passes.compression.factors import Spectrum
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.header import replace_all
from olivelike_passes.matrices import Matrix, matrices
from olivelike_passes.naming import matching
from olivelike_passes.quantization.activation_statistics import (
    ActivationStatistics,
    Statistics,
    StatisticsConfig,
    read_statistics,
)
from olivelike_passes.weights import free_weights, lift_constants

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto

    Floats = NDArray[np.float32]

STATISTICS = "statistics"


class LowRankConfig(PassConfig):
    """How far `low_rank` goes."""

    energy: float = Field(0.95, gt=0, le=1)
    """The share of each output's squared magnitude that must be kept; it decides the rank of each weight."""
    rank: int = Field(0, ge=0)
    """The same rank for all weights, in place of one that follows from `energy`; 0 goes by `energy`."""
    data: DataName = ""
    """The data entry on which outputs are looked at; without one the weights alone are, as if all inputs were alike."""
    samples: int = Field(128, ge=0)
    """How many of its samples; 0 uses all."""
    least_saving: float = Field(0.1, ge=0, lt=1)
    """A weight stays whole unless its two factors are smaller than it by this share."""
    nodes: tuple[str, ...] = ("*",)
    """Names of the nodes to look at; `*` and `?` match as in file names."""
    exclude_nodes: tuple[str, ...] = ()
    """Names of nodes that stay as they are."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_has_no_effect(cls, value: object) -> object:
        """Equal models have equal configurations, so that none is tried twice."""
        if not isinstance(value, Mapping):
            return value
        idle = {"energy"} if value.get("rank") else set()
        if not value.get("data"):
            idle.add("samples")
        return {name: item for name, item in value.items() if name not in idle}


class LowRank(GraphPass[LowRankConfig]):
    """Splits large matrices into two thin ones where few directions carry nearly all of what they compute.

    What it does:
        Replaces a `MatMul` or `Gemm` with a constant matrix `[inputs, outputs]` by two multiplications, `[inputs, rank]` and
        `[rank, outputs]`, where these are together smaller. With `data`, the directions are those that matter on real inputs,
        which takes a far smaller rank than the weight alone would. The notes name the rank and the kept share of each.

    When to use it:
        For layers that are wider than their work: smaller and faster in plain float32, and quantization may follow.

    Limits:
        Weights of full rank, as most trained networks have without data to look at, stay as they are or lose accuracy:
        let the search choose `energy`. A decomposition takes minutes for a weight of 10,000 by 10,000. Embeddings,
        convolutions and weights inside branches and loops stay as they are.

    Example:
        ```yaml
        passes:
          - low_rank: {energy: [0.9, 0.99, 0.999], data: calibration}
        ```
    """

    name = "low_rank"
    config = LowRankConfig
    tools: ClassVar[tuple[str, ...]] = ("numpy", "onnx", "scipy")

    def needs(self, config: LowRankConfig) -> Mapping[str, Auxiliary]:
        """Asks for the statistics of activations where there are data to look at."""
        if not config.data:
            return {}
        settings = StatisticsConfig(data=config.data, samples=config.samples, gram=True)
        return {STATISTICS: Auxiliary(ActivationStatistics.name, settings.model_dump(mode="json"))}

    def unsuitable(self, model: ModelProto, config: LowRankConfig, target: Target) -> Sequence[str]:
        """Refuses quantized models, unknown nodes, and models without a matrix."""
        reasons = reasons_against(model, config.nodes, config.exclude_nodes)
        lift_constants(model)
        free_weights(model)
        if not reasons and not _splittable(model, config):
            reasons.append("the model has no MatMul or Gemm with a constant matrix to split")
        return reasons

    def rewrite(self, model: ModelProto, source: Artifact, config: LowRankConfig, context: PassContext) -> Rewritten:
        """Decomposes one weight after another and puts the factors in the place of those that get smaller.

        Raises:
            RefusedError: OL301, a weight is not finite, or none gets smaller.
        """
        lift_constants(model)
        free_weights(model)
        statistics = read_statistics(context.needed[STATISTICS]) if config.data else None
        splitting = _Splitting(model, source.model, config, statistics, context.scratch)
        found = _splittable(model, config)
        for number, (_, uses) in enumerate(found.items()):
            splitting.split(uses)
            context.progress((number + 1) / len(found), f"{number + 1} of {len(found)} weights")
        if not splitting.notes:
            claim = f"no weight gets smaller by {config.least_saving:.0%} at {_wish(config)}"
            raise fail(RefusedError, "OL301", claim, hint="ask for less `energy` or a lower `rank`")
        splitting.finish()
        return Rewritten(model, splitting.notes, splitting.made)


def _wish(config: LowRankConfig) -> str:
    return f"rank {config.rank}" if config.rank else f"an energy of {config.energy:g}"


def _splittable(model: ModelProto, config: LowRankConfig) -> dict[tuple[str, str, bool], list[Matrix]]:
    """Returns the matrices of the main graph that may be split, those that share a weight and its input together."""
    names = set(matching(model, config.nodes)) - set(matching(model, config.exclude_nodes))
    every = "*" in config.nodes and not config.exclude_nodes  # nodes without a name too
    found = defaultdict(list)
    for matrix in matrices(model):
        multiplies = matrix.kind in ("MatMul", "Gemm") and matrix.graph is model.graph
        if multiplies and (every or matrix.node.name in names):
            key = (matrix.tensor.name, matrix.node.input[0] if config.data else "", matrix.rows_are_outputs)
            found[key].append(matrix)
    return dict(found)


class _Splitting:
    """The factors found so far, and the nodes that multiply by them."""

    def __init__(
        self, model: ModelProto, path: Path, config: LowRankConfig, statistics: Statistics | None, scratch: Path
    ) -> None:
        self.made = Made()
        self.notes: dict[str, dict[str, int | float]] = {}
        self._model, self._path, self._config = model, path, config
        self._statistics, self._scratch = statistics, scratch
        self._free = Names(all_names(model))
        self._instead: dict[int, list[NodeProto]] = {}
        self._files: list[Path] = []

    def split(self, uses: Sequence[Matrix]) -> None:
        """Splits a weight for the nodes that multiply by it, if that makes it smaller."""
        import numpy as np

        first = uses[0]
        weight = mapped(first.tensor, self._path).astype(np.float32)
        weight = weight.T if first.rows_are_outputs else weight
        if not np.isfinite(weight).all():
            claim = f"the weight {first.tensor.name!r} holds NaN or an infinity, which has no decomposition"
            raise fail(RefusedError, "OL301", claim)
        value = first.node.input[0]
        seen = self._statistics is not None and value in self._statistics
        spectrum = Spectrum(weight, self._statistics.gram(value) if seen and self._statistics else None)
        rank = self._config.rank or spectrum.rank_for(self._config.energy)
        if rank * (first.inputs + first.outputs) > (1 - self._config.least_saving) * first.inputs * first.outputs:
            return
        names = self._keep(first.tensor, spectrum.factors(rank))
        for use in uses:
            self._instead[id(use.node)] = self._thin(use, names)
            kept = float(spectrum.shares[:rank].sum())
            self.notes[use.node.name or use.node.output[0]] = {"rank": rank, "kept": round(kept, 6)}

    def finish(self) -> None:
        """Puts the new nodes in their places and takes out what nothing reads any more."""
        graph = self._model.graph
        kept = [new for node in graph.node for new in self._instead.get(id(node), [node])]
        replace_all(graph.node, kept)
        tidy(graph)

    def _keep(self, tensor: TensorProto, factors: Sequence[Floats]) -> list[str]:
        """Announces two factors, which wait in files, and returns their names."""
        import numpy as np
        import onnx

        names = []
        for factor, ending in zip(factors, ("narrow", "wide"), strict=True):
            name = self._free.fresh(f"{tensor.name}_{ending}")
            file = self._scratch / f"{len(self._files)}.npy"
            self._files.append(file)
            np.save(file, factor)
            new = onnx.TensorProto(name=name, data_type=tensor.data_type, dims=factor.shape)
            self._model.graph.initializer.append(new)
            kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
            self.made.announce([new], _reading(file, kind))
            names.append(name)
        return names

    def _thin(self, use: Matrix, names: Sequence[str]) -> list[NodeProto]:
        import onnx

        middle = self._free.fresh(f"{use.node.output[0]}_narrow")
        first = onnx.helper.make_node(
            "MatMul", [use.node.input[0], names[0]], [middle], name=f"{use.node.name or use.node.output[0]}_narrow"
        )
        second = onnx.NodeProto()
        second.CopyFrom(use.node)
        second.input[0], second.input[1] = middle, names[1]
        for place in reversed(range(len(second.attribute))):
            if second.attribute[place].name == "transB":
                del second.attribute[place]
        return [first, second]


def _reading(file: Path, kind: np.dtype[np.generic]) -> Callable[[], list[NDArray[np.generic]]]:
    import numpy as np

    return lambda: [np.load(file, mmap_mode="r").astype(kind)]
