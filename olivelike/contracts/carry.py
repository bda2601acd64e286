"""Hand a model on: write it as `model.onnx`, or in parts, and with it all that the source artifact holds beside its model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import MODEL, PARTS_KIND, Artifact, Manifest
from olivelike.onnxfile.external import external_files, is_external
from olivelike.onnxfile.made import Made
from olivelike.onnxfile.walk import initializers
from olivelike.onnxfile.write import EXTERNAL_ABOVE, OUTSIDE_ABOVE, write_model

if TYPE_CHECKING:
    from onnx import ModelProto

MODEL_FILE = "model.onnx"
PART_EXTERNAL_ABOVE = 100_000_000
"""Bytes of tensors above which a part gets external data: whoever joins parts holds what lies inside all of them."""


def deliver(
    source: Artifact,
    out: Path,
    model: ModelProto,
    *,
    beside: Path = Path(),
    outside: bool | None = None,
    made: Made | None = None,
) -> Manifest:
    """Writes a new model beside the source's companions and custom-operator libraries.

    Args:
        source: what the model was made from.
        out: the folder to fill.
        model: the new model; it is taken over.
        beside: the file beside which its external data lie, if it still has any.
        outside: whether weights go to a file of their own from 16 MiB on, instead of from 1.5 GB on; if not said, they do
            where some of the model's lie outside.
        made: the values of initializers that have none yet.
    """
    if outside is None:
        outside = any(is_external(tensor) for tensor in initializers(model))
    above = OUTSIDE_ABOVE if outside else EXTERNAL_ABOVE
    write_model(model, out, MODEL_FILE, external_above=above, beside=beside, made=made)
    return _with_companions(source, out)


def deliver_parts(
    source: Artifact, out: Path, parts: Iterable[tuple[str, ModelProto]], *, beside: Path = Path()
) -> Manifest:
    """Writes the parts of a model, each as `<its name>.onnx`, beside the source's companions and custom-operator libraries.

    Args:
        source: what the parts were made from.
        out: the folder to fill.
        parts: names and models in the order in which they run; each is taken over and let go before the next is asked for.
        beside: the file beside which their external data lie, if they still have any.
    """
    files = {
        name: write_model(part, out, f"{name}.onnx", external_above=PART_EXTERNAL_ABOVE, beside=beside).name
        for name, part in parts
    }
    return replace(_with_companions(source, out), kind=PARTS_KIND, parts=files)


def keep(source: Artifact, out: Path) -> Manifest:
    """Copies the source's model as it is, byte by byte, with all that belongs to it."""
    copyfile(source.model, out / MODEL_FILE)
    for name in external_files(source.model):
        _copy(source.model.parent / name, out / name)
    return _with_companions(source, out)


def _with_companions(source: Artifact, out: Path) -> Manifest:
    for name in (*source.manifest.companions, *source.manifest.custom_operators):
        _copy(source.folder / name, out / name)
    return replace(source.manifest, kind="onnx", parts={MODEL: MODEL_FILE})


def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    copyfile(file, to)
