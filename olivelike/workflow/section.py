"""Sections: the base of every part of a workflow, and the field types that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

from olivelike.contracts import units
from olivelike.contracts.space import Limits
from olivelike.errors import nearest
from olivelike.workflow.faults import broken

WRITTEN = "written"
"""Validation context of what a user wrote in a file: only there, names of attributes that no file has are unknown keys."""

MAPPING_TAG = "<mapping>"
TEXT_TAG = "<text>"
NAMED_TAG = "<named>"

T = TypeVar("T")


class Section(BaseModel):
    """Base of a workflow's parts: frozen, unknown keys refused.

    A subclass whose written form differs from its attributes says which keys a user may write in `written_keys`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    internal: ClassVar[frozenset[str]] = frozenset()
    """Attributes that are no keys of the file."""
    extra_keys: ClassVar[tuple[str, ...]] = ()
    """Keys of the file that are no attributes."""

    @classmethod
    def written_keys(cls) -> tuple[str, ...]:
        """Returns the keys that a user may write, those that are not built yet left out."""
        return (*(key for key in cls.model_fields if key not in cls.internal and cls.is_built(key)), *cls.extra_keys)

    @classmethod
    def is_built(cls, key: str) -> bool:
        """Whether a key is more than reserved for a capability to come."""
        return NotBuilt not in cls.model_fields[key].metadata


class OpenSection(Section):
    """A section to which plugins add keys: `own` holds every key that is not an attribute."""

    internal = frozenset({"own"})


def gather(cls: type[OpenSection], value: object, info: ValidationInfo) -> object:
    """Moves every key that is no attribute into `own`; what is no mapping is left for pydantic to refuse."""
    if not isinstance(value, Mapping):
        return value
    known = {key: item for key, item in value.items() if key in cls.model_fields and key != "own"}
    own = {key: item for key, item in value.items() if key not in known}
    if not is_written(info) and "own" in own:
        own |= own.pop("own")
    return {**known, "own": own}


def is_written(info: ValidationInfo) -> bool:
    """Whether the value comes from a file or a mapping that looks like one."""
    return info.context == WRITTEN


def shape_tag(value: object) -> str:
    """Tells text from a mapping, where a key takes both."""
    return TEXT_TAG if isinstance(value, str) else MAPPING_TAG


def named(value: str) -> str:
    """Checks a name: letters, digits, `_` and `-`, and not only digits, so that paths and overrides stay readable."""
    if not value.replace("-", "_").replace("_", "a").isalnum() or value.isdigit():
        raise broken("OL105", f"got {value!r}, expected a name", hint="use letters, digits, _ and -")
    return value


def quantity(read: Callable[[object], T], made: type[T]) -> Callable[[object, ValidationInfo], T]:
    """Returns a validator that reads a written quantity; what code has made already passes through."""

    def validate(value: object, info: ValidationInfo) -> T:
        if isinstance(value, made) and not is_written(info):
            return value
        try:
            return read(value)
        except units.UnitError as error:
            raise broken("OL105", str(error), hint=error.hint) from error

    return validate


def _not_built(value: object, info: ValidationInfo) -> object:
    if value:
        raise broken("OL109", f"`{info.field_name}` is not built yet", hint="remove it")
    return value


def _limits(value: object) -> Limits:
    if isinstance(value, Limits):
        return value
    if not isinstance(value, Mapping):
        raise broken("OL105", f"got {value!r}, expected limits", hint="for example {time: 5 min, memory: 2 GiB}")
    for key in value:
        if key not in LIMIT_KEYS:
            raise broken("OL104", "unknown key", at=(key,), hint=nearest(str(key), LIMIT_KEYS))
    readers = {"time": ("seconds", units.seconds), "memory": ("bytes", units.size)}
    found: dict[str, float] = {}
    for key, item in value.items():
        name, read = readers[key]
        try:
            found[name] = read(item)
        except units.UnitError as error:
            raise broken("OL105", str(error), at=(key,), hint=error.hint) from error
    return Limits(**found)


LIMIT_KEYS = ("time", "memory")

Whole: TypeAlias = Annotated[int, Strict()]
Count: TypeAlias = Annotated[int, Strict(), Field(ge=0)]
Flag: TypeAlias = Annotated[bool, Strict()]
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1)]
Name: TypeAlias = Annotated[str, AfterValidator(named)]
NotBuilt = BeforeValidator(_not_built)
Bound: TypeAlias = Annotated[
    units.Amount,
    BeforeValidator(quantity(units.amount, units.Amount)),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "examples": ["1%", "20 ms", "1 MiB"]}]}),
]
TaskLimits: TypeAlias = Annotated[
    Limits,
    BeforeValidator(_limits),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                "time": {"type": "string", "examples": ["5 min"]},
                "memory": {"type": "string", "examples": ["2 GiB"]},
            },
            "additionalProperties": False,
        }
    ),
]
Seconds: TypeAlias = Annotated[
    float, BeforeValidator(quantity(units.seconds, float)), WithJsonSchema({"type": "string", "examples": ["5 min"]})
]
