"""Goals: metrics, and what is asked of them in constraints and objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, JsonValue, ValidationInfo, model_validator

from olivelike.contracts.units import Amount
from olivelike.errors import nearest
from olivelike.workflow.faults import broken
from olivelike.workflow.section import Bound, NotBuilt, OpenSection, Section, Text, gather, is_written

RuleName = Literal["at_most", "at_least", "max_drop", "max_increase", "min_improvement"]
Direction = Literal["minimize", "maximize"]
RULES: tuple[str, ...] = get_args(RuleName)
DIRECTIONS: tuple[str, ...] = get_args(Direction)


class MetricSection(OpenSection):
    """One measuring run with one or more values.

    Attributes:
        type: the registered name of the metric.
        data: the data entry that it reads; empty for none.
        certify: the data entry, unseen by the search, on which the winner must hold again; empty for none.
        target: the target to measure on; empty, or the workflow's own.
        own: the metric's own configuration, every other key.
    """

    type: Annotated[Text, Field(examples=["accuracy"])]
    data: str = ""
    certify: str = ""
    target: str = ""
    part: Annotated[str, NotBuilt] = ""
    environment: Annotated[str, NotBuilt] = ""
    own: dict[str, JsonValue] = Field(default={})

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: object, info: ValidationInfo) -> object:
        return gather(cls, value, info)


class ConstraintSection(Section):
    """What a deliverable model must hold.

    Attributes:
        metric: `name` or `name.value`.
        rule: what is asked, the key that was written.
        amount: the bound.
    """

    internal: ClassVar[frozenset[str]] = frozenset({"rule", "amount"})
    extra_keys: ClassVar[tuple[str, ...]] = RULES

    metric: Annotated[Text, Field(examples=["accuracy"])]
    rule: RuleName
    amount: Bound

    @model_validator(mode="before")
    @classmethod
    def _shape(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, Mapping) or (not is_written(info) and "rule" in value):
            return value
        rule = _only(value, RULES, ("metric", *RULES), "a constraint")
        rest = {key: item for key, item in value.items() if key != rule}
        return {**rest, "rule": rule, "amount": value[rule]}

    @model_validator(mode="after")
    def _check(self) -> ConstraintSection:
        if self.amount.value < 0 and self.rule not in ("at_most", "at_least"):
            claim = f"got {self.amount.value:g}, expected zero or more"
            raise broken("OL105", claim, at=(self.rule,), hint="to ask for an improvement, use min_improvement")
        return self


class ObjectiveSection(Section):
    """What is to be as small or as large as possible.

    Attributes:
        metric: `name` or `name.value`.
        direction: the key that was written.
        within: candidates no further from the best one than this go on to the next objective; zero is the default.
    """

    internal: ClassVar[frozenset[str]] = frozenset({"metric", "direction"})
    extra_keys: ClassVar[tuple[str, ...]] = DIRECTIONS

    metric: Annotated[Text, Field(examples=["latency.p50"])]
    direction: Direction
    within: Bound = Amount(0.0)

    @model_validator(mode="before")
    @classmethod
    def _shape(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, Mapping) or (not is_written(info) and "direction" in value):
            return value
        direction = _only(value, DIRECTIONS, (*DIRECTIONS, "within"), "an objective")
        rest = {key: item for key, item in value.items() if key != direction}
        return {**rest, "direction": direction, "metric": value[direction]}

    @model_validator(mode="after")
    def _check(self) -> ObjectiveSection:
        if self.within.value < 0:
            claim = f"got {self.within.value:g}, expected zero or more"
            raise broken("OL105", claim, at=("within",), hint="for example within: 2%")
        return self


def _only(value: Mapping[str, object], keys: tuple[str, ...], known: tuple[str, ...], what: str) -> str:
    given = [key for key in keys if key in value]
    unknown = [key for key in value if key not in known]
    if len(given) == 1:
        return given[0]
    if given:
        claim = f"{what} holds one of {', '.join(keys)}, got {' and '.join(given)}"
        raise broken("OL112", claim, hint=f"make it {len(given)} entries")
    if unknown:
        raise broken("OL104", "unknown key", at=(unknown[0],), hint=nearest(str(unknown[0]), known))
    raise broken("OL111", f"{what} needs one of {', '.join(keys)}")
