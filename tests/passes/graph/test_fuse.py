"""Tests of the pass `fuse`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, get_args

import numpy as np
import onnx
import pytest

from olivelike.digest import Json
from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.read import read_structure
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_tensor, float_value, model_of, node_of, value_of, weight_of, whole_tensor
from olivelike.testing.context import run_model
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal, gap_between
from olivelike.testing.transformer_models import Exporter, decoder_layer, encoder_layer
from olivelike_passes.graph.fuse import Fuse, Kind
from tests.passes.running import applied

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from olivelike.contracts.data import Array

CLOSE = 1e-5
"""Outputs may differ by so much of their largest magnitude: float32 sums in another order."""
BATCH, LENGTH, PAST = 3, 5, 4
EVERY: list[Json] = [*get_args(Kind)]


def in_branch() -> ModelProto:
    """A GELU inside a branch of an `If`, of a value and with constants of the graph around it."""
    nodes = _gelu("x", "inner")
    branch = onnx.helper.make_graph(nodes, "yes", [], [float_value("inner", "batch", 8)])
    other = onnx.helper.make_graph([node_of("Relu", ["x"], ["none"])], "no", [], [float_value("none", "batch", 8)])
    top = [node_of("If", ["flag"], ["y"], then_branch=branch, else_branch=other)]
    inputs = [value_of("flag", "BOOL"), float_value("x", "batch", 8)]
    return model_of(top, inputs, [float_value("y", "batch", 8)], _gelu_numbers())


def own_operator() -> ModelProto:
    """A model that defines an operator of the runtime's domain itself."""
    model = odd_models.function()
    model.functions[0].domain = "com.microsoft"
    for node in model.graph.node:
        node.domain = "com.microsoft"
    model.opset_import[1].domain = "com.microsoft"
    return model


class TestFuse(GraphPassContract):
    pass_type = Fuse
    configs = ({"kinds": EVERY},)
    accepted: ClassVar = {
        "torchscript encoder": lambda: encoder_layer("torchscript"),
        "dynamo encoder": lambda: encoder_layer("dynamo"),
        "dynamo encoder, opset 23": lambda: encoder_layer("dynamo", opset=23),
        "decoder": decoder_layer,
        "decoder of one sequence": lambda: decoder_layer(batch=1),
        "decoder without past": lambda: decoder_layer(past=False),
        "decoder, opset 23": lambda: decoder_layer(opset=23),
        "written-out layer norms": models.bert_layer,
        "branch": in_branch,
        "convolutions": models.conv_net,
    }
    refused: ClassVar = {
        "nothing": Refusal(models.mlp, "nothing in the model matches a pattern of layer_norm"),
        "quantized": Refusal(models.quantized, "fuse before quantization"),
        "own operator": Refusal(own_operator, "the model defines operators of com.microsoft itself (SquarePlus)"),
        "attention that is fused": Refusal(models.attention23, "nothing in the model matches"),
    }


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_a_layer_of_bert_is_the_same_few_operators_from_both_exporters(exporter: Exporter, tmp_path: Path) -> None:
    model, notes = fused(encoder_layer(exporter), tmp_path)
    kinds = [node.op_type for node in model.graph.node if node.op_type not in ("Shape", "Gather", "Concat")]
    assert kinds == [
        *("Unsqueeze", "Expand", "Where", "MatMul", "Add", "MatMul", "Add", "MatMul", "Add", "MultiHeadAttention"),
        *("MatMul", "SkipLayerNormalization", "MatMul", "BiasGelu", "MatMul", "SkipLayerNormalization"),
    ]
    assert notes == {
        "fused": {"BiasGelu": 1, "MultiHeadAttention": 1, "SkipLayerNormalization": 2},
        "near": {},
    }


