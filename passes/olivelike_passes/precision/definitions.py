"""What operators are defined for, and what the installed runtime computes on the CPU: element types of each input and output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import NodeProto

    from olivelike.contracts.target import Target

OWN = ("", "ai.onnx")
CPU = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True)
class Definition:
    """An operator's definition as far as types go.

    Attributes:
        inputs: for each formal input the name of a type variable (`T`), or a type (`tensor(float)`).
        outputs: the same for outputs. The last input or output stands for all that follow it.
        allowed: type variable to the types that it may stand for, as ONNX writes them.
    """

    inputs: Sequence[str]
    outputs: Sequence[str]
    allowed: Mapping[str, frozenset[str]]

    def input(self, place: int) -> str:
        """Returns the type variable or type of an input."""
        return _at(self.inputs, place)

    def output(self, place: int) -> str:
        """Returns the type variable or type of an output."""
        return _at(self.outputs, place)


def definition_of(node: NodeProto, opsets: Mapping[str, int]) -> Definition | None:
    """Returns the definition of a node's operator: ONNX's, or else the runtime's; nothing for what neither knows.

    Args:
        node: the node.
        opsets: domain to the version that the model imports; `ai.onnx` is called `""`.
    """
    domain = "" if node.domain in OWN else node.domain
    return _definition(domain, node.op_type, opsets.get(domain, 1))


def lacks_kernel(node: NodeProto, opsets: Mapping[str, int], kinds: Mapping[str, str]) -> bool:
    """Whether the installed runtime has no kernel on the CPU for an operator with these types.

    Args:
        node: the node.
        opsets: as for `definition_of`.
        kinds: type variable of its definition to a type (`{"T": "tensor(bfloat16)"}`); variables that no kernel of the
            operator names are not asked for.
    """
    domain = "" if node.domain in OWN else node.domain
    version = opsets.get(domain, 1)
    return not any(
        first <= version <= last and all(kind in types.get(variable, (kind,)) for variable, kind in kinds.items())
        for (first, last), types in _kernels().get((domain, node.op_type), ())
    )


def is_cpu(target: Target) -> bool:
    """Whether a model for a target runs on the CPU's kernels alone, which the installed runtime can be asked about."""
    return all(provider.name in (CPU, "AzureExecutionProvider") for provider in target.providers)


@cache
def _definition(domain: str, kind: str, version: int) -> Definition | None:
    import onnx

    if onnx.defs.has(kind, version, domain):
        schema = onnx.defs.get_schema(kind, version, domain)
        return Definition(
            [each.type_str for each in schema.inputs],
            [each.type_str for each in schema.outputs],
            {each.type_param_str: frozenset(each.allowed_type_strs) for each in schema.type_constraints},
        )
    return _runtime_definitions().get((domain, kind))


@cache
def _runtime_definitions() -> Mapping[tuple[str, str], Definition]:
    """Returns what the runtime defines beside ONNX's operators (its domains have a single version)."""
    from onnxruntime.capi import onnxruntime_pybind11_state as runtime

    return {
        (schema.domain, schema.name): Definition(
            [each.typeStr for each in schema.inputs],
            [each.typeStr for each in schema.outputs],
            {each.type_param_str: frozenset(each.allowed_type_strs) for each in schema.type_constraints},
        )
        for schema in sorted(runtime.get_all_operator_schema(), key=lambda schema: int(schema.since_version))
    }


@cache
def _kernels() -> Mapping[tuple[str, str], Sequence[tuple[tuple[int, int], Mapping[str, Sequence[str]]]]]:
    from onnxruntime.capi import onnxruntime_pybind11_state as runtime

    found: dict[tuple[str, str], list[tuple[tuple[int, int], Mapping[str, Sequence[str]]]]] = {}
    for kernel in runtime.get_all_opkernel_def():
        if kernel.provider == CPU:
            kept = (tuple(kernel.version_range), kernel.type_constraints)
            found.setdefault((kernel.domain, kernel.op_name), []).append(kept)
    return found


def _at(formals: Sequence[str], place: int) -> str:
    return formals[min(place, len(formals) - 1)] if formals else ""
