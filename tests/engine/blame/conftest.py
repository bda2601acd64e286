"""The quickstart's model, quantized through the engine once, and scales multiplied on purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from olivelike.engine.apply import apply_pass
from olivelike.engine.data_option import DataOption
from olivelike.engine.session import Settings

QUICKSTART = Path(__file__).resolve().parents[3] / "workflows" / "quickstart"
FASHION = QUICKSTART / "fashion.onnx"
TEST_DATA = QUICKSTART / "test.npz"

Quantized = Callable[[str], Path]


@pytest.fixture(scope="session")
def quantized_fashion(tmp_path_factory: pytest.TempPathFactory) -> Quantized:
    """Returns the quickstart's model quantized as `qdq`, `qoperator` or `dynamic`."""
    folder = tmp_path_factory.mktemp("fashion")
    settings = Settings(str(folder / "cache"))

    def made(form: str) -> Path:
        path = folder / f"{form}.onnx"
        if not path.exists() and form == "dynamic":
            apply_pass("dynamic_quant", FASHION, path, ["allow_conv=true"], DataOption(), settings)
        elif not path.exists():
            data = DataOption(str(QUICKSTART / "calibration.npz"))
            apply_pass("static_quant", FASHION, path, [f"format={form}"], data, settings)
        return path

    return made


def multiply(model: ModelProto, names: Sequence[str], factor: float = 8.0) -> ModelProto:
    """Multiplies initializers in place and returns the model."""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for name in names:
        values = numpy_helper.to_array(held[name])
        held[name].CopyFrom(numpy_helper.from_array(values * np.asarray(factor, values.dtype), name))
    return model


def poisoned(path: Path, names: Sequence[str], out: Path, factor: float = 8.0) -> Path:
    """Writes a copy of a model with some initializers multiplied."""
    onnx.save(multiply(onnx.load(path), names, factor), out)
    return out
