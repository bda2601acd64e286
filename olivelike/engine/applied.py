"""What applying a pass came to: the report, what changed between the model before and the one after, and why nothing did."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from olivelike.contracts.artifact import PARTS_KIND, Artifact
from olivelike.contracts.outcome import Failed, Refused
from olivelike.contracts.report import Report, Status
from olivelike.digest import Json, JsonObject
from olivelike.errors import Problem
from olivelike.onnxfile.read import opset, read_structure
from olivelike.onnxfile.walk import nodes

CODE = re.compile(r"OL\d{3}")
BROKEN = "OL599"
READABLE = frozenset({"onnx", PARTS_KIND})


@dataclass(frozen=True, slots=True)
class Look:
    """A model in numbers; of one that is not in ONNX only its kind and size are known.

    Attributes:
        kind: of artifact.
        bytes: of all files that must be shipped.
        nodes: of all graphs and functions, of all parts.
        ir_version: the highest of its parts.
        opsets: the highest version of each operator set that is imported, by domain.
    """

    kind: str
    bytes: int
    nodes: int = 0
    ir_version: int = 0
    opsets: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_onnx(self) -> bool:
        """Whether more than its size is known."""
        return self.kind in READABLE

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        shared: JsonObject = {"kind": self.kind, "bytes": self.bytes}
        if not self.is_onnx:
            return shared
        return {**shared, "nodes": self.nodes, "ir_version": self.ir_version, "opsets": dict(self.opsets)}


@dataclass(frozen=True, slots=True)
class Change:
    """The model before the pass and after it, and what the pass noted."""

    before: Look
    after: Look
    notes: Mapping[str, Json]

    def to_json(self) -> JsonObject:
        """Returns it as the answer holds it."""
        return {"before": self.before.to_json(), "after": self.after.to_json(), "notes": dict(self.notes)}


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying a pass came to.

    Attributes:
        report: of the run of one step.
        change: from the model before to the one after; none where no model was made.
        name: the pass.
        model: what it was applied to, as the user wrote it.
    """

    report: Report
    change: Change | None
    name: str
    model: str

    def to_json(self) -> JsonObject:
        """Returns the answer document of `olivelike apply`."""
        return {**self.report.to_json(), "change": self.change.to_json() if self.change else None}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why there is no model, each reason once; nothing where there is one."""
        if not self.report.status.exit_code:
            return ()
        for trial in self.report.trials:
            match trial.outcome:
                case Refused(reason=reason):
                    return self._refused(reason)
                case Failed(reason=reason, log=log):
                    found = _problem(reason)
                    hint = found.hint or ("--debug shows its log" if log else "")
                    return (Problem(found.code, found.claim, hint=hint),)
                case _:
                    continue
        if self.report.status is Status.INTERRUPTED:
            return (Problem("OL600", "interrupted", hint=self.report.why),)
        return (_problem(self.report.why),)

    def _refused(self, told: str) -> tuple[Problem, ...]:
        """Returns a pass's reasons; the last without a hint of its own says where to find other passes."""
        parts = re.split(rf"; (?=OL\d{{3}} {re.escape(self.name)}: )", told)
        found = [
            replace(each, path=self.name, claim=each.claim.removeprefix(f"{self.name}: "))
            for each in map(_problem, parts)
        ]
        if not any(each.hint for each in found):
            where = f"olivelike inspect {self.model} lists the passes that take this model"
            found[-1] = replace(found[-1], hint=where)
        return tuple(found)


def change(source: Artifact, made: Artifact) -> Change:
    """Returns what a pass changed."""
    notes = {name: note for name, note in made.manifest.notes.items() if source.manifest.notes.get(name) != note}
    return Change(look(source), look(made), notes)


def look(artifact: Artifact) -> Look:
    """Returns a model in numbers; weights are not loaded."""
    if artifact.kind not in READABLE:
        return Look(artifact.kind, artifact.model_bytes)
    count, ir_version, opsets = 0, 0, dict[str, int]()
    for file in artifact.manifest.parts.values():
        model = read_structure(artifact.folder / file)
        count += sum(1 for _ in nodes(model))
        ir_version = max(ir_version, model.ir_version)
        for domain in dict.fromkeys(entry.domain or "ai.onnx" for entry in model.opset_import):
            opsets[domain] = max(opsets.get(domain, 0), opset(model, domain))
    return Look(artifact.kind, artifact.model_bytes, count, ir_version, opsets)


def changes(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[tuple[str, int, int]]:
    """Yields operator sets whose version changed: domain, before, after; 0 stands for none.

    >>> list(changes({"ai.onnx": 17}, {"ai.onnx": 18, "com.microsoft": 1}))
    [('ai.onnx', 17, 18), ('com.microsoft', 0, 1)]
    """
    for domain in dict.fromkeys((*before, *after)):
        if before.get(domain, 0) != after.get(domain, 0):
            yield domain, before.get(domain, 0), after.get(domain, 0)


def _problem(text: str) -> Problem:
    """Returns a problem that was written as a line."""
    code = CODE.search(text)
    claim, _, hint = text.partition(". hint: ")
    if code is None:
        return Problem(BROKEN, claim, hint=hint)
    start = claim[: code.start()] if code.start() <= len(claim) else ""
    rest = claim[code.end() :].removeprefix(":").strip()
    return Problem(code.group(), f"{start}{rest}", hint=hint)
