from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import ScriptCall
from olivelike.contracts.outcome import Measurement, Paired, Unpaired
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.quality.accuracy import Accuracy, AccuracyConfig
from olivelike.evaluate.statistics.intervals import matched_difference_interval, proportion_interval
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.tiny_models import classifier

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

# Eight one-hot images of three classes: the identity classifies the first six rightly, the last two are mislabelled.
CLASSES = np.array([0, 1, 2, 0, 1, 2, 0, 1])
LABELS = np.array([0, 1, 2, 0, 1, 2, 1, 2])
IMAGES = np.eye(3)[CLASSES]
CONFUSED = np.eye(3)[[0, 2, 1]]  # takes class 1 for 2 and the other way round


class TestAccuracy(MetricContract):
    metric = Accuracy

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return context(folder)

    def configs(self) -> Sequence[AccuracyConfig]:
        return (AccuracyConfig(), AccuracyConfig(top_k=2, batch=3, output="logits"))


def context(
    folder: Path, functions: Mapping[str, Callable[..., object]] | None = None, labels: object = LABELS
) -> MemoryContext:
    return MemoryContext(folder, {"image": IMAGES}, np.asarray(labels), functions=functions or {})


def measure(
    model: Artifact, config: AccuracyConfig, given: MemoryContext, reference: Artifact | None = None
) -> Measurement:
    (measured,) = Accuracy().measure(model, reference or model, config, given).values()
    return measured


def test_share_of_right_samples_with_wilsons_interval(tmp_path: Path) -> None:
    measured = measure(classifier(tmp_path), AccuracyConfig(), context(tmp_path))
    known = proportion_interval(6, 8)
    assert (measured.value, measured.low, measured.high, measured.n) == (0.75, known.low, known.high, 8)
    assert measured.versus == Unpaired()


def test_difference_to_the_baseline_counts_the_samples_they_disagree_on(tmp_path: Path) -> None:
    confused = classifier(tmp_path / "confused", CONFUSED)
    measured = measure(confused, AccuracyConfig(), context(tmp_path), classifier(tmp_path / "identity"))
    # Confused: right on the two zeros and on the mislabelled 1 -> 2; loses the four samples of classes 1 and 2.
    assert measured.value == 3 / 8
    assert measured.versus == Paired("difference", matched_difference_interval(1, 4, 8))


@settings(deadline=None, max_examples=10)
@given(batch=st.integers(1, 20))
def test_batch_size_does_not_change_the_result(batch: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("model")
    assert measure(classifier(folder), AccuracyConfig(batch=batch), context(folder)).value == 0.75


def test_top_k_counts_a_class_among_the_best(tmp_path: Path) -> None:
    model = classifier(tmp_path, [[2, 1, 0], [0, 2, 1], [1, 0, 2]])
    measured = Accuracy().measure(model, model, AccuracyConfig(top_k=2), context(tmp_path))
    assert measured["top2"].value == 1, "the mislabelled are the next best of what they look like"


def test_postprocess_may_give_scores_ids_or_verdicts(tmp_path: Path) -> None:
    def flip(outputs: Mapping[str, Array], labels: Array, sign: int) -> object:
        assert set(outputs) == {"logits"}
        return sign * np.asarray(outputs["logits"], np.float32)

    def ids(outputs: Mapping[str, Array], labels: Array) -> object:
        return [0] * len(labels)

    def verdicts(outputs: Mapping[str, Array], labels: Array) -> object:
        return labels == 2

    functions: dict[str, Callable[..., object]] = {"flip": flip, "ids": ids, "verdicts": verdicts}
    model = classifier(tmp_path)

    def accuracy(call: str, **args: int) -> float:
        config = AccuracyConfig(postprocess=ScriptCall(script="user.py", call=call, args=args))
        return measure(model, config, context(tmp_path, functions)).value

    assert accuracy("flip", sign=1) == 0.75
    assert accuracy("flip", sign=-1) == 1 / 8, (
        "of two equal scores the lower class counts: sample 7 alone is then right"
    )
    assert accuracy("ids") == 2 / 8
    assert accuracy("verdicts") == 3 / 8


def test_postprocess_of_no_use_is_named(tmp_path: Path) -> None:
    config = AccuracyConfig(postprocess=ScriptCall(script="user.py", call="words"))
    given = context(tmp_path, {"words": lambda outputs, labels: ["a"] * len(labels)})
    with pytest.raises(InputError, match="OL209: what words returned"):
        measure(classifier(tmp_path), config, given)


def test_an_unknown_output_is_refused_with_the_near_miss(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"OL206 output: .*did you mean logits\?"):
        measure(classifier(tmp_path), AccuracyConfig(output="logit"), context(tmp_path))


def test_data_without_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="OL207: the data have no labels"):
        measure(classifier(tmp_path), AccuracyConfig(), context(tmp_path, labels=[]))


def test_data_without_samples_are_refused(tmp_path: Path) -> None:
    given = MemoryContext(tmp_path, {"image": np.empty((0, 3))}, LABELS)
    with pytest.raises(InputError, match="OL206: the data hold no samples"):
        measure(classifier(tmp_path), AccuracyConfig(), given)


def test_a_model_that_gives_nan_is_not_measured_at_all(tmp_path: Path) -> None:
    broken = classifier(tmp_path, np.diag([1, np.inf, 1]))
    with pytest.raises(MeasureError, match="OL504: the output 'logits' is not finite"):
        measure(broken, AccuracyConfig(), context(tmp_path))


def test_the_baseline_is_not_run_when_it_is_what_is_measured(tmp_path: Path) -> None:
    given = context(tmp_path)
    model = classifier(tmp_path)
    measure(model, AccuracyConfig(), given)
    assert given.opened == [model.digest]
    measure(replace(model, digest="other"), AccuracyConfig(), given, model)
    assert given.opened == [model.digest, "other", model.digest]
