"""Whatever stands in a file, loading it ends in a workflow or in problems."""

from __future__ import annotations

import copy
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from olivelike.digest import Json
from olivelike.workflow.document import expand
from olivelike.workflow.load import Unusable, from_mapping
from olivelike.workflow.yaml_text import parse_yaml
from tests.workflow.quickstart import QUICKSTART

SOUND = cast("dict[str, object]", expand(parse_yaml(QUICKSTART, "w.yaml"), "w.yaml").value)
KEYS = [
    "name",
    "one_of",
    "when",
    "limits",
    "own",
    "config",
    "amount",
    "target",
    "targets",
    "environments",
    "x-a",
    "1",
    "",
]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["none", "a", "5 min", "1%", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, object]:
    """Draws the quickstart with one to three of its parts replaced, added or removed."""
    root = copy.deepcopy(SOUND)
    for _ in range(draw(st.integers(1, 3))):
        _spoil(draw, cast("Json", root))
    return root


def _spoil(draw: st.DrawFn, here: Json) -> None:
    assert isinstance(here, dict | list)
    inner = [item for item in (here.values() if isinstance(here, dict) else here) if isinstance(item, dict | list)]
    if inner and draw(st.booleans()):
        _spoil(draw, draw(st.sampled_from(inner)))
    elif isinstance(here, list):
        here.insert(draw(st.integers(0, len(here))), draw(values))
    elif here and draw(st.booleans()):
        here.pop(draw(st.sampled_from(sorted(here))))
    else:
        here[draw(st.sampled_from(KEYS) | st.sampled_from(sorted(here) or KEYS))] = draw(values)


@settings(max_examples=150, deadline=None)
@given(spoilt())
def test_a_spoilt_file_never_raises_and_is_never_silently_unusable(mapping: dict[str, object]) -> None:
    result = from_mapping(mapping)
    assert result.problems or not isinstance(result.workflow, Unusable)
    assert all(problem.claim and problem.code in {f"OL1{n:02}" for n in range(14)} for problem in result.problems)
    assert len({(problem.code, problem.path, problem.claim) for problem in result.problems}) == len(result.problems)
