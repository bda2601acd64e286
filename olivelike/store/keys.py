"""Keys: what a step's output and a measurement depend on, as named ingredients that are hashed together.

The ingredients are kept beside each record, so that a miss can be explained field by field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel

from olivelike.contracts.data import DataSpec, RefersTo
from olivelike.contracts.metric import AnyMetric
from olivelike.contracts.passes import AnyPass, Reads
from olivelike.contracts.task import MeasureTask, StepTask
from olivelike.digest import Json, JsonObject, digest_file, digest_json

STEP_FORMAT = 2
MEASURE_FORMAT = 2
ENGINE = "olivelike"
IMPORT = re.compile(r"^[ \t]*import[ \t]+([\w., \t]+)", re.MULTILINE)
FROM_IMPORT = re.compile(r"^[ \t]*from[ \t]+(\.*[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[\w., \t]+)", re.MULTILINE)


def step_ingredients(task: StepTask, kind: type[AnyPass], machine: JsonObject) -> JsonObject:
    """Returns what a step's output depends on.

    Args:
        task: the step.
        kind: the pass's class, which declares what it reads and which tools matter.
        machine: this machine's fingerprint, used where the pass reads it.
    """
    reads: JsonObject = {}
    if Reads.TARGET in kind.reads:
        reads["target"] = task.target.to_json()
    if Reads.MACHINE in kind.reads:
        reads["machine"] = machine
    if Reads.SEED in kind.reads:
        reads["seed"] = task.seed
    return {
        "kind": "step",
        "format": STEP_FORMAT,
        "pass": task.pass_name,
        "version": kind.version,
        "code": source_digest(kind.__module__),
        "config": _without_names(kind.config, task.config, task.data),
        "source": task.source,
        "needed": dict(task.needed),
        "data": _data(task.data),
        "reads": reads,
        "tools": {name: _version(name) for name in kind.tools},
        "verify": task.verify,
    }


def measure_ingredients(
    task: MeasureTask, kind: type[AnyMetric], runtime: JsonObject, machine: JsonObject
) -> JsonObject:
    """Returns what a measurement depends on.

    Args:
        task: the measurement.
        kind: the metric's class, which declares its version and which tools matter.
        runtime: runtime build and CPU features; empty for a metric that runs nothing.
        machine: this machine's fingerprint; empty for a metric that times nothing.
    """
    return {
        "kind": "measure",
        "format": MEASURE_FORMAT,
        "metric": task.metric,
        "version": kind.version,
        "code": source_digest(kind.__module__),
        "config": _without_places(dict(task.config), task.scripts),
        "candidate": task.candidate,
        "reference": task.reference,
        "data": _data(task.data),
        "scripts": sorted(set(task.scripts.values())),
        "target": task.target.to_json() if runtime else {},
        "runtime": runtime,
        "machine": machine,
        "seed": task.seed,
        "level": task.level,
        "tools": {name: _version(name) for name in kind.tools},
    }


def key_of(ingredients: JsonObject) -> str:
    """Returns the index key of ingredients: their kind and full sha256."""
    return f"{ingredients['kind']}/{digest_json(ingredients)}"


def differences(old: JsonObject, new: JsonObject, path: str = "") -> Iterator[str]:
    """Yields what differs between two sets of ingredients: `config.calibration minmax -> entropy`."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        here = f"{path}.{name}" if path else name
        if isinstance(before, dict) and isinstance(after, dict):
            yield from differences(before, after, here)
        elif before != after:
            yield f"{here} {_shown(before)} -> {_shown(after)}"


@cache
def source_digest(module: str) -> str:
    """Returns the digest of a module's source and of all it imports from its own package or from olivelike.

    The source is read as text; nothing is imported but parent packages. Cached per process: source does not change under a run.
    """
    own = {module.partition(".")[0], ENGINE}
    found: dict[str, str] = {}
    queue = [module]
    while queue:
        name = queue.pop()
        path = _source_of(name)
        if name in found or path is None:
            continue
        found[name] = digest_file(path)
        queue += [other for other in _imports(path, name) if other.partition(".")[0] in own]
    return digest_json(found)


def _source_of(module: str) -> Path | None:
    top, *rest = module.split(".")
    spec = find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") and not rest else None
    inside = Path(spec.submodule_search_locations[0]).joinpath(*rest)
    return next((path for path in (inside.with_suffix(".py"), inside / "__init__.py") if path.is_file()), None)


def _imports(path: Path, module: str) -> Iterator[str]:
    """Yields the modules that a source file may import: found by pattern, which costs a tenth of parsing it.

    A line inside a text that reads like an import adds a module too many, which is harmless.
    """
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    text = path.read_text(encoding="utf-8")
    for names in IMPORT.findall(text):
        yield from (name.split()[0] for name in names.split(",") if name.strip())
    for base, names in FROM_IMPORT.findall(text):
        level = len(base) - len(base.lstrip("."))
        parents = package.split(".")[: len(package.split(".")) - level + 1] if level else []
        source = ".".join([*parents, *([base.lstrip(".")] if base.strip(".") else [])])
        yield source
        yield from (f"{source}.{name.split()[0]}" for name in names.strip("()").split(",") if name.strip())


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _data(data: Mapping[str, DataSpec]) -> list[Json]:
    """Returns the entries without their names: a renamed entry is the same data."""
    found: list[Json] = [spec.essence() for spec in data.values()]
    return sorted(found, key=digest_json)


def _without_names(kind: type[BaseModel], config: Mapping[str, Json], data: Mapping[str, DataSpec]) -> JsonObject:
    """Returns a pass's configuration with what stands behind the name of a data entry in the place of that name."""
    found = dict(config)
    for name, info in kind.model_fields.items():
        entry = config.get(name)
        if any(isinstance(mark, RefersTo) for mark in info.metadata) and isinstance(entry, str) and entry in data:
            found[name] = data[entry].essence()
    return found


def _without_places(value: JsonObject, scripts: Mapping[str, str]) -> JsonObject:
    """Returns a metric's configuration with a script's digest in the place of its path."""
    found: JsonObject = {}
    for name, item in value.items():
        if isinstance(item, dict):
            found[name] = _without_places(item, scripts)
        else:
            found[name] = scripts[item] if name == "script" and isinstance(item, str) and item in scripts else item
    return found


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."
