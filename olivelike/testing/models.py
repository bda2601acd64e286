"""Tiny ONNX models built in code, each with fixed weights and one trait that real models have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.testing.building import (
    IR_VERSION,
    OPSET,
    float_tensor,
    float_value,
    model_of,
    node_of,
    random_values,
    weight_of,
    whole_tensor,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto

    Floats = NDArray[np.float32]

FEATURES = 16


def mlp(*, opset: int = OPSET, hidden: int = 32) -> ModelProto:
    """A classifier of two `Gemm`: `x` float32 [batch, 16] to `logits` float32 [batch, 4]."""
    weights = [
        weight_of("w1", FEATURES, hidden),
        weight_of("b1", hidden),
        weight_of("w2", hidden, 4),
        weight_of("b2", 4),
    ]
    nodes = [
        node_of("Gemm", ["x", "w1", "b1"], ["h"]),
        node_of("Relu", ["h"], ["r"]),
        node_of("Gemm", ["r", "w2", "b2"], ["logits"]),
    ]
    return model_of(
        nodes, [float_value("x", "batch", FEATURES)], [float_value("logits", "batch", 4)], weights, opset=opset
    )


def matmul_chain(*, opset: int = OPSET, layers: int = 3, width: int = FEATURES) -> ModelProto:
    """`MatMul` and `Relu` in turn: `x` float32 [batch, width] to `y` float32 [batch, width]."""
    weights = [weight_of(f"w{i}", width, width) for i in range(layers)]
    nodes = []
    for i in range(layers):
        nodes.append(node_of("MatMul", [f"r{i - 1}" if i else "x", f"w{i}"], [f"m{i}"]))
        nodes.append(node_of("Relu", [f"m{i}"], ["y" if i == layers - 1 else f"r{i}"]))
    return model_of(nodes, [float_value("x", "batch", width)], [float_value("y", "batch", width)], weights, opset=opset)


def conv_net(*, opset: int = OPSET, constants: bool = False) -> ModelProto:
    """An image classifier with a residual: `image` float32 [batch, 1, 8, 8] to `logits` float32 [batch, 4].

    Args:
        opset: 13 or later, or earlier.
        constants: whether the weights are `Constant` nodes instead of initializers, as some exporters write them.
    """
    weights = [
        *(weight_of("c1", 8, 1, 3, 3), weight_of("c1b", 8), weight_of("c2", 8, 8, 3, 3), weight_of("c2b", 8)),
        *(weight_of("w", 8, 4), weight_of("b", 4)),
    ]
    nodes = [
        node_of("Conv", ["image", "c1", "c1b"], ["a"], pads=[1, 1, 1, 1]),
        node_of("Relu", ["a"], ["ar"]),
        node_of("Conv", ["ar", "c2", "c2b"], ["d"], pads=[1, 1, 1, 1]),
        node_of("Add", ["d", "ar"], ["s"]),
        node_of("Relu", ["s"], ["sr"]),
        node_of("GlobalAveragePool", ["sr"], ["p"]),
        node_of("Flatten", ["p"], ["f"]),
        node_of("Gemm", ["f", "w", "b"], ["logits"]),
    ]
    if constants:
        nodes = [_constant(tensor) for tensor in weights] + nodes
        weights = []
    return model_of(
        nodes, [float_value("image", "batch", 1, 8, 8)], [float_value("logits", "batch", 4)], weights, opset=opset
    )


def wasteful() -> ModelProto:
    """`matmul_chain` with an `Identity`, a repeated `Relu`, two equal weights and a node that leads nowhere."""
    weights = [weight_of("w", 64, 64), weight_of("unused", 64, 64)]
    twin = weight_of("w", 64, 64)
    twin.name = "twin"
    nodes = [
        node_of("Identity", ["x"], ["i"]),
        node_of("MatMul", ["i", "w"], ["m"]),
        node_of("Relu", ["m"], ["r1"]),
        node_of("Relu", ["m"], ["r2"]),
        node_of("Add", ["r1", "r2"], ["s"]),
        node_of("MatMul", ["s", "twin"], ["y"]),
        node_of("MatMul", ["s", "unused"], ["nowhere"]),
    ]
    return model_of(nodes, [float_value("x", "batch", 64)], [float_value("y", "batch", 64)], [*weights, twin])


def unfolded() -> ModelProto:
    """A weight that is computed from constants and is far larger than they are: folding it makes the file larger."""

    shape = whole_tensor("shape", [64, 256])
    nodes = [
        node_of("ConstantOfShape", ["shape"], ["w"], value=float_tensor("v", [0.5])),
        node_of("MatMul", ["x", "w"], ["y"]),
    ]
    return model_of(nodes, [float_value("x", "batch", 64)], [float_value("y", "batch", 256)], [shape])


def quantized() -> ModelProto:
    """`x` float32 [batch, 16] through `QuantizeLinear` and `DequantizeLinear`: a model that is quantized already."""
    weights = [float_tensor("scale", 0.1), weight_of("w", FEATURES, FEATURES)]
    nodes = [
        node_of("QuantizeLinear", ["x", "scale"], ["q"]),
        node_of("DequantizeLinear", ["q", "scale"], ["d"]),
        node_of("MatMul", ["d", "w"], ["y"]),
    ]
    return model_of(nodes, [float_value("x", "batch", FEATURES)], [float_value("y", "batch", FEATURES)], weights)


def half() -> ModelProto:
    """A `MatMul` in half precision: `x` float16 [batch, 16] to `y` float16 [batch, 16]."""
    import onnx

    weight = onnx.numpy_helper.from_array(random_values("w", FEATURES, FEATURES).astype("float16"), "w")
    value = onnx.helper.make_tensor_value_info
    kind = onnx.TensorProto.FLOAT16
    ends = [value(name, kind, ["batch", FEATURES]) for name in ("x", "y")]
    return model_of([node_of("MatMul", ["x", "w"], ["y"])], ends[:1], ends[1:], [weight])


def if_model() -> ModelProto:
    """A network inside an `If`: `flag` bool [] and `x` float32 [batch, 16] to `y` float32 [batch, 16]."""
    import onnx

    def branch(name: str) -> object:
        nodes = [node_of("MatMul", ["x", f"w_{name}"], [f"y_{name}"])]
        out = [float_value(f"y_{name}", "batch", FEATURES)]
        return onnx.helper.make_graph(nodes, name, [], out, [weight_of(f"w_{name}", FEATURES, FEATURES)])

    node = node_of("If", ["flag"], ["y"], then_branch=branch("yes"), else_branch=branch("no"))
    flag = onnx.helper.make_tensor_value_info("flag", onnx.TensorProto.BOOL, [])
    return model_of([node], [flag, float_value("x", "batch", FEATURES)], [float_value("y", "batch", FEATURES)], [])


def attention23() -> ModelProto:
    """A transformer block at opset 23 with the ONNX-domain `Attention`: `x` float32 [batch, 4, 16] to `y`, the same."""
    weights = [weight_of(name, FEATURES, FEATURES) for name in ("wq", "wk", "wv", "wo")]
    nodes = [
        *(node_of("MatMul", ["x", f"w{name}"], [name]) for name in "qkv"),
        node_of("Attention", ["q", "k", "v"], ["a"], q_num_heads=2, kv_num_heads=2),
        node_of("MatMul", ["a", "wo"], ["y"]),
    ]
    ends = [float_value(name, "batch", 4, FEATURES) for name in ("x", "y")]
    return model_of(nodes, ends[:1], ends[1:], weights, opset=23, ir_version=11)


def bert_layer() -> ModelProto:
    """Residual, layer norm, dense and GELU written out in single operators: what a transformer exporter leaves to fuse.

    `x` float32 [batch, 4, 16] to `y` float32 [batch, 4, 16].
    """
    weights = [
        *(
            weight_of("wd", FEATURES, FEATURES),
            weight_of("bd", FEATURES),
            weight_of("wi", FEATURES, 64),
            weight_of("bi", 64),
        ),
        *(
            weight_of("wo", 64, FEATURES),
            weight_of("bo", FEATURES),
            weight_of("gamma", FEATURES),
            weight_of("beta", FEATURES),
        ),
        *(
            float_tensor("two", 2.0),
            float_tensor("eps", 1e-5),
            float_tensor("sqrt2", 2.0**0.5),
            float_tensor("one", 1.0),
            float_tensor("half", 0.5),
        ),
    ]
    nodes = [
        *(
            node_of("MatMul", ["x", "wd"], ["d"]),
            node_of("Add", ["bd", "d"], ["db"]),
            node_of("Add", ["db", "x"], ["s1"]),
        ),
        *_layer_norm("s1", "n1"),
        *(node_of("MatMul", ["n1", "wi"], ["i"]), node_of("Add", ["bi", "i"], ["ib"])),
        *_gelu("ib", "g"),
        *(
            node_of("MatMul", ["g", "wo"], ["o"]),
            node_of("Add", ["bo", "o"], ["ob"]),
            node_of("Add", ["ob", "n1"], ["s2"]),
        ),
        *_layer_norm("s2", "y"),
    ]
    ends = [float_value(name, "batch", 4, FEATURES) for name in ("x", "y")]
    return model_of(nodes, ends[:1], ends[1:], weights)


def copies_input() -> ModelProto:
    """One output is computed, the other is the input itself: `x` float32 [batch, 16] to `y` and `copy`, the same."""
    nodes = [node_of("MatMul", ["x", "w"], ["y"]), node_of("Identity", ["x"], ["copy"])]
    outputs = [float_value("y", "batch", FEATURES), float_value("copy", "batch", FEATURES)]
    return model_of(nodes, [float_value("x", "batch", FEATURES)], outputs, [weight_of("w", FEATURES, FEATURES)])


def string_input() -> ModelProto:
    """Text in, numbers out: `word` string [batch] to `score` float32 [batch], by a label encoder (opset ai.onnx.ml 3)."""
    import onnx

    node = node_of(
        "LabelEncoder", ["word"], ["score"], domain="ai.onnx.ml",
        keys_strings=["good", "bad"], values_floats=[1.0, -1.0], default_float=0.0,
    )  # fmt: skip
    word = onnx.helper.make_tensor_value_info("word", onnx.TensorProto.STRING, ["batch"])
    return model_of([node], [word], [float_value("score", "batch")], [], ml=3)


def unknown_operator() -> ModelProto:
    """An operator that no runtime knows without its library: `x` float32 [batch, 16] to `y`, the same."""
    import onnx

    ends = [float_value(name, "batch", FEATURES) for name in ("x", "y")]
    model = model_of([node_of("Mystery", ["x"], ["y"], domain="nowhere")], ends[:1], ends[1:], [])
    model.opset_import.append(onnx.helper.make_opsetid("nowhere", 1))
    return model


def weights_as_inputs(*, ir_version: int = IR_VERSION) -> ModelProto:
    """`matmul_chain` whose weights are listed as inputs too: from IR version 4 on they may be replaced at run time."""
    model = matmul_chain()
    model.ir_version = ir_version
    for tensor in model.graph.initializer:
        model.graph.input.append(float_value(tensor.name, *tensor.dims))
    return model


def repeated_opset() -> ModelProto:
    """`mlp` that imports its operator set twice, as converted tree ensembles do."""
    import onnx

    model = mlp()
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    return model


def save(model: ModelProto, folder: Path) -> Path:
    """Writes `model.onnx` into a folder and returns its path."""
    from olivelike.onnxfile.write import write_model

    folder.mkdir(parents=True, exist_ok=True)
    return write_model(model, folder)


def save_external(model: ModelProto, folder: Path) -> Path:
    """Writes `model.onnx` with its weights in `model.onnx.data` and returns the model's path."""
    from olivelike.onnxfile.write import write_model

    folder.mkdir(parents=True, exist_ok=True)
    return write_model(model, folder, external_above=0)


