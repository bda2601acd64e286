"""Models as large as one likes: a transformer as exporters write it, node by node, and one whose weights are streamed to disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from olivelike.testing.building import float_value, model_of, node_of, value_of, weight_of

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

ALIGNMENT = 4096


def exported_transformer(layers: int, *, width: int = 32, heads: int = 4) -> ModelProto:
    """Returns an encoder as TorchScript's exporter leaves it: shapes computed from shapes, constants as nodes.

    Some 70 nodes for each layer: `ids` int64 [batch, length] and `mask` int64 [batch, length] to `y` float32
    [batch, length, width]. Attention, layer norms and GELU are written out in single operators.
    """
    graph = _Exporter(width, heads)
    graph.embed()
    for layer in range(layers):
        graph.attend(layer)
        graph.feed_forward(layer)
    graph.add("Identity", ["hidden"], "y")
    inputs = [value_of(name, "INT64", "batch", "length") for name in ("ids", "mask")]
    return model_of(graph.nodes, inputs, [float_value("y", "batch", "length", width)], graph.weights, opset=14)


def long_chain(nodes: int, *, width: int = 4, constants: int = 4) -> ModelProto:
    """Returns a chain of additions and products in turn, each with one of a few constants: `x` float32 [batch, width] to `y`."""
    graph = _Exporter(width, heads=1)
    shared = [graph.weight(f"c{number}", 1) for number in range(constants)]
    graph.hidden = "x"
    for number in range(nodes):
        kind, name = ("Mul", "Add")[number % 2], "y" if number == nodes - 1 else f"v{number}"
        graph.hidden = graph.add(kind, ["hidden", shared[number % constants]], name)
    begin, end = (float_value(name, "batch", width) for name in ("x", "y"))
    return model_of(graph.nodes, [begin], [end], graph.weights)


class _Exporter:
    """Collects nodes and weights the way an exporter emits them."""

    def __init__(self, width: int, heads: int) -> None:
        self.width, self.heads = width, heads
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.hidden = ""

    def add(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Adds a node that gives one value, and returns the value's name."""
        inputs = [self.hidden if each == "hidden" else each for each in inputs]
        self.nodes.append(node_of(kind, inputs, [name], **attributes))
        return name

    def constant(self, name: str, values: object, dtype: str = "int64") -> str:
        """Adds a `Constant` node."""
        import numpy as np
        import onnx

        return self.add("Constant", [], name, value=onnx.numpy_helper.from_array(np.asarray(values, dtype), name))

    def weight(self, name: str, *shape: int) -> str:
        """Adds an initializer."""
        self.weights.append(weight_of(name, *shape))
        return name

    def embed(self) -> None:
        """Words, positions counted off the length, and a mask of large negative numbers."""
        words = self.add("Gather", [self.weight("words", 64, self.width), "ids"], "words_of")
        length = self.size_of("ids", 1, "embed")
        row = self.add("Unsqueeze", [length, self.constant("embed_axis", [0])], "embed_row")
        zeros = self.add("ConstantOfShape", [row], "embed_zeros")
        ones = self.add("Add", [zeros, self.constant("embed_one", [1.0], "float32")], "embed_ones")
        self.hidden = self.add(
            "Add", [words, self.add("Unsqueeze", [ones, self.constant("embed_two", [0, 2])], "column")], "h0"
        )
        wide = self.add("Unsqueeze", ["mask", self.constant("mask_axes", [1, 2])], "mask_wide")
        floats = self.add("Cast", [wide], "mask_floats", to=1)
        turned = self.add("Sub", [self.constant("mask_one", 1.0, "float32"), floats], "mask_turned")
        self.add("Mul", [turned, self.constant("mask_low", -10000.0, "float32")], "bias")

    def size_of(self, value: str, axis: int, name: str) -> str:
        """The exporter's way to a dimension: `Shape`, a constant index, `Gather`."""
        shape = self.add("Shape", [value], f"{name}_shape")
        return self.add("Gather", [shape, self.constant(f"{name}_index", axis)], f"{name}_size", axis=0)

    def projected(self, name: str, value: str, wide: int, narrow: int) -> str:
        """`MatMul` and `Add`."""
        product = self.add("MatMul", [value, self.weight(f"{name}_w", narrow, wide)], f"{name}_product")
        return self.add("Add", [self.weight(f"{name}_b", wide), product], f"{name}_sum")

    def split_heads(self, name: str, value: str) -> str:
        """`[batch, length, width]` to `[batch, heads, length, width / heads]`, sizes computed as the model runs."""
        sizes = []
        for axis in (0, 1):
            size = self.size_of(value, axis, f"{name}_{axis}")
            sizes.append(self.add("Unsqueeze", [size, self.constant(f"{name}_{axis}_axis", [0])], f"{name}_{axis}_row"))
        rest = [
            self.constant(f"{name}_heads", [self.heads]),
            self.constant(f"{name}_head_size", [self.width // self.heads]),
        ]
        shape = self.add("Concat", [*sizes, *rest], f"{name}_new_shape", axis=0)
        parted = self.add("Reshape", [value, shape], f"{name}_parted")
        return self.add("Transpose", [parted], f"{name}_turned", perm=[0, 2, 1, 3])

    def attend(self, layer: int) -> None:
        """Self-attention with residual and layer norm."""
        name = f"l{layer}_attention"
        query, key, value = (
            self.split_heads(f"{name}_{part}", self.projected(f"{name}_{part}", "hidden", self.width, self.width))
            for part in ("q", "k", "v")
        )
        turned = self.add("Transpose", [key], f"{name}_key", perm=[0, 1, 3, 2])
        scores = self.add("MatMul", [query, turned], f"{name}_scores")
        root = (self.width / self.heads) ** 0.5
        scaled = self.add("Div", [scores, self.constant(f"{name}_root", root, "float32")], f"{name}_scaled")
        masked = self.add("Add", [scaled, "bias"], f"{name}_masked")
        shares = self.add("Softmax", [masked], f"{name}_shares", axis=-1)
        seen = self.add("MatMul", [shares, value], f"{name}_seen")
        back = self.add("Transpose", [seen], f"{name}_back", perm=[0, 2, 1, 3])
        shape = self.constant(f"{name}_joined_shape", [0, 0, self.width])
        joined = self.add("Reshape", [back, shape], f"{name}_joined")
        self.normed(name, self.projected(f"{name}_out", joined, self.width, self.width))

    def feed_forward(self, layer: int) -> None:
        """Two dense layers with a GELU between, residual and layer norm."""
        name = f"l{layer}_dense"
        wide = self.projected(f"{name}_up", "hidden", 4 * self.width, self.width)
        halved = self.add("Div", [wide, self.constant(f"{name}_root2", 2**0.5, "float32")], f"{name}_div")
        erf = self.add("Erf", [halved], f"{name}_erf")
        erf = self.add("Add", [erf, self.constant(f"{name}_one", 1.0, "float32")], f"{name}_plus")
        product = self.add("Mul", [wide, erf], f"{name}_mul")
        gelu = self.add("Mul", [product, self.constant(f"{name}_half", 0.5, "float32")], f"{name}_gelu")
        self.normed(name, self.projected(f"{name}_down", gelu, self.width, 4 * self.width))

    def normed(self, name: str, value: str) -> None:
        """Residual, then layer norm in nine operators."""
        total = self.add("Add", [value, "hidden"], f"{name}_residual")
        mean = self.add("ReduceMean", [total], f"{name}_mean", axes=[-1])
        gap = self.add("Sub", [total, mean], f"{name}_gap")
        square = self.add("Pow", [gap, self.constant(f"{name}_two", 2.0, "float32")], f"{name}_square")
        spread = self.add("ReduceMean", [square], f"{name}_spread", axes=[-1])
        safe = self.add("Add", [spread, self.constant(f"{name}_epsilon", 1e-5, "float32")], f"{name}_safe")
        normal = self.add("Div", [gap, self.add("Sqrt", [safe], f"{name}_sqrt")], f"{name}_normal")
        scaled = self.add("Mul", [normal, self.weight(f"{name}_gamma", self.width)], f"{name}_gained")
        self.hidden = self.add("Add", [scaled, self.weight(f"{name}_beta", self.width)], f"{name}_normed")


def save_large_decoder(folder: Path, gigabytes: float, *, width: int = 2048, words: int = 32_000) -> Path:
    """Writes a Llama-like decoder whose weights go to `model.onnx.data` one at a time, and returns the model's path.

    `ids` int64 [batch, length] to `logits` float32 [batch, length, words]. Weights are small random numbers, the same block
    of them everywhere, so that writing is bound by the disk. Memory stays at one weight.

    Args:
        folder: is made if it is missing.
        gigabytes: of weights, roughly; the number of layers follows.
        width: of the hidden state.
        words: in the vocabulary.
    """
    import onnx

    folder.mkdir(parents=True, exist_ok=True)
    per_layer = 4 * (4 * width * width + 3 * width * 4 * width)
    layers = max(1, round((gigabytes * 1e9 - 8 * words * width) / per_layer))
    nodes, shapes = _decoder(layers, width, words)
    with (folder / "model.onnx.data").open("wb") as file:
        weights = [_streamed(file, name, shape) for name, shape in shapes]
    ends = [value_of("ids", "INT64", "batch", "length")], [float_value("logits", "batch", "length", words)]
    model = model_of(nodes, *ends, weights)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    onnx.checker.check_model(str(path))
    return path


def _decoder(layers: int, width: int, words: int) -> tuple[list[NodeProto], list[tuple[str, tuple[int, ...]]]]:
    """Returns nodes, and names and shapes of weights: gated dense layers and value projections, without softmax."""
    nodes = [node_of("Gather", ["embedding", "ids"], ["h0"])]
    shapes: list[tuple[str, tuple[int, ...]]] = [("embedding", (words, width))]
    hidden = "h0"
    for layer in range(layers):
        for name, kind, source in _layer(f"l{layer}", hidden):
            wide = 4 * width if kind in ("up", "gate") else width
            narrow = 4 * width if kind == "down" else width
            if kind in ("q", "k", "v", "o", "up", "gate", "down"):
                shapes.append((f"{name}_w", (narrow, wide)))
                nodes.append(node_of("MatMul", [source[0], f"{name}_w"], [name]))
            else:
                nodes.append(node_of(kind, list(source), [name]))
        hidden = f"l{layer}_second"
    shapes.append(("head", (width, words)))
    nodes.append(node_of("MatMul", [hidden, "head"], ["logits"]))
    return nodes, shapes


def _layer(name: str, hidden: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for kind in ("q", "k", "v"):
        yield f"{name}_{kind}", kind, (hidden,)
    yield f"{name}_qk", "Mul", (f"{name}_q", f"{name}_k")
    yield f"{name}_weights", "Softmax", (f"{name}_qk",)
    yield f"{name}_seen", "Mul", (f"{name}_weights", f"{name}_v")
    yield f"{name}_o", "o", (f"{name}_seen",)
    yield f"{name}_first", "Add", (f"{name}_o", hidden)
    yield f"{name}_gate", "gate", (f"{name}_first",)
    yield f"{name}_up", "up", (f"{name}_first",)
    yield f"{name}_sigmoid", "Sigmoid", (f"{name}_gate",)
    yield f"{name}_gated", "Mul", (f"{name}_sigmoid", f"{name}_up")
    yield f"{name}_down", "down", (f"{name}_gated",)
    yield f"{name}_second", "Add", (f"{name}_down", f"{name}_first")


def _streamed(file: BinaryIO, name: str, shape: tuple[int, ...]) -> TensorProto:
    import numpy as np
    import onnx

    file.write(b"\0" * (-file.tell() % ALIGNMENT))
    offset, length = file.tell(), 4 * shape[0] * shape[1]
    block = (np.random.default_rng(len(name)).standard_normal(262_144) * 0.02).astype("<f4").tobytes()
    left = length
    while left:
        left -= file.write(block[: min(left, len(block))])
    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=shape)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "model.onnx.data"), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
    return tensor
