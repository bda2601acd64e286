"""Steps: one pass, or a choice between alternatives, beside the keys that the engine reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, JsonValue, ValidationInfo, WithJsonSchema, model_validator

from olivelike.contracts.space import Limits
from olivelike.errors import nearest
from olivelike.workflow.document import KeyPath
from olivelike.workflow.faults import broken
from olivelike.workflow.section import Name, NotBuilt, Section, TaskLimits, is_written

NONE = "none"
ONE_OF = "one_of"
ENGINE_KEYS = ("name", ONE_OF, "when", "limits", "verify", "parts", "environment", "target")
"""The keys of a step that are no pass."""


def _names(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return {key: (item,) if isinstance(item, str) else item for key, item in value.items()}


class StepSection(Section):
    """A step as written: a pass with its configuration, or the alternatives of `one_of`.

    Attributes:
        name: unique in the file; the pass's name where none is written.
        pass_name: the pass; empty for a choice between alternatives.
        config: the pass's configuration as written, choices included.
        one_of: the alternatives, each a chain of steps; `none` is the empty chain.
        chain_written: for each alternative, whether it was written as a list (its steps then have an index in paths).
        when: earlier `one_of` step to the names of which one must have been chosen.
        limits: what one run of this step may take.
        verify: how closely the output is checked.
    """

    internal: ClassVar[frozenset[str]] = frozenset({"pass_name", "config", "chain_written"})

    name: Name = ""
    pass_name: str = ""
    config: dict[str, JsonValue] = Field(default={})
    one_of: tuple[tuple[StepSection, ...], ...] = ()
    chain_written: tuple[bool, ...] = ()
    when: Annotated[
        dict[str, tuple[str, ...]],
        BeforeValidator(_names),
        WithJsonSchema(
            {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
                },
            }
        ),
    ] = Field(default={})
    limits: TaskLimits = Limits()
    verify: Literal["off", "fast", "full"] = "fast"
    parts: Annotated[list[str], NotBuilt] = Field(default=[])
    environment: Annotated[str, NotBuilt] = ""
    target: Annotated[str, NotBuilt] = ""

    @model_validator(mode="before")
    @classmethod
    def _shape(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str):
            value = {value: {}}
        if not isinstance(value, Mapping):
            return value
        if is_written(info) or not ({"pass_name", "chain_written"} & set(value)):
            value = _from_written(value)
        return {"name": value["pass_name"], **value} if value.get("pass_name") else value

    @model_validator(mode="after")
    def _check(self) -> StepSection:
        if bool(self.pass_name) == bool(self.one_of) or len(self.chain_written) != len(self.one_of) or not self.name:
            raise broken("OL112", "a step holds a name and either a pass or `one_of`")
        return self

    def alternative_path(self, path: KeyPath, alternative: int, step: int) -> KeyPath:
        """Returns the path of one step of an alternative, given this step's own path."""
        inside = (step,) if self.chain_written[alternative] else ()
        return (*path, ONE_OF, alternative, *inside)


def walk(steps: tuple[StepSection, ...], path: KeyPath = ("passes",)) -> Iterator[tuple[KeyPath, StepSection]]:
    """Yields every step with its path in the file, alternatives included, in the order of the file."""
    for index, step in enumerate(steps):
        yield from _walk_one(step, (*path, index))


def _walk_one(step: StepSection, path: KeyPath) -> Iterator[tuple[KeyPath, StepSection]]:
    yield path, step
    for number, chain in enumerate(step.one_of):
        for position, member in enumerate(chain):
            yield from _walk_one(member, step.alternative_path(path, number, position))


def _from_written(value: Mapping[str, object]) -> dict[str, object]:
    engine = {key: item for key, item in value.items() if key in ENGINE_KEYS}
    passes = [key for key in value if key not in ENGINE_KEYS]
    if ONE_OF not in value:
        name = _only_pass(value, passes)
        return {**engine, "pass_name": name, "config": _config(value[name])}
    if passes:
        hint = nearest(passes[0], ENGINE_KEYS)
        if hint.startswith("did"):
            raise broken("OL104", "unknown key", at=(passes[0],), hint=hint)
        claim = f"a step holds one pass or one `one_of`, got both `{passes[0]}` and `one_of`"
        raise broken("OL112", claim, at=(passes[0],), hint="make them two steps")
    if "name" not in value:
        raise broken("OL111", "a step with `one_of` needs a name", hint="for example name: quantize")
    alternatives = value[ONE_OF]
    if not isinstance(alternatives, list | tuple) or not alternatives:
        claim = f"got {alternatives!r}, expected a list of alternatives"
        raise broken("OL105", claim, at=(ONE_OF,), hint="for example [{dynamic_quant: {}}, none]")
    chains = [_chain(member, number) for number, member in enumerate(alternatives)]
    return {**engine, ONE_OF: chains, "chain_written": [_is_chain(member) for member in alternatives]}


def _only_pass(value: Mapping[str, object], passes: list[str]) -> str:
    if not passes:
        raise broken("OL111", "a step names no pass", hint="for example simplify: {}")
    typos = [key for key in passes if _mistyped(key, ENGINE_KEYS if len(passes) > 1 else (ONE_OF,))]
    if typos and (len(passes) > 1 or not isinstance(value[typos[0]], Mapping)):
        raise broken("OL104", "unknown key", at=(typos[0],), hint=nearest(typos[0], ENGINE_KEYS))
    if len(passes) > 1:
        claim = f"a step holds one pass, got {' and '.join(passes)}"
        raise broken("OL112", claim, hint="make them two steps, each with its own dash")
    if passes[0] == NONE:
        raise broken("OL112", "`none` stands outside the alternatives of a `one_of`", hint="remove it")
    return passes[0]


def _mistyped(key: str, known: tuple[str, ...]) -> bool:
    from difflib import get_close_matches

    return bool(get_close_matches(key, known, n=1, cutoff=0.75))


def _config(value: object) -> object:
    return {} if value is None else value


def _is_chain(member: object) -> bool:
    return isinstance(member, list) or (isinstance(member, tuple) and len(member) > 1)


def _chain(member: object, number: int) -> list[object]:
    match member:
        case "none":
            return []
        case str() | Mapping() | StepSection():
            return [member]
        case list() | tuple():
            return list(member)
    claim = f"got {member!r}, expected an alternative"
    raise broken("OL105", claim, at=(ONE_OF, number), hint="a step, a list of steps, or none")
