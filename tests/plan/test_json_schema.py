"""The JSON schema that editors complete and check workflow files with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import cast

import pytest

from olivelike.digest import Json, JsonObject
from olivelike.plan.json_schema import workflow_schema
from olivelike.registry import Registry, installed
from olivelike.workflow.document import expand
from olivelike.workflow.schema import (
    ConstraintSection,
    ObjectiveSection,
    OutputSection,
    RunSection,
    SearchSection,
    StepSection,
    TargetSection,
    Workflow,
)
from olivelike.workflow.section import Section
from olivelike.workflow.yaml_text import parse_yaml

QUICKSTART = """\
format: 1
name: fashion-cpu
model: {path: quickstart/fashion.onnx}
target: {device: cpu, providers: [CPUExecutionProvider], threads: 1}
data:
  calibration: {npz: quickstart/calibration.npz, use: [calibration]}
  test: {npz: quickstart/test.npz, inputs: {image: images}, labels: labels, use: [selection]}
metrics:
  accuracy: {type: accuracy, data: test}
  latency: {type: latency, data: test, batch: 1}
  size: {type: size}
constraints:
  - {metric: accuracy, max_drop: 0.01}
objectives: [{minimize: latency.p50}]
passes:
  - simplify: {}
  - name: quantize
    one_of:
      - dynamic_quant: {per_channel: [true, false]}
      - static_quant: {format: [qdq, qoperator], per_channel: [true, false], calibration: [minmax, entropy], data: calibration}
      - float16: {}
      - none
search: {strategy: auto, max_trials: 20, time_limit: 5 min, seed: 0}
output: {path: out/fashion}
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return installed()


@pytest.fixture(scope="module")
def schema(registry: Registry) -> JsonObject:
    return workflow_schema(registry)


def accepts(schema: JsonObject, text: str) -> bool:
    return _holds(expand(parse_yaml(text, "w.yaml"), "w.yaml").value, schema, schema)


def _holds(value: Json, schema: JsonObject, root: JsonObject) -> bool:
    """A validator for the part of JSON Schema that the workflow's schema uses; an unknown keyword is a KeyError."""
    return all(_KEYWORDS[key](value, inner, schema, root) for key, inner in schema.items() if key not in _NOTES)


_NOTES = {"$schema", "$defs", "title", "description", "default", "examples", "patternProperties"}
_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def _is(value: Json, name: str) -> bool:
    if name in ("number", "integer"):
        return isinstance(value, int if name == "integer" else int | float) and not isinstance(value, bool)
    return isinstance(value, _TYPES[name])


def _members(value: Json, inner: Json, root: JsonObject) -> int:
    return sum(_holds(value, cast("JsonObject", member), root) for member in cast("list[Json]", inner))


def _properties(value: Json, inner: Json, root: JsonObject) -> bool:
    known = cast("dict[str, JsonObject]", inner)
    return not isinstance(value, dict) or all(_holds(value[key], known[key], root) for key in value if key in known)


def _additional(value: Json, inner: Json, schema: JsonObject, root: JsonObject) -> bool:
    if not isinstance(value, dict):
        return True
    rest = [key for key in value if key not in cast("Mapping[str, Json]", schema.get("properties", {}))]
    rest = [key for key in rest if not ("patternProperties" in schema and key.startswith("x-"))]
    return not rest if inner is False else all(_holds(value[key], cast("JsonObject", inner), root) for key in rest)


def _number(value: Json) -> float:
    return value if isinstance(value, int | float) else float("nan")


def _length(value: Json, *kinds: type) -> float:
    return len(value) if isinstance(value, kinds) else float("nan")  # type: ignore[arg-type]


_KEYWORDS = {
    "$ref": lambda v, i, s, r: _holds(v, r["$defs"][i.removeprefix("#/$defs/")], r),
    "type": lambda v, i, s, r: any(_is(v, name) for name in (i if isinstance(i, list) else [i])),
    "enum": lambda v, i, s, r: v in i,
    "const": lambda v, i, s, r: v == i,
    "anyOf": lambda v, i, s, r: _members(v, i, r) > 0,
    "oneOf": lambda v, i, s, r: _members(v, i, r) == 1,
    "properties": lambda v, i, s, r: _properties(v, i, r),
    "additionalProperties": _additional,
    "required": lambda v, i, s, r: not isinstance(v, dict) or set(i) <= set(v),
    "items": lambda v, i, s, r: not isinstance(v, list) or all(_holds(item, i, r) for item in v),
    "minItems": lambda v, i, s, r: not _length(v, list) < i,
    "maxItems": lambda v, i, s, r: not _length(v, list) > i,
    "minProperties": lambda v, i, s, r: not _length(v, dict) < i,
    "maxProperties": lambda v, i, s, r: not _length(v, dict) > i,
    "minLength": lambda v, i, s, r: not _length(v, str) < i,
    "minimum": lambda v, i, s, r: not _number(v) < i,
    "maximum": lambda v, i, s, r: not _number(v) > i,
    "exclusiveMinimum": lambda v, i, s, r: not _number(v) <= i,
    "exclusiveMaximum": lambda v, i, s, r: not _number(v) >= i,
    "pattern": lambda v, i, s, r: True,
    "uniqueItems": lambda v, i, s, r: True,
}


