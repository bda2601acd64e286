"""The JSON schema of the workflow file, for editors: the sections' own keys, and every name that the plugins offer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias, cast

from pydantic import BaseModel

from olivelike.contracts.data import ScriptCall
from olivelike.contracts.target import PROVIDERS
from olivelike.digest import Json, JsonObject
from olivelike.plan.data import NOTHING
from olivelike.registry import Registry
from olivelike.workflow.schema import (
    ConstraintSection,
    DataSection,
    MetricSection,
    ModelSection,
    ObjectiveSection,
    OutputSection,
    RunSection,
    SearchSection,
    StepSection,
    TargetSection,
    Workflow,
)
from olivelike.workflow.section_schema import descriptions, model_schema, section_properties, summary

Schemas: TypeAlias = "dict[str, Json]"

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_COLLECTIONS = frozenset({"array", "object"})


def workflow_schema(registry: Registry) -> JsonObject:
    """Returns the JSON schema (draft 2020-12) of a workflow file as users write it.

    It knows every pass, metric, source, reader, strategy and executor of the registry with its parameters. Keys that are
    not built yet are left out, so that an editor marks them.

    Raises:
        InputError: OL107, a plugin cannot be loaded.
    """
    definitions: Schemas = {"JsonValue": {}}
    call, required = _options(ScriptCall, "script_call.", definitions)
    definitions["script_call"] = _object(call, required)
    properties: JsonObject = {**section_properties(Workflow), **_sections(registry, definitions)}
    described = descriptions(Workflow)
    for key, schema in properties.items():
        properties[key] = {**cast("JsonObject", schema), "description": described.get(key, "")}
    return {
        "$schema": DIALECT,
        "title": "olivelike workflow",
        **_object(properties, ("model",)),
        "patternProperties": {"^x-": {"description": "The user's own."}},
        "$defs": definitions,
    }


def _sections(registry: Registry, definitions: Schemas) -> Schemas:
    definitions["target"] = _target()
    definitions["step"] = _step(registry, definitions)
    search, run = section_properties(SearchSection), section_properties(RunSection)
    search["strategy"] = _named(search["strategy"], registry.names("strategies"))
    run["executor"] = _named(run["executor"], registry.names("executors"))
    return {
        "model": _model(registry),
        "targets": {"type": "object", "additionalProperties": _ref("target")},
        "target": {"anyOf": [_ref("target"), {"type": "string"}]},
        "data": {"type": "object", "additionalProperties": {"oneOf": _entries(registry, definitions)}},
        "metrics": {"type": "object", "additionalProperties": {"oneOf": _metrics(registry, definitions)}},
        "constraints": {"type": "array", "items": _constraint()},
        "objectives": {"type": "array", "items": _objective()},
        "passes": {"type": "array", "items": _ref("step")},
        "search": _object(search),
        "output": _object(section_properties(OutputSection)),
        "run": _object(run),
    }


def _model(registry: Registry) -> JsonObject:
    sources: JsonObject = {
        name: {"description": summary(registry.source_named(name))} for name in registry.names("sources")
    }
    return {**_object({**sources, **section_properties(ModelSection)}), "oneOf": _one_required(sources)}


def _target() -> JsonObject:
    names: Json = [*PROVIDERS, *PROVIDERS.values()]
    options: JsonObject = {"type": "object", "minProperties": 1, "maxProperties": 1}
    provider: JsonObject = {"anyOf": [{"type": "string", "examples": names}, options]}
    providers: JsonObject = {"type": "array", "items": provider, "minItems": 1}
    return _object({**section_properties(TargetSection), "providers": _kept(TargetSection, "providers", providers)})


def _entries(registry: Registry, definitions: Schemas) -> list[Json]:
    """Returns one schema for each data reader: its options beside the keys of every data entry."""
    own = section_properties(DataSection)
    own["prepare"] = _kept(DataSection, "prepare", _prepare(registry, definitions))
    found: list[Json] = []
    for name in registry.names("readers"):
        reader = registry.reader_named(name)
        options, required = _options(reader.config, f"data.{name}.", definitions)
        found.append({"title": name, **_object({name: {}, **own, **options}, {name, *required})})
    return found


def _prepare(registry: Registry, definitions: Schemas) -> JsonObject:
    """Returns the schema of `prepare`: a transform's name, or its options behind it, or the user's Python."""
    names = registry.names("transforms")
    kinds = {name: registry.transform_named(name) for name in names}
    options: JsonObject = {
        name: {**_object(_options(kind.config, f"transforms.{name}.", definitions)[0]), "description": summary(kind)}
        for name, kind in kinds.items()
    }
    named: JsonObject = {**_object(options), "minProperties": 1, "maxProperties": 1}
    return {"anyOf": [{"enum": [*names, NOTHING]}, named, _ref("script_call")]}


def _metrics(registry: Registry, definitions: Schemas) -> list[Json]:
    own = section_properties(MetricSection)
    found: list[Json] = []
    for name in registry.names("metrics"):
        metric = registry.metric_named(name)
        options, required = _options(metric.config, f"metrics.{name}.", definitions)
        fixed: JsonObject = {"type": {"const": name, "description": summary(metric)}}
        found.append({"title": name, **_object({**own, **options, **fixed}, ("type", *required))})
    return found


def _constraint() -> JsonObject:
    bound = cast("JsonObject", model_schema(ConstraintSection, "")["properties"])["amount"]
    rules: JsonObject = {rule: _plain(bound) for rule in ConstraintSection.extra_keys}
    schema = _object({**section_properties(ConstraintSection), **rules}, ("metric",))
    return {**schema, "oneOf": _one_required(rules)}


def _objective() -> JsonObject:
    keys: JsonObject = {
        direction: {"type": "string", "description": descriptions(ObjectiveSection)["metric"]}
        for direction in ObjectiveSection.extra_keys
    }
    return {**_object({**keys, **section_properties(ObjectiveSection)}), "oneOf": _one_required(keys)}


def _step(registry: Registry, definitions: Schemas) -> JsonObject:
    """Returns the schema of a step: engine keys, and exactly one pass or `one_of`."""
    passes = {name: registry.pass_named(name) for name in registry.names("passes")}
    configs: JsonObject = {}
    for name, kind in passes.items():
        if not kind.auxiliary:
            configs[name] = _config(kind.config, f"passes.{name}.", definitions) | {"description": summary(kind)}
    engine = section_properties(StepSection)
    chain: JsonObject = {"type": "array", "items": _ref("step")}
    engine["one_of"] = _kept(
        StepSection,
        "one_of",
        {"type": "array", "minItems": 1, "items": {"anyOf": [{"const": "none"}, _ref("step"), chain]}},
    )
    choices: list[Json] = [*_one_required(configs), {"required": ["one_of", "name"]}]
    bare: JsonObject = {"enum": sorted(configs)}
    return {"anyOf": [bare, {**_object({**configs, **engine}), "oneOf": choices}]}


def _config(config: type[BaseModel], prefix: str, definitions: Schemas) -> JsonObject:
    """Returns the schema of a pass's configuration, in which every parameter may be a choice."""
    options, required = _options(config, prefix, definitions)
    parameters: JsonObject = {
        name: _parameter(cast("JsonObject", schema), definitions) for name, schema in options.items()
    }
    schema = _object(parameters, required)
    return schema if required else {**schema, "type": ["object", "null"]}


