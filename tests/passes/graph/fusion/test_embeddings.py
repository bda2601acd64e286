"""Tests of embeddings that `fuse` puts together with their normalization."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from olivelike.testing.building import float_value, model_of, node_of, value_of, weight_of, whole_tensor
from olivelike.testing.context import run_model
from olivelike.testing.models import save
from olivelike_passes.graph.fuse import Fuse
from tests.passes.running import applied, reasons

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from olivelike.contracts.artifact import Artifact
    from olivelike.contracts.data import Array

CLOSE = 1e-5
"""The operator sums three numbers, and the squares of a row, in another order than the runtime's normalization."""
WORDS, PLACES, WIDTH = 20, 9, 8


def torchscript_positions() -> list[NodeProto]:
    """Constant positions [1, 9], cut off at the length, as TorchScript and dynamo write them."""
    return [
        node_of("Shape", ["ids"], ["shape"]),
        node_of("Gather", ["shape", "one"], ["length"], axis=0),
        node_of("Unsqueeze", ["length", "axis_0"], ["length1"]),
        node_of("Slice", ["places", "axis_0", "length1", "axis_1"], ["positions"]),
    ]


def counted_positions(*, axes: bool = True) -> list[NodeProto]:
    """Positions counted through, as models do that keep none; with or without an axis for the batch."""
    return [
        node_of("Shape", ["ids"], ["length1"], start=1, end=2),
        node_of("Squeeze", ["length1"], ["length"]),
        node_of("Range", ["none", "length", "one"], ["counted" if axes else "positions"]),
        *([node_of("Unsqueeze", ["counted", "axis_0"], ["positions"])] if axes else []),
    ]


def embeddings(
    positions: list[NodeProto], *, segments: bool = True, kind: str = "INT64", last: str = "position"
) -> ModelProto:
    """The start of BERT: `ids` and, if wanted, `kinds` [batch, length] to `y` float32 [batch, length, 8].

    Args:
        positions: what makes `positions`; nothing if that is an input.
        segments: whether there are embeddings of segments.
        kind: the type of the ids.
        last: which embedding is added last.
    """
    names = ["word", *(["segment"] if segments else []), "position"]
    ordered = [*(name for name in names if name != last), last]
    source = {"word": "ids", "segment": "kinds", "position": "positions"}
    sums = [node_of("Add", [f"{ordered[0]}_rows", f"{ordered[1]}_rows"], ["s" if len(ordered) == 2 else "first"])]
    sums += [node_of("Add", [f"{ordered[2]}_rows", "first"], ["s"])] if segments else []
    nodes = [
        *positions,
        *(node_of("Gather", [f"{name}_table", source[name]], [f"{name}_rows"]) for name in names),
        *sums,
        node_of("LayerNormalization", ["s", "gamma", "beta"], ["y"], epsilon=1e-3),
    ]
    weights = [
        *(weight_of("word_table", WORDS, WIDTH), weight_of("position_table", PLACES, WIDTH)),
        *(weight_of("segment_table", 2, WIDTH), weight_of("gamma", WIDTH), weight_of("beta", WIDTH)),
        *(whole_tensor("axis_0", [0]), whole_tensor("axis_1", [1]), whole_tensor("one", 1), whole_tensor("none", 0)),
        onnx.numpy_helper.from_array(np.arange(PLACES)[None], "places"),
    ]
    inputs = [value_of(name, kind, "batch", "length") for name in ["ids", *(["kinds"] if segments else [])]]
    inputs += [] if positions else [value_of("positions", kind, "batch", "length")]
    read = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in weights if tensor.name in read]
    return model_of(nodes, inputs, [float_value("y", "batch", "length", WIDTH)], kept, opset=17)


def drawn(model: ModelProto, batch: int = 3, length: int = 5) -> Mapping[str, Array]:
    most = {"ids": WORDS, "kinds": 2, "positions": PLACES}
    random = np.random.default_rng(0)
    types = {entry.name: entry.type.tensor_type.elem_type for entry in model.graph.input}
    return {
        name: random.integers(0, most[name], (batch, length)).astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
        for name, kind in types.items()
    }


def fused(model: ModelProto, folder: Path, *sizes: tuple[int, int]) -> ModelProto:
    """Returns what the pass makes of a model, having compared the outputs."""
    before, after = save(model, folder / "before"), _applied(model, folder)
    for size in sizes or ((3, 5),):
        feeds = drawn(model, *size)
        wanted, got = run_model(before, feeds), run_model(after.model, feeds)
        for name, values in wanted.items():
            assert values.shape == got[name].shape
            np.testing.assert_allclose(got[name], values, rtol=0, atol=CLOSE)
    return onnx.load(after.model)


def _applied(model: ModelProto, folder: Path) -> Artifact:
    return applied(Fuse, model, folder, kinds=["embed_norm"])


def _operator(model: ModelProto) -> NodeProto:
    (found,) = (node for node in model.graph.node if node.op_type == "EmbedLayerNormalization")
    return found


@pytest.mark.parametrize("last", ["position", "segment", "word"])
@pytest.mark.parametrize(
    "positions",
    [torchscript_positions(), counted_positions(), counted_positions(axes=False)],
    ids=["cut off", "counted", "of one axis"],
)
def test_positions_that_count_up_are_the_operators_own(positions: list[NodeProto], last: str, tmp_path: Path) -> None:
    model = fused(embeddings(positions, last=last), tmp_path, (3, 5), (1, 1), (2, PLACES), (0, 5), (2, 0))
    assert sorted(node.op_type for node in model.graph.node) == ["Cast", "Cast", "EmbedLayerNormalization"]
    node = _operator(model)
    assert node.input[3] == "position_table"
    assert list(node.input[5:]) == ["gamma", "beta"]
    assert {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}["epsilon"] == np.float32(
        1e-3
    )


