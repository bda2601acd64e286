"""Resolving the `data:` section: each entry gets its reader's class and a typed configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ValidationError

from olivelike.contracts.data import DataReader, DataSpec, ScriptCall
from olivelike.digest import Json
from olivelike.errors import nearest
from olivelike.plan.findings import Findings, KeyPath
from olivelike.plan.model import DataPlan
from olivelike.plan.tasks import TASKS
from olivelike.registry import Registry
from olivelike.workflow.diagnose import config_problems
from olivelike.workflow.schema import DataSection, Workflow
from olivelike.workflow.sections import Prepare

NOTHING = "none"
"""As `prepare`: nothing, whatever the model's task."""


def resolve_data(workflow: Workflow, registry: Registry, folder: Path, findings: Findings) -> dict[str, DataPlan]:
    """Resolves every data entry; those that are wrong are noted and left out."""
    found: dict[str, DataPlan] = {}
    for name, section in workflow.data.items():
        plan = _entry(name, section, registry, findings, workflow.search.seed, workflow.model.task)
        if plan is not None:
            found[name] = plan
            _check_files(plan, folder, ("data", name), findings)
    return found


def _entry(
    name: str, section: DataSection, registry: Registry, findings: Findings, seed: int, task: str
) -> DataPlan | None:
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
    plan = DataPlan(reader, config, _spec(name, keys[0], config, section, seed))
    return _prepared(plan, section.prepare, task, registry, findings)


def _spec(name: str, reader: str, config: BaseModel, section: DataSection, seed: int) -> DataSpec:
    return DataSpec(
        name=name,
        reader=reader,
        config=config.model_dump(mode="json"),
        inputs=dict(section.inputs),
        labels=section.labels,
        samples=section.samples,
        batch=section.batch,
        shuffle=section.shuffle,
        seed=seed,
        use=tuple(section.use),
        pad=dict(section.pad),
    )


def _prepared(plan: DataPlan, asked: Prepare, task: str, registry: Registry, findings: Findings) -> DataPlan | None:
    """Returns the entry with what maps its columns: what is asked for, else what the model's task asks for."""
    if isinstance(asked, ScriptCall):
        spec = replace(plan.spec, prepare=asked.model_dump(mode="json"))
        return replace(plan, spec=spec, prepare=asked.script)
    if asked == NOTHING:
        return plan
    default = not asked
    name, options = _asked(asked) if asked else (TASKS.get(task, ""), {})
    path: KeyPath = ("data", plan.spec.name, "prepare")
    if not name:
        return plan
    if name not in registry.names("transforms"):
        hint = nearest(name, [*registry.names("transforms"), NOTHING])
        findings.add("OL107", f"no transform is called {name!r}", path, hint)
        return None
    kind = registry.transform_named(name)
    if default and plan.spec.reader not in kind.readers:
        return plan
    try:
        config = kind.config.model_validate(dict(options))
    except ValidationError as error:
        for problem_path, code, claim, hint in config_problems(error, kind.config):
            findings.add(code, claim, (*path, name, *problem_path), hint)
        return None
    written: dict[str, Json] = {"transform": name, "options": config.model_dump(mode="json"), "default": default}
    spec = replace(plan.spec, prepare=written)
    return replace(plan, spec=spec, transform=kind, named=kind().files(config))


def _asked(asked: str | Mapping[str, Mapping[str, Json]]) -> tuple[str, Mapping[str, Json]]:
    return (asked, {}) if isinstance(asked, str) else next(iter(asked.items()))


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
    read = () if reader.chooses_files else reader.files(plan.config)
    for name in (*read, *scripts, *plan.named):
        if not (folder / Path(name).expanduser()).exists():
            siblings = (
                [other.name for other in (folder / name).parent.glob("*")] if (folder / name).parent.is_dir() else []
            )
            code = "OL209" if name in scripts else "OL205"
            where = (*path, "prepare") if name in plan.named else path
            findings.add(code, f"{name} does not exist", where, nearest(Path(name).name, siblings))


def allows(entry: DataPlan, *uses: str) -> bool:
    """Whether an entry may be used in one of the given ways; one that says nothing may be used for anything."""
    return not entry.spec.use or any(use in entry.spec.use for use in uses)


def data_hint(data: Mapping[str, DataPlan], workflow: Workflow) -> str:
    """Returns a hint that lists the data entries."""
    names = ", ".join(data or workflow.data)
    return f"known: {names}" if names else "add a data section"
