from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from onnx import TensorProto, helper

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.outcome import Measurement, Undefined, Value
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.quality.parity import Parity, ParityConfig
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.tiny_models import classifier, write

IMAGES = np.array([[3, 4, 0], [0, 0, 1], [0, 0, 0]])


class TestParity(MetricContract):
    metric = Parity

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)

    def configs(self) -> Sequence[ParityConfig]:
        return (
            ParityConfig(),
            ParityConfig(outputs=("logits",), samples=4, batch=3),
            ParityConfig(values=("sqnr", "mse", "cosine")),
        )


def values(candidate: Artifact, reference: Artifact, config: ParityConfig | None = None) -> dict[str, float]:
    context = MemoryContext(candidate.folder, {"image": IMAGES})
    measured = Parity().measure(candidate, reference, config or ParityConfig(), context)
    return {name: value.value for name, value in measured.items() if isinstance(value, Measurement)}


def test_distances_have_known_values(tmp_path: Path) -> None:
    """Swapping the first two classes turns (3, 4, 0) into (4, 3, 0): cosine 24/25, the others stay."""
    swapped = classifier(tmp_path / "swapped", np.eye(3)[[1, 0, 2]])
    apart = values(swapped, classifier(tmp_path / "identity"))
    assert apart == pytest.approx({"max_abs": 1.0, "mean_abs": 2 / 9, "cosine": (24 / 25 + 1 + 1) / 3}, abs=1e-6)


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_batch_size_changes_nothing(tmp_path: Path, batch: int) -> None:
    swapped, identity = classifier(tmp_path / "a", np.eye(3)[[1, 0, 2]]), classifier(tmp_path / "b")
    assert values(swapped, identity, ParityConfig(batch=batch)) == values(swapped, identity)


def test_zero_against_something_has_the_cosine_zero(tmp_path: Path) -> None:
    nothing = classifier(tmp_path / "nothing", np.zeros((3, 3)))
    assert values(nothing, classifier(tmp_path / "identity"))["cosine"] == pytest.approx(1 / 3), (
        "equal on the third only"
    )


def two_outputs(folder: Path, scale: float) -> Artifact:
    nodes = [helper.make_node("Identity", ["image"], ["same"]), helper.make_node("Mul", ["image", "scale"], ["scaled"])]
    outputs = {"same": ("n", 3), "scaled": ("n", 3)}
    return write(folder, nodes, {"image": ("n", 3)}, outputs, {"scale": np.array(scale, np.float32)})


def test_the_worst_output_counts_unless_one_is_named(tmp_path: Path) -> None:
    double, single = two_outputs(tmp_path / "double", 2), two_outputs(tmp_path / "single", 1)
    assert values(double, single)["max_abs"] == 4
    assert values(double, single, ParityConfig(outputs=("same",)))["max_abs"] == 0


def test_samples_bound_how_many_are_compared(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    context = MemoryContext(tmp_path, {"image": IMAGES})
    measured = Parity().measure(model, model, ParityConfig(samples=2), context)["cosine"]
    assert isinstance(measured, Measurement)
    assert measured.n == 2


def test_outputs_of_another_shape_are_an_error(tmp_path: Path) -> None:
    wide = classifier(tmp_path / "wide", np.ones((3, 4)))
    with pytest.raises(
        MeasureError, match=r"OL504: .*'logits' has the shape \[3, 4\] where the baseline's has \[3, 3\]"
    ):
        values(wide, classifier(tmp_path / "identity"))


def test_a_candidate_without_the_output_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match="OL504: the candidate lacks the output 'same'"):
        values(classifier(tmp_path / "one"), two_outputs(tmp_path / "two", 1))


def test_an_unknown_output_is_refused_with_the_near_miss(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    with pytest.raises(InputError, match=r"OL206 outputs: .*did you mean logits\?"):
        values(model, model, ParityConfig(outputs=("logit",)))


def test_an_output_that_is_not_finite_is_an_error(tmp_path: Path) -> None:
    broken = classifier(tmp_path / "broken", np.diag([np.inf, 1, 1]))
    with pytest.raises(MeasureError, match="OL504: the output 'logits' is not finite"):
        values(broken, classifier(tmp_path / "identity"))


def test_a_model_with_text_outputs_alone_cannot_be_compared(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["image"], ["text"])]
    model = write(tmp_path, nodes, {"image": ("n", 3)}, {"text": ("n", 3)}, kind=TensorProto.STRING)
    with pytest.raises(MeasureError, match="OL504: the baseline has no numeric output"):
        values(model, model)


def sampled(
    candidate: Artifact, reference: Artifact, images: object, names: tuple[str, ...] = ("sqnr", "mse"), **more: Any
) -> Mapping[str, Value]:
    context = MemoryContext(candidate.folder, {"image": np.asarray(images)})
    return Parity().measure(candidate, reference, ParityConfig(values=names, **more), context)


MANY = np.random.default_rng(0).normal(size=(40, 3))


def test_noise_of_a_tenth_is_twenty_decibels(tmp_path: Path) -> None:
    louder = classifier(tmp_path / "louder", 1.1 * np.eye(3))
    got = sampled(louder, classifier(tmp_path / "identity"), MANY)
    sqnr, mse = got["sqnr"], got["mse"]
    assert isinstance(sqnr, Measurement)
    assert isinstance(mse, Measurement)
    assert sqnr.value == pytest.approx(20, abs=1e-4), "1.1 in float32"
    assert sqnr.unit == "dB"
    assert mse.value == pytest.approx(0.01 * np.mean(MANY**2), rel=1e-5)
    assert mse.low < mse.value < mse.high
    assert sqnr.n == 40


def test_equal_outputs_have_the_largest_ratio_that_is_given(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    got = sampled(model, model, MANY)["sqnr"]
    assert isinstance(got, Measurement)
    assert (got.low, got.value, got.high) == (200, 200, 200)


def test_the_worst_output_gives_the_value_and_the_report_holds_each(tmp_path: Path) -> None:
    got = sampled(two_outputs(tmp_path / "double", 1.1), two_outputs(tmp_path / "single", 1), MANY)["sqnr"]
    assert isinstance(got, Measurement)
    outputs = cast("dict[str, dict[str, float]]", got.details["outputs"])
    assert got.value == pytest.approx(outputs["scaled"]["sqnr"]) == pytest.approx(20, abs=1e-4)
    assert outputs["same"]["sqnr"] == 200


def test_no_signal_and_too_few_samples_are_undefined(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    zero = sampled(model, model, np.zeros((20, 3)), ("sqnr",))["sqnr"]
    assert zero == Undefined("the output 'logits': the baseline's values are all zero, so there is no signal")
    few = sampled(model, model, MANY[:2], ("sqnr",))["sqnr"]
    assert isinstance(few, Undefined)
    assert "2 samples are too few" in few.reason


def test_the_main_value_is_the_first_named() -> None:
    specs = Parity().values(ParityConfig(values=("sqnr", "cosine")))
    assert [(spec.name, spec.unit, spec.better) for spec in specs] == [
        ("sqnr", "dB", "higher"),
        ("cosine", "1", "higher"),
    ]
    assert [spec.name for spec in Parity().values(ParityConfig())] == ["max_abs", "mean_abs", "cosine"]
