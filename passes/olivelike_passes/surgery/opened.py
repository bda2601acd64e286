"""A model opened for surgery: its graphs with their values, constants by name, new names, and what an edit leaves unused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.errors import OlivelikeError, RefusedError, fail
from olivelike.onnxfile.external import is_external
from olivelike.onnxfile.names import Names, all_names, values_of
from olivelike.onnxfile.read import opset
from olivelike.onnxfile.tensors import inlined
from olivelike.onnxfile.walk import graphs, nodes
from olivelike.onnxfile.wiring import put_in_order
from olivelike_passes.surgery.scope import Scope, scopes_of
from olivelike_passes.surgery.values import mapped
from olivelike_passes.weights import FREE_WEIGHTS_IR, replaceable_weights

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto

MICROSOFT = "com.microsoft"


class Opened:
    """A model that rewrites change in place. Functions that the model defines are left alone.

    Attributes:
        model: its structure; weights may lie outside.
        path: the file that it was read from.
        names: the names of all values, in every graph.
        scopes: a look at every graph, the main one first; `look` takes a new one.
    """

    def __init__(self, model: ModelProto, path: Path) -> None:
        self.model = model
        self.path = path
        self.names = Names(all_names(model))
        self._node_names = Names(node.name for node in nodes(model))
        self._unread: list[tuple[Scope, str]] = []
        self.look()

    @property
    def main(self) -> Scope:
        """The main graph."""
        return self.scopes[0]

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators."""
        return opset(self.model)

    def look(self) -> None:
        """Takes a new look at the graphs, after an edit."""
        self.scopes: list[Scope] = scopes_of(self.model.graph, replaceable_weights(self.model))

    def nodes(self, *kinds: str) -> Iterator[tuple[Scope, NodeProto]]:
        """Yields the nodes of some types, with the graph that each is in; the graphs may be changed meanwhile."""
        found = [(scope, node) for scope in self.scopes for node in scope.nodes if node.op_type in kinds]
        yield from found

    def values(self, tensor: TensorProto) -> NDArray[Any]:
        """Returns a tensor's values, mapped from the file where they lie outside the model, so that they need not fit."""
        import onnx

        if is_external(tensor):
            return mapped(tensor, self.path)
        return onnx.numpy_helper.to_array(inlined(tensor, self.path))

    def fresh(self, wanted: str) -> str:
        """Returns a name that no value has, close to the one wanted, and takes it."""
        return self.names.fresh(wanted)

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        name: str,
        domain: str = "",
        **attributes: Any,
    ) -> NodeProto:
        """Returns a new node, in no graph yet, under a name close to the one given."""
        import onnx

        if domain and not opset(self.model, domain):
            self.model.opset_import.add(domain=domain, version=1)
        return onnx.helper.make_node(
            kind, inputs, outputs, name=self._node_names.fresh(name), domain=domain, **attributes
        )

    def weight(self, scope: Scope, values: NDArray[Any], name: str) -> str:
        """Adds an initializer to a graph under a name close to the one given, and returns its name."""
        import numpy as np
        import onnx

        tensor = scope.graph.initializer.add()  # filled in place: a copy of a large one would be three for a moment
        tensor.data_type = onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
        tensor.dims.extend(values.shape)
        tensor.raw_data = np.ascontiguousarray(values).tobytes()
        return self._named(scope, tensor, name)

    def hold(self, scope: Scope, tensor: TensorProto, name: str) -> str:
        """Adds a copy of a tensor to a graph's initializers under a name close to the one given, and returns its name."""
        held = scope.graph.initializer.add()
        held.CopyFrom(tensor)
        return self._named(scope, held, name)

    def _named(self, scope: Scope, tensor: TensorProto, name: str) -> str:
        import onnx

        tensor.name = own = self.fresh(name)
        if self.model.ir_version < FREE_WEIGHTS_IR and scope is self.main:
            # Before IR version 4 every weight of the main graph is listed as an input.
            entry = onnx.helper.make_tensor_value_info(own, tensor.data_type, list(tensor.dims))
            self.model.graph.input.append(entry)
        return own

    def close(self) -> None:
        """Puts the edits of all graphs in force, takes out what they left unused, and takes a new look.

        Unused before and unused now stays: only what an edit took the last reader from goes.
        """
        left = self._unread + [(scope, name) for scope in self.scopes for name in scope.commit()]
        self._unread = []
        self.look()
        self._sweep([(self._now(scope), name) for scope, name in left])
        self.look()
        put_in_order(self.model)
        self._drop_stale_entries()
        self.look()

    def unread(self, scope: Scope, value: str) -> None:
        """Says that a node reads a value no more whose inputs were changed in place; it goes if nothing else reads it."""
        self._unread.append((scope, value))

    def leave(self, values: Iterable[str]) -> None:
        """Takes out what makes values of the main graph that nothing reads any more, and takes a new look."""
        self.look()
        self._sweep([(self.main, name) for name in values])
        self.look()

    def refuse(self, claim: str, hint: str = "") -> OlivelikeError:
        """Returns the error that says why a rewrite cannot go on."""
        return fail(RefusedError, "OL301", claim, hint=hint)

    def _now(self, before: Scope) -> Scope:
        """Returns the new look at a graph; the main one's where the graph is gone."""
        return next((scope for scope in self.scopes if scope.graph is before.graph), self.main)

    def _sweep(self, left: list[tuple[Scope, str]]) -> None:
        while left:
            scope, name = left.pop()
            home = scope.home(name)
            if home is None or home.is_read(name):
                continue
            node = home.makers.get(name)
            if node is not None and not any(home.is_read(output) for output in node.output if output):
                left += [(home, value) for value in home.drop(node)]
            elif node is None:
                self._drop_weight(home, name)
        for scope in self.scopes:
            scope.commit()

    def _drop_weight(self, home: Scope, name: str) -> None:
        for place, tensor in enumerate(home.graph.initializer):
            if tensor.name == name:
                if name in home.inputs and self.model.ir_version >= FREE_WEIGHTS_IR:
                    return  # an input that users of the model may name
                del home.graph.initializer[place]
                _remove_entries(home.graph.input, {name})
                return

    def _drop_stale_entries(self) -> None:
        for graph in graphs(self.model):
            known = set(values_of(graph))
            gone = {entry.name for entry in graph.value_info} - known
            _remove_entries(graph.value_info, gone)
            annotated = [entry for entry in graph.quantization_annotation if entry.tensor_name in known]
            if len(annotated) < len(graph.quantization_annotation):
                kept = [type(entry).FromString(entry.SerializeToString()) for entry in annotated]
                del graph.quantization_annotation[:]
                graph.quantization_annotation.extend(kept)


def _remove_entries(field: Any, names: Iterable[str]) -> None:
    gone = set(names)
    for place in reversed(range(len(field))):
        if field[place].name in gone:
            del field[place]
