"""What differs in the structure of two models: header, inputs and outputs, nodes by type and by name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from olivelike.digest import JsonObject
from olivelike.engine.inspect.operators import opsets
from olivelike.onnxfile.read import Value, signature_of

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


@dataclass(frozen=True, slots=True)
class Change:
    """Something that both models tell and tell differently, as text; empty for the model that has no such thing."""

    name: str
    first: str
    second: str

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {"name": self.name, "a": self.first or None, "b": self.second or None}


@dataclass(frozen=True, slots=True)
class Count:
    """How many nodes of a type the two models have."""

    name: str
    first: int
    second: int

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {"op_type": self.name, "a": self.first, "b": self.second}


@dataclass(frozen=True, slots=True)
class Nodes:
    """What differs in the nodes, those of inner graphs and functions among them.

    Attributes:
        first: how many the first model has.
        second: how many the second has.
        types: the operators of which the numbers differ, the largest difference first.
        removed: nodes of the first model that the second has not, by name, with their type.
        added: nodes of the second model that the first has not.
        changed: nodes of one name that have another type, other attributes, or read or give other values.
        same: how many are the same in both.
    """

    first: int
    second: int
    types: tuple[Count, ...]
    removed: Mapping[str, str]
    added: Mapping[str, str]
    changed: tuple[Change, ...]
    same: int

    @property
    def differ(self) -> bool:
        """Whether anything differs."""
        return bool(self.types or self.removed or self.added or self.changed)

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {
            "a": self.first,
            "b": self.second,
            "by_type": [count.to_json() for count in self.types],
            "removed": dict(self.removed),
            "added": dict(self.added),
            "changed": [change.to_json() for change in self.changed],
            "same": self.same,
        }


def header_changes(first: ModelProto, second: ModelProto) -> tuple[Change, ...]:
    """Returns what the models say of themselves differently: versions, producer, metadata, descriptions."""
    return _changes(_header(first), _header(second))


def signature_changes(first: ModelProto, second: ModelProto) -> tuple[Change, ...]:
    """Returns the inputs and outputs that differ in name, type or shape; the order counts where nothing else differs."""
    ours, theirs = _ends(first), _ends(second)
    found = _changes(ours, theirs)
    return found or _changes({"order": ", ".join(ours)}, {"order": ", ".join(theirs)})


def node_changes(first: ModelProto, second: ModelProto) -> Nodes:
    """Returns what differs in the nodes; a node without a name is known by the first value that it gives."""
    ours, theirs = dict(_named(first)), dict(_named(second))
    common = [name for name in ours if name in theirs]
    changed = [Change(name, *told) for name in common if (told := _told_apart(ours[name], theirs[name])) is not None]
    return Nodes(
        len(ours),
        len(theirs),
        _counts(ours.values(), theirs.values()),
        {name: _type(node) for name, node in ours.items() if name not in theirs},
        {name: _type(node) for name, node in theirs.items() if name not in ours},
        tuple(changed),
        len(common) - len(changed),
    )


def _header(model: ModelProto) -> dict[str, str]:
    texts = {
        "IR version": str(model.ir_version),
        "producer": " ".join(part for part in (model.producer_name, model.producer_version) if part),
        "domain": model.domain,
        "model version": str(model.model_version or ""),
        "description": model.doc_string,
        "graph": model.graph.name,
    }
    sets = {f"opset {domain or 'ai.onnx'}": str(version) for domain, version in opsets(model.opset_import).items()}
    functions = {f"function {f.domain}.{f.name}": f"{len(f.node)} nodes" for f in model.functions}
    return {**texts, **sets, **functions, **{f"metadata {entry.key}": entry.value for entry in model.metadata_props}}


def _ends(model: ModelProto) -> dict[str, str]:
    found = signature_of(model)
    inputs = {f"input {value.name}": _shaped(value) for value in found.inputs}
    return inputs | {f"output {value.name}": _shaped(value) for value in found.outputs}


def _shaped(value: Value) -> str:
    return f"{value.dtype} [{', '.join(map(str, value.shape))}]"


def _changes(first: Mapping[str, str], second: Mapping[str, str]) -> tuple[Change, ...]:
    pairs = ((name, first.get(name, ""), second.get(name, "")) for name in dict.fromkeys([*first, *second]))
    return tuple(Change(name, ours, theirs) for name, ours, theirs in pairs if ours != theirs)


def _counts(first: Iterable[NodeProto], second: Iterable[NodeProto]) -> tuple[Count, ...]:
    ours, theirs = Counter(map(_type, first)), Counter(map(_type, second))
    found = [Count(name, ours[name], theirs[name]) for name in {*ours, *theirs} if ours[name] != theirs[name]]
    return tuple(sorted(found, key=lambda count: (-abs(count.first - count.second), count.name)))


def _named(model: ModelProto) -> Iterator[tuple[str, NodeProto]]:
    """Yields every node under a name of its own; of an inner node the names of those around it come first."""
    seen: Counter[str] = Counter()
    roots = [("", model.graph.node), *((f"{f.domain}.{f.name}/", f.node) for f in model.functions)]
    for scope, nodes in roots:
        for name, node in _below(scope, nodes):
            seen[name] += 1
            yield (name if seen[name] == 1 else f"{name} ({seen[name]})"), node


def _below(scope: str, nodes: Iterable[NodeProto]) -> Iterator[tuple[str, NodeProto]]:
    for node in nodes:
        name = scope + (node.name or f"that gives {next(filter(None, node.output), '')!r}")
        yield name, node
        for attribute in node.attribute:
            inner = [attribute.g] if attribute.HasField("g") else []
            for graph in (*inner, *attribute.graphs):
                yield from _below(f"{name}/{attribute.name}/", graph.node)


def _type(node: NodeProto) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type


def _told_apart(first: NodeProto, second: NodeProto) -> tuple[str, str] | None:
    """Returns in which words two nodes of one name differ, or nothing; what lies in graphs inside them is told node by node."""
    if _type(first) != _type(second):
        return _type(first), _type(second)
    ours, theirs = _attributes(first), _attributes(second)
    changes = _changes({k: v for k, (v, _) in ours.items()}, {k: v for k, (v, _) in theirs.items()})
    if changes:
        return "; ".join(f"{c.name}={c.first}" for c in changes), "; ".join(f"{c.name}={c.second}" for c in changes)
    held = [name for name, (_, content) in ours.items() if content != theirs[name][1]]
    if held:
        return f"{', '.join(held)}: one tensor", "another of the same type and shape"
    for what, own, other in (("reads", first.input, second.input), ("gives", first.output, second.output)):
        unlike = [pair for pair in zip_longest(own, other, fillvalue="") if pair[0] != pair[1]]
        if unlike:
            return f"{what} {_joined(one for one, _ in unlike)}", f"{what} {_joined(one for _, one in unlike)}"
    return None


def _joined(names: Iterable[str]) -> str:
    return ", ".join(name or "nothing" for name in names)


def _attributes(node: NodeProto) -> dict[str, tuple[str, bytes]]:
    """Returns the attributes as short texts, and of tensors what they hold."""
    import onnx

    found: dict[str, tuple[str, bytes]] = {}
    for attribute in node.attribute:
        if attribute.HasField("t"):
            tensor = attribute.t
            kind = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
            small = math.prod(tensor.dims) <= SHOWN
            values = onnx.numpy_helper.to_array(tensor).tolist() if small and not tensor.external_data else "..."
            found[attribute.name] = f"{kind} {list(tensor.dims)} {values}", tensor.SerializeToString(deterministic=True)
        elif attribute.HasField("g") or attribute.graphs:
            found[attribute.name] = "a graph", b""
        else:
            value = onnx.helper.get_attribute_value(attribute)
            found[attribute.name] = _text(value), attribute.SerializeToString(deterministic=True)
    return found


SHOWN = 8
"""Elements of a tensor up to which its values are told."""
LONGEST = 60


def _text(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
