"""Writing: a workflow back into the form that users write, without what is a default; reading it gives an equal workflow."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import cast

from olivelike.contracts import units
from olivelike.contracts.data import ScriptCall
from olivelike.contracts.space import Limits
from olivelike.contracts.units import Amount
from olivelike.digest import Json, JsonObject
from olivelike.workflow.goals import ConstraintSection, MetricSection, ObjectiveSection
from olivelike.workflow.scalars import resolve
from olivelike.workflow.schema import Workflow
from olivelike.workflow.section import Section
from olivelike.workflow.sections import ProviderSection, SearchSection
from olivelike.workflow.steps import NONE, ONE_OF, StepSection

_PLAIN = re.compile(r"(?:\.{0,2}/)?[A-Za-z0-9_](?:[A-Za-z0-9_./+@%-]| (?=[A-Za-z0-9_.]))*")
"""Text that needs no quotes anywhere; more would do without, but ruamel.yaml writes some of it in a form it cannot read."""


def written(workflow: Workflow) -> JsonObject:
    """Returns the keys of a workflow file that says the same: `format`, and everything that is no default."""
    return {"format": workflow.format, **_section(workflow)}


def to_yaml(workflow: Workflow) -> str:
    """Returns the text of a workflow file that says the same; lists and mappings without parts inside stand on one line."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(_presented(written(workflow)), stream)
    return stream.getvalue()


def _section(section: Section) -> JsonObject:
    """Returns a section's keys that are no defaults, a source key first."""
    result: JsonObject = {}
    for key, info in type(section).model_fields.items():
        value = getattr(section, key)
        if key == "own":
            result = {**result, **value} if isinstance(section, MetricSection) else {**value, **result}
        elif key not in section.internal and (info.is_required() or value != info.default):
            result[key] = _value(value)
    match section:
        case SearchSection() if "time_limit" in result:
            result["time_limit"] = units.seconds_text(section.time_limit)
        case StepSection():
            return _step(section, result)
        case ConstraintSection():
            result[section.rule] = units.amount_text(section.amount)
        case ObjectiveSection():
            return {section.direction: section.metric, **result}
        case _:
            pass
    return result


def _step(step: StepSection, keys: JsonObject) -> JsonObject:
    if step.pass_name:
        unnamed = {key: value for key, value in keys.items() if key != "name" or value != step.pass_name}
        return {step.pass_name: dict(step.config), **unnamed}
    alternatives = [
        _alternative([_section(member) for member in chain], as_list=as_list)
        for chain, as_list in zip(step.one_of, step.chain_written, strict=True)
    ]
    return {**keys, ONE_OF: alternatives}


def _alternative(chain: list[JsonObject], *, as_list: bool) -> Json:
    if as_list:
        return chain
    return chain[0] if chain else NONE


def _value(value: object) -> Json:
    match value:
        case ProviderSection():
            return {value.name: dict(value.options)} if value.options else value.name
        case Section():
            return _section(value)
        case ScriptCall():
            return cast("JsonObject", value.model_dump(mode="json"))
        case Limits():
            return _limits(value)
        case Amount():
            return units.amount_text(value)
        case Mapping():
            return {key: _value(item) for key, item in value.items()}
        case tuple() | list():
            return [_value(item) for item in value]
    return cast("Json", value)


def _limits(limits: Limits) -> JsonObject:
    unlimited = Limits()
    time = {"time": units.seconds_text(limits.seconds)} if limits.seconds != unlimited.seconds else {}
    memory = {"memory": units.size_text(limits.bytes)} if limits.bytes != unlimited.bytes else {}
    return {**time, **memory}


def _presented(value: Json) -> object:
    """Wraps plain values for ruamel.yaml: short parts in flow style, text in quotes where it would read as something else."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    match value:
        case str():
            plain = _PLAIN.fullmatch(value) and resolve(value) == value
            return value if plain else DoubleQuotedScalarString(value)
        case Mapping():
            mapping = CommentedMap({_presented(name): _presented(item) for name, item in value.items()})
            if not any(isinstance(item, Mapping | list) and item for item in value.values()):
                mapping.fa.set_flow_style()
            return mapping
        case list():
            sequence = CommentedSeq([_presented(item) for item in value])
            if not any(isinstance(item, Mapping | list) and item for item in value):
                sequence.fa.set_flow_style()
            return sequence
    return value