@pytest.mark.parametrize("fill", [-3.4028234663852886e38, -1e4, -np.inf])
@pytest.mark.parametrize("opset", [18, 23])
def test_padding_and_queries_that_see_nothing_come_out_as_before(fill: float, opset: int, tmp_path: Path) -> None:
    visible = np.ones((BATCH, LENGTH), bool)
    visible[1, 2:] = False
    visible[2] = False
    before = encoder_layer("dynamo", fill=fill, opset=opset)
    _, notes = fused(before, tmp_path, feeds={"x": drawn(BATCH, LENGTH, 32), "visible": visible})
    assert "MultiHeadAttention" in notes["fused"] or "Attention" in notes["fused"]


def test_no_zero_for_what_is_no_number_is_put_in_where_the_mask_is_finite(tmp_path: Path) -> None:
    assert "IsNaN" not in _kinds(fused(encoder_layer("dynamo"), tmp_path / "finite")[0])
    assert _kinds(fused(encoder_layer("dynamo", fill=-np.inf), tmp_path / "infinite")[0]).count("IsNaN") == 1


@pytest.mark.parametrize(
    ("batch", "past", "kind"),
    [
        ("batch", True, "MultiHeadAttention"),  # the runtime takes new tokens after earlier ones for one sequence only
        (1, True, "GroupQueryAttention"),
        ("batch", False, "MultiHeadAttention"),  # a batch of 0 ends the process in the runtime's other operator
        (BATCH, False, "GroupQueryAttention"),
    ],
)
def test_shared_keys_are_not_repeated_any_more(batch: int | str, past: bool, kind: str, tmp_path: Path) -> None:
    size = BATCH if isinstance(batch, str) else batch
    feeds = _decoder_feeds(size, LENGTH, PAST if past else -1)
    model, notes = fused(decoder_layer(batch=batch, past=past), tmp_path, feeds=feeds)
    assert notes["fused"] == {kind: 1, "RotaryEmbedding": 2, "SkipSimplifiedLayerNormalization": 2}
    assert _kinds(model).count("Softmax") == 0


def _attention(mask: tuple[int | str, ...], scale: float = 0.3, opset: int = 17) -> ModelProto:
    """Two heads of `q` [batch, length, 16] over `k` and `v` [batch, keys, 16], with a mask of some shape if it has axes."""
    nodes = [
        node
        for name in "qkv"
        for node in (
            node_of("Reshape", [name, "split"], [f"{name}s"]),
            node_of("Transpose", [f"{name}s"], [f"{name}4"], perm=[0, 2, 1, 3]),
        )
    ]
    nodes += [
        node_of("Transpose", ["k4"], ["kt"], perm=[0, 1, 3, 2]),
        node_of("MatMul", ["q4", "kt"], ["products"]),
        node_of("Mul", ["products", "scale"], ["scores"]),
        *([node_of("Add", ["mask", "scores"], ["masked"])] if mask else []),
        node_of("Softmax", ["masked" if mask else "scores"], ["weights"]),
        node_of("MatMul", ["weights", "v4"], ["heads"]),
        node_of("Transpose", ["heads"], ["t"], perm=[0, 2, 1, 3]),
        node_of("Reshape", ["t", "joined"], ["y"]),
    ]
    weights = [whole_tensor("split", [0, 0, 2, 8]), whole_tensor("joined", [0, 0, 16]), float_tensor("scale", scale)]
    inputs = [float_value("q", "batch", "length", 16), *(float_value(name, "batch", "past", 16) for name in "kv")]
    inputs += [float_value("mask", *mask)] if mask else []
    return model_of(nodes, inputs, [float_value("y", "batch", "length", 16)], weights, opset=opset, ir_version=10)


@pytest.mark.parametrize("opset", [17, 23])
@pytest.mark.parametrize("scale", [0.0, -1.0, 1e-40, np.inf])
def test_scale_that_is_no_number_above_0_is_named(scale: float, opset: int, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="1 times an attention whose scores are multiplied by a number that is not"):
        applied(Fuse, _attention((), scale, opset), tmp_path)


