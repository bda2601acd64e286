"""What makes a file no model at all: values made twice, read before anybody makes them, or waiting for each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

from olivelike.onnxfile.wiring import graphs_inside, makers, reads

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


def defects(model: ModelProto) -> list[str]:
    """Returns what is wrong with a model's graphs, each with the names it is about; nothing for a sound model.

    Linear in the number of nodes. Nodes that only stand in the wrong order are no defect: `wiring.put_in_order` mends that.
    """
    found = _of_graph(model.graph, frozenset())
    if not model.graph.output:
        found.append("the model has no 'output'")
    names = Counter(node.name for node in model.graph.node)
    twice = [name for name, count in names.items() if name and count > 1]
    return found + [f"several nodes are called {name!r}, which the runtime refuses" for name in twice]


def _of_graph(graph: GraphProto, around: Collection[str]) -> list[str]:
    own = {entry.name for entry in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {each.values.name for each in graph.sparse_initializer}
    twice: dict[str, None] = {}
    later: list[tuple[NodeProto, list[str]]] = []
    for node in graph.node:
        ahead = [name for name in node.input if name not in own and name]
        if ahead or (node.attribute and graphs_inside(node)):
            later.append((node, ahead))
        for name in node.output:
            if name and name in own:
                twice[name] = None
            elif name:
                own.add(name)
    known = {*around, *own} if around else own
    found = [f"the value {name!r} is made twice" for name in twice]
    for node, ahead in later:
        missing = [name for name in ahead if name not in known]
        found += [f"{_told(node.name, node.op_type)} reads {name!r}, which nothing makes" for name in missing]
        for inner in graphs_inside(node):
            found += _of_graph(inner, known)
    found += [f"the output {entry.name!r} is made by nothing" for entry in graph.output if entry.name not in known]
    # Where every node reads what stands before it, none waits for itself.
    return found or (_cycle(graph) if later else [])


def _cycle(graph: GraphProto) -> list[str]:
    """Finds a node that waits for itself: what no order leaves over (Kahn 1962)."""
    made_by = makers(graph.node)
    waits = [{made_by[name] for name in reads(node) if name in made_by} for node in graph.node]
    takers: list[list[int]] = [[] for _ in waits]
    for place, before in enumerate(waits):
        for each in before:
            takers[each].append(place)
    left = [len(before) for before in waits]
    ready = [place for place, count in enumerate(left) if not count]
    done = 0
    while ready:
        done += 1
        for place in takers[ready.pop()]:
            left[place] -= 1
            if not left[place]:
                ready.append(place)
    if done == len(waits):
        return []
    node = graph.node[next(place for place, count in enumerate(left) if count)]
    return [f"{_told(node.name, node.op_type)} waits for its own output: the graph has a cycle"]


def _told(name: str, kind: str) -> str:
    return f"the node {name!r} ({kind})" if name else f"a node of type {kind}"
