"""Write `docs/reference/coverage.md`: every graph pass on every model at hand, right or refused with the reason.

    python docs/make_coverage.py                       the models that the onnx package carries (some minutes)
    python docs/make_coverage.py --large 2.7           and a decoder of 2.7 GB (some gigabytes of disk and memory)
    python docs/make_coverage.py --model NAME=PATH     and any others

Each pass runs on each model with a configuration that asks it for something. What it makes must be valid, load, and give what
the model gave: the reference outputs that the onnx package ships, or the model's own outputs on random values. Anything else is
written into the page as wrong, and the program ends with exit code 1.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias, cast

import numpy as np
import onnx
import onnxruntime

from olivelike.contracts.artifact import MODEL, Artifact, Manifest
from olivelike.contracts.target import Target
from olivelike.errors import OlivelikeError
from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.read import Signature, Value, opset, read_structure, signature
from olivelike.registry import Registry
from olivelike.testing.large_models import save_large_decoder
from olivelike.testing.run_pass import run_pass
from olivelike_passes import PLUGIN

PAGE = Path(__file__).parent / "reference" / "coverage.md"
DATA = Path(onnx.__file__).parent / "backend/test/data"
Arrays: TypeAlias = "list[Any]"
Config: TypeAlias = "dict[str, Any]"
Configure: TypeAlias = "Callable[[onnx.ModelProto, Signature, Arrays], Config | None]"
"""From a model's structure, its signature and what it is fed to a configuration; nothing where there is nothing to ask for."""
NOT_ASKED = "the model has nothing of the kind that this configuration asks for"
TOLERANCE = 1e-3
BATCH, MASK = 2, "attention_mask"
"""Every dynamic dimension has this size; how a language model's mask is called."""


@dataclass(frozen=True)
class Case:
    """A model and what it must give.

    Attributes:
        name: as the page calls it.
        path: its file.
        inputs: arrays in the order of its inputs.
        outputs: what it must give for them, in the order of its outputs.
    """

    name: str
    path: Path
    inputs: Arrays
    outputs: Arrays


def _as_it_is(arrays: Arrays, made: Artifact) -> Arrays:
    return arrays


@dataclass(frozen=True)
class Way:
    """How a pass is tried.

    Attributes:
        config: makes the configuration.
        told: the configuration in the page's words.
        feed: from the model's inputs, and the result, to the result's inputs.
        expect: the same for outputs.
        before: a pass that runs first.
    """

    config: Configure
    told: str
    feed: Callable[[Arrays, Artifact], Arrays] = _as_it_is
    expect: Callable[[Arrays, Artifact], Arrays] = _as_it_is
    before: str = ""


def always(**config: Any) -> Configure:
    """The same configuration for every model."""
    return lambda model, ends, inputs: dict(config)


def _dims(model: onnx.ModelProto, ends: Signature, inputs: Arrays) -> Config | None:
    sizes = {
        dim: size
        for value, array in zip(ends.inputs, inputs, strict=True)
        for dim, size in zip(value.shape, np.asarray(array).shape, strict=False)
        if isinstance(dim, str) and dim.isidentifier()
    }
    return {"dims": sizes} if sizes else None


def _renamed(model: onnx.ModelProto, ends: Signature, inputs: Arrays) -> Config | None:
    return {"names": {ends.inputs[0].name: "renamed"}} if ends.inputs else None


def _widened(model: onnx.ModelProto, ends: Signature, inputs: Arrays) -> Config | None:
    kinds = {value.dtype for value in (*ends.inputs, *ends.outputs)}
    return {"types": {"float32": "float64"}} if "float32" in kinds else None


def _whole(model: onnx.ModelProto, ends: Signature, inputs: Arrays) -> Config | None:
    outputs = [value.name for value in ends.outputs]
    return {"inputs": [value.name for value in ends.inputs], "outputs": outputs} if ends.inputs else None


def _newer(model: onnx.ModelProto, ends: Signature, inputs: Arrays) -> Config | None:
    return {"target": 18 if opset(model) < 18 else 21}


def _wide(arrays: Arrays, made: Artifact) -> Arrays:
    return [each.astype(np.float64) if each.dtype == np.float32 else each for each in arrays]


def _images_fed(arrays: Arrays, made: Artifact) -> Arrays:
    return _turned(arrays, signature(made.model).inputs, _noted(made, "inputs"))


def _images_given(arrays: Arrays, made: Artifact) -> Arrays:
    return _turned(arrays, signature(made.model).outputs, _noted(made, "outputs"))


def _noted(made: Artifact, ends: str) -> list[str]:
    notes = cast("dict[str, list[str]]", made.manifest.notes["channels_last"])
    return notes[ends]


def _turned(arrays: Arrays, ends: Sequence[Value], turned: Sequence[str]) -> Arrays:
    return [
        np.ascontiguousarray(np.moveaxis(each, 1, -1)) if value.name in turned else each
        for each, value in zip(arrays, ends, strict=True)
    ]


def _best(arrays: Arrays, made: Artifact) -> Arrays:
    """Returns the best class, along the last axis that has more than one, but not along the batch."""
    scores = arrays[0]
    axes = [axis for axis, size in enumerate(scores.shape) if axis and size != 1] or [scores.ndim - 1]
    return [np.apply_along_axis(_first_best, axes[-1], scores), *arrays[1:]]


def _first_best(scores: Any) -> int:
    """Returns the place of the largest; nothing is larger than what is no number, and that than nothing."""
    best = 0
    for place, score in enumerate(scores):
        best = place if score > scores[best] else best
    return best


WAYS: Mapping[str, Way] = {
    "add_metadata": Way(always(entries={"checked": "yes"}), "an entry"),
    "change_io_types": Way(_widened, "float32 to float64", _wide, _wide),
    "channels_last": Way(always(), "every image", _images_fed, _images_given),
    "compose": Way(always(), "what `split` made", before="split"),
    "convert_ir_version": Way(always(target=10), "to 10"),
    "convert_opset": Way(_newer, "to 18, from there to 21"),
    "deduplicate": Way(always(), "all"),
    "extract_subgraph": Way(_whole, "from all inputs to all outputs"),
    "fix_shapes": Way(_dims, "every named dimension"),
    "fold_scales": Way(always(), "all"),
    "fuse": Way(always(), "all"),
    "fuse_transformers": Way(always(), "as BERT"),
    "inline_functions": Way(always(), "all"),
    "insert_pre_post_processing": Way(always(classes="argmax"), "the best class", expect=_best),
    "optimize_offline": Way(always(level="extended"), "extended"),
    "rename_io": Way(_renamed, "the first input"),
    "simplify": Way(always(), "all"),
    "strip": Way(always(node_names=True, inner_metadata=True), "names and metadata inside too"),
    "surgery": Way(always(steps=["gemm_to_matmul_add"]), "`Gemm` to `MatMul` and `Add`"),
}


def tried(registry: Registry, name: str, case: Case, room: Path) -> str:
    """Returns `right`, what is wrong, or why the pass refuses."""
    way = WAYS[name]
    source = Artifact(case.path.parent, Manifest("onnx", {MODEL: case.path.name}), "0" * 64)
    config = way.config(read_structure(case.path), signature(case.path), case.inputs)
    if config is None:
        return f"refused: {NOT_ASKED}"
    try:
        if way.before:
            source = _made(registry, way.before, source, {}, room / "before")
        made = _made(registry, name, source, config, room / "made")
    except OlivelikeError as error:
        return f"refused: {error.problems[0].claim}"
    try:
        validate_graph(made.model)
        inputs, outputs = way.feed(case.inputs, made), way.expect(case.outputs, made)
        return _compared(outputs, run(made, inputs))
    except Exception as error:  # noqa: BLE001  # whatever is wrong with a result belongs into the page
        return f"WRONG: {' '.join(str(error).split())[:120]}"


def _made(registry: Registry, name: str, source: Artifact, config: Config, room: Path) -> Artifact:
    kind = registry.pass_named(name)
    reasons = kind().refuses(source, kind.config.model_validate(config), Target())
    if reasons:
        from olivelike.errors import RefusedError, fail

        raise fail(RefusedError, "OL301", "; ".join(reasons))
    return run_pass(kind, source, config, room)