@pytest.mark.parametrize(
    ("mask", "expanded"),
    [
        ((), 0),
        (("batch", 2, "length", "past"), 0),
        ((1, 1, "length", "past"), 0),
        (("batch", 1, 1, "past"), 1),
        (("length", "past"), 1),
        (("other", 1, 1, "other_keys"), 1),
    ],
)
def test_mask_is_expanded_where_it_is_not_known_to_be_whole(
    mask: tuple[int | str, ...], expanded: int, tmp_path: Path
) -> None:
    model, notes = fused(_attention(mask), tmp_path)
    assert notes["fused"] == {"MultiHeadAttention": 1}
    assert _kinds(model).count("Expand") == expanded


@pytest.mark.parametrize("mask", [(4, "length", "past"), ("batch", 4, "length", 1), ("batch", 1, "length", "past")])
def test_mask_of_heads_that_share_keys_is_stacked_as_the_queries_are(
    mask: tuple[int | str, ...], tmp_path: Path
) -> None:
    model = _attention(mask)
    edited = {
        "split_q": [0, 0, 4, 8],
        "joined": [0, 0, 32],
        "times": [1, 1, 2, 1, 1],
        "axis": [2],
        "all": [0, 4, -1, 8],
    }
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in edited]
    del model.graph.initializer[:]
    model.graph.initializer.extend([*kept, *(whole_tensor(name, sizes) for name, sizes in edited.items())])
    repeated = []
    for node in model.graph.node:
        renamed = {"split": "split_q"} if node.output[0] == "qs" else {"k4": "kr", "v4": "vr"}
        node.input[:] = [renamed.get(name, name) for name in node.input]
        repeated.append(node)
        if node.output[0] in ("k4", "v4"):
            one = node.output[0][0]
            repeated += [
                node_of("Unsqueeze", [f"{one}4", "axis"], [f"{one}5"]),
                node_of("Expand", [f"{one}5", "times"], [f"{one}e"]),
                node_of("Reshape", [f"{one}e", "all"], [f"{one}r"]),
            ]
    model.graph.ClearField("node")
    model.graph.node.extend(repeated)
    for entry in (model.graph.input[0], model.graph.output[0]):
        entry.type.tensor_type.shape.dim[2].dim_value = 32
    after, notes = fused(model, tmp_path)
    assert notes["fused"] == {"MultiHeadAttention": 1}
    (node,) = (node for node in after.graph.node if node.op_type == "MultiHeadAttention")
    assert next(entry.i for entry in node.attribute if entry.name == "num_heads") == 2


def test_mask_of_other_heads_is_named(tmp_path: Path) -> None:
    model = _attention(("batch", "other", "length", "past"))
    with pytest.raises(Exception, match="1 times an attention whose mask has no known shape, or one for other heads"):
        applied(Fuse, model, tmp_path)


def test_past_is_joined_outside_where_the_mask_is_computed_from_what_is_joined(tmp_path: Path) -> None:
    model = decoder_layer(batch=1)
    for node in model.graph.node:
        if node.output[0] == "length_total":  # the length of all keys, read off them
            node.CopyFrom(node_of("Squeeze", ["keys_shape"], ["length_total"]))
    model.graph.node.append(node_of("Shape", ["key"], ["keys_shape"], start=2, end=3))
    model.graph.node.append(node_of("Shape", ["past_key"], ["past_too"], start=2, end=3))
    model.graph.node.append(node_of("Add", ["past_too", "length1"], ["total1_too"]))
    for node in model.graph.node:
        if node.op_type == "Concat" and "total1" in node.input:
            node.input[list(node.input).index("total1")] = "total1_too"
    _, notes = fused(model, tmp_path, feeds=_decoder_feeds(1, LENGTH, PAST))
    assert notes["fused"]["MultiHeadAttention"] == 1


def test_first_and_single_tokens_come_out_as_before(tmp_path: Path) -> None:
    for past, length in ((0, 4), (6, 1), (0, 1)):
        fused(decoder_layer(), tmp_path / f"{past}_{length}", feeds=_decoder_feeds(2, length, past))


