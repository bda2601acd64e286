"""Looking into a model: everything that its structure says, at any size, and what could be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.target import PROVIDERS, Provider, Target
from olivelike.digest import Json, JsonObject
from olivelike.engine.inspect.applicable import Candidate, applicable
from olivelike.engine.inspect.operators import (
    Function,
    OperatorUse,
    custom_operators,
    functions,
    operators,
    opsets,
    with_libraries,
)
from olivelike.engine.inspect.weights import Weights, weights
from olivelike.engine.libraries import beside
from olivelike.engine.located import located
from olivelike.errors import InputError, fail, nearest
from olivelike.evaluate.sessions.operators import RuntimeOperators, runtime_operators
from olivelike.evaluate.sessions.providers import available_providers
from olivelike.onnxfile.defects import defects
from olivelike.onnxfile.external import check_external
from olivelike.onnxfile.quantization import Quantized, quantization_of
from olivelike.onnxfile.read import Signature, Value, read_structure, signature_of
from olivelike.registry import installed

if TYPE_CHECKING:
    from onnx import ModelProto

FORMAT = 1
ENDING = "ExecutionProvider"


@dataclass(frozen=True, slots=True)
class Header:
    """What a model says about itself.

    Attributes:
        ir_version: of the file format.
        opsets: the version of each operator set, by domain; ONNX's own is the empty text.
        producer: the program that wrote it and its version, as they stand in the file.
        metadata: what exporters and users wrote into it, by key.
    """

    ir_version: int
    opsets: Mapping[str, int]
    producer: str
    metadata: Mapping[str, str]

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {
            "ir_version": self.ir_version,
            "opsets": {domain or "ai.onnx": version for domain, version in self.opsets.items()},
            "producer": self.producer,
            "metadata": dict(self.metadata),
        }


@dataclass(frozen=True, slots=True)
class Runtime:
    """What operators were held against.

    Attributes:
        version: of the installed ONNX Runtime.
        provider: the full name of the provider that should run the model.
        offered: whether this build of the runtime has it.
        listed: whether it names its kernels; where it does not, operators are held against the CPU's, which takes what it leaves.
        newer: opsets that the model imports in a version that the runtime does not know yet: domain to its newest.
    """

    version: str
    provider: str
    offered: bool
    listed: bool
    newer: Mapping[str, int]

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {
            "onnxruntime": self.version,
            "provider": self.provider,
            "offered": self.offered,
            "kernels_listed": self.listed,
            "newest_known": {domain or "ai.onnx": version for domain, version in self.newer.items()},
        }


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is in a model.

    Attributes:
        path: as the user wrote it.
        file: the model's own file.
        file_bytes: its size, without external data.
        header: what it says about itself.
        signature: its inputs and outputs.
        runtime: what its operators were held against.
        operators: with their nodes, the most frequent first.
        custom: operators that need a library of their own.
        functions: that the model brings along.
        weights: their number and size.
        quantization: the styles of quantization in it.
        defects: what makes it no sound model.
        passes: what each installed pass says to it.
    """

    path: Path
    file: Path
    file_bytes: int
    header: Header
    signature: Signature
    runtime: Runtime
    operators: tuple[OperatorUse, ...]
    custom: tuple[str, ...]
    functions: tuple[Function, ...]
    weights: Weights
    quantization: tuple[Quantized, ...]
    defects: tuple[str, ...]
    passes: tuple[Candidate, ...]

    @property
    def nodes(self) -> int:
        """The number of nodes in all graphs and functions."""
        return sum(use.count for use in self.operators)

    @property
    def unsupported(self) -> tuple[OperatorUse, ...]:
        """The operators that the runtime cannot run: it does not know them, or has no kernel for them."""
        return tuple(use for use in self.operators if not use.support.runs)

    def to_json(self) -> JsonObject:
        """Returns the answer document of `olivelike inspect`."""
        return {
            "format": FORMAT,
            "path": str(self.path),
            "file": str(self.file),
            "file_bytes": self.file_bytes,
            **self.header.to_json(),
            "inputs": [value_json(value) for value in self.signature.inputs],
            "outputs": [value_json(value) for value in self.signature.outputs],
            "runtime": self.runtime.to_json(),
            "nodes": self.nodes,
            "operators": [use.to_json() for use in self.operators],
            "unsupported": [use.name for use in self.unsupported],
            "custom_operators": list(self.custom),
            "functions": [function.to_json() for function in self.functions],
            "weights": self.weights.to_json(),
            "external_data": [file.to_json() for file in self.weights.files],
            "quantization": [style.to_json() for style in self.quantization],
            "defects": list(self.defects),
            "passes": [candidate.to_json() for candidate in self.passes],
        }


def inspect(path: Path, provider: str = "cpu", libraries: Sequence[str] = ()) -> Inspection:
    """Looks into a model without loading its weights: external data are not opened.

    Args:
        path: a model file, or a folder with one.
        provider: the execution provider that should run it, by its short or its full name; it need not be there.
        libraries: of custom operators that the model needs: files, or `onnxruntime-extensions`.

    Raises:
        InputError: OL107, no such provider; OL115, OL201 or OL202, there is no ONNX model; OL110, OL201 or OL211, libraries.
        MeasureError: OL504, a library cannot be loaded.
    """
    named = beside(libraries)
    target = target_named(provider)
    source = located(path)
    model = read_structure(source.model)
    known = runtime_operators()
    imported = opsets(model.opset_import)
    uses = with_libraries(operators(model, known, target.providers[0].name), imported, named)
    return Inspection(
        path,
        source.model,
        source.model.stat().st_size,
        Header(model.ir_version, imported, _producer(model), _metadata(model)),
        signature_of(model),
        _runtime(known, imported, target),
        uses,
        custom_operators(model, uses, known),
        functions(model),
        weights(model, source.model),
        quantization_of(model),
        _defects(model, source),
        applicable(installed(), source, model, target),  # stands last: it takes the weights out of the model
    )


def target_named(provider: str) -> Target:
    """Returns the target of one execution provider.

    Raises:
        InputError: OL107, no such provider.
    """
    full = PROVIDERS.get(provider, provider)
    if full not in PROVIDERS.values() and not full.endswith(ENDING):
        claim = f"no execution provider is called {provider!r}"
        raise fail(InputError, "OL107", claim, path="--target", hint=nearest(provider, PROVIDERS))
    return Target(providers=(Provider(full),), present=full in available_providers())


def value_json(value: Value) -> JsonObject:
    """Returns an input or output as answers hold it."""
    shape: list[Json] = list(value.shape)
    return {"name": value.name, "dtype": value.dtype, "shape": shape}


def _producer(model: ModelProto) -> str:
    return " ".join(part for part in (model.producer_name, model.producer_version) if part)


def _metadata(model: ModelProto) -> dict[str, str]:
    found = {entry.key: entry.value for entry in model.metadata_props}
    if model.doc_string:
        found.setdefault("doc_string", model.doc_string)
    return found


def _runtime(known: RuntimeOperators, imported: Mapping[str, int], target: Target) -> Runtime:
    provider = target.providers[0].name
    newer = {domain: known.newest(domain) for domain, version in imported.items() if version > known.newest(domain) > 0}
    return Runtime(known.version, provider, target.present, known.lists_kernels_of(provider), newer)


def _defects(model: ModelProto, source: Artifact) -> tuple[str, ...]:
    found = defects(model)
    try:
        check_external(model, source.model)
    except InputError as error:
        found += [problem.claim for problem in error.problems]
    return tuple(found)