def _options(config: type[BaseModel], prefix: str, definitions: Schemas) -> tuple[JsonObject, tuple[str, ...]]:
    schema = model_schema(config, prefix)
    for name, inner in cast("JsonObject", schema.get("$defs", {})).items():
        definitions[f"{prefix}{name}"] = inner
    properties = cast("JsonObject", schema.get("properties", {}))
    described = descriptions(config)
    options: JsonObject = {
        name: {**({"description": described[name]} if name in described else {}), **cast("JsonObject", _plain(option))}
        for name, option in properties.items()
    }
    return options, tuple(cast("list[str]", schema.get("required", [])))


def _parameter(schema: JsonObject, definitions: Schemas) -> JsonObject:
    """Returns what may stand for a parameter: its value, a choice, a range; a bare list only where it cannot be the value."""
    outer: JsonObject = {key: schema[key] for key in ("description", "default") if key in schema}
    value: JsonObject = {key: item for key, item in schema.items() if key not in outer}
    several: JsonObject = {"type": "array", "items": value, "minItems": 1}
    kinds = _kinds(value, definitions)
    forms: list[Json] = [value, _object({"choice": several}, ("choice",)), _object({"value": value}, ("value",))]
    if not kinds & _COLLECTIONS and kinds:
        forms.insert(1, several)
    if kinds & {"number", "integer"}:
        forms.append(_range())
    return {**outer, "anyOf": forms}


def _range() -> JsonObject:
    number: JsonObject = {"type": "number"}
    ends: JsonObject = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
    return _object({"range": ends, "step": {**number, "exclusiveMinimum": 0}, "log": {"type": "boolean"}}, ("range",))


def _kinds(schema: JsonObject, definitions: Schemas) -> frozenset[str]:
    """Returns the JSON types that a schema allows; none where it says nothing and so allows all."""
    if "$ref" in schema:
        return _kinds(cast("JsonObject", definitions[str(schema["$ref"]).removeprefix("#/$defs/")]), definitions)
    members = [cast("JsonObject", member) for key in ("anyOf", "oneOf", "allOf") for member in _list(schema.get(key))]
    if members:
        inner = [_kinds(member, definitions) for member in members]
        return frozenset[str]().union(*inner) if all(inner) else frozenset()
    values = [*_list(schema.get("enum")), *([schema["const"]] if "const" in schema else [])]
    types = schema.get("type", [_json_type(value) for value in values])
    return frozenset([types] if isinstance(types, str) else map(str, _list(types)))


def _json_type(value: Json) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null", list: "array"}
    return names.get(type(value), "object")


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _object(properties: Mapping[str, Json], required: Iterable[str] = ()) -> JsonObject:
    schema: JsonObject = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**schema, "required": sorted(required)} if required else schema


def _one_required(keys: Iterable[str]) -> list[Json]:
    return [{"required": [key]} for key in keys]


def _named(schema: Json, names: Iterable[str]) -> JsonObject:
    return {**cast("JsonObject", schema), "enum": list(names)}


def _kept(section: type[BaseModel], key: str, schema: JsonObject) -> JsonObject:
    return {**schema, "description": descriptions(section)[key]}


def _ref(name: str) -> JsonObject:
    return {"$ref": f"#/$defs/{name}"}


def _plain(schema: Json) -> Json:
    """Returns a schema without the titles that pydantic makes up."""
    if isinstance(schema, dict):
        return {key: item for key, item in schema.items() if key != "title"}
    return schema
