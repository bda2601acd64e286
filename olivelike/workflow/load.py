"""Loading: a workflow file, or a mapping that looks like one, becomes a workflow and everything wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from olivelike.digest import Json
from olivelike.errors import InputError, Problem, fail
from olivelike.workflow.document import Document, Places, expand, plain
from olivelike.workflow.json_text import parse_json
from olivelike.workflow.overrides import override
from olivelike.workflow.repair import Unusable, validate
from olivelike.workflow.schema import Workflow
from olivelike.workflow.yaml_text import parse_yaml

MAX_BYTES = 1 << 20
SHOWN = 40
LOOKALIKES = (
    (
        {"workflow", "source", "steps", "versions"},
        "this is the lock of a bundle, not a workflow",
        "rebuild what it describes with olivelike run --locked FILE",
    ),
    (
        {"workflow", "status", "trials", "cost"},
        "this is the report of a run, not a workflow",
        "name the workflow file that the run was started with",
    ),
)
"""Files of olivelike's own that are mistaken for workflows: the keys by which they are known, a claim and a hint."""

__all__ = ["Loaded", "Unusable", "from_mapping", "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a workflow file.

    Attributes:
        workflow: the workflow, without the keys that are wrong; or that none can be made of the file.
        problems: everything that is wrong, in the order of the file; empty for a sound file.
        places: where in the file a path stands.
        folder: where the file's relative paths start.
    """

    workflow: Workflow | Unusable
    problems: tuple[Problem, ...]
    places: Places
    folder: Path


def load(path: Path, overrides: Sequence[str] = ()) -> Loaded:
    """Reads a workflow file: JSON where its name ends so, YAML 1.2 otherwise.

    Args:
        path: the file; shown in problems as it is given here.
        overrides: `KEY=VALUE`, applied before validation.

    Returns:
        the workflow and all problems (OL101 to OL113); nothing is raised for a wrong file.
    """
    file = str(path)
    try:
        text = _text(path)
        root = (parse_json if path.suffix.lower() == ".json" else parse_yaml)(text, file)
    except InputError as error:
        return Loaded(Unusable(), error.problems, Places(file), path.parent)
    return _loaded(expand(root, file), overrides, path.parent)


def from_mapping(value: Mapping[str, object], overrides: Sequence[str] = (), folder: Path = Path()) -> Loaded:
    """Reads a mapping with the keys of a workflow file; its problems have no place.

    Args:
        value: the mapping; it is copied.
        overrides: `KEY=VALUE`, applied before validation.
        folder: where its relative paths start.
    """
    return _loaded(plain(value), overrides, folder)


def _loaded(document: Document, overrides: Sequence[str], folder: Path) -> Loaded:
    if not isinstance(document.value, dict):
        shown = "is empty" if document.value is None else f"is not a mapping: it is {_kind(document.value)}"
        return _no_workflow(document, f"the file {shown}", "for example model: {path: model.onnx}", folder)
    for keys, claim, hint in LOOKALIKES:
        if keys <= document.value.keys() and "model" not in document.value:
            return _no_workflow(document, claim, hint, folder)
    document = override(document, overrides)
    workflow, problems = validate(document)
    return Loaded(workflow, _ordered((*document.problems, *problems)), document.places, folder)


def _no_workflow(document: Document, claim: str, hint: str, folder: Path) -> Loaded:
    problem = Problem("OL102", claim, document.places.at(()), hint=hint)
    return Loaded(Unusable(), (*document.problems, problem), document.places, folder)


def _kind(value: Json) -> str:
    match value:
        case str():
            return f"the text {value if len(value) <= SHOWN else value[:SHOWN] + '...'!r}"
        case list():
            return f"a list of {len(value)}"
        case _:
            return f"the single value {value!r}"


def _ordered(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Sorts problems by their line in the file; those without one come last."""

    def line(problem: Problem) -> float:
        digits = problem.place.rpartition(":")[2]
        return int(digits) if digits.isdigit() else float("inf")

    return tuple(sorted(problems, key=line))


def _text(path: Path) -> str:
    file = str(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "check the path" if isinstance(error, FileNotFoundError) else "it must be a readable file"
        raise fail(InputError, "OL101", f"cannot be read: {reason}", place=file, hint=hint) from error
    if len(data) > MAX_BYTES:
        raise fail(InputError, "OL101", "larger than 1 MiB, which is no workflow", place=file, hint="check the path")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        claim = f"not UTF-8: byte 0x{data[error.start]:02x}"
        raise fail(InputError, "OL101", claim, place=f"{file}:{line}", hint="save the file as UTF-8") from error
