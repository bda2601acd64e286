"""Which nodes give the same each time."""

from __future__ import annotations

import pytest

from olivelike.onnxfile.repeatable import is_repeatable
from olivelike.testing.building import float_value, node_of
from olivelike.testing.models import if_model


@pytest.mark.parametrize(
    ("kind", "inputs", "domain", "same"),
    [
        ("Relu", ["x"], "", True),
        ("RandomNormalLike", ["x"], "", False),
        ("Bernoulli", ["x"], "ai.onnx", False),
        ("Dropout", ["x", "ratio"], "", True),
        ("Dropout", ["x", "ratio", "training"], "", False),
        ("Relu", ["x"], "somebody.else", False),
    ],
)
def test_what_draws_or_is_not_known_is_not_repeatable(kind: str, inputs: list[str], domain: str, same: bool) -> None:
    assert is_repeatable(node_of(kind, inputs, ["y"], domain=domain)) is same


def test_a_branch_that_draws_makes_its_node_draw() -> None:
    node = if_model().graph.node[0]
    assert is_repeatable(node)
    inner = node.attribute[0].g
    inner.node.append(node_of("RandomNormal", [], ["drawn"], shape=[2]))
    inner.output.append(float_value("drawn", 2))
    assert not is_repeatable(node)
