"""Whether models take the same, asked of their files: times of models that are fed different things say nothing of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from olivelike.contracts.artifact import Artifact
from olivelike.errors import InputError, Problem
from olivelike.onnxfile.read import UNKNOWN_RANK, Value, signature

RENAME = "if they mean the same, give them one name with rename_io"
RETYPE = "change_io_types makes types the same; time models of other inputs one by one"


def check_same_inputs(paths: Sequence[Path], artifacts: Sequence[Artifact]) -> None:
    """Checks that models take inputs of the same names, types and numbers of dimensions as the first.

    Args:
        paths: as the user wrote them.
        artifacts: the models at these paths; those that are not in ONNX are passed by.

    Raises:
        InputError: OL115, with every difference of each model that takes other inputs.
    """
    known = [
        (path, signature(each.model).inputs) for path, each in zip(paths, artifacts, strict=True) if each.kind == "onnx"
    ]
    problems = [
        problem for path, inputs in known[1:] for problem in _problems(str(known[0][0]), known[0][1], str(path), inputs)
    ]
    if problems:
        raise InputError(*problems)


def _problems(first: str, ours: Sequence[Value], second: str, theirs: Sequence[Value]) -> Iterator[Problem]:
    told = "; ".join(_differences(first, ours, second, theirs))
    if told:
        only_names = len(ours) == len(theirs) and all(map(_alike, ours, theirs))
        claim = f"{first} and {second} take different inputs: {told}"
        yield Problem("OL115", claim, hint=RENAME if only_names else RETYPE)


def _differences(first: str, ours: Sequence[Value], second: str, theirs: Sequence[Value]) -> Iterator[str]:
    having = {value.name: value for value in theirs}
    names = {value.name for value in ours}
    for who, alone in (
        (first, [value for value in ours if value.name not in having]),
        (second, [value for value in theirs if value.name not in names]),
    ):
        if alone:
            yield f"only {who} has {', '.join(map(_told, alone))}"
    for value in ours:
        if value.name in having and not _alike(value, having[value.name]):
            yield f"{_told(value)} is {_type(having[value.name])} in {second}"


def _alike(one: Value, other: Value) -> bool:
    unknown = UNKNOWN_RANK in one.shape or UNKNOWN_RANK in other.shape
    return one.dtype == other.dtype and (unknown or len(one.shape) == len(other.shape))


def _told(value: Value) -> str:
    return f"{value.name} {_type(value)}"


def _type(value: Value) -> str:
    return f"{value.dtype} [{', '.join(map(str, value.shape))}]"
