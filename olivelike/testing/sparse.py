"""Models as large as one likes that take no room: their external data is a file with nothing in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.testing.building import float_value, model_of, node_of

if TYPE_CHECKING:
    import onnx


def sparse_model(folder: Path, *, layers: int, width: int) -> Path:
    """Writes a chain of matrix products, `x` float32 [batch, width] to `y`, and returns the model's path.

    Every weight lies in `model.onnx.data`. That file has its full size but no blocks where the file system knows sparse
    files (ext4, xfs, tmpfs, APFS, NTFS do): all weights are zero.
    """
    import onnx

    size = 4 * width * width
    names = ["x", *(f"h{layer}" for layer in range(layers - 1)), "y"]
    weights = [_elsewhere(f"layers.{layer}.weight", width, layer * size) for layer in range(layers)]
    nodes = [node_of("MatMul", [names[n], weights[n].name], [names[n + 1]]) for n in range(layers)]
    model = model_of(nodes, [float_value("x", "batch", width)], [float_value("y", "batch", width)], weights)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "model.onnx.data").open("wb") as file:
        file.truncate(layers * size)
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def _elsewhere(name: str, width: int, offset: int) -> onnx.TensorProto:
    import onnx

    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[width, width])
    tensor.data_location = tensor.EXTERNAL
    for key, value in (("location", "model.onnx.data"), ("offset", offset), ("length", 4 * width * width)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor
