"""What quantizing costs and leaves: our passes beside onnxruntime's quantizers, onnx-neural-compressor and NNCF.

    python -m venv one && one/bin/pip install onnx-neural-compressor prettytable scipy
    python -m venv two && two/bin/pip install nncf onnx onnxruntime
    python benchmarks/quantization.py --python onnx-neural-compressor=one/bin/python --python nncf=two/bin/python [MODEL ...]

Each tool quantizes each model in a process of its own, in turns, file to file (`benchmarks/quantizers.py` says which forms there
are, and what each tool is asked for). Reported: the median of the seconds (imports apart), the peak of anonymous memory (what the
process holds beside mapped files), bytes left, the error (of the first output on labelled data: root of the mean square over that
of the model's own output), and the case's metric, measured by olivelike on all of its data. A tool that is not installed, fails, or
takes longer or more memory than the limits says so.

The models are cases of `benchmarks/cases`: fashion, minilm, smollm2; and with `--large 2.7` a decoder of 2.7 GB in external data,
whose random weights leave nothing to measure beside the error. neural-compressor itself (3.x) has no ONNX left, and is not here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from cases import fashion, minilm, smollm2
from cases.case import ROOT, Case, MissingError, Prepared
from cases.space import workflow_text, write_workflow
from olivelike.evaluate.machine.fingerprint import machine_fingerprint
from olivelike.onnxfile.external import model_files
from olivelike.testing.large_models import save_large_decoder
from own_process import Taken, in_own_process, middle
from quantizers import TOOLS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

    Feeds = Mapping[str, Array]

CASES: Mapping[str, Case] = {case.name: case for case in (fashion.CASE, minilm.CASE, smollm2.FAST)}
FORMS: Mapping[str, tuple[str, ...]] = {
    "fashion": ("static", "float16"),
    "minilm": ("dynamic", "static", "int4", "int4-fitted", "int4-data", "float16"),
    "smollm2": ("dynamic", "static", "int4", "int4-fitted", "int4-data", "float16"),
    "decoder": ("dynamic", "int4", "int4-fitted"),
}
"""What is asked of each model; a decoder's random weights need no data."""
LOOKED_AT = 8
"""Samples whose outputs are compared."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to quantize.

    Attributes:
        name: of its case.
        model: its file.
        calibration: an `.npz` of columns, for the tools that want data.
        feeds: what it is run on for the error.
        prepared: how its metric is measured; nothing for a model without one.
    """

    name: str
    model: Path
    calibration: Path
    feeds: Feeds
    prepared: Prepared | None


def subjects(names: Sequence[str], room: Path, cases: Path, large: float) -> Iterator[Subject]:
    """Prepares the models, one after the other."""
    for name in names:
        if name in CASES:
            try:
                yield _of_case(CASES[name], room / name, cases / name)
            except MissingError as missing:
                print(f"\n{name}: {missing}", flush=True)
    if large:
        import numpy as np

        model = save_large_decoder(room / "decoder" / "source", large)
        feeds = {"ids": np.random.default_rng(0).integers(0, 32_000, (1, 16))}
        yield Subject("decoder", model, room / "decoder" / "none.npz", feeds, None)


def _of_case(case: Case, room: Path, folder: Path) -> Subject:
    """Prepares a case, and writes its calibration data in one piece, with the engine's own reading of it."""
    import numpy as np

    from olivelike.api import load
    from olivelike.engine.contexts import dataset
    from olivelike.engine.prepare import prepare
    from olivelike.engine.unseen import inputs_of
    from olivelike.store import open_store

    folder.mkdir(parents=True, exist_ok=True)
    room.mkdir(parents=True, exist_ok=True)
    parts = case.prepare(folder)
    plan = load(write_workflow(folder, workflow_text(case, parts, passes=""))).plan
    store = open_store(room / "store")
    try:
        taken = prepare(plan, store)
        calibration, labelled = (
            dataset(taken.data[name], inputs_of(taken.source), store)
            for name in ("calibration", str(_quality(case, parts)["data"]))
        )
        np.savez(room / "calibration.npz", **dict(next(iter(calibration.batches(calibration.count))).feeds))
        feeds = next(iter(labelled.batches(LOOKED_AT, LOOKED_AT))).feeds
    finally:
        store.close()
    source = room / "source"
    source.mkdir()
    for name in model_files(taken.source.model):
        shutil.copy(taken.source.model.parent / name, source / name)
    return Subject(case.name, source / taken.source.model.name, room / "calibration.npz", feeds, parts)


def _quality(case: Case, parts: Prepared) -> Mapping[str, Any]:
    metric = parts.metrics[case.quality.partition(".")[0]]
    assert isinstance(metric, Mapping)
    return metric


def compare(subject: Subject, room: Path, options: argparse.Namespace) -> None:
    """Prints a row for each form and tool."""
    size = _bytes(subject.model)
    before = f"; {_metric(subject, subject.model, options)}" if subject.prepared and not options.no_metric else ""
    print(f"\n{subject.name}: {size:,} bytes{before}", flush=True)
    expected = outputs(subject.model, subject.feeds)
    for form in FORMS[subject.name]:
        if options.form and form not in options.form:
            continue
        tools = [tool for tool in TOOLS if form in TOOLS[tool] and (not options.tool or tool in options.tool)]
        found: dict[str, list[Taken | str]] = {tool: [] for tool in tools}
        for repetition in range(options.repetitions):
            for tool in tools:
                if not (found[tool] and isinstance(found[tool][0], str)):
                    found[tool].append(_quantized(tool, form, subject, room, repetition, options))
        for tool, results in found.items():
            print(
                f"  {form:<12} {tool:<23} {_told(subject, results, room / form / tool, expected, options)}", flush=True
            )
        shutil.rmtree(room / form, ignore_errors=True)


def _quantized(
    tool: str, form: str, subject: Subject, room: Path, repetition: int, options: argparse.Namespace
) -> Taken | str:
    out = room / form / tool / str(repetition)
    out.mkdir(parents=True)
    python = dict(each.split("=", 1) for each in options.python).get(tool, sys.executable)
    script = str(Path(__file__).with_name("quantizers.py"))
    arguments = [tool, form, str(subject.model), str(out), str(subject.calibration), str(options.memory)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return in_own_process([python, script, *arguments], out / "model.onnx", options.limit, environment)


def _told(
    subject: Subject,
    results: Sequence[Taken | str],
    made: Path,
    expected: NDArray[np.float64],
    options: argparse.Namespace,
) -> str:
    if isinstance(results[0], str):
        return results[0]
    model = made / "0" / "model.onnx"
    taken = f"{middle(results, 'seconds'):8.2f} s {middle(results, 'memory') / 1e6:8.0f} MB anonymous {_bytes(model):13,} bytes"
    try:
        error = f"  error {_error(outputs(model, subject.feeds), expected):.4f}"
    except Exception as broken:  # noqa: BLE001  # a result that does not run is a finding about its tool
        return f"{taken}  does not run: {' '.join(str(broken).split())[:100]}"
    measured = "" if subject.prepared is None or options.no_metric else f"  {_metric(subject, model, options)}"
    return taken + error + measured


def outputs(model: Path, feeds: Feeds) -> NDArray[np.float64]:
    """Runs a model and returns its first output."""
    import numpy as np

    from olivelike.testing.context import run_model

    return np.asarray(next(iter(run_model(model, feeds).values())), np.float64)


def _error(found: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    import numpy as np

    return float(np.sqrt(((found - expected) ** 2).mean() / (expected**2).mean()))


def _metric(subject: Subject, model: Path, options: argparse.Namespace) -> str:
    """Measures the case's metric of a model with a workflow that does nothing else."""
    case, parts = CASES[subject.name], subject.prepared
    assert parts is not None
    name = case.quality.partition(".")[0]
    only = Prepared({"path": str(model)}, parts.data, {name: parts.metrics[name]}, (), ())
    with TemporaryDirectory(prefix="olivelike-") as folder:
        workflow = write_workflow(Path(folder), workflow_text(case, only, passes=""))
        command = [sys.executable, "-m", "olivelike", "run", str(workflow), "--json", "--cache-dir", f"{folder}/cache"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=options.limit)
        answer = json.loads(done.stdout) if done.stdout.strip() else {}
    metrics = answer.get("baseline", {}).get("metrics", {}) or (answer.get("chosen") or [{}])[0].get("metrics", {})
    value = metrics.get(case.quality, {})
    return f"{case.quality} {value['value']:.5g}" if "value" in value else f"{case.quality} could not be measured"


def _bytes(model: Path) -> int:
    return sum((model.parent / each).stat().st_size for each in model_files(model))


def _versions(python: str, distributions: Sequence[str]) -> str:
    """Returns the versions of distributions in an environment; of those that it lacks, that."""
    code = (
        "import sys\nfrom importlib.metadata import PackageNotFoundError, version\nfor name in sys.argv[1:]:\n"
        " try: print(name, version(name), end='; ')\n except PackageNotFoundError: print(name, 'is not installed', end='; ')"
    )
    return subprocess.run([python, "-c", code, *distributions], capture_output=True, text=True, check=False).stdout


def main() -> None:
    """Compares all tools on all models."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("models", nargs="*", metavar="MODEL", help=f"of {', '.join(CASES)}; all by default")
    add("--python", action="append", default=[], metavar="TOOL=PYTHON", help="the interpreter of a tool's environment")
    add("--room", type=Path, default=ROOT / "out" / "public-models", help="where prepared models are kept")
    add("--large", type=float, default=0.0, metavar="GIGABYTES", help="of a decoder in external data")
    add("--repetitions", type=int, default=3)
    add("--tool", action="append", choices=list(TOOLS), help="only these tools")
    add("--form", action="append", help="only these forms")
    add("--limit", type=float, default=1800, metavar="SECONDS", help="of one run")
    add("--memory", type=float, default=14.0, metavar="GIGABYTES", help="of anonymous memory that a tool may hold")
    add("--no-metric", action="store_true", help="leave the metric out, which takes longest")
    options = parser.parse_args()
    chosen = dict(each.split("=", 1) for each in options.python)
    print(f"machine: {machine_fingerprint()}, Python {platform.python_version()}")
    print(_versions(sys.executable, ["olivelike", "onnx", "onnxruntime"]))
    for tool in (tool for tool in TOOLS if tool not in ("olivelike", "runtime")):
        print(_versions(chosen.get(tool, sys.executable), [tool, "onnxruntime"]))
    print(f"repetitions: {options.repetitions}, in turns")
    names = options.models or ([] if options.large else list(CASES))
    with TemporaryDirectory(prefix="olivelike-") as room:
        for subject in subjects(names, Path(room), options.room.absolute(), options.large):
            compare(subject, Path(room) / subject.name / "made", options)


if __name__ == "__main__":
    main()
