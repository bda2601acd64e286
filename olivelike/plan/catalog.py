"""The catalog: what each registered pass and metric is, for listings and the reference pages."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias, cast

from pydantic import BaseModel

from olivelike.contracts.metric import AnyMetric, ValueSpec
from olivelike.digest import JsonObject
from olivelike.plan.type_text import type_text
from olivelike.registry import Registry

CatalogKind: TypeAlias = Literal["passes", "metrics"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name, type as written, default as written (`required` where there is none), and what it means."""

    name: str
    type: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Description:
    """A pass or metric in full.

    Attributes:
        name: as it stands in a workflow.
        text: its documentation.
        parameters: its configuration.
        facts: what else is worth knowing, name to text (values given, kinds taken).
    """

    name: str
    text: str
    parameters: tuple[Parameter, ...]
    facts: dict[str, str]


def summaries(registry: Registry, kind: CatalogKind) -> dict[str, str]:
    """Returns each name with the first line of its documentation; the source is read as text, nothing is imported."""
    return {name: _first_line(registry.reference(kind, name)) for name in registry.names(kind)}


def describe(registry: Registry, kind: CatalogKind, name: str) -> Description:
    """Returns one pass or metric in full.

    Raises:
        InputError: OL107, nothing of that name exists.
    """
    if kind == "passes":
        found = registry.pass_named(name)
        facts = {
            "takes": ", ".join(sorted(found.accepts)),
            "makes": found.produces,
            "lossless": "yes" if found.lossless else "no",
            "output depends on": ", ".join(
                ["model", "parameters", *sorted(r.value for r in found.reads), *found.tools]
            ),
        }
        if found.auxiliary:
            facts["auxiliary"] = "run for the passes that need it; not a step of its own"
        return Description(name, inspect.getdoc(found) or "", tuple(parameters(found.config)), facts)
    metric = registry.metric_named(name)
    values = ", ".join(f"{v.name} ({v.unit}, {v.better} is better)" for v in usual_values(metric))
    facts = {
        "gives": values or "what its parameters name",
        "data": metric.data,
        "labels": "needed" if metric.needs_labels else "not needed",
    }
    return Description(name, inspect.getdoc(metric) or "", tuple(parameters(metric.config)), facts)


def usual_values(metric: type[AnyMetric]) -> tuple[ValueSpec, ...]:
    """Returns what a metric gives with its default configuration; nothing where a parameter is required."""
    if any(field.is_required() for field in metric.config.model_fields.values()):
        return ()
    return metric().values(metric.config())


def parameters(config: type[BaseModel]) -> Iterator[Parameter]:
    """Yields the parameters of a configuration in order of declaration."""
    schema = cast("JsonObject", config.model_json_schema())
    definitions = cast("JsonObject", schema.get("$defs", {}))
    required = cast("list[str]", schema.get("required", []))
    for name, each in cast("dict[str, JsonObject]", schema.get("properties", {})).items():
        default = "required" if name in required else json.dumps(each.get("default"), ensure_ascii=False)
        meaning = " ".join(str(each.get("description", "")).split())
        yield Parameter(name, type_text(each, definitions), default, meaning)


def _first_line(reference: str) -> str:
    module, _, name = reference.partition(":")
    top, *rest = module.split(".")
    spec = find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return ""
    path = Path(spec.submodule_search_locations[0]).joinpath(*rest).with_suffix(".py")
    if not path.is_file():
        return ""
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""
