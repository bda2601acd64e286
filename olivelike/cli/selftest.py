"""The command `selftest`: planted truths, and how often olivelike finds them on this machine."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from olivelike.cli.options import AsJson, Debug

app = typer.Typer(help="Test olivelike's own claims on this machine.", no_args_is_help=True)


class PartName(StrEnum):
    """What can be tested alone."""

    QUALITY = "quality"
    COVERAGE = "coverage"
    TIMING = "timing"


@app.callback()
def selftest() -> None:
    """Holds the self-tests together; each is a command."""


@app.command()
def evidence(
    part: Annotated[list[PartName] | None, typer.Option("--part", help="Only this part; all by default.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the tries, for a first look.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The seed of what is drawn.")] = 0,
    json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Plant known truths and count how often verdicts and intervals find them; exit 5 if a rate is out of bounds."""
    del debug
    from olivelike.cli import render
    from olivelike.testing.selftest.evidence import QUICK, Part, Tries, evidence_rates

    parts = tuple(Part(name) for name in part or ())
    found = render.rates(evidence_rates(parts, QUICK if quick else Tries(), seed), as_json=json)
    return 0 if all(rate.holds for rate in found) else 5
