"""What simplifying a graph costs and leaves: ours beside onnxslim, onnxsim, onnxscript and the runtime's own basic level.

    pip install onnxslim onnxsim onnxscript
    python benchmarks/graph.py [--repetitions 3] [--large GIGABYTES] [MODEL.onnx ...]

Each tool simplifies each model in a process of its own, in turns, file to file. Reported for each: the median of the seconds
(imports and verification apart), the peak of anonymous memory (what the process holds beside mapped files), nodes left
(constants not counted), bytes left, and the latency of a run of the result beside the model as it was, timed in turns until it
is known (`olivelike.engine.bench`). A tool that is not installed, fails, or takes longer than ten minutes says so.

Without models it takes encoders as TorchScript's exporter writes them (2,000, 4,000 and 8,000 nodes) and the architecture
skeletons that the onnx package carries; `--large 2.7` adds a decoder of 2.7 GB whose weights lie in external data.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.engine.bench import Options, bench
from olivelike.errors import OlivelikeError
from olivelike.evaluate.machine.fingerprint import machine_fingerprint
from olivelike.onnxfile.external import model_files
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.walk import nodes
from olivelike.testing import models
from olivelike.testing.large_models import exported_transformer, save_large_decoder
from own_process import Taken, in_own_process, middle, watched

LIMIT = 600
TIMED_UP_TO = 300_000_000
"""Models of more bytes are not timed: two copies of each would have to be loaded."""


def ours(source: Path, out: Path) -> Callable[[], None]:
    """Returns what runs the pass `simplify`."""
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401

    from olivelike.testing.context import MemoryContext
    from olivelike_passes.graph.simplify import Simplify, SimplifyConfig

    room = TemporaryDirectory(
        dir=out
    )  # gone with the process: links to the source's weights must not meet the next tool
    scratch = Path(room.name)
    artifact = Artifact(source.parent, Manifest("onnx", {"model": source.name}), "")

    def run() -> None:
        with room:
            Simplify().run(artifact, out, SimplifyConfig(), MemoryContext(scratch, {}, {}, seed=0))

    return run


def onnxslim(source: Path, out: Path) -> Callable[[], None]:
    """Returns what runs onnxslim."""
    import onnxslim as tool

    large = len(model_files(source)) > 1
    return lambda: tool.slim(str(source), str(out / "model.onnx"), save_as_external_data=large) and None


def onnxsim(source: Path, out: Path) -> Callable[[], None]:
    """Returns what runs onnxsim, without its check of the outputs."""
    import onnx
    import onnxsim as tool

    def run() -> None:
        simplified, _ = tool.simplify(onnx.load(source))
        large = len(model_files(source)) > 1
        onnx.save(simplified, out / "model.onnx", save_as_external_data=large, location="model.onnx.data")

    return run


def onnxscript(source: Path, out: Path) -> Callable[[], None]:
    """Returns what runs onnxscript's optimizer."""
    import onnx_ir
    from onnxscript import optimizer

    def run() -> None:
        model = onnx_ir.load(source)
        optimizer.optimize(model)
        onnx_ir.save(model, out / "model.onnx", external_data="model.onnx.data")

    return run


def runtime(source: Path, out: Path) -> Callable[[], None]:
    """Returns what runs ONNX Runtime's basic level and saves the result."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(out / "model.onnx")
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "model.onnx.data")
    return lambda: onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"]) and None


TOOLS: Mapping[str, Callable[[Path, Path], Callable[[], None]]] = {
    "olivelike": ours,
    "onnxslim": onnxslim,
    "onnxsim": onnxsim,
    "onnxscript": onnxscript,
    "runtime": runtime,
}
DISTRIBUTIONS = {"runtime": "onnxruntime"}


def child(tool: str, source: Path, out: Path) -> None:
    """Simplifies once and prints seconds and bytes of memory."""
    watched(TOOLS[tool](source, out))


def simplified(tool: str, source: Path, out: Path) -> Taken | str:
    """Runs a tool in a process of its own; returns what it took, or why there is nothing."""
    out.mkdir(parents=True)
    command = [sys.executable, __file__, "--child", tool, str(source), str(out)]
    return in_own_process(command, out / "model.onnx", LIMIT)


def compare(name: str, source: Path, room: Path, repetitions: int) -> None:
    """Prints a row for each tool."""
    size = sum((source.parent / each).stat().st_size for each in model_files(source))
    print(f"\n{name}: {_count(source):,} nodes, {size:,} bytes")
    found: dict[str, list[Taken | str]] = {tool: [] for tool in TOOLS}
    for repetition in range(repetitions):
        for tool in TOOLS:
            if not (found[tool] and isinstance(found[tool][0], str)):
                found[tool].append(simplified(tool, source, room / name / tool / str(repetition)))
    base = middle(found["runtime"], "seconds")
    for tool, results in found.items():
        first = results[0]
        if isinstance(first, str):
            print(f"  {tool:<10} {first}")
            continue
        made = room / name / tool / "0" / "model.onnx"
        left = sum((made.parent / each).stat().st_size for each in model_files(made))
        seconds, memory = middle(results, "seconds"), middle(results, "memory")
        ratio = f"{seconds / base:5.2f} x the runtime's" if base else ""
        speed = _speed(source, made) if size <= TIMED_UP_TO else "not timed"
        print(
            f"  {tool:<10} {seconds:7.3f} s {ratio}  {memory / 1e6:7.0f} MB anonymous  {_count(made):6,} nodes  "
            f"{left:13,} bytes  {speed}"
        )


def _count(model: Path) -> int:
    return sum(node.op_type != "Constant" for node in nodes(read_structure(model)))


def _speed(source: Path, made: Path) -> str:
    dims = {"length": 16, "batch": 1}
    named = {dim.dim_param for entry in read_structure(source).graph.input for dim in entry.type.tensor_type.shape.dim}
    options = Options(threads=1, seconds=2, values=("p50",), dims={k: v for k, v in dims.items() if k in named})
    try:
        other = bench([source, made], options).others[0]
        ratio = other.ratio
        return f"{other.verdict.value}: {ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] times its latency"
    except OlivelikeError as error:
        return f"not timed: {str(error)[:80]}"


def given(room: Path, large: float, paths: list[Path]) -> Iterator[tuple[str, Path]]:
    """Yields the models to simplify."""
    if paths:
        yield from ((f"{path.parent.name}-{path.stem}", path) for path in paths)
        return
    for layers in (20, 40, 80):
        yield f"encoder{layers}", models.save(exported_transformer(layers), room / f"encoder{layers}" / "source")
    import onnx

    light = Path(onnx.__file__).parent / "backend/test/data/light"
    yield from ((path.stem, path) for path in sorted(light.glob("*.onnx")))
    if large:
        yield "decoder", save_large_decoder(room / "decoder" / "source", large)


def main() -> None:
    """Compares all tools on all models."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--large", type=float, default=0.0, help="gigabytes of a decoder in external data")
    parser.add_argument("models", type=Path, nargs="*")
    options = parser.parse_args()
    print(f"machine: {machine_fingerprint()}, Python {platform.python_version()}")
    for tool in TOOLS:
        try:
            print(f"{tool} {version(DISTRIBUTIONS.get(tool, tool))}", end="; ")
        except PackageNotFoundError:
            print(f"{tool} is not installed", end="; ")
    print(f"repetitions: {options.repetitions}, in turns")
    with TemporaryDirectory(prefix="olivelike-") as room:
        for name, path in given(Path(room), options.large, options.models):
            compare(name, path.absolute(), Path(room), options.repetitions)


if __name__ == "__main__":
    main()