def test_standard_attention_takes_heads_unsplit_unrepeated_and_with_its_past(tmp_path: Path) -> None:
    sizes = [whole_tensor("split", [0, 0, 2, 8]), whole_tensor("joined", [0, 0, 16])]
    split = [
        node
        for name in "qkv"
        for node in (
            node_of("Reshape", [name, "split"], [f"{name}s"]),
            node_of("Transpose", [f"{name}s"], [f"{name}4"], perm=[0, 2, 1, 3]),
        )
    ]
    nodes = [
        *split,
        node_of("Concat", ["past_k", "k4"], ["key"], axis=2),
        node_of("Concat", ["past_v", "v4"], ["value"], axis=2),
        node_of("Attention", ["q4", "key", "value"], ["a"], scale=0.5),
        node_of("Transpose", ["a"], ["t"], perm=[0, 2, 1, 3]),
        node_of("Reshape", ["t", "joined"], ["y"]),
    ]
    inputs = [float_value(name, "batch", "length", 16) for name in "qkv"]
    inputs += [float_value(f"past_{name}", "batch", 2, "past", 8) for name in "kv"]
    outputs = [
        float_value("y", "batch", "length", 16),
        *(float_value(n, "batch", 2, "all", 8) for n in ("key", "value")),
    ]
    feeds = {name: drawn(2, 3, 16) for name in "qkv"} | {f"past_{name}": drawn(2, 2, 4, 8) for name in "kv"}
    model, _ = fused(model_of(nodes, inputs, outputs, sizes, opset=23, ir_version=11), tmp_path, feeds=feeds)
    assert [(node.op_type, list(node.input), list(node.output)) for node in model.graph.node] == [
        ("Attention", ["q", "k", "v", "", "past_k", "past_v"], ["y", "key", "value"])
    ]


@pytest.mark.parametrize(("opset", "domains"), [(17, ["", "com.microsoft"]), (20, [""])])
def test_gelu_is_onnxs_own_where_the_opset_has_it(opset: int, domains: list[str], tmp_path: Path) -> None:
    model, _ = fused(_model(_gelu("x", "y"), _gelu_numbers(), opset=opset), tmp_path)
    assert [(node.op_type, node.domain) for node in model.graph.node] == [("Gelu", domains[-1])]
    assert [entry.domain for entry in model.opset_import] == domains


TANH = [
    *(node_of("Mul", ["x", "x"], ["x2"]), node_of("Mul", ["x2", "x"], ["x3"]), node_of("Mul", ["c", "x3"], ["cx3"])),
    *(node_of("Add", ["x", "cx3"], ["s"]), node_of("Mul", ["s", "r"], ["sr"]), node_of("Tanh", ["sr"], ["t"])),
    *(node_of("Add", ["t", "one"], ["t1"]), node_of("Mul", ["x", "half"], ["xh"]), node_of("Mul", ["xh", "t1"], ["y"])),
]
FACTORED = [
    *(node_of("Mul", ["x", "r"], ["xr"]), node_of("Mul", ["x", "c"], ["xc"]), node_of("Mul", ["xc", "x"], ["cx2"])),
    *(node_of("Add", ["cx2", "one"], ["s"]), node_of("Mul", ["xr", "s"], ["sr"]), node_of("Tanh", ["sr"], ["t"])),
    *(node_of("Add", ["one", "t"], ["t1"]), node_of("Mul", ["t1", "x"], ["xt"]), node_of("Mul", ["half", "xt"], ["y"])),
]
QUICK = [node_of("Mul", ["x", "q"], ["xq"]), node_of("Sigmoid", ["xq"], ["s"]), node_of("Mul", ["x", "s"], ["y"])]
ERF = [
    *(node_of("Mul", ["x", "root_half"], ["xr"]), node_of("Erf", ["xr"], ["e"]), node_of("Add", ["e", "one"], ["e1"])),
    *(node_of("Mul", ["e1", "x"], ["ex"]), node_of("Mul", ["ex", "half"], ["y"])),
]
SILU = [node_of("Sigmoid", ["x"], ["s"]), node_of("Mul", ["s", "x"], ["y"])]


