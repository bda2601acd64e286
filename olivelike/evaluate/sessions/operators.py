"""Which operators the installed runtime knows, in which versions, and which of its providers have a kernel for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from olivelike.contracts.target import PROVIDERS

Operator: TypeAlias = "tuple[str, str]"
"""Domain, empty for ONNX's own, and type."""

CPU = PROVIDERS["cpu"]
OPEN_ENDED = 2**31 - 1
TAKEN_OUT = frozenset({("", "Constant")})
"""Operators that need no kernel: the runtime turns them into weights when it loads a model."""


class Support(Enum):
    """What the runtime has for an operator."""

    KERNEL = "kernel"
    EXPANDED = "expanded"
    FUNCTION = "function"
    LIBRARY = "library"
    NO_KERNEL = "no kernel"
    UNKNOWN = "unknown"

    @property
    def runs(self) -> bool:
        """Whether a node of it can run."""
        return self not in (Support.NO_KERNEL, Support.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel of one provider, for the versions of an operator from `first` to `last`."""

    provider: str
    first: int
    last: int

    def takes(self, since: int) -> bool:
        """Whether it takes the version of an operator that exists since an opset.

        An open end does not reach to later versions: a kernel that was written before them knows nothing of them
        (ONNX Runtime, `KernelRegistry::VerifyKernelDef`).
        """
        return self.first == since or (self.last != OPEN_ENDED and self.first <= since <= self.last)


@dataclass(frozen=True, slots=True)
class RuntimeOperators:
    """What the installed runtime offers.

    Attributes:
        version: the runtime's.
        versions: of each operator the opsets at which its meaning changed, ascending.
        kernels: of each operator.
    """

    version: str
    versions: Mapping[Operator, tuple[int, ...]]
    kernels: Mapping[Operator, tuple[Kernel, ...]]

    @property
    def domains(self) -> frozenset[str]:
        """The domains that it has operators of."""
        return frozenset(domain for domain, _ in self.versions)

    def newest(self, domain: str) -> int:
        """Returns the newest opset of a domain that it knows; 0 where it knows none."""
        return max((found[-1] for (other, _), found in self.versions.items() if other == domain), default=0)

    def lists_kernels_of(self, provider: str) -> bool:
        """Whether it names single kernels of a provider; others take whole pieces of a graph and decide on their own."""
        return any(kernel.provider == provider for kernels in self.kernels.values() for kernel in kernels)

    def since(self, operator: Operator, opset: int) -> int:
        """Returns the opset since which an operator has the meaning that it has at `opset`; 0 where it is not known."""
        return max((version for version in self.versions.get(operator, ()) if version <= opset), default=0)

    def support(self, operator: Operator, since: int, provider: str) -> tuple[Support, str]:
        """Returns what there is for an operator, and the provider that runs it, empty where no single one does.

        Args:
            operator: domain and type.
            since: what `since` returned for it.
            provider: where it should run; the CPU takes what it leaves.
        """
        if not since:
            return Support.UNKNOWN, ""
        having = {kernel.provider for kernel in self.kernels.get(operator, ()) if kernel.takes(since)}
        for each in (provider, CPU):
            if each in having:
                return Support.KERNEL, each
        if operator in TAKEN_OUT:
            return Support.KERNEL, CPU
        if _has_body(operator, since):
            return Support.EXPANDED, ""
        return Support.NO_KERNEL, ""


def runtime_operators() -> RuntimeOperators:
    """Asks the installed runtime; opens no session."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    versions: dict[Operator, set[int]] = defaultdict(set)
    for schema in state.get_all_operator_schema():
        versions[schema.domain, schema.name].add(schema.since_version)
    kernels: dict[Operator, list[Kernel]] = defaultdict(list)
    for found in state.get_all_opkernel_def():
        kernels[found.domain, found.op_name].append(Kernel(found.provider, *found.version_range))
    return RuntimeOperators(
        onnxruntime.__version__,
        {operator: tuple(sorted(found)) for operator, found in versions.items()},
        {operator: tuple(found) for operator, found in kernels.items()},
    )


def _has_body(operator: Operator, since: int) -> bool:
    """Whether ONNX defines an operator by others, which the runtime then puts in its place."""
    import onnx

    domain, kind = operator
    if not onnx.defs.has(kind, since, domain):
        return False
    schema = onnx.defs.get_schema(kind, since, domain)
    return any(getattr(schema, name, False) for name in ("has_function", "has_context_dependent_function"))
