"""The commands that look and run nothing: `validate`, `plan`, `explain`."""

from __future__ import annotations

from dataclasses import replace

from olivelike.cli.options import AsJson, CacheDir, Debug, Overrides, WorkflowFile


def validate(workflow: WorkflowFile, overrides: Overrides = None, json: AsJson = False, debug: Debug = False) -> int:
    """Check a workflow and the files it names; say everything that is wrong."""
    del debug
    from olivelike.cli import render
    from olivelike.engine.check import check_inputs
    from olivelike.engine.opened import open_workflow
    from olivelike.engine.samples import sample_notes

    opened = open_workflow(workflow, overrides or ())
    check_inputs(opened.plan)
    notes = (*opened.plan.notes, *sample_notes(opened.plan))
    render.validated(replace(opened.plan, notes=notes), as_json=json)
    return 0


def plan(
    workflow: WorkflowFile,
    overrides: Overrides = None,
    json: AsJson = False,
    cache_dir: CacheDir = "",
    debug: Debug = False,
) -> int:
    """List the recipes that a run would try, and what of them is cached; nothing is executed."""
    del debug
    from olivelike.cli import render
    from olivelike.engine.opened import open_workflow
    from olivelike.engine.preview import preview
    from olivelike.engine.session import Settings, desk_for

    opened = open_workflow(workflow, overrides or ())
    with desk_for(opened, Settings(cache_dir)) as (desk, prepared):
        found = preview(desk, prepared.source)
        render.planned(replace(desk.plan, notes=(*desk.plan.notes, *desk.notes, *found.notes)), found, as_json=json)
    return 0


def explain(
    workflow: WorkflowFile,
    overrides: Overrides = None,
    json: AsJson = False,
    cache_dir: CacheDir = "",
    debug: Debug = False,
) -> int:
    """Say for every step and measurement whether the cache has it, and if not, why."""
    del debug
    from olivelike.cli import render
    from olivelike.engine.opened import open_workflow
    from olivelike.engine.preview import preview
    from olivelike.engine.session import Settings, desk_for

    opened = open_workflow(workflow, overrides or ())
    with desk_for(opened, Settings(cache_dir)) as (desk, prepared):
        render.explained(preview(desk, prepared.source), as_json=json)
    return 0
