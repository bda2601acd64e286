"""What differs in the structure of two models: header, inputs and outputs, nodes by type and by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from olivelike.digest import JsonObject, digest_bytes
from olivelike.engine.inspect.operators import opsets
from olivelike.onnxfile.external import is_external
from olivelike.onnxfile.read import Value, element_type, signature_of

if TYPE_CHECKING:
    from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

SHOWN = 8
"""Elements of a tensor up to which its values are told."""
LONGEST = 60
"""Characters up to which the value of an attribute is told."""


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
        return _set(changes, [c.first for c in changes]), _set(changes, [c.second for c in changes])
    held = [name for name, (_, content) in ours.items() if content != theirs[name][1]]
    if held:
        return "; ".join(f"{name}={ours[name][0]}" for name in held), "other values"
    for what, own, other in (("reads", first.input, second.input), ("gives", first.output, second.output)):
        unlike = [pair for pair in zip_longest(own, other, fillvalue="") if pair[0] != pair[1]]
        if unlike:
            return f"{what} {_joined(one for one, _ in unlike)}", f"{what} {_joined(one for _, one in unlike)}"
    return None


def _set(changes: Iterable[Change], texts: Iterable[str]) -> str:
    """Returns attributes with what a node sets them to, or that it does not."""
    return "; ".join(f"{c.name}={text}" if text else f"no {c.name}" for c, text in zip(changes, texts, strict=True))


def _joined(names: Iterable[str]) -> str:
    return ", ".join(name or "nothing" for name in names)


def _attributes(node: NodeProto) -> dict[str, tuple[str, str]]:
    """Returns the attributes by name: as short texts, and what must be equal where those are."""
    return {attribute.name: _told(attribute) for attribute in node.attribute}


def _told(attribute: AttributeProto) -> tuple[str, str]:
    import onnx

    if attribute.ref_attr_name:  # in a function's body: what the node that calls it says
        return f"@{attribute.ref_attr_name}", ""
    if attribute.HasField("g") or attribute.graphs:
        return "a graph", ""
    if attribute.HasField("t"):
        return _tensor(attribute.t)
    value = onnx.helper.get_attribute_value(attribute)
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else " ".join(str(value).split())
    short = f"{len(value)} values" if isinstance(value, Sequence) and len(text) > LONGEST else text[:LONGEST]
    return short, digest_bytes(text.encode())


def _tensor(tensor: TensorProto) -> tuple[str, str]:
    import onnx

    told = f"{element_type(tensor.data_type)} {list(tensor.dims)}"
    if is_external(tensor):
        return told, str(tensor.external_data)
    values = onnx.numpy_helper.to_array(tensor)
    listed = values.tolist() if values.size <= SHOWN or values.dtype.kind == "O" else []
    content = repr(listed).encode() if listed else values.tobytes()
    return f"{told} {listed}" if values.size <= SHOWN else told, digest_bytes(content)
