"""What is said about the configuration of a pass, metric or reader."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from olivelike.workflow.diagnose import config_problems


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    depth: int = 1


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    group_size: Annotated[int, Field(gt=0, le=256)] = 32
    format: Literal["qdq", "qoperator"] = "qdq"
    size: int | Literal["auto"] | list[int] = "auto"
    ratio: float = 0.5
    symmetric: bool = True
    exclude: list[str] = []
    inner: Inner = Inner()
    layers: dict[str, Inner] = {}

    @model_validator(mode="after")
    def _check(self) -> Config:
        if self.group_size == 13:
            raise ValueError("a group of 13 fits no kernel")
        return self


class Required(BaseModel):
    data: str


def said(config: type[BaseModel], **values: object) -> list[tuple[object, ...]]:
    with pytest.raises(ValidationError) as caught:
        config.model_validate(values)
    return list(config_problems(caught.value, config))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"group_sise": 3}, (("group_sise",), "OL104", "unknown key", "did you mean group_size?")),
        ({"group_size": 0}, (("group_size",), "OL105", "got 0, expected more than 0", "for example group_size: 32")),
        (
            {"group_size": 512},
            (("group_size",), "OL105", "got 512, expected at most 256", "for example group_size: 32"),
        ),
        (
            {"group_size": "big"},
            (("group_size",), "OL105", "got the text 'big', expected a whole number", "for example group_size: 32"),
        ),
        (
            {"format": "qqd"},
            (("format",), "OL105", "got the text 'qqd', expected qdq or qoperator", "did you mean qdq?"),
        ),
        ({"ratio": "half"}, (("ratio",), "OL105", "got the text 'half', expected a number", "for example ratio: 0.5")),
        (
            {"symmetric": [1]},
            (("symmetric",), "OL105", "got a list of 1, expected true or false", "for example symmetric: false"),
        ),
        (
            {"exclude": {"a": 1}},
            (("exclude",), "OL105", "got a mapping with a, expected a list", "for example exclude: [a, b]"),
        ),
        (
            {"exclude": [None]},
            (("exclude", 0), "OL105", "got nothing, expected text", 'for example "text", with the quotes'),
        ),
        ({"inner": {"dept": 1}}, (("inner", "dept"), "OL104", "unknown key", "did you mean depth?")),
        ({"layers": {"a": {"dept": 1}}}, (("layers", "a", "dept"), "OL104", "unknown key", "did you mean depth?")),
        ({"group_size": 13}, ((), "OL105", "a group of 13 fits no kernel", "")),
    ],
)
def test_each_kind_of_error_has_a_code_a_path_a_claim_and_a_hint(
    values: dict[str, object], problem: tuple[object, ...]
) -> None:
    assert said(Config, **values) == [problem]


def test_the_members_of_a_union_are_said_together() -> None:
    [(path, code, claim, _)] = said(Config, size={"a": 1})
    assert (path, code) == (("size",), "OL105")
    assert claim == "got a mapping with a, expected a whole number or auto or a list"


def test_what_is_missing_is_named() -> None:
    assert said(Required) == [(("data",), "OL111", "`data` is missing", "add `data`")]


def test_all_problems_of_a_configuration_are_said() -> None:
    assert [path for path, *_ in said(Config, group_size="x", fromat="qdq", ratio=[])] == [
        ("group_size",),
        ("ratio",),
        ("fromat",),
    ]


class Pictures(BaseModel):
    """A list of a fixed length, and a whole number."""

    size: tuple[int, int] | None = None
    count: int = 3


def test_a_list_that_is_too_short_and_a_fraction_say_what_to_write() -> None:
    with pytest.raises(ValidationError) as caught:
        Pictures.model_validate({"size": [32], "count": 13.5})
    told = [(claim, hint) for _, _, claim, hint in config_problems(caught.value, Pictures)]
    assert told == [
        ("got a list of 1, expected a list of 2", ""),
        ("got 13.5, expected a whole number", "write 13 or 14"),
    ]
