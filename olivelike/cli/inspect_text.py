"""What `inspect` found, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from olivelike.cli.drawing import counted, drawn, escaped
from olivelike.contracts.figures import value_text
from olivelike.engine.inspect.applicable import Answer, Candidate
from olivelike.engine.inspect.operators import OperatorUse, Place
from olivelike.evaluate.sessions.operators import Support
from olivelike.onnxfile.read import Value

if TYPE_CHECKING:
    from rich.console import Console

    from olivelike.engine.inspect.inspect import Inspection
    from olivelike.engine.inspect.weights import Weights
    from olivelike.onnxfile.quantization import Quantized

MOST_LAYERS = 12
MOST_VALUES = 12
MOST_OPERATORS = 20
MOST_NAMES = 4
LONGEST = 100
WORDS = {
    Support.EXPANDED: "made of others",
    Support.FUNCTION: "the model's own function",
    Support.LIBRARY: "the library's",
    Support.NO_KERNEL: "NO KERNEL",
    Support.UNKNOWN: "NOT KNOWN",
}


def inspection_lines(found: Inspection, console: Console) -> Iterator[str]:
    """Yields what is in a model: header, inputs and outputs, operators, weights, quantization, defects, passes."""
    yield from _head(found)
    yield from _values("input", found.signature.inputs)
    yield from _values("output", found.signature.outputs)
    yield ""
    yield from _operators(found, console)
    yield ""
    yield from _weights(found.weights, console)
    for style in found.quantization:
        yield _quantized(style)
    if not found.quantization:
        yield "not quantized"
    for defect in found.defects:
        yield f"DEFECT: {defect}"
    yield ""
    yield from _passes(found.passes)


def _head(found: Inspection) -> Iterator[str]:
    outside = sum(max(file.size, 0) for file in found.weights.files)
    beside = f" and {value_text(outside, 'bytes')} of external data" if found.weights.files else ""
    yield f"{found.file}: {value_text(found.file_bytes, 'bytes')}{beside}"
    sets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in found.header.opsets.items())
    by = f", written by {found.header.producer}" if found.header.producer else ""
    yield f"IR version {found.header.ir_version}; opsets {sets or 'none'}{by}"
    for domain, newest in found.runtime.newer.items():
        yield f"opset {domain or 'ai.onnx'} is newer than what the runtime knows ({newest})"
    for key, text in found.header.metadata.items():
        yield f"metadata {key}: {_short(text)}"
    for file in found.weights.files:
        size = "MISSING" if file.size < 0 else value_text(file.size, "bytes")
        yield f"external data {file.name}: {size}, {counted(file.tensors, 'tensor')} in it"


def _values(role: str, values: Sequence[Value]) -> Iterator[str]:
    for value in values[:MOST_VALUES]:
        yield f"{role} {value.name}: {value.dtype} [{', '.join(map(str, value.shape))}]"
    if len(values) > MOST_VALUES:
        yield f"and {len(values) - MOST_VALUES} more {role}s"


def _operators(found: Inspection, console: Console) -> Iterator[str]:
    from rich.table import Table

    runtime = found.runtime
    table = Table(box=None, header_style="bold", pad_edge=False)
    places = [place for place in Place if any(use.nodes.get(place) for use in found.operators)] or [Place.MAIN]
    columns = ["nodes"] if places == [Place.MAIN] else [f"in {place.value}" for place in places]
    table.add_column("operator", overflow="fold")
    for column in ("since opset", *columns):
        table.add_column(column, justify="right")
    table.add_column(f"onnxruntime {runtime.version}", overflow="fold")
    for use in _shown(found.operators):
        numbers = [str(use.nodes.get(place, 0)) for place in places]
        table.add_row(escaped(use.name), str(use.since or "?"), *numbers, _support(use))
    yield from drawn(table, console)
    rest = len(found.operators) - len(_shown(found.operators))
    yield f"{counted(found.nodes, 'node')}" + (f"; {counted(rest, 'more operator')}, all of which run" if rest else "")
    if found.unsupported:
        yield f"DOES NOT RUN HERE: {_some([f'{use.name} ({use.support.value})' for use in found.unsupported])}"
    for function in found.functions:
        name = f"{function.domain}.{function.name}"
        yield f"function {name}: {counted(function.nodes, 'node')}, called {counted(function.calls, 'time')}"
    if found.custom:
        yield f"need a library of custom operators: {', '.join(found.custom)}"
    if not runtime.listed:
        why = "names no kernels" if runtime.offered else "is not in this runtime"
        yield f"{runtime.provider} {why}: operators are held against the CPU's, which take what another provider leaves"


def _shown(uses: Sequence[OperatorUse]) -> list[OperatorUse]:
    """Returns the most frequent operators, and all others that do not run."""
    return [use for place, use in enumerate(uses) if place < MOST_OPERATORS or not use.support.runs]


def _support(use: OperatorUse) -> str:
    return WORDS.get(use.support) or use.provider.removesuffix("ExecutionProvider")


def _weights(weights: Weights, console: Console) -> Iterator[str]:
    from rich.table import Table

    types = ", ".join(f"{share.name} {value_text(share.bytes, 'bytes')}" for share in weights.by_type)
    yield f"{weights.parameters:,} parameters, {value_text(weights.bytes, 'bytes')}" + (f": {types}" if types else "")
    if not weights.by_layer:
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("layer", overflow="fold")
    for column in ("weights", "parameters", "size", "share"):
        table.add_column(column, justify="right")
    for share in weights.by_layer[:MOST_LAYERS]:
        part = f"{share.bytes / max(weights.bytes, 1):.1%}"
        size = value_text(share.bytes, "bytes")
        table.add_row(escaped(share.name), str(share.tensors), f"{share.parameters:,}", size, part)
    yield from drawn(table, console)
    if len(weights.by_layer) > MOST_LAYERS:
        yield f"and {counted(len(weights.by_layer) - MOST_LAYERS, 'smaller layer')}"
    for shared in weights.shared[:MOST_NAMES]:
        readers = f"read by {_some(shared.readers)}" if shared.readers else "read by nothing"
        yield f"shared: {_some(shared.weights)}, {value_text(shared.bytes, 'bytes')}, {readers}"
    if len(weights.shared) > MOST_NAMES:
        yield f"and {counted(len(weights.shared) - MOST_NAMES, 'more shared weight')}"


def _quantized(found: Quantized) -> str:
    if not found.operators:
        return f"weights in {found.style.value}"
    counts = ", ".join(f"{kind} {count}" for kind, count in found.operators.items())
    bits = f", {' and '.join(map(str, found.weight_bits))} bits" if found.weight_bits else ""
    blocks = f", blocks of {' and '.join(map(str, found.block_sizes))}" if found.block_sizes else ""
    return f"quantized ({found.style.value.replace('_', ' ')}{bits}{blocks}): {counts}"


def _passes(candidates: Sequence[Candidate]) -> Iterator[str]:
    taking = [_needing(each) for each in candidates if each.answer is Answer.TAKES]
    asking = [each for each in candidates if each.answer is Answer.ASKS]
    yield f"passes that take it: {', '.join(taking) or 'none'}"
    for each in asking:
        yield f"{each.name} needs parameters: {', '.join(each.reasons)}"
    for each in candidates:
        if each.answer in (Answer.REFUSES, Answer.BROKEN):
            yield f"{each.name} {each.answer.value}: {'; '.join(map(_short, each.reasons))}"


def _needing(candidate: Candidate) -> str:
    return f"{candidate.name} (with data)" if candidate.data else candidate.name


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