@pytest.mark.parametrize(
    ("nodes", "kind"),
    [(TANH, "FastGelu"), (FACTORED, "FastGelu"), (QUICK, "QuickGelu"), (SILU, "QuickGelu")],
    ids=["tanh", "factored", "quick", "silu"],
)
def test_activations_are_known_in_every_order(nodes: list[NodeProto], kind: str, tmp_path: Path) -> None:
    numbers = [float_tensor("c", 0.044715), float_tensor("r", (2 / np.pi) ** 0.5), float_tensor("q", 1.702)]
    model, notes = fused(_model(nodes, [*numbers, *_gelu_numbers()]), tmp_path)
    assert _kinds(model) == [kind]
    assert notes["fused"] == {kind: 1}


@pytest.mark.parametrize("shape", [(), (8,)])
@pytest.mark.parametrize("nodes", [TANH, QUICK, ERF], ids=["tanh", "quick", "erf"])
def test_numbers_with_an_axis_are_those_of_an_activation_only_where_its_input_has_one(
    nodes: list[NodeProto], shape: tuple[int, ...], tmp_path: Path
) -> None:
    numbers = {"c": 0.044715, "r": (2 / np.pi) ** 0.5, "q": 1.702, "root_half": 0.5**0.5, "one": 1.0, "half": 0.5}
    weights = [onnx.numpy_helper.from_array(np.float32([number]), name) for name, number in numbers.items()]
    end = float_value("y", *(shape or (1,)))
    model = model_of(nodes, [float_value("x", *shape)], [end], weights, opset=17)
    if shape:
        assert len(fused(model, tmp_path)[0].graph.node) == 1
        return
    with pytest.raises(Exception, match="nothing in the model matches"):
        applied(Fuse, model, tmp_path)


def test_division_by_0_is_no_part_of_an_activation(tmp_path: Path) -> None:
    nodes = [
        *(node_of("Sigmoid", ["x"], ["s"]), node_of("Div", ["s", "zero"], ["d"]), node_of("Mul", ["d", "x"], ["y"])),
    ]
    with pytest.raises(Exception, match="nothing in the model matches"):
        applied(Fuse, _model(nodes, [float_tensor("zero", 0.0)]), tmp_path)


def _number(name: str, value: float) -> Callable[[ModelProto], None]:
    def edit(model: ModelProto) -> None:
        next(t for t in model.graph.initializer if t.name == name).CopyFrom(float_tensor(name, value))

    return edit


def _shown(value: str, *shape: int | str) -> Callable[[ModelProto], None]:
    return lambda model: model.graph.output.append(float_value(value, *shape))


def _replaceable(name: str, *shape: int) -> Callable[[ModelProto], None]:
    return lambda model: model.graph.input.append(float_value(name, *shape))


def _attribute(node: str, name: str, value: object) -> Callable[[ModelProto], None]:
    def edit(model: ModelProto) -> None:
        found = next(each for each in model.graph.node if each.name == node)
        kept = [entry for entry in found.attribute if entry.name != name]
        del found.attribute[:]
        found.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])

    return edit


@pytest.mark.parametrize(
    ("edit", "missing"),
    [
        (_number("half", 0.6), "BiasGelu"),
        (_number("one", 1.1), "BiasGelu"),
        (_number("root2", 1.5), "BiasGelu"),
        (_shown("act_erf", "batch", "length", 48), "BiasGelu"),
        (_replaceable("half"), "BiasGelu"),
        (_attribute("Softmax_raw", "axis", 2), "MultiHeadAttention"),
        (_attribute("Transpose_turned_out", "perm", [2, 0, 1, 3]), "MultiHeadAttention"),
        (_shown("raw", "batch", 4, "length", "length"), "MultiHeadAttention"),
        (_replaceable("gamma", 32), "SkipLayerNormalization"),
    ],
)
def test_what_differs_from_a_pattern_is_left_alone(
    edit: Callable[[ModelProto], None], missing: str, tmp_path: Path
) -> None:
    model = encoder_layer("dynamo")
    edit(model)
    _, notes = fused(model, tmp_path)
    whole = {"BiasGelu": 1, "MultiHeadAttention": 1, "SkipLayerNormalization": 2}
    assert notes["fused"] == {kind: count for kind, count in whole.items() if kind != missing}


