"""The pass `inline_functions`: operators that the model defines itself are written out where they are called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.errors import RefusedError, fail, nearest
from olivelike.onnxfile.defects import defects
from olivelike.onnxfile.light import put_back, without_weights
from olivelike.onnxfile.names import Names
from olivelike.onnxfile.walk import nodes
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten
from olivelike_passes.graph.operators import function_nodes, is_same_operator
from olivelike_passes.header import replace_all, unite_imports
from olivelike_passes.naming import name_nodes

if TYPE_CHECKING:
    from onnx import FunctionProto, ModelProto


class InlineFunctionsConfig(PassConfig):
    """Which functions `inline_functions` writes out."""

    functions: list[str] = Field(default_factory=list)
    """Names (`SquarePlus`), names with their domain (`own:SquarePlus`), whole domains (`own:*`); all where none is given."""


class InlineFunctions(GraphPass[InlineFunctionsConfig]):
    """Writes out the operators that the model defines itself.

    What it does:
        Puts the body of each function where it is called, in branches, loops and other functions too, with names of their
        own for its inner values, and takes the functions out. A model without functions stays.

    When to use it:
        Before passes that look for patterns or quantize: they do not look into functions. And for runtimes that know none.

    Limits:
        Refuses a function that is written for other versions of its operators than the model imports where an operator has
        changed between them, and functions that call themselves.

    Example:
        ```yaml
        passes:
          - inline_functions: {functions: ["pkg.torch:*"]}
          - simplify: {}
        ```
    """

    name = "inline_functions"
    config = InlineFunctionsConfig
    lossless = True

    def unsuitable(self, model: ModelProto, config: InlineFunctionsConfig, target: Target) -> Sequence[str]:
        """Refuses unknown names, recursion, and functions whose operators are not the model's."""
        names = [_name(function) for function in model.functions]
        found = [
            f"the model has no function {wanted!r}; {nearest(wanted, names)}"
            for wanted in config.functions
            if not any(_means(wanted, function) for function in model.functions)
        ]
        versions = _imports(model)
        for function in _chosen(model, config):
            found += _differences(function, versions)
        return found or [*_recursion(model)]

    def rewrite(
        self, model: ModelProto, source: Artifact, config: InlineFunctionsConfig, context: PassContext
    ) -> Rewritten:
        """Inlines with ONNX's own inliner, which sees no large weight.

        Raises:
            RefusedError: OL301, what comes out is no sound model.
        """
        from onnx.inliner import inline_selected_functions

        chosen = {(function.domain, function.name): _name(function) for function in _chosen(model, config)}
        if not chosen:
            return Rewritten(model)
        light = without_weights(model, source.model)
        _prepare(light)
        made = inline_selected_functions(light, list(chosen))
        put_back(made, model)
        name_nodes(made)
        _complete_imports(made)
        _drop_imports({domain for domain, _ in chosen}, made)
        if defects(made):
            claim = f"inlining {', '.join(chosen.values())} gives a broken model: {defects(made)[0]}"
            raise fail(RefusedError, "OL301", claim)
        return Rewritten(made, {"inlined": [*chosen.values()], "nodes": len(made.graph.node)})


def _name(function: FunctionProto) -> str:
    return f"{function.domain}:{function.name}"


def _means(wanted: str, function: FunctionProto) -> bool:
    return wanted in (function.name, _name(function), f"{function.domain}:*")


def _chosen(model: ModelProto, config: InlineFunctionsConfig) -> list[FunctionProto]:
    wanted = config.functions or [f"{function.domain}:*" for function in model.functions]
    return [function for function in model.functions if any(_means(name, function) for name in wanted)]


def _imports(holder: ModelProto | FunctionProto) -> dict[str, int]:
    return {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in holder.opset_import}


def _differences(function: FunctionProto, versions: Mapping[str, int]) -> Iterator[str]:
    """Yields the first operator of a function that is another one in the version that the model imports."""
    own = _imports(function)
    for node in function_nodes(function):
        domain = "" if node.domain == "ai.onnx" else node.domain
        here, there = own.get(domain, 0), versions.get(domain, own.get(domain, 0))
        if here != there and not is_same_operator(node.op_type, domain, here, there):
            what = f"the function {_name(function)!r} has {node.op_type} of version {here} of {domain or 'ai.onnx'}"
            yield f"{what}, and the model imports version {there}, where it is another operator"
            return


def _recursion(model: ModelProto) -> Iterator[str]:
    calls = {
        (function.domain, function.name): {(node.domain, node.op_type) for node in function_nodes(function)}
        for function in model.functions
    }
    for start, called_first in calls.items():
        seen: set[tuple[str, str]] = set()
        ahead = list(called_first)
        while ahead:
            called = ahead.pop()
            if called == start:
                yield f"the function {':'.join(start)!r} calls itself"
                return
            if called in calls and called not in seen:
                seen.add(called)
                ahead += calls[called]


def _prepare(model: ModelProto) -> None:
    """Makes functions such as the inliner takes: outputs that are made by a node, the model's versions, all of them imported."""
    unite_imports(model)
    versions = _imports(model)
    for function in model.functions:
        for domain, version in _imports(function).items():
            if domain not in versions:
                versions[domain] = version
                model.opset_import.add(domain=domain, version=version)
        for entry in function.opset_import:
            entry.version = versions["" if entry.domain == "ai.onnx" else entry.domain]
        _make_outputs(function)


def _make_outputs(function: FunctionProto) -> None:
    """Puts an `Identity` before outputs that are inputs, which the inliner would leave to be made by nothing."""
    names = Names({name for node in function.node for name in (*node.input, *node.output)} | {*function.input})
    for place, name in enumerate(function.output):
        if name in function.input:
            made = names.fresh(f"{name}_given")
            function.node.add(op_type="Identity", input=[name], output=[made])
            function.output[place] = made


def _complete_imports(model: ModelProto) -> None:
    """Lets functions that are left import what has come into them."""
    versions = _imports(model)
    for function in model.functions:
        used = {"" if node.domain == "ai.onnx" else node.domain for node in function_nodes(function)}
        for domain in sorted(used - _imports(function).keys()):
            function.opset_import.add(domain=domain, version=versions[domain])


def _drop_imports(domains: Iterable[str], model: ModelProto) -> None:
    """Takes out the imports of domains whose functions are gone and of which nothing is left."""
    used = {node.domain for node in nodes(model)} | {function.domain for function in model.functions} | {"", "ai.onnx"}
    gone = set(domains) - used
    replace_all(model.opset_import, [entry for entry in model.opset_import if entry.domain not in gone])
