"""Which passes would take a model: each installed one is asked, none is run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from pydantic import ValidationError

from olivelike.contracts.data import RefersTo
from olivelike.digest import JsonObject
from olivelike.engine.inspect.light import light
from olivelike.errors import InputError, OlivelikeError
from olivelike.onnxfile.defects import defects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import ModelProto

    from olivelike.contracts.artifact import Artifact
    from olivelike.contracts.passes import AnyPass, PassConfig
    from olivelike.contracts.target import Target
    from olivelike.registry import Registry

STANDS_FOR_DATA = "data"


class Answer(Enum):
    """What a pass says to a model before it runs."""

    TAKES = "takes it"
    REFUSES = "refuses"
    ASKS = "needs parameters"
    BROKEN = "cannot be asked"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pass and its answer.

    Attributes:
        name: the pass.
        answer: what it says, with its parameters as they are by default. One that takes a model may find while it runs that
            there is nothing for it to do.
        reasons: why it does not take it; the parameters that it needs.
        data: whether it needs data; it was asked as if there were some.
    """

    name: str
    answer: Answer
    reasons: tuple[str, ...] = ()
    data: bool = False

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {
            "name": self.name,
            "answer": self.answer.value,
            "reasons": list(self.reasons),
            "needs_data": self.data,
        }


def applicable(registry: Registry, source: Artifact, model: ModelProto, target: Target) -> tuple[Candidate, ...]:
    """Asks every registered pass whether it would take a model; auxiliary ones, which make no model, are left out.

    Args:
        registry: the installed passes.
        source: the model.
        model: its structure, which is taken over.
        target: where it should run.
    """
    broken = tuple(defects(model))
    with light(source, model) as copy:
        del model
        answers = tuple(_answers(registry, source, copy, target))
    if not broken:
        return answers
    return tuple(
        replace(each, answer=Answer.REFUSES, reasons=broken) if each.answer is Answer.TAKES else each
        for each in answers
    )


def _answers(registry: Registry, source: Artifact, copy: Artifact, target: Target) -> Iterator[Candidate]:
    for name in registry.names("passes"):
        try:
            kind = registry.pass_named(name)
        except OlivelikeError as error:
            yield Candidate(name, Answer.BROKEN, tuple(problem.claim for problem in error.problems))
            continue
        if not kind.auxiliary:
            yield _asked(name, kind, source, copy, target)


def _asked(name: str, kind: type[AnyPass], source: Artifact, copy: Artifact, target: Target) -> Candidate:
    if source.kind not in kind.accepts:
        reason = f"it takes {', '.join(sorted(kind.accepts))}, not {source.kind}"
        return Candidate(name, Answer.REFUSES, (reason,))
    missing = [field for field, info in kind.config.model_fields.items() if info.is_required()]
    data = [field for field in missing if _is_data(kind.config, field)]
    if len(missing) > len(data):
        return Candidate(name, Answer.ASKS, tuple(field for field in missing if field not in data), bool(data))
    try:
        config = kind.config.model_validate(dict.fromkeys(data, STANDS_FOR_DATA))
    except ValidationError as error:
        reasons = tuple(each["msg"].removeprefix("Value error, ") for each in error.errors())
        return Candidate(name, Answer.ASKS, reasons, bool(data))
    try:
        reasons = _reasons(kind, config, source, copy, target)
    except OlivelikeError as error:
        reasons = tuple(problem.claim for problem in error.problems)
    except Exception as error:  # noqa: BLE001  # a plugin's pass may raise anything: this is its boundary
        return Candidate(name, Answer.BROKEN, (" ".join(f"{type(error).__name__}: {error}".split()),), bool(data))
    return Candidate(name, Answer.REFUSES if reasons else Answer.TAKES, reasons, bool(data))


def _reasons(
    kind: type[AnyPass], config: PassConfig, source: Artifact, copy: Artifact, target: Target
) -> tuple[str, ...]:
    try:
        return tuple(kind().refuses(copy, config, target))
    except InputError:  # it reads weights that the copy lacks
        return tuple(kind().refuses(source, config, target))


def _is_data(config: type[PassConfig], field: str) -> bool:
    return any(isinstance(mark, RefersTo) and mark.section == "data" for mark in config.model_fields[field].metadata)
