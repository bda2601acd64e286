"""Faults: what the schema's own validators raise, so that pydantic carries our codes, paths and hints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import PydanticCustomError

from olivelike.workflow.document import KeyPath

CODE = "olivelike"
"""The pydantic error type under which our own faults travel."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule: code and claim as in `errors.Problem`, `at` relative to the validated value, in the file's terms."""

    code: str
    claim: str
    at: KeyPath = ()
    hint: str = ""


def broken(code: str, claim: str, *, at: KeyPath = (), hint: str = "") -> PydanticCustomError:
    """Returns the error of one broken rule, for a validator to raise."""
    return all_broken([Fault(code, claim, at, hint)])


def all_broken(faults: Sequence[Fault]) -> PydanticCustomError:
    """Returns the error of several broken rules, for a validator to raise."""
    said = "; ".join(f"{fault.code} {fault.claim}" for fault in faults)
    return PydanticCustomError(CODE, "{said}", {"said": said, "faults": tuple(faults)})
