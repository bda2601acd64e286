"""Names of values in every graph of a model, and free ones."""

from __future__ import annotations

from olivelike.onnxfile.names import Names, all_names, values_of
from olivelike.testing import models


def test_names_in_branches_are_taken_too() -> None:
    model = models.if_model()
    branch = model.graph.node[0].attribute[0].g
    assert set(values_of(branch)) <= all_names(model)
    assert set(values_of(model.graph)) <= all_names(model)


def test_a_name_is_given_once() -> None:
    names = Names(["x", "x_1", "x_3"])
    assert [names.fresh("x") for _ in range(3)] == ["x_2", "x_4", "x_5"]
    assert names.fresh("") == "_1"
    names.take("y")
    assert "y" in names
    assert [names.numbered("z", 0), names.numbered("z", 0), names.fresh("y")] == ["z_0", "z_1", "y_1"]
