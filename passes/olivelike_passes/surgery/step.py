"""A step as a workflow writes it (`gemm_to_matmul_add` or `rename_inputs: {names: {a: b}}`) and as the pass takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from pydantic import AliasChoices, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from olivelike.digest import Json, JsonObject
from olivelike.errors import nearest
from olivelike_passes.surgery.rewrite import Parameters, Rewrite
from olivelike_passes.surgery.table import REWRITES, rewrite_named


@dataclass(frozen=True, slots=True)
class Step:
    """One rewrite with its parameters.

    Attributes:
        rewrite: the rewrite.
        parameters: of the type that it declares.
    """

    rewrite: Rewrite
    parameters: Parameters

    @classmethod
    def parse(cls, written: object) -> Step:
        """Returns the step that a name, or a mapping of one name to its parameters, stands for.

        Raises:
            ValueError: there is no such rewrite, or its parameters are wrong.
        """
        if isinstance(written, Step):
            return written
        if isinstance(written, str):
            written = {written: {}}
        if not isinstance(written, Mapping) or len(written) != 1:
            raise ValueError(f"a step is a name, or one name with its parameters, got {written!r}")
        name, given = next(iter(written.items()))
        rewrite = rewrite_named(str(name))
        try:
            return cls(rewrite, rewrite.parameters.model_validate({} if given is None else given))
        except ValidationError as error:
            raise ValueError(f"step {name}: {_told(error, rewrite.parameters)}") from None

    def written(self) -> dict[str, Json]:
        """Returns the step under our name, all parameters written out: equal steps are written alike."""
        return {self.rewrite.name: cast("Json", self.parameters.model_dump(mode="json"))}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Lets pydantic read and write steps as workflows do."""
        return core_schema.no_info_plain_validator_function(
            cls.parse, ref=cls.__name__, serialization=core_schema.plain_serializer_function_ser_schema(cls.written)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonObject:
        """Lets editors complete the names of steps and their parameters."""
        names: list[Json] = [*REWRITES, *sorted(rewrite.olive for rewrite in REWRITES.values())]
        bare: list[Json] = [name for name in names if "required" not in _schema(rewrite_named(str(name)).parameters)]
        properties: JsonObject = {}
        for name in names:
            parameters = rewrite_named(str(name)).parameters
            own = _schema(parameters)
            properties[str(name)] = own if "required" in own else {**own, "type": ["object", "null"]}
        one: JsonObject = {"type": "object", "properties": properties, "additionalProperties": False}
        return {"anyOf": [{"enum": bare}, {**one, "minProperties": 1, "maxProperties": 1}]}


def _schema(parameters: type[Parameters]) -> JsonObject:
    """Returns the schema of some parameters, each under all the names it is taken by."""
    schema = cast("JsonObject", parameters.model_json_schema())
    own = cast("JsonObject", schema.get("properties", {}))
    properties: JsonObject = {}
    required: list[Json] = []
    for name, info in parameters.model_fields.items():
        names = [name]
        if isinstance(info.validation_alias, AliasChoices):
            names += [str(each) for each in info.validation_alias.choices if each != name]
        described = {key: value for key, value in cast("JsonObject", own[name]).items() if key != "title"}
        properties |= dict.fromkeys(names, described)
        if info.is_required() and len(names) == 1:
            required.append(name)
    found: JsonObject = {"type": "object", "properties": properties, "additionalProperties": False}
    # A parameter that is required under one of two names can be asked for by no plain schema: the pass itself does.
    needed = required or any(info.is_required() for info in parameters.model_fields.values())
    return {**found, "required": required} if needed else found


def _told(error: ValidationError, parameters: type[Parameters]) -> str:
    """Returns what is wrong with parameters in the words of a workflow, not in pydantic's."""
    return "; ".join(_fault(detail, parameters) for detail in error.errors(include_url=False))


def _fault(detail: ErrorDetails, parameters: type[Parameters]) -> str:
    where = ".".join(map(str, detail["loc"]))
    match detail["type"]:
        case "extra_forbidden":
            known = parameters.model_fields
            return f"unknown parameter {where!r}: {nearest(where, known) if known else 'it takes none'}"
        case "missing":
            return f"the parameter {where!r} is missing"
        case "value_error" | "assertion_error":
            said = detail["msg"].partition(", ")[2]
        case _:
            expected = detail["msg"].removeprefix("Input should be ").removeprefix("a valid ")
            said = f"got {detail['input']!r}, expected {EXPECTED.get(expected, expected)}"
    return f"{where}: {said}" if where else said


EXPECTED = {
    "dictionary": "a mapping",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "tuple": "a list",
    "list": "a list",
    "integer, unable to parse string as an integer": "a whole number",
    "number, unable to parse string as a number": "a number",
    "integer, got a number with a fractional part": "a whole number",
}
"""What pydantic calls the types that parameters have, and what workflows call them."""
