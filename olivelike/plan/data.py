"""Resolving the `data:` section: each entry gets its reader's class and a typed configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from olivelike.contracts.data import DataReader, DataSpec, ScriptCall
from olivelike.errors import nearest
from olivelike.plan.findings import Findings, KeyPath
from olivelike.plan.model import DataPlan
from olivelike.registry import Registry
from olivelike.workflow.diagnose import config_problems
from olivelike.workflow.schema import DataSection, Workflow


def resolve_data(workflow: Workflow, registry: Registry, folder: Path, findings: Findings) -> dict[str, DataPlan]:
    """Resolves every data entry; those that are wrong are noted and left out."""
    found: dict[str, DataPlan] = {}
    for name, section in workflow.data.items():
        plan = _entry(name, section, registry, findings, workflow.search.seed)
        if plan is not None:
            found[name] = plan
            _check_files(plan, folder, ("data", name), findings)
    return found


def _entry(name: str, section: DataSection, registry: Registry, findings: Findings, seed: int) -> DataPlan | None:
    path: KeyPath = ("data", name)
    known = registry.names("readers")
    keys = [key for key in section.own if key in known]
    if len(keys) != 1:
        claim = f"a data entry has exactly one source, got {' and '.join(keys) or 'none'}"
        unknown = next((key for key in section.own if key not in known), "")
        findings.add("OL111", claim, path, nearest(unknown, known) if unknown else f"add one of: {', '.join(known)}")
        return None
    reader = registry.reader_named(keys[0])
    try:
        config = reader.config.model_validate(_options(section))
    except ValidationError as error:
        for problem_path, code, claim, hint in config_problems(error, reader.config):
            findings.add(code, claim, (*path, *problem_path), hint)
        return None
    prepare = section.prepare if isinstance(section.prepare, ScriptCall) else None
    if isinstance(section.prepare, str) and section.prepare:
        findings.add(
            "OL109", f"the named transform {section.prepare!r} is not built yet", (*path, "prepare"), "use a script"
        )
    spec = DataSpec(
        name=name,
        reader=keys[0],
        config=config.model_dump(mode="json"),
        inputs=dict(section.inputs),
        labels=section.labels,
        samples=section.samples,
        batch=section.batch,
        shuffle=section.shuffle,
        seed=seed,
        use=tuple(section.use),
        prepare=prepare.model_dump(mode="json") if prepare else {},
    )
    return DataPlan(reader, config, spec, prepare.script if prepare else "")


def _options(section: DataSection) -> dict[str, object]:
    options: dict[str, object] = dict(section.own)
    if section.split:
        options["split"] = section.split
    if section.columns:
        options["columns"] = list(section.columns)
    return options


def _check_files(plan: DataPlan, folder: Path, path: KeyPath, findings: Findings) -> None:
    reader: DataReader = plan.reader()
    scripts = (plan.prepare,) if plan.prepare else ()
    for name in (*reader.files(plan.config), *scripts):
        if not (folder / name).exists():
            siblings = (
                [other.name for other in (folder / name).parent.glob("*")] if (folder / name).parent.is_dir() else []
            )
            code = "OL209" if name in scripts else "OL205"
            findings.add(code, f"{name} does not exist", path, nearest(Path(name).name, siblings))


def allows(entry: DataPlan, *uses: str) -> bool:
    """Whether an entry may be used in one of the given ways; one that says nothing may be used for anything."""
    return not entry.spec.use or any(use in entry.spec.use for use in uses)


def data_hint(data: Mapping[str, DataPlan], workflow: Workflow) -> str:
    """Returns a hint that lists the data entries."""
    names = ", ".join(data or workflow.data)
    return f"known: {names}" if names else "add a data section"