def run(made: Artifact, inputs: Arrays) -> Arrays:
    """Runs a model with its inputs in order."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(made.model), options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    found: Arrays = session.run(None, dict(zip(names, inputs, strict=True)))
    return found


def _compared(expected: Arrays, got: Arrays) -> str:
    if len(expected) != len(got):
        return f"WRONG: {len(got)} outputs instead of {len(expected)}"
    for place, (wanted, found) in enumerate(zip(expected, got, strict=True)):
        if not _same(np.asarray(wanted), np.asarray(found)):
            return f"WRONG: output {place} differs"
    return "right"


def _same(wanted: Any, found: Any) -> bool:
    if wanted.shape != found.shape:
        return False
    if wanted.dtype.kind not in "fc":
        return bool((wanted == found).all())
    scale = max(float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)), 1e-6)
    return bool(np.allclose(wanted, found, rtol=TOLERANCE, atol=TOLERANCE * scale, equal_nan=True))


def light() -> Iterator[Case]:
    """The nine architecture skeletons, with the outputs they ship for inputs of ones."""
    for path in sorted((DATA / "light").glob("*.onnx")):
        inputs = [np.ones([d if isinstance(d, int) else 1 for d in v.shape], v.dtype) for v in signature(path).inputs]
        yield Case(
            path.stem.removeprefix("light_"), path, inputs, [_tensor(path.with_name(f"{path.stem}_output_0.pb"))]
        )


def small() -> Iterator[Case]:
    """The small models of the onnx package that the runtime runs to their reference outputs."""
    for path in sorted(DATA.glob("*/*/model.onnx")):
        folder = path.parent / "test_data_set_0"
        try:
            inputs, outputs = (
                [_tensor(folder / f"{kind}_{place}.pb") for place in range(len(list(folder.glob(f"{kind}_*.pb"))))]
                for kind in ("input", "output")
            )
            case = Case(f"{path.parent.parent.name}/{path.parent.name}", path, inputs, outputs)
            artifact = Artifact(path.parent, Manifest("onnx", {MODEL: path.name}), "")
            if outputs and _compared(outputs, run(artifact, inputs)) == "right":
                yield case
        except Exception:  # noqa: BLE001  # the runtime does not run it, or it takes no tensors
            continue


def given(name: str, path: Path) -> Case:
    """A model with random inputs and what it makes of them."""
    from olivelike.testing.feeds import feeds_for

    feeds = dict(feeds_for(path, batch=BATCH))
    if MASK in feeds and any(each.startswith("past") for each in feeds):  # it covers what was read before, too
        feeds[MASK] = np.ones((BATCH, 2 * BATCH), feeds[MASK].dtype)
    inputs = list(feeds.values())
    artifact = Artifact(path.parent, Manifest("onnx", {MODEL: path.name}), "")
    return Case(name, path, inputs, run(artifact, inputs))


def _tensor(path: Path) -> Any:
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return onnx.numpy_helper.to_array(tensor)


@dataclass
class Reasons:
    """Why passes refuse, numbered in the order in which they turn up."""

    known: dict[str, int]

    def mark(self, found: str) -> str:
        """Returns what stands in a cell."""
        if not found.startswith("refused: "):
            return found if found != "right" else "ok"
        number = self.known.setdefault(found.removeprefix("refused: "), len(self.known) + 1)
        return f"no ({number})"


def page(names: Sequence[str], whole: Sequence[Case], many: Sequence[Case], registry: Registry) -> tuple[str, int]:
    """Returns the page, and how many results are wrong."""
    reasons, wrong = Reasons({}), 0
    head = f"| pass | {' | '.join(case.name for case in whole)} | the {len(many)} small models |"
    lines = [head, "|---" * (len(whole) + 2) + "|"]
    for name in names:
        cells = []
        for case in whole:
            found = _in_room(registry, name, case)
            wrong += found.startswith("WRONG")
            cells.append(reasons.mark(found))
            print(f"{name} {case.name}: {found}", flush=True)
        counts = Counter(reasons.mark(_in_room(registry, name, case)) for case in many)
        wrong += sum(count for cell, count in counts.items() if cell.startswith("WRONG"))
        cells.append(
            ", ".join(f"{count} {cell}" for cell, count in sorted(counts.items(), key=lambda e: (-e[1], e[0])))
        )
        print(f"{name} small: {cells[-1]}", flush=True)
        lines.append(f"| [`{name}`](passes.md#{name}): {WAYS[name].told} | {' | '.join(cells)} |")
    refusals = [f"{number}. {_plain(why)}" for why, number in reasons.known.items()]
    return "\n".join(
        [*HEAD.format(**_versions()).splitlines(), "", *lines, "", "Refused because", "", *refusals, ""]
    ), wrong


HEAD = """<!-- Generated by docs/make_coverage.py: run it again after a change to a graph pass. -->

# Which graph pass takes which model

Each pass ran on each model with the configuration beside its name. `ok`: the result is valid, loads, and gives the
reference outputs (of models without any: the model's own outputs), to a thousandth of the largest. `no`: refused, for
the reason of that number below. There is no third kind: anything else would be a defect, and the program that writes this
page would fail.

The small models are those of the onnx package that the runtime runs to their reference outputs.

onnx {onnx}, onnxruntime {onnxruntime}, Python {python}."""


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("onnx", "onnxruntime")} | {"python": platform.python_version()}


def _plain(reason: str) -> str:
    return reason.replace("|", "\\|").replace("<", "&lt;")


def _in_room(registry: Registry, name: str, case: Case) -> str:
    with TemporaryDirectory(prefix="olivelike-") as room:
        return tried(registry, name, case, Path(room))


def main() -> int:
    """Tries all passes on all models and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--large", type=float, default=0.0, help="gigabytes of a decoder with external data")
    parser.add_argument("--model", action="append", default=[], help="NAME=PATH of another model")
    parser.add_argument("--only", action="append", default=[], help="a pass to try; writes nothing")
    options = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    registry = Registry({"olivelike_passes": PLUGIN})
    names = options.only or [name for name in WAYS if name in PLUGIN.passes]
    with TemporaryDirectory(prefix="olivelike-") as room:
        whole = list(light())
        whole += [
            given(name, Path(path).absolute()) for name, _, path in (each.partition("=") for each in options.model)
        ]
        if options.large:
            path = save_large_decoder(Path(room) / "decoder", options.large)
            whole.append(replace(given("decoder", path), name=f"decoder of {options.large} GB"))
        text, wrong = page(names, whole, list(small()), registry)
    if not options.only:
        PAGE.write_text(text, encoding="utf-8")
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
