"""What a model says about itself: imports, metadata, descriptions. Tools change them beside their work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Protocol, TypeVar

from olivelike.onnxfile.read import opset
from olivelike.onnxfile.walk import nodes

if TYPE_CHECKING:
    from onnx import ModelProto

MessageT = TypeVar("MessageT")
MessageT_contra = TypeVar("MessageT_contra", contravariant=True)


class Repeated(Protocol[MessageT_contra]):
    """A repeated field of a protobuf message."""

    def __delitem__(self, where: slice) -> None:
        """Takes messages out."""

    def extend(self, messages: Iterable[MessageT_contra]) -> None:
        """Adds copies of messages."""


def replace_all(field: Repeated[MessageT], messages: Sequence[MessageT]) -> None:
    """Leaves just these messages in a repeated field; they may come from it."""
    copies = [deepcopy(message) for message in messages]  # emptying the field empties the messages in it
    del field[:]
    field.extend(copies)


def restore_header(model: ModelProto, original: ModelProto) -> None:
    """Undoes what tools do to a model beside their work.

    They leave inferred types of values behind, sign as its producer, add to its metadata, drop its descriptions, and import
    operator sets that it does not use or use some that they do not import.
    """
    declared = {entry.name for entry in original.graph.value_info}
    kept = [entry for entry in model.graph.value_info if entry.name in declared]
    replace_all(model.graph.value_info, kept)
    replace_all(model.metadata_props, list(original.metadata_props))
    for field in ("producer_name", "producer_version", "domain", "model_version", "doc_string"):
        if original.HasField(field):
            setattr(model, field, getattr(original, field))
        else:
            model.ClearField(field)
    _restore_imports(model, original)


def header_of(model: ModelProto) -> ModelProto:
    """Returns all that `restore_header` needs of a model: everything but its graph, and the types of inner values."""
    header = type(model)()
    for field, value in model.ListFields():
        if field.name == "graph":
            header.graph.value_info.extend(value.value_info)
        elif field.name in ("opset_import", "metadata_props"):
            getattr(header, field.name).extend(value)
        elif field.name not in ("functions", "training_info", "configuration"):
            setattr(header, field.name, value)
    return header


def unite_imports(model: ModelProto) -> None:
    """Leaves one import per operator set, the highest; converters may repeat one, and tools stumble over that."""
    domains = dict.fromkeys("" if entry.domain == "ai.onnx" else entry.domain for entry in model.opset_import)
    versions = {domain: opset(model, domain) for domain in domains}
    del model.opset_import[:]
    for domain, version in versions.items():
        model.opset_import.add(domain=domain, version=version)


def _restore_imports(model: ModelProto, original: ModelProto) -> None:
    unite_imports(model)
    used = {node.domain for node in nodes(model)}
    known = {entry.domain for entry in original.opset_import}
    kept = [(entry.domain, entry.version) for entry in model.opset_import if entry.domain in used | known]
    missing = used - {domain for domain, _ in kept} - {"ai.onnx"}
    del model.opset_import[:]
    for domain, version in (*kept, *((domain, 1) for domain in sorted(missing))):
        model.opset_import.add(domain=domain, version=version)
