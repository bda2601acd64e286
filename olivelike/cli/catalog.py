"""The commands that list what there is: `passes`, `metrics`, `schema`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from olivelike.cli.options import AsJson, Debug

Name = Annotated[str, typer.Argument(help="One of them, in full; without it all are listed.", show_default=False)]


def passes(name: Name = "", json: AsJson = False, debug: Debug = False) -> int:
    """List the passes, or show one with its parameters."""
    del debug
    return _show("passes", name, json)


def metrics(name: Name = "", json: AsJson = False, debug: Debug = False) -> int:
    """List the metrics, or show one with its options and values."""
    del debug
    return _show("metrics", name, json)


def schema(debug: Debug = False) -> int:
    """Print the JSON schema of the workflow file, for editors."""
    del debug
    from olivelike.cli import render
    from olivelike.plan.json_schema import workflow_schema
    from olivelike.registry import installed

    render.document(workflow_schema(installed()))
    return 0


def _show(kind: Literal["passes", "metrics"], name: str, as_json: bool) -> int:
    from olivelike.cli import render
    from olivelike.errors import Problem
    from olivelike.plan.catalog import describe, summaries
    from olivelike.registry import installed

    registry = installed()
    render.complain([Problem("OL211", claim, hint="reinstall it") for claim in registry.broken.values()])
    if name:
        render.described(describe(registry, kind, name), as_json=as_json)
    else:
        render.listed(summaries(registry, kind), as_json=as_json)
    return 0
