"""The errors of olivelike: a code, a claim with the value got, a place, and a hint with one thing to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        code: stable, `OL` and three digits; listed in `CODES`.
        claim: what is wrong, with the value that was got.
        place: `file:line`, a folder, or empty where there is none.
        path: the path inside the file (`passes.0.quantize.group_size`), or empty.
        hint: one thing to do next, or empty.
    """

    code: str
    claim: str
    place: str = ""
    path: str = ""
    hint: str = ""

    def __str__(self) -> str:
        where = " ".join(part for part in (self.place, self.path) if part)
        head = f"{self.code} {where}: {self.claim}" if where else f"{self.code}: {self.claim}"
        stop = "" if head.endswith(("?", "!", ".")) else "."
        return f"{head}{stop} hint: {self.hint}" if self.hint else head

    def to_json(self) -> dict[str, str]:
        """Returns the problem as events and answer documents hold it."""
        return {"code": self.code, "claim": self.claim, "place": self.place, "path": self.path, "hint": self.hint}


class OlivelikeError(Exception):
    """Base of every error that olivelike raises on purpose; it carries one or more problems, all said at once."""

    exit_code: ClassVar[int] = 5

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))

    def __reduce__(self) -> tuple[type[OlivelikeError], tuple[Problem, ...]]:
        return type(self), self.problems


class InputError(OlivelikeError):
    """The workflow, the command line or a file they name is wrong; nothing ran."""

    exit_code: ClassVar[int] = 2


class RefusedError(OlivelikeError):
    """A pass cannot do what was asked with this model: an answer about the model, not a fault of the engine."""


class StepError(OlivelikeError):
    """A pass raised, returned nothing, or wrote something that is no valid model."""


class MeasureError(OlivelikeError):
    """A metric could not be measured."""


class StoreError(OlivelikeError):
    """The store cannot serve or keep what was asked of it."""


CODES: dict[str, str] = {
    # the workflow file and the command line
    "OL101": "The workflow file cannot be read (missing, not UTF-8, not YAML or JSON)",
    "OL102": "The workflow file is not a mapping",
    "OL103": "A key stands twice in one mapping",
    "OL104": "An unknown key",
    "OL105": "A value of the wrong type or outside its range",
    "OL106": "Aliases expand to more than a workflow can hold",
    "OL107": "An unknown name: pass, metric, source, strategy, provider",
    "OL108": "A name that refers to nothing in this file (data, metric, step, target)",
    "OL109": "Not built yet: the key is reserved for a capability to come",
    "OL110": "The same name is given twice",
    "OL111": "A required key is missing",
    "OL112": "Keys that exclude each other, or a rule between keys is broken",
    "OL113": "An override (`KEY=VALUE`) that fits nothing in the file",
    "OL114": "The space of recipes is empty, or too large for the strategy",
    "OL115": "A command line that cannot be carried out",
    "OL116": "The output path cannot be written, or holds something that olivelike did not write",
    "OL117": "There is a choice, but nothing to choose by (no constraint and no objective)",
    "OL118": "The lock file is not one of olivelike's, or does not fit",
    # models, data, user's Python
    "OL201": "A model file or folder is missing",
    "OL202": "A model file is empty, truncated or not ONNX",
    "OL203": "External data is missing, truncated or points outside the model's folder",
    "OL204": "A source cannot be fetched",
    "OL205": "A data file is missing or unreadable",
    "OL206": "Data do not fit the model's inputs (names, shapes, types)",
    "OL207": "Labels are missing or do not match the samples",
    "OL208": "Missing or non-finite values where they cannot be used",
    "OL209": "User's Python is missing, fails to load, or returns something unusable",
    "OL210": "A provider that the runtime does not offer",
    "OL211": "A package or a plugin that is not installed, or cannot be loaded",
    # passes
    "OL301": "A pass refuses: it cannot apply to this model",
    "OL302": "A pass raised an exception",
    "OL303": "A pass returned nothing, or an artifact whose files are missing",
    "OL304": "A pass wrote an invalid model",
    "OL305": "A pass's output gives values that are not finite where its input's are",
    "OL306": "A lossless pass changed the model's outputs",
    "OL307": "A pass's configuration does not hold together",
    # the store
    "OL401": "The store's folder cannot be used",
    "OL402": "An artifact in the store is damaged; it was set aside and its step runs again",
    "OL403": "An artifact that the store does not hold",
    # running
    "OL501": "A worker died (signal, out of memory)",
    "OL502": "A task took longer than its time limit",
    "OL503": "A task used more memory than its limit",
    "OL504": "A metric failed",
    "OL505": "The baseline cannot be measured",
    "OL506": "No candidate could be measured",
    "OL599": "An internal error of olivelike",
    "OL600": "Interrupted by the user",
}


def fail(
    error: type[OlivelikeError], code: str, claim: str, *, place: str = "", path: str = "", hint: str = ""
) -> OlivelikeError:
    """Returns an error of the given kind with one problem, ready to be raised."""
    return error(Problem(code, claim, place, path, hint))


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns a hint for an unknown name: the near miss, or what exists (at most twelve names)."""
    from difflib import get_close_matches

    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    if not names:
        return "none is defined yet: add one of this name"
    shown = ", ".join(names[:12])
    return f"known: {shown}" + (f" and {len(names) - 12} more" if len(names) > 12 else "")