def test_ids_of_int32_are_taken_as_they_are(tmp_path: Path) -> None:
    model = fused(embeddings([], kind="INT32"), tmp_path)
    (node,) = model.graph.node
    assert list(node.input) == [
        *("ids", "kinds", "word_table", "position_table", "segment_table", "gamma", "beta", "", "positions")
    ]


def test_embeddings_without_segments_are_fused_too(tmp_path: Path) -> None:
    node = _operator(fused(embeddings(torchscript_positions(), segments=False), tmp_path, (3, 5), (1, 9)))
    assert (node.input[1], node.input[4], len(node.input)) == ("", "", 7)


def test_positions_that_do_not_count_up_from_0_are_handed_over(tmp_path: Path) -> None:
    shifted = embeddings(torchscript_positions())
    next(t for t in shifted.graph.initializer if t.name == "places").CopyFrom(
        onnx.numpy_helper.from_array(np.arange(PLACES)[None, ::-1].copy(), "places")
    )
    node = _operator(fused(shifted, tmp_path))
    assert len(node.input) == 9
    assert node.input[3] == "position_table"


def test_positions_that_a_short_type_would_wrap_are_handed_over(tmp_path: Path) -> None:
    cast = [
        node_of("Cast", ["counted_1"], ["short"], to=onnx.TensorProto.INT8),
        node_of("Cast", ["short"], ["positions"], to=onnx.TensorProto.INT64),
    ]
    nodes = counted_positions()
    nodes[-1].output[0] = "counted_1"
    assert len(_operator(fused(embeddings([*nodes, *cast]), tmp_path)).input) == 9


def test_sum_that_others_take_is_the_operators_third_output(tmp_path: Path) -> None:
    model = embeddings(counted_positions())
    model.graph.node.append(node_of("Neg", ["s"], ["z"]))
    model.graph.output.append(float_value("z", "batch", "length", WIDTH))
    assert list(_operator(fused(model, tmp_path)).output) == ["y", "", "s"]


def test_ids_out_of_range_fail_and_give_nothing_wrong(tmp_path: Path) -> None:
    model = embeddings(counted_positions())
    result = _applied(model, tmp_path)
    for ids in (-1, WORDS, 2**31 + 5):
        feeds = {"ids": np.full((1, 1), ids, np.int64), "kinds": np.zeros((1, 1), np.int64)}
        with pytest.raises(Exception, match="index out of range"):
            run_model(result.model, feeds)


SHAPE = "whose ids are not known to have one shape"
CASES = {
    "other batch": SHAPE,
    "fixed positions": SHAPE,
    "open positions of a fixed length": SHAPE,
    "no bias": "whose normalization is not over their width, with a weight and a bias",
    "other axis": "whose normalization is not over their width, with a weight and a bias",
    "replaceable table": "of which one is no lookup in a constant float32 table",
    "constant": "of which one is no lookup in a constant float32 table",
}


@pytest.mark.parametrize(("case", "reason"), CASES.items(), ids=list(CASES))
def test_near_miss_is_left_alone_and_named(case: str, reason: str, tmp_path: Path) -> None:
    model = embeddings([])
    graph = model.graph
    norm = graph.node[-1]
    match case:
        case "other batch":
            graph.input[1].CopyFrom(value_of("kinds", "INT64", "other", "length"))
        case "fixed positions":  # where the length is 1 at run time, these make it 5
            graph.input[2].CopyFrom(value_of("positions", "INT64", 1, 5))
        case "open positions of a fixed length":  # which may be one position for all
            for entry in graph.input[:2]:
                entry.CopyFrom(value_of(entry.name, "INT64", "batch", 5))
        case "no bias":
            norm.CopyFrom(node_of("LayerNormalization", ["s", "gamma"], ["y"]))
        case "other axis":
            norm.attribute.append(onnx.helper.make_attribute("axis", 1))
        case "replaceable table":
            graph.input.append(float_value("word_table", WORDS, WIDTH))
        case _:
            graph.initializer.append(weight_of("constant", WIDTH))
            next(node for node in graph.node if node.name == "Add_s").input[0] = "constant"
    with pytest.raises(Exception, match=f"1 times a normalized sum of embeddings {reason}"):
        _applied(model, tmp_path)


def test_embeddings_stay_unless_their_fusion_is_asked_for(tmp_path: Path) -> None:
    assert not reasons(Fuse, embeddings([]), tmp_path / "suits")
    with pytest.raises(Exception, match=r"hint: leave the pass out$"):  # what asks for more than a wish is not proposed
        applied(Fuse, embeddings([]), tmp_path)


def test_shape_of_the_operator_is_known_when_it_is_met_again(tmp_path: Path) -> None:
    model = embeddings(counted_positions())
    model.graph.node[-1].output[0] = "n"
    model.graph.node.extend(
        [node_of("Add", ["n", "rest"], ["t"]), node_of("LayerNormalization", ["t", "gamma", "beta"], ["y"])]
    )
    model.graph.input.append(float_value("rest", "batch", "length", WIDTH))
    once = onnx.load(_applied(model, tmp_path / "once").model)
    twice = applied(Fuse, once, tmp_path / "twice", kinds=["skip_norm"])
    assert twice.manifest.notes["fuse"] == {"fused": {"SkipLayerNormalization": 1}, "near": {}}
