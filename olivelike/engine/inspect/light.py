"""A copy of a model without the large weights inside its file, for passes that are only asked: they read it again and again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.onnxfile.external import is_external
from olivelike.onnxfile.sizes import byte_count
from olivelike.onnxfile.walk import initializers

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

LARGE = 1 << 16
"""Bytes from which on a weight is left out; what says something of shapes is smaller."""
WORTH_IT = 1 << 24
"""Bytes of a model's own file from which on a copy is made."""
LEFT_OUT = "left-out"
VALUES = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data")


@contextmanager
def light(source: Artifact, model: ModelProto) -> Iterator[Artifact]:
    """Gives a copy of a model in which large weights are said to lie in a file that is not there; a small model itself.

    Who reads one of those weights after all gets the error of missing external data.

    Args:
        source: the model.
        model: its structure, which is taken over: the weights are taken out of it.
    """
    if source.model.stat().st_size < WORTH_IT:
        yield source
        return
    with TemporaryDirectory(prefix="olivelike-") as room:
        folder = Path(room)
        for name in source.manifest.companions:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.folder / name, folder / name)
        for tensor in initializers(model):
            if not is_external(tensor) and tensor.data_type != tensor.STRING and byte_count(tensor) >= LARGE:
                _leave_out(tensor)
        copy = replace(source, folder=folder)
        copy.model.parent.mkdir(parents=True, exist_ok=True)
        copy.model.write_bytes(model.SerializeToString())
        yield copy


def _leave_out(tensor: TensorProto) -> None:
    length = byte_count(tensor)
    for field in VALUES:
        tensor.ClearField(field)
    tensor.data_location = tensor.EXTERNAL
    for key, value in (("location", LEFT_OUT), ("offset", 0), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
