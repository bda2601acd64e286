"""What a file that is no ONNX model looks like instead, judged by its first bytes and its size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROTOBUF_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Looks:
    """What a file looks like, and one thing to do about it."""

    claim: str
    hint: str


EMPTY = Looks("it is empty", "fetch it again")
DAMAGED = Looks("it is truncated or something else", "fetch it again, and compare its size with the original's")
TOO_LARGE = Looks("it is larger than 2 GiB in one file, which protobuf cannot hold", "save it with external data")
KNOWN: tuple[tuple[bytes, Looks], ...] = (
    (b"version https://git-lfs", Looks("it is a git-lfs pointer, not the file itself", "run `git lfs pull`")),
    (b"<!doctype", Looks("it is an HTML page", "the download went to a web page: use the link to the raw file")),
    (b"<html", Looks("it is an HTML page", "the download went to a web page: use the link to the raw file")),
    (b"<?xml", Looks("it is an XML file", "is it the right file? OpenVINO models are read from their own format")),
    (b"pk\x03\x04", Looks("it is a zip archive (or a PyTorch checkpoint)", "unpack it, or export the model to ONNX")),
    (b"\x1f\x8b", Looks("it is compressed with gzip", "unpack it first")),
    (b"\x80\x02", Looks("it is a Python pickle", "export the model to ONNX")),
    (b"\x80\x04", Looks("it is a Python pickle", "export the model to ONNX")),
    (b"gguf", Looks("it is a GGUF file", "export the model to ONNX")),
    (b"\x89hdf", Looks("it is an HDF5 file", "export the model to ONNX")),
    (b"{", Looks("it is a JSON file", "is it the right file?")),
)


def looks_like(path: Path) -> Looks:
    """Returns what a file looks like that could not be read as an ONNX model."""
    size = path.stat().st_size
    if size == 0:
        return EMPTY
    with path.open("rb") as file:
        head = file.read(64)
    start = head.lstrip().lower()
    for magic, looks in KNOWN:
        if start.startswith(magic):
            return looks
    if head[4:8] == b"ORTM":
        return Looks("it is in ONNX Runtime's own format (.ort)", "use the .onnx file that it was made from")
    if head[4:8] == b"TFL3":
        return Looks("it is a TensorFlow Lite model", "export the model to ONNX")
    return TOO_LARGE if size > PROTOBUF_LIMIT else DAMAGED