def _constant(tensor: TensorProto) -> NodeProto:
    return node_of("Constant", [], [tensor.name], value=tensor)


def _layer_norm(source: str, result: str) -> list[NodeProto]:
    def inner(name: str) -> str:
        return f"{result}_{name}"

    return [
        node_of("ReduceMean", [source], [inner("mean")], axes=[-1]),
        node_of("Sub", [source, inner("mean")], [inner("centred")]),
        node_of("Pow", [inner("centred"), "two"], [inner("squared")]),
        node_of("ReduceMean", [inner("squared")], [inner("variance")], axes=[-1]),
        node_of("Add", [inner("variance"), "eps"], [inner("kept")]),
        node_of("Sqrt", [inner("kept")], [inner("deviation")]),
        node_of("Div", [inner("centred"), inner("deviation")], [inner("normal")]),
        node_of("Mul", [inner("normal"), "gamma"], [inner("scaled")]),
        node_of("Add", [inner("scaled"), "beta"], [result]),
    ]


def _gelu(source: str, result: str) -> list[NodeProto]:
    return [
        node_of("Div", [source, "sqrt2"], [f"{result}_div"]),
        node_of("Erf", [f"{result}_div"], [f"{result}_erf"]),
        node_of("Add", [f"{result}_erf", "one"], [f"{result}_add"]),
        node_of("Mul", [source, f"{result}_add"], [f"{result}_mul"]),
        node_of("Mul", [f"{result}_mul", "half"], [result]),
    ]
