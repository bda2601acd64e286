"""Which column feeds which input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from olivelike.contracts.metric import TensorInfo
from olivelike.sources.mapping import feeds, label_column
from tests.sources.refusals import refusal


def infos(*names: str) -> list[TensorInfo]:
    return [TensorInfo(name, "float32", ("n",)) for name in names]


def mapped(asked: Mapping[str, str], columns: Sequence[str], inputs: Sequence[str], label: str = "") -> dict[str, str]:
    return {feed.input.name: feed.column for feed in feeds(asked, columns, label, infos(*inputs), "data.test")}


def test_columns_of_the_same_name_feed_the_inputs() -> None:
    assert mapped({}, ["b", "a", "more"], ["a", "b"]) == {"a": "a", "b": "b"}


def test_the_workflow_may_name_a_column_for_some_inputs() -> None:
    assert mapped({"a": "x"}, ["x", "b"], ["a", "b"]) == {"a": "x", "b": "b"}


def test_the_only_column_without_labels_feeds_the_only_input() -> None:
    assert mapped({}, ["pixels", "label"], ["image"], label="label") == {"image": "pixels"}


def test_with_two_columns_nothing_is_guessed() -> None:
    problem = refusal(lambda: mapped({}, ["pixels", "images"], ["image"]))
    assert problem.code == "OL206"
    assert "feeds the model's input image; columns: pixels, images" in problem.claim
    assert problem.hint == "add `inputs: {image: images}`"


def test_all_unfed_inputs_are_named() -> None:
    assert "inputs a, b" in refusal(lambda: mapped({}, ["x", "y"], ["a", "b"])).claim


def test_an_unknown_input_or_column_gets_the_near_miss() -> None:
    problem = refusal(lambda: mapped({"imgae": "x"}, ["x"], ["image"]))
    assert (problem.path, problem.hint) == ("data.test.inputs", "did you mean image?")
    problem = refusal(lambda: mapped({"image": "pixel"}, ["pixels"], ["image"]))
    assert (problem.path, problem.hint) == ("data.test.inputs.image", "did you mean pixels?")


def test_a_column_called_label_holds_the_labels_unless_it_is_an_input() -> None:
    assert label_column("", ["x", "label"], infos("x"), "data.test") == "label"
    assert label_column("", ["x", "label"], infos("x", "label"), "data.test") == ""
    assert label_column("", ["x", "labels"], infos("x"), "data.test") == ""
    assert label_column("y", ["x", "y", "label"], infos("x"), "data.test") == "y"


def test_an_unknown_label_column_gets_the_near_miss() -> None:
    problem = refusal(lambda: label_column("lables", ["x", "labels"], infos("x"), "data.test"))
    assert (problem.code, problem.path, problem.hint) == ("OL207", "data.test.labels", "did you mean labels?")