def _references(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield str(value["$ref"])
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def test_the_quickstart_holds(schema: JsonObject) -> None:
    assert accepts(schema, QUICKSTART)


@pytest.mark.parametrize(
    "text",
    [
        "model: {hub: org/m, revision: abc, file: onnx/model.onnx}",
        "model: {path: m}\nx-mine: {a: 1}",
        "model: {path: m}\ntargets: {laptop: {device: cpu, providers: [cpu, {openvino: {device_type: GPU}}]}}\ntarget: laptop",
        "model: {path: m}\ndata: {c: {script: user.py, call: f, args: {n: 1}, use: [calibration]}}",
        "model: {path: m}\ndata: {c: {npz: a, prepare: {script: u.py, call: f}, samples: 5, batch: 8, shuffle: true}}",
        "model: {path: m}\nconstraints: [{metric: a.b, max_drop: 0.01}, {metric: latency.p90, at_most: 20 ms}]",
        "model: {path: m}\nobjectives: [{minimize: latency.p50, within: 2%}, {maximize: quality.f1}]",
        "model: {path: m}\npasses: [simplify, {simplify: }, {name: s, simplify: {}, when: {q: [a, none]}, verify: off}]",
        "model: {path: m}\npasses: [{name: q, one_of: [[simplify, {dynamic_quant: {}}], none]}]",
        "model: {path: m}\npasses: [{dynamic_quant: {per_channel: {choice: [true, false]}}, limits: {time: 5 min}}]",
        "model: {path: m}\npasses: [{dynamic_quant: {per_channel: {value: true}}}]",
        "model: {path: m}\nrun: {cache: {path: c}, workers: 2, limits: {memory: 2 GiB}}",
    ],
)
def test_what_the_shape_can_say_holds(schema: JsonObject, text: str) -> None:
    assert accepts(schema, text)


@pytest.mark.parametrize(
    "text",
    [
        "name: x",
        "model: {}",
        "model: {path: m, hub: n}",
        "model: {path: m, load: {}}",
        "model: {path: m, io: {inputs: {}}}",
        "model: {path: m}\nserach: {}",
        "model: {path: m}\nenvironments: {}",
        "model: {path: m}\nformat: 2",
        "model: {path: m}\nsearch: {max_trails: 3}",
        "model: {path: m}\nsearch: {max_trials: 0}",
        "model: {path: m}\nsearch: {strategy: bset}",
        "model: {path: m}\ndata: {t: {npzz: a}}",
        "model: {path: m}\ndata: {t: {npz: a, use: [selektion]}}",
        "model: {path: m}\nmetrics: {l: {type: latncy}}",
        "model: {path: m}\nmetrics: {l: {type: latency, batsch: 1}}",
        "model: {path: m}\nconstraints: [{metric: a}]",
        "model: {path: m}\nconstraints: [{metric: a, at_most: 1, at_least: 1}]",
        "model: {path: m}\nobjectives: [{minimize: a, maximize: b}]",
        "model: {path: m}\npasses: [{simplyfy: {}}]",
        "model: {path: m}\npasses: [{simplify: {}, dynamic_quant: {}}]",
        "model: {path: m}\npasses: [{one_of: [simplify]}]",
        "model: {path: m}\npasses: [{simplify: {}, environment: gpu}]",
        "model: {path: m}\npasses: [{dynamic_quant: {per_chanel: true}}]",
        "model: {path: m}\npasses: [{dynamic_quant: {per_channel: []}}]",
        "model: {path: m}\npasses: [{dynamic_quant: {per_channel: {choice: []}}}]",
        "model: {path: m}\ntarget: {providers: []}",
    ],
)
def test_what_the_loader_or_the_plan_refuses_is_marked(schema: JsonObject, text: str) -> None:
    assert not accepts(schema, text)


def test_it_is_json_without_dangling_references(schema: JsonObject) -> None:
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema
    definitions = cast("JsonObject", schema["$defs"])
    assert {reference.removeprefix("#/$defs/") for reference in _references(schema)} <= set(definitions)


def test_it_is_the_same_every_time(schema: JsonObject, registry: Registry) -> None:
    assert json.dumps(workflow_schema(registry)) == json.dumps(schema)


def test_every_key_that_a_user_may_write_is_in_it_with_a_description(schema: JsonObject) -> None:
    for section, found in _sections(schema).items():
        assert set(section.written_keys()) <= set(found), section.__name__
        assert all(
            cast("JsonObject", found[key]).get("description")
            for key in section.written_keys()
            if key in section.model_fields
        )


def _sections(schema: JsonObject) -> dict[type[Section], JsonObject]:
    top = cast("dict[str, JsonObject]", schema["properties"])
    definitions = cast("dict[str, JsonObject]", schema["$defs"])
    step = cast("list[JsonObject]", definitions["step"]["anyOf"])[1]
    shapes = {
        SearchSection: top["search"],
        OutputSection: top["output"],
        RunSection: top["run"],
        ConstraintSection: cast("JsonObject", top["constraints"]["items"]),
        ObjectiveSection: cast("JsonObject", top["objectives"]["items"]),
        TargetSection: definitions["target"],
        StepSection: step,
    }
    found = {section: cast("JsonObject", shape["properties"]) for section, shape in shapes.items()}
    return {Workflow: cast("JsonObject", top), **found}


def test_every_pass_that_a_user_may_name_is_in_it_and_no_auxiliary_one(schema: JsonObject, registry: Registry) -> None:
    offered = {name for name in registry.names("passes") if not registry.pass_named(name).auxiliary}
    step = _sections(schema)[StepSection]
    assert set(step) == offered | set(StepSection.written_keys())