def test_normalization_that_needs_a_later_opset_is_named(tmp_path: Path) -> None:
    model = models.bert_layer()
    model.opset_import[0].version = 16
    _, notes = fused(model, tmp_path)
    assert notes == {
        "fused": {"BiasGelu": 1},
        "near": {"layer normalization needs opset 17: convert_opset before": 2},
    }


@pytest.mark.parametrize("exponent", [float_tensor("two", 2.0), whole_tensor("two", 2)])
def test_root_mean_square_that_follows_no_addition_is_taken_of_twice_the_value(
    exponent: onnx.TensorProto, tmp_path: Path
) -> None:
    nodes = [
        *(node_of("Pow", ["x", "two"], ["p"]), node_of("ReduceMean", ["p"], ["m"], axes=[-1])),
        *(node_of("Add", ["m", "e"], ["me"]), node_of("Sqrt", ["me"], ["r"]), node_of("Div", ["x", "r"], ["n"])),
        node_of("Mul", ["n", "gamma"], ["y"]),
    ]
    weights = [exponent, float_tensor("e", 0.5), weight_of("gamma", 8)]
    model, _ = fused(_model(nodes, weights), tmp_path)
    (node,) = model.graph.node
    assert (node.op_type, list(node.input)) == ("SkipSimplifiedLayerNormalization", ["x", "x", "gamma"])
    assert node.attribute[0].f == 2.0


def test_sum_that_others_take_is_the_fused_operators_fourth_output(tmp_path: Path) -> None:
    nodes = [
        node_of("Add", ["x", "z"], ["s"]),
        node_of("LayerNormalization", ["s", "gamma", "beta"], ["n"]),
        node_of("Add", ["s", "n"], ["y"]),
    ]
    inputs = [float_value(name, "batch", "length", 8) for name in "xz"]
    outputs = [float_value("y", "batch", "length", 8)]
    model, _ = fused(model_of(nodes, inputs, outputs, [weight_of("gamma", 8), weight_of("beta", 8)]), tmp_path)
    assert list(model.graph.node[0].output) == ["n", "", "", "s"]
    assert _kinds(model) == ["SkipLayerNormalization", "Add"]


@pytest.mark.parametrize("of", ["s", "x"])
def test_bias_that_is_computed_from_the_sum_is_not_taken_with_it(of: str, tmp_path: Path) -> None:
    nodes = [
        node_of("Add", ["x", "z"], ["s"]),
        node_of("ReduceMean", [of], ["beta"], axes=[0, 1], keepdims=0),
        node_of("LayerNormalization", ["s", "gamma", "beta"], ["n"]),
        node_of("Mul", ["s", "n"], ["sn"]),
        *_gelu("sn", "y"),
    ]
    inputs = [float_value(name, "batch", "length", 8) for name in "xz"]
    weights = [weight_of("gamma", 8), *_gelu_numbers()]
    _, notes = fused(model_of(nodes, inputs, [float_value("y", "batch", "length", 8)], weights, opset=17), tmp_path)
    circle = {"a pattern that takes what is computed from something it makes": 1}
    assert notes["near"] == (circle if of == "s" else {})
    assert notes["fused"] == ({"Gelu": 1} if of == "s" else {"Gelu": 1, "SkipLayerNormalization": 1})


