"""Tiny ONNX models built in code, each with fixed weights and one trait that real models have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

    Floats = NDArray[np.float32]

OPSET = 17
IR_VERSION = 8
FEATURES = 16


def mlp(*, opset: int = OPSET, hidden: int = 32) -> ModelProto:
    """A classifier of two `Gemm`: `x` float32 [batch, 16] to `logits` float32 [batch, 4]."""
    weights = [_weight("w1", FEATURES, hidden), _weight("b1", hidden), _weight("w2", hidden, 4), _weight("b2", 4)]
    nodes = [
        _node("Gemm", ["x", "w1", "b1"], ["h"]),
        _node("Relu", ["h"], ["r"]),
        _node("Gemm", ["r", "w2", "b2"], ["logits"]),
    ]
    return _model(nodes, [_float("x", "batch", FEATURES)], [_float("logits", "batch", 4)], weights, opset=opset)


def matmul_chain(*, opset: int = OPSET, layers: int = 3, width: int = FEATURES) -> ModelProto:
    """`MatMul` and `Relu` in turn: `x` float32 [batch, width] to `y` float32 [batch, width]."""
    weights = [_weight(f"w{i}", width, width) for i in range(layers)]
    nodes = []
    for i in range(layers):
        nodes.append(_node("MatMul", [f"r{i - 1}" if i else "x", f"w{i}"], [f"m{i}"]))
        nodes.append(_node("Relu", [f"m{i}"], ["y" if i == layers - 1 else f"r{i}"]))
    return _model(nodes, [_float("x", "batch", width)], [_float("y", "batch", width)], weights, opset=opset)


def conv_net(*, opset: int = OPSET, constants: bool = False) -> ModelProto:
    """An image classifier with a residual: `image` float32 [batch, 1, 8, 8] to `logits` float32 [batch, 4].

    Args:
        opset: 13 or later, or earlier.
        constants: whether the weights are `Constant` nodes instead of initializers, as some exporters write them.
    """
    weights = [
        *(_weight("c1", 8, 1, 3, 3), _weight("c1b", 8), _weight("c2", 8, 8, 3, 3), _weight("c2b", 8)),
        *(_weight("w", 8, 4), _weight("b", 4)),
    ]
    nodes = [
        _node("Conv", ["image", "c1", "c1b"], ["a"], pads=[1, 1, 1, 1]),
        _node("Relu", ["a"], ["ar"]),
        _node("Conv", ["ar", "c2", "c2b"], ["d"], pads=[1, 1, 1, 1]),
        _node("Add", ["d", "ar"], ["s"]),
        _node("Relu", ["s"], ["sr"]),
        _node("GlobalAveragePool", ["sr"], ["p"]),
        _node("Flatten", ["p"], ["f"]),
        _node("Gemm", ["f", "w", "b"], ["logits"]),
    ]
    if constants:
        nodes = [_constant(tensor) for tensor in weights] + nodes
        weights = []
    return _model(nodes, [_float("image", "batch", 1, 8, 8)], [_float("logits", "batch", 4)], weights, opset=opset)


def wasteful() -> ModelProto:
    """`matmul_chain` with an `Identity`, a repeated `Relu`, two equal weights and a node that leads nowhere."""
    weights = [_weight("w", 64, 64), _weight("unused", 64, 64)]
    twin = _weight("w", 64, 64)
    twin.name = "twin"
    nodes = [
        _node("Identity", ["x"], ["i"]),
        _node("MatMul", ["i", "w"], ["m"]),
        _node("Relu", ["m"], ["r1"]),
        _node("Relu", ["m"], ["r2"]),
        _node("Add", ["r1", "r2"], ["s"]),
        _node("MatMul", ["s", "twin"], ["y"]),
        _node("MatMul", ["s", "unused"], ["nowhere"]),
    ]
    return _model(nodes, [_float("x", "batch", 64)], [_float("y", "batch", 64)], [*weights, twin])


def unfolded() -> ModelProto:
    """A weight that is computed from constants and is far larger than they are: folding it makes the file larger."""
    import onnx

    shape = onnx.numpy_helper.from_array(_array([64, 256], "int64"), "shape")
    nodes = [_node("ConstantOfShape", ["shape"], ["w"], value=_tensor("v", [0.5])), _node("MatMul", ["x", "w"], ["y"])]
    return _model(nodes, [_float("x", "batch", 64)], [_float("y", "batch", 256)], [shape])


def quantized() -> ModelProto:
    """`x` float32 [batch, 16] through `QuantizeLinear` and `DequantizeLinear`: a model that is quantized already."""
    weights = [_tensor("scale", 0.1), _weight("w", FEATURES, FEATURES)]
    nodes = [
        _node("QuantizeLinear", ["x", "scale"], ["q"]),
        _node("DequantizeLinear", ["q", "scale"], ["d"]),
        _node("MatMul", ["d", "w"], ["y"]),
    ]
    return _model(nodes, [_float("x", "batch", FEATURES)], [_float("y", "batch", FEATURES)], weights)


def half() -> ModelProto:
    """A `MatMul` in half precision: `x` float16 [batch, 16] to `y` float16 [batch, 16]."""
    import onnx

    weight = onnx.numpy_helper.from_array(_random("w", FEATURES, FEATURES).astype("float16"), "w")
    value = onnx.helper.make_tensor_value_info
    kind = onnx.TensorProto.FLOAT16
    ends = [value(name, kind, ["batch", FEATURES]) for name in ("x", "y")]
    return _model([_node("MatMul", ["x", "w"], ["y"])], ends[:1], ends[1:], [weight])


def if_model() -> ModelProto:
    """A network inside an `If`: `flag` bool [] and `x` float32 [batch, 16] to `y` float32 [batch, 16]."""
    import onnx

    def branch(name: str) -> object:
        nodes = [_node("MatMul", ["x", f"w_{name}"], [f"y_{name}"])]
        out = [_float(f"y_{name}", "batch", FEATURES)]
        return onnx.helper.make_graph(nodes, name, [], out, [_weight(f"w_{name}", FEATURES, FEATURES)])

    node = _node("If", ["flag"], ["y"], then_branch=branch("yes"), else_branch=branch("no"))
    flag = onnx.helper.make_tensor_value_info("flag", onnx.TensorProto.BOOL, [])
    return _model([node], [flag, _float("x", "batch", FEATURES)], [_float("y", "batch", FEATURES)], [])


def attention23() -> ModelProto:
    """A transformer block at opset 23 with the ONNX-domain `Attention`: `x` float32 [batch, 4, 16] to `y`, the same."""
    weights = [_weight(name, FEATURES, FEATURES) for name in ("wq", "wk", "wv", "wo")]
    nodes = [
        *(_node("MatMul", ["x", f"w{name}"], [name]) for name in "qkv"),
        _node("Attention", ["q", "k", "v"], ["a"], q_num_heads=2, kv_num_heads=2),
        _node("MatMul", ["a", "wo"], ["y"]),
    ]
    ends = [_float(name, "batch", 4, FEATURES) for name in ("x", "y")]
    return _model(nodes, ends[:1], ends[1:], weights, opset=23, ir_version=11)


def bert_layer() -> ModelProto:
    """Residual, layer norm, dense and GELU written out in single operators: what a transformer exporter leaves to fuse.

    `x` float32 [batch, 4, 16] to `y` float32 [batch, 4, 16].
    """
    weights = [
        *(_weight("wd", FEATURES, FEATURES), _weight("bd", FEATURES), _weight("wi", FEATURES, 64), _weight("bi", 64)),
        *(_weight("wo", 64, FEATURES), _weight("bo", FEATURES), _weight("gamma", FEATURES), _weight("beta", FEATURES)),
        *(
            _tensor("two", 2.0),
            _tensor("eps", 1e-5),
            _tensor("sqrt2", 2.0**0.5),
            _tensor("one", 1.0),
            _tensor("half", 0.5),
        ),
    ]
    nodes = [
        *(_node("MatMul", ["x", "wd"], ["d"]), _node("Add", ["bd", "d"], ["db"]), _node("Add", ["db", "x"], ["s1"])),
        *_layer_norm("s1", "n1"),
        *(_node("MatMul", ["n1", "wi"], ["i"]), _node("Add", ["bi", "i"], ["ib"])),
        *_gelu("ib", "g"),
        *(_node("MatMul", ["g", "wo"], ["o"]), _node("Add", ["bo", "o"], ["ob"]), _node("Add", ["ob", "n1"], ["s2"])),
        *_layer_norm("s2", "y"),
    ]
    ends = [_float(name, "batch", 4, FEATURES) for name in ("x", "y")]
    return _model(nodes, ends[:1], ends[1:], weights)


def copies_input() -> ModelProto:
    """One output is computed, the other is the input itself: `x` float32 [batch, 16] to `y` and `copy`, the same."""
    nodes = [_node("MatMul", ["x", "w"], ["y"]), _node("Identity", ["x"], ["copy"])]
    outputs = [_float("y", "batch", FEATURES), _float("copy", "batch", FEATURES)]
    return _model(nodes, [_float("x", "batch", FEATURES)], outputs, [_weight("w", FEATURES, FEATURES)])


def string_input() -> ModelProto:
    """Text in, numbers out: `word` string [batch] to `score` float32 [batch], by a label encoder (opset ai.onnx.ml 3)."""
    import onnx

    node = _node(
        "LabelEncoder", ["word"], ["score"], domain="ai.onnx.ml",
        keys_strings=["good", "bad"], values_floats=[1.0, -1.0], default_float=0.0,
    )  # fmt: skip
    word = onnx.helper.make_tensor_value_info("word", onnx.TensorProto.STRING, ["batch"])
    return _model([node], [word], [_float("score", "batch")], [], ml=3)


def unknown_operator() -> ModelProto:
    """An operator that no runtime knows without its library: `x` float32 [batch, 16] to `y`, the same."""
    import onnx

    ends = [_float(name, "batch", FEATURES) for name in ("x", "y")]
    model = _model([_node("Mystery", ["x"], ["y"], domain="nowhere")], ends[:1], ends[1:], [])
    model.opset_import.append(onnx.helper.make_opsetid("nowhere", 1))
    return model


def weights_as_inputs(*, ir_version: int = IR_VERSION) -> ModelProto:
    """`matmul_chain` whose weights are listed as inputs too: from IR version 4 on they may be replaced at run time."""
    model = matmul_chain()
    model.ir_version = ir_version
    for tensor in model.graph.initializer:
        model.graph.input.append(_float(tensor.name, *tensor.dims))
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


def _model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    weights: Sequence[TensorProto],
    *,
    opset: int = OPSET,
    ir_version: int = IR_VERSION,
    ml: int = 0,
) -> ModelProto:
    import onnx

    graph = onnx.helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    imports = [onnx.helper.make_opsetid("", opset)] + ([onnx.helper.make_opsetid("ai.onnx.ml", ml)] if ml else [])
    return onnx.helper.make_model(
        graph, opset_imports=imports, ir_version=ir_version, producer_name="olivelike.testing"
    )


def _node(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], *, domain: str = "", **attributes: object
) -> NodeProto:
    import onnx

    node = onnx.helper.make_node(kind, inputs, outputs, name=f"{kind}_{outputs[0]}", domain=domain)
    node.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in attributes.items())
    return node


def _constant(tensor: TensorProto) -> NodeProto:
    return _node("Constant", [], [tensor.name], value=tensor)


def _layer_norm(source: str, result: str) -> list[NodeProto]:
    def inner(name: str) -> str:
        return f"{result}_{name}"

    return [
        _node("ReduceMean", [source], [inner("mean")], axes=[-1]),
        _node("Sub", [source, inner("mean")], [inner("centred")]),
        _node("Pow", [inner("centred"), "two"], [inner("squared")]),
        _node("ReduceMean", [inner("squared")], [inner("variance")], axes=[-1]),
        _node("Add", [inner("variance"), "eps"], [inner("kept")]),
        _node("Sqrt", [inner("kept")], [inner("deviation")]),
        _node("Div", [inner("centred"), inner("deviation")], [inner("normal")]),
        _node("Mul", [inner("normal"), "gamma"], [inner("scaled")]),
        _node("Add", [inner("scaled"), "beta"], [result]),
    ]


def _gelu(source: str, result: str) -> list[NodeProto]:
    return [
        _node("Div", [source, "sqrt2"], [f"{result}_div"]),
        _node("Erf", [f"{result}_div"], [f"{result}_erf"]),
        _node("Add", [f"{result}_erf", "one"], [f"{result}_add"]),
        _node("Mul", [source, f"{result}_add"], [f"{result}_mul"]),
        _node("Mul", [f"{result}_mul", "half"], [result]),
    ]


def _float(name: str, *shape: int | str) -> ValueInfoProto:
    import onnx

    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def _weight(name: str, *shape: int) -> TensorProto:
    import onnx

    return onnx.numpy_helper.from_array(_random(name, *shape), name)


def _tensor(name: str, values: float | Sequence[float]) -> TensorProto:
    import onnx

    return onnx.numpy_helper.from_array(_array(values, "float32"), name)


def _random(name: str, *shape: int) -> Floats:
    import numpy as np

    # Seeded by name and scaled by the fan-in, so that activations keep their size from layer to layer.
    draws = np.random.default_rng(list(name.encode())).standard_normal(shape)
    fan_in = max(1, draws.size // max(shape[0 if len(shape) > 2 else -1], 1))
    scaled: Floats = (draws / fan_in**0.5).astype(np.float32)
    return scaled


def _array(values: float | Sequence[float], dtype: str) -> NDArray[np.generic]:
    import numpy as np

    return np.asarray(values, dtype)
