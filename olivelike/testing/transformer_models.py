"""Blocks of transformers as torch's exporters write them out: what `fuse` and others must find in real models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from olivelike.testing.building import (
    float_tensor,
    float_value,
    model_of,
    node_of,
    value_of,
    weight_of,
    whole_tensor,
)

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

Exporter: TypeAlias = Literal["torchscript", "dynamo"]
WIDTH, HEADS, SHARED, SIZE = 32, 4, 2, 8
"""A hidden size of 32: four heads of eight; two heads of keys where heads share them."""
LOWEST = -3.4028234663852886e38


def encoder_layer(exporter: Exporter, *, opset: int = 18, fill: float = LOWEST) -> ModelProto:
    """A layer of BERT: `x` float32 [batch, length, 32], `visible` bool [batch, length] to `y`, as `x`.

    Args:
        exporter: in whose way attention is written. TorchScript takes every size out of a shape by itself, transposes keys at
            once and divides the scores; dynamo shares shapes, transposes keys with batch and heads as one axis, scales
            queries and keys by the root, and puts 0 for weights that are no number.
        opset: 17 or later.
        fill: what hides a key.
    """
    attention = _torchscript_attention() if exporter == "torchscript" else _dynamo_attention()
    nodes = [
        node_of("Unsqueeze", ["visible", "axes_1_2"], ["visible4"]),
        node_of("Expand", ["visible4", "full"], ["seen"]),
        node_of("Where", ["seen", "zero", "fill"], ["mask"]),
        *[node for name in "qkv" for node in _dense("x", name, name)],
        *attention,
        *_dense("context", "o", "o"),
        node_of("Add", ["o", "x"], ["s1"]),
        node_of("LayerNormalization", ["s1", "gamma", "beta"], ["n1"], epsilon=1e-12),
        *_dense("n1", "up", "up"),
        *_gelu("up", "act"),
        *_dense("act", "down", "down"),
        node_of("Add", ["down", "n1"], ["s2"]),
        node_of("LayerNormalization", ["s2", "gamma", "beta"], ["y"], epsilon=1e-12),
    ]
    nodes[:0] = [
        node_of("Shape", ["x"], ["x_shape"]),
        node_of("Gather", ["x_shape", "places_0_1"], ["batch_length"], axis=0),
        node_of("Gather", ["x_shape", "places_1"], ["length1"], axis=0),
        node_of("Concat", ["ones_2", "length1", "ones_1"], ["full"], axis=0),
    ]
    weights = [
        *[tensor for name in "qkvo" for tensor in _dense_weights(name, WIDTH, WIDTH)],
        *_dense_weights("up", WIDTH, 48),
        *_dense_weights("down", 48, WIDTH),
        *(weight_of("gamma", WIDTH), weight_of("beta", WIDTH)),
        *(float_tensor("zero", 0.0), float_tensor("fill", fill), float_tensor("one", 1.0), float_tensor("half", 0.5)),
        *(float_tensor("root2", 2**0.5), float_tensor("root_size", SIZE**0.5), float_tensor("root_scale", SIZE**-0.25)),
        *_numbers(),
    ]
    inputs = [float_value("x", "batch", "length", WIDTH), value_of("visible", "BOOL", "batch", "length")]
    return model_of(nodes, inputs, [float_value("y", "batch", "length", WIDTH)], weights, opset=opset)


def decoder_layer(*, opset: int = 18, batch: int | str = "batch", past: bool = True) -> ModelProto:
    """A layer of Llama up to its attention, as torch's dynamo exporter writes it: shared heads of keys, rotary embedding.

    `x` float32 [batch, length, 32], `positions` int64 [batch, length] and, with `past`, `past_key` and `past_value` float32
    [batch, 2, past, 8] to `y`, as `x`, and `key` and `value`, past and new together.

    Args:
        opset: 18 or later.
        batch: the size of the batch, or its name.
        past: whether keys and values of earlier tokens come in.
    """
    nodes = [
        *_sizes(past=past),
        *_angles(),
        *_rms_norm("x", "n1"),
        *[node_of("MatMul", ["n1", f"w{name}"], [name]) for name in "qkv"],
        *[node for name in "qkv" for node in _split(name)],
        *_rotated("q4", "q_turned"),
        *_rotated("k4", "key" if not past else "k_turned"),
        *([node_of("Concat", ["past_key", "k_turned"], ["key"], axis=-2)] if past else []),
        node_of("Concat", ["past_value", "v4"], ["value"], axis=-2) if past else node_of("Identity", ["v4"], ["value"]),
        *_repeated("key"),
        *_repeated("value"),
        *_flat_transposed("key_all", "key_t"),
        *_guarded_attention("q_turned", "key_t", "value_all", "length_total"),
        node_of("MatMul", ["context", "wo"], ["o"]),
        node_of("Add", ["x", "o"], ["s1"]),
        *_rms_norm("s1", "n2"),
        node_of("Add", ["s1", "n2"], ["y"]),
    ]
    weights = [
        *(weight_of("wq", WIDTH, WIDTH), weight_of("wo", WIDTH, WIDTH)),
        *(weight_of("wk", WIDTH, SHARED * SIZE), weight_of("wv", WIDTH, SHARED * SIZE)),
        *(weight_of("gamma", WIDTH), float_tensor("frequencies", [1.0, 0.3, 0.1, 0.03]), float_tensor("two", 2.0)),
        *(float_tensor("epsilon", 1e-5), float_tensor("zero", 0.0), float_tensor("fill", LOWEST)),
        *(float_tensor("root_scale", SIZE**-0.25), *_numbers()),
    ]
    inputs = [float_value("x", batch, "length", WIDTH), value_of("positions", "INT64", batch, "length")]
    kept = [float_value(f"past_{name}", batch, SHARED, "past", SIZE) for name in ("key", "value")]
    outputs = [float_value("y", batch, "length", WIDTH)]
    outputs += [float_value(name, batch, SHARED, "total", SIZE) for name in ("key", "value")]
    return model_of(nodes, inputs + (kept if past else []), outputs, weights, opset=opset)


def _numbers() -> list[TensorProto]:
    """Returns the constants of whole numbers that the blocks compute shapes with."""
    vectors: dict[str, int | list[int]] = {
        "places_0_1": [0, 1],
        "places_0": [0],
        "places_1": [1],
        "places_2": [2],
        "axes_1_2": [1, 2],
        "axes_0_1": [0, 1],
        "ones_1": [1],
        "ones_2": [1, 1],
        "minus_1": [-1],
        "minus_2": [-2],
        "size": [SIZE],
        "heads": [HEADS],
        "repeats": [HEADS // SHARED],
        "shared": [SHARED],
        "axis_3": [3],
        "half_size": [SIZE // 2],
        "large": [2**63 - 1],
        "small": [-(2**63)],
        "zeros_1": [0],
        "axes_2_3": [2, 3],
        "axes_0_1_3": [0, 1, 3],
        "axes_0_1_2": [0, 1, 2],
    }
    vectors |= {"place_0": 0, "place_1": 1}
    return [whole_tensor(name, numbers) for name, numbers in vectors.items()]


def _dense(source: str, name: str, result: str) -> list[NodeProto]:
    return [
        node_of("MatMul", [source, f"w{name}"], [f"{name}_product"]),
        node_of("Add", [f"{name}_product", f"b{name}"], [result]),
    ]


def _dense_weights(name: str, inputs: int, outputs: int) -> list[TensorProto]:
    return [weight_of(f"w{name}", inputs, outputs), weight_of(f"b{name}", outputs)]


def _torchscript_attention() -> list[NodeProto]:
    def shape(name: str, end: Sequence[str]) -> list[NodeProto]:
        sizes = [
            (node_of("Gather", ["x_shape", f"place_{axis}"], [f"{name}_{axis}"], axis=0), f"{name}_{axis}")
            for axis in (0, 1)
        ]
        apart = [node_of("Unsqueeze", [size, "zeros_1"], [f"{size}_v"]) for _, size in sizes]
        joined = node_of("Concat", [*(f"{size}_v" for _, size in sizes), *end], [f"{name}_shape"], axis=0)
        return [*(node for node, _ in sizes), *apart, joined]

    split = [
        node
        for name in "qkv"
        for node in (
            *shape(name, ["minus_1", "size"]),
            node_of("Reshape", [name, f"{name}_shape"], [f"{name}_split"]),
        )
    ]
    return [
        *split,
        node_of("Transpose", ["q_split"], ["q4"], perm=[0, 2, 1, 3]),
        node_of("Transpose", ["v_split"], ["v4"], perm=[0, 2, 1, 3]),
        node_of("Transpose", ["k_split"], ["k_t"], perm=[0, 2, 3, 1]),
        node_of("MatMul", ["q4", "k_t"], ["products"]),
        node_of("Div", ["products", "root_size"], ["scores"]),
        node_of("Add", ["scores", "mask"], ["masked"]),
        node_of("Softmax", ["masked"], ["weights"], axis=-1),
        node_of("MatMul", ["weights", "v4"], ["heads_out"]),
        node_of("Transpose", ["heads_out"], ["turned_out"], perm=[0, 2, 1, 3]),
        *shape("out", ["minus_1"]),
        node_of("Reshape", ["turned_out", "out_shape"], ["context"]),
    ]


def _dynamo_attention() -> list[NodeProto]:
    return [
        node_of("Concat", ["batch_length", "minus_1", "size"], ["split"], axis=0),
        *[node for name in "qkv" for node in _split(name)],
        *_flat_transposed("k4", "k_t"),
        *_guarded_attention("q4", "k_t", "v4", ""),
    ]


def _split(name: str) -> list[NodeProto]:
    return [
        node_of("Reshape", [name, "split"], [f"{name}_split"], allowzero=1),
        node_of("Transpose", [f"{name}_split"], [f"{name}4"], perm=[0, 2, 1, 3]),
    ]


def _flat_transposed(source: str, result: str) -> list[NodeProto]:
    """Returns how dynamo transposes the last two of four axes."""

    def inner(name: str) -> str:
        return f"{result}_{name}"

    return [
        node_of("Shape", [source], [inner("shape")]),
        node_of("Slice", [inner("shape"), "minus_1", "large"], [inner("last")]),
        node_of("Slice", [inner("shape"), "minus_2", "minus_1"], [inner("middle")]),
        node_of("Slice", [inner("shape"), "small", "minus_2"], [inner("first")]),
        node_of("Concat", ["minus_1", inner("middle"), inner("last")], [inner("flat")], axis=0),
        node_of("Reshape", [source, inner("flat")], [inner("three")]),
        node_of("Transpose", [inner("three")], [inner("turned")], perm=[0, 2, 1]),
        node_of("Concat", [inner("first"), inner("last"), inner("middle")], [inner("back")], axis=0),
        node_of("Reshape", [inner("turned"), inner("back")], [result]),
    ]


def _guarded_attention(query: str, keys: str, values: str, total: str) -> list[NodeProto]:
    """Returns how dynamo writes scaled dot product attention; with `total`, each token sees no later ones."""
    return [
        *(_causal(total) if total else []),
        node_of("Mul", [query, "root_scale"], ["q_scaled"]),
        node_of("Mul", [keys, "root_scale"], ["k_scaled"]),
        node_of("MatMul", ["q_scaled", "k_scaled"], ["products"]),
        node_of("Add", ["products", "mask"], ["masked"]),
        node_of("Softmax", ["masked"], ["raw"], axis=-1),
        node_of("IsNaN", ["raw"], ["nan"]),
        node_of("Where", ["nan", "zero", "raw"], ["weights"]),
        node_of("MatMul", ["weights", values], ["heads_out"]),
        node_of("Transpose", ["heads_out"], ["turned_out"], perm=[0, 2, 1, 3]),
        node_of("Concat", ["batch_length", "minus_1"], ["out_shape"], axis=0),
        node_of("Reshape", ["turned_out", "out_shape"], ["context"], allowzero=1),
    ]


def _causal(total: str) -> list[NodeProto]:
    return [
        node_of("Range", ["place_0", total, "place_1"], ["places_k"]),
        node_of("Range", ["length_past", total, "place_1"], ["places_q"]),
        node_of("Unsqueeze", ["places_k", "axes_0_1_2"], ["places_k4"]),
        node_of("Unsqueeze", ["places_q", "axes_0_1_3"], ["places_q4"]),
        node_of("LessOrEqual", ["places_k4", "places_q4"], ["seen"]),
        node_of("Where", ["seen", "zero", "fill"], ["mask"]),
    ]


def _sizes(*, past: bool) -> list[NodeProto]:
    kept = [
        node_of("Shape", ["past_key"], ["past_shape"], start=2, end=3),
        node_of("Squeeze", ["past_shape"], ["length_past"]),
    ]
    return [
        node_of("Shape", ["x"], ["batch_length"], start=0, end=2),
        node_of("Shape", ["x"], ["batch1"], start=0, end=1),
        node_of("Shape", ["x"], ["length1"], start=1, end=2),
        node_of("Squeeze", ["length1"], ["length"]),
        *(kept if past else [node_of("Identity", ["place_0"], ["length_past"])]),
        node_of("Add", ["length_past", "length"], ["length_total"]),
        node_of("Reshape", ["length_total", "minus_1"], ["total1"]),
        node_of("Concat", ["batch_length", "minus_1", "size"], ["split"], axis=0),
        node_of("Concat", ["batch1", "shared", "repeats", "total1", "size"], ["apart"], axis=0),
        node_of("Concat", ["batch1", "heads", "total1", "size"], ["together"], axis=0),
    ]


def _angles() -> list[NodeProto]:
    return [
        node_of("Unsqueeze", ["positions", "places_2"], ["positions3"]),
        node_of("Cast", ["positions3"], ["places"], to=1),
        node_of("Mul", ["places", "frequencies"], ["angles"]),
        node_of("Concat", ["angles", "angles"], ["angles2"], axis=-1),
        node_of("Cos", ["angles2"], ["cos3"]),
        node_of("Sin", ["angles2"], ["sin3"]),
        node_of("Unsqueeze", ["cos3", "places_1"], ["cos"]),
        node_of("Unsqueeze", ["sin3", "places_1"], ["sin"]),
    ]


def _rotated(source: str, result: str) -> list[NodeProto]:
    def inner(name: str) -> str:
        return f"{source}_{name}"

    return [
        node_of("Mul", [source, "cos"], [inner("straight")]),
        node_of("Slice", [source, "zeros_1", "half_size", "axis_3", "ones_1"], [inner("first")]),
        node_of("Slice", [source, "half_size", "large", "axis_3", "ones_1"], [inner("second")]),
        node_of("Neg", [inner("second")], [inner("negated")]),
        node_of("Concat", [inner("negated"), inner("first")], [inner("half")], axis=-1),
        node_of("Mul", [inner("half"), "sin"], [inner("across")]),
        node_of("Add", [inner("straight"), inner("across")], [result]),
    ]


def _repeated(source: str) -> list[NodeProto]:
    return [
        node_of("Unsqueeze", [source, "places_2"], [f"{source}_apart"]),
        node_of("Expand", [f"{source}_apart", "apart"], [f"{source}_expanded"]),
        node_of("Reshape", [f"{source}_expanded", "together"], [f"{source}_all"], allowzero=1),
    ]


def _rms_norm(source: str, result: str) -> list[NodeProto]:
    def inner(name: str) -> str:
        return f"{result}_{name}"

    return [
        node_of("Pow", [source, "two"], [inner("squared")]),
        node_of("ReduceMean", [inner("squared"), "minus_1"], [inner("mean")]),
        node_of("Add", [inner("mean"), "epsilon"], [inner("kept")]),
        node_of("Sqrt", [inner("kept")], [inner("root")]),
        node_of("Reciprocal", [inner("root")], [inner("inverse")]),
        node_of("Mul", [source, inner("inverse")], [inner("normal")]),
        node_of("Mul", ["gamma", inner("normal")], [result]),
    ]


def _gelu(source: str, result: str) -> list[NodeProto]:
    return [
        node_of("Div", [source, "root2"], [f"{result}_div"]),
        node_of("Erf", [f"{result}_div"], [f"{result}_erf"]),
        node_of("Add", [f"{result}_erf", "one"], [f"{result}_add"]),
        node_of("Mul", ["half", f"{result}_add"], [f"{result}_half"]),
        node_of("Mul", [source, f"{result}_half"], [result]),
    ]