def test_terms_that_may_differ_in_shape_are_not_fused_and_named(tmp_path: Path) -> None:
    nodes = [
        *(node_of("Add", ["x", "z"], ["s"]), node_of("LayerNormalization", ["s", "gamma", "beta"], ["n"])),
        *_gelu("n", "y"),
    ]
    inputs = [float_value("x", "batch", "length", 8), float_value("z", "other", "length", 8)]
    weights = [weight_of("gamma", 8), weight_of("beta", 8), *_gelu_numbers()]
    _, notes = fused(model_of(nodes, inputs, [float_value("y", "batch", "length", 8)], weights), tmp_path)
    assert notes["fused"] == {"Gelu": 1}
    assert list(notes["near"]) == [
        "an addition before a normalization whose two terms are not known to have one shape of 2 or 3 axes"
    ]


@pytest.mark.parametrize(("scale", "bias"), [((1, 8), (8,)), ((5, 8), (8,)), ((8,), (1, 8)), ((8,), (5, 8))])
def test_sum_whose_normalization_broadcasts_its_scale_or_bias_is_left_alone(
    scale: tuple[int, ...], bias: tuple[int, ...], tmp_path: Path
) -> None:
    nodes = [
        *(node_of("Add", ["x", "z"], ["s"]), node_of("LayerNormalization", ["s", "gamma", "beta"], ["n"])),
        *_gelu("n", "y"),
    ]
    inputs = [float_value(name, "batch", 5, 8) for name in "xz"]
    weights = [weight_of("gamma", *scale), weight_of("beta", *bias), *_gelu_numbers()]
    _, notes = fused(model_of(nodes, inputs, [float_value("y", "batch", 5, 8)], weights), tmp_path)
    assert notes["fused"] == {"Gelu": 1}


def test_positions_added_to_every_sequence_are_fused_too(tmp_path: Path) -> None:
    nodes = [
        *(
            node_of("Shape", ["x"], ["length1"], start=1, end=2),
            node_of("Slice", ["table", "zero", "length1", "one"], ["p"]),
        ),
        *(node_of("Add", ["p", "x"], ["s"]), node_of("LayerNormalization", ["s", "gamma", "beta"], ["y"])),
    ]
    weights = [weight_of("table", 1, 9, 8), whole_tensor("zero", [0]), whole_tensor("one", [1])]
    weights += [weight_of("gamma", 8), weight_of("beta", 8)]
    ends = [float_value(name, "batch", "length", 8) for name in "xy"]
    model, _ = fused(model_of(nodes, ends[:1], ends[1:], weights), tmp_path)
    assert list(model.graph.node[-1].input) == ["x", "p", "gamma", "beta"]
    assert _kinds(model) == ["Shape", "Slice", "SkipLayerNormalization"]


def test_addition_before_a_layer_normalization_stays_unless_its_fusion_is_asked_for(tmp_path: Path) -> None:
    result = applied(Fuse, encoder_layer("dynamo"), tmp_path)
    assert result.manifest.notes["fuse"] == {"fused": {"BiasGelu": 1, "MultiHeadAttention": 1}, "near": {}}


def test_refusal_says_what_may_help_only_where_something_may(tmp_path: Path) -> None:
    norm = models.bert_layer()
    norm.opset_import[0].version = 16
    cases: tuple[tuple[ModelProto, list[Json], str], ...] = (
        (norm, ["layer_norm"], "hint: put what a reason names before it, or leave the pass out"),
        (models.conv_net(), ["layer_norm", "gelu", "rotary"], "name other kinds: rms_norm, attention$"),
        (models.conv_net(), ["layer_norm", "gelu", "rotary", "attention", "rms_norm"], "hint: leave the pass out$"),
        (models.mlp(), EVERY, "hint: leave the pass out$"),
    )
    for number, (model, kinds, hint) in enumerate(cases):
        with pytest.raises(Exception, match=hint):
            applied(Fuse, model, tmp_path / str(number), kinds=kinds)


def test_only_the_kinds_that_are_named_are_fused(tmp_path: Path) -> None:
    _, notes = fused(encoder_layer("dynamo"), tmp_path, kinds=["gelu"])
    assert notes["fused"] == {"BiasGelu": 1}


