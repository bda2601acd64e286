from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from scipy import stats

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import ScriptCall
from olivelike.contracts.outcome import Measurement, Undefined, Value
from olivelike.errors import InputError
from olivelike.evaluate.quality.similarity import Similarity, SimilarityConfig
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.tiny_models import classifier, write

generator = np.random.default_rng(1)
FIRST, SECOND = generator.normal(size=(2, 30, 3)).astype(np.float32)
COSINES = np.sum(FIRST * SECOND, axis=1) / np.linalg.norm(FIRST, axis=1) / np.linalg.norm(SECOND, axis=1)
SAMPLES = np.stack([FIRST, SECOND], axis=1).reshape(60, 3)
RATINGS = np.repeat(COSINES + 0.3 * generator.normal(size=30), 2)


class TestSimilarity(MetricContract):
    metric = Similarity

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return context(folder)

    def configs(self) -> Sequence[SimilarityConfig]:
        return (SimilarityConfig(), SimilarityConfig(values=("pearson",), batch=7))


def context(folder: Path, samples: object = SAMPLES, ratings: object = RATINGS, **more: Any) -> MemoryContext:
    return MemoryContext(folder, {"image": np.asarray(samples)}, np.asarray(ratings), **more)


def measure(given: MemoryContext, model: Artifact | None = None, **config: Any) -> Mapping[str, Value]:
    model = model or classifier(given.scratch / "model")
    return Similarity().measure(model, model, SimilarityConfig(**config), given)


def values(measured: Mapping[str, Value]) -> dict[str, float]:
    return {name: value.value for name, value in measured.items() if isinstance(value, Measurement)}


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_the_cosine_of_two_neighbours_is_correlated_with_their_rating(tmp_path: Path, batch: int) -> None:
    """float32 embeddings: cosines agree to about 1e-7, ranks exactly."""
    got = values(measure(context(tmp_path), batch=batch))
    ratings = RATINGS[::2]
    known = [stats.spearmanr(COSINES, ratings).statistic, stats.pearsonr(COSINES, ratings).statistic]
    assert list(got.values()) == pytest.approx(known, abs=1e-6)


def test_n_counts_pairs(tmp_path: Path) -> None:
    measured = measure(context(tmp_path))["spearman"]
    assert isinstance(measured, Measurement)
    assert measured.n == 30


def test_the_mean_of_tokens_leaves_padding_out(tmp_path: Path) -> None:
    """Two tokens of which the second is padding: the mean is the first, whatever the padding holds."""
    nodes = [helper.make_node("Identity", ["image"], ["tokens"]), helper.make_node("Identity", ["mask"], ["kept"])]
    model = write(
        tmp_path / "tokens",
        nodes,
        {"image": ("n", 2, 3), "mask": ("n", 2)},
        {"tokens": ("n", 2, 3), "kept": ("n", 2)},
    )
    columns = {
        "image": np.stack([SAMPLES, generator.normal(size=(60, 3))], axis=1),
        "mask": np.array([[1, 0]] * 60),
    }
    given = MemoryContext(tmp_path, columns, RATINGS)
    known = values(measure(context(tmp_path)))
    assert values(measure(given, model, mask="mask")) == pytest.approx(known)
    assert values(measure(given, model, pooling="first")) == pytest.approx(known)
    assert values(measure(given, model)) != pytest.approx(known), "without a mask every token counts"


def test_postprocess_makes_the_embedding(tmp_path: Path) -> None:
    functions = {"f": lambda outputs, labels: outputs["logits"][:, :2]}
    given = context(tmp_path, functions=functions)
    got = values(measure(given, postprocess=ScriptCall(script="user.py", call="f")))
    assert got == pytest.approx(values(measure(given, classifier(tmp_path / "two", np.eye(3)[:, :2]))))


def test_pairs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="OL207: 59 samples are no whole number of pairs"):
        measure(context(tmp_path, SAMPLES[:59], RATINGS[:59]))
    with pytest.raises(InputError, match="OL207: samples 0 and 1 are a pair but have the labels 0 and 1"):
        measure(context(tmp_path, SAMPLES, np.arange(60)))


def test_equal_ratings_and_too_few_pairs_are_undefined(tmp_path: Path) -> None:
    got = measure(context(tmp_path, SAMPLES, np.ones(60)))["spearman"]
    assert got == Undefined("all 30 labels are 1, and spearman needs labels that vary")
    few = measure(context(tmp_path, SAMPLES[:4], RATINGS[:4]))["spearman"]
    assert isinstance(few, Undefined)
    assert "2 samples are too few" in few.reason


def test_an_output_that_is_no_embedding_is_refused(tmp_path: Path) -> None:
    given = context(tmp_path, functions={"f": lambda outputs, labels: np.ones(len(labels))})
    with pytest.raises(InputError, match=r"OL209: what f returned .* need embeddings \[60, size\]"):
        measure(given, postprocess=ScriptCall(script="user.py", call="f"))