def test_unread_weights_and_values_that_are_no_more_are_not_named(tmp_path: Path) -> None:
    before = encoder_layer("dynamo")
    before.graph.value_info.extend(
        [float_value("act_erf", "batch", "length", 48), float_value("n1", "batch", "length", 32)]
    )
    model, _ = fused(before, tmp_path)
    assert [entry.name for entry in model.graph.value_info] == ["n1"]
    assert "root2" not in {tensor.name for tensor in model.graph.initializer}


def test_double_precision_is_left_alone(tmp_path: Path) -> None:
    model = _model(_gelu("x", "y"), _gelu_numbers())
    for tensor in model.graph.initializer:
        tensor.CopyFrom(
            onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(np.float64), tensor.name)
        )
    for entry in (*model.graph.input, *model.graph.output):
        entry.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    with pytest.raises(Exception, match="nothing in the model matches"):
        applied(Fuse, model, tmp_path)


def fused(
    model: ModelProto, folder: Path, feeds: Mapping[str, Array] | None = None, **settings: Json
) -> tuple[ModelProto, dict[str, dict[str, int]]]:
    """Returns what the pass makes of a model, and its notes, having compared the outputs."""
    given = feeds or _feeds(model)
    path = models.save(model, folder / "before")
    result = applied(Fuse, model, folder, **({"kinds": EVERY} | settings))
    validate_graph(result.model)
    before, after = run_model(path, given), run_model(result.model, given)
    for name, values in before.items():
        assert np.isfinite(values).all() == np.isfinite(after[name]).all()
        assert gap_between(values, after[name]) <= CLOSE, f"the output {name} differs"
    notes = result.manifest.notes["fuse"]
    return read_structure(result.model), {key: dict(notes[key]) for key in ("fused", "near")}  # type: ignore[arg-type, index, call-overload]


def _decoder_feeds(batch: int, length: int, past: int) -> Mapping[str, Array]:
    """Returns inputs of a decoder's layer; a past below 0 is none."""
    places = np.arange(length)[None].repeat(batch, 0) + max(past, 0)
    kept = {f"past_{name}": drawn(batch, 2, past, 8) for name in ("key", "value") if past >= 0}
    return {"x": drawn(batch, length, 32), "positions": places, **kept}


def drawn(*shape: int) -> Array:
    return np.random.default_rng(list(shape)).standard_normal(shape).astype(np.float32)


def _feeds(model: ModelProto) -> Mapping[str, Array]:
    sizes = {"batch": BATCH, "length": LENGTH, "past": PAST, "other": BATCH, "other_keys": PAST}
    held = {tensor.name for tensor in model.graph.initializer}
    found: dict[str, Array] = {}
    for entry in model.graph.input:
        shape = [dim.dim_value or sizes[dim.dim_param] for dim in entry.type.tensor_type.shape.dim]
        values = drawn(*shape) if shape else np.ones((), np.float32)
        kind = entry.type.tensor_type.elem_type
        if entry.name not in held:
            found[entry.name] = values > 0 if kind == onnx.TensorProto.BOOL else values
    return found


def _kinds(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def _model(nodes: list[NodeProto], weights: list[onnx.TensorProto], *, opset: int = 17) -> ModelProto:
    ends = [float_value(name, "batch", 8) for name in "xy"]
    return model_of(nodes, ends[:1], ends[1:], weights, opset=opset)


def _gelu(source: str, result: str) -> list[NodeProto]:
    return [
        node_of("Mul", [source, "root_half"], [f"{result}_scaled"]),
        node_of("Erf", [f"{result}_scaled"], [f"{result}_erf"]),
        node_of("Add", [f"{result}_erf", "one"], [f"{result}_add"]),
        node_of("Mul", [f"{result}_add", source], [f"{result}_mul"]),
        node_of("Mul", [f"{result}_mul", "half"], [result]),
    ]


def _gelu_numbers() -> list[onnx.TensorProto]:
    return [float_tensor("root_half", 0.5**0.5), float_tensor("one", 1.0), float_tensor("half", 0.5)]
