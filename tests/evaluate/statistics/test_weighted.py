"""Counting a sample k times gives what k copies of it give, for every statistic that is resampled by weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from olivelike.evaluate.statistics import confusion as counting
from olivelike.evaluate.statistics import fit
from olivelike.evaluate.statistics.ranking import auroc, order

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=25)
"""An answer, a label and how often the sample counts."""


def columns(rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Returns answers, labels, weights as a column, and the numbers of the samples, each as often as it counts."""
    answers, labels, counts = (np.array(column) for column in zip(*rows, strict=True))
    return answers, labels, counts[:, None].astype(float), np.repeat(np.arange(len(rows)), counts)


FITS: dict[str, tuple[Callable[..., Callable[..., object]], Callable[..., float]]] = {
    "pearson": (fit.pearson, lambda a, b: float(stats.pearsonr(a, b).statistic)),
    "spearman": (fit.spearman, lambda a, b: float(stats.spearmanr(a, b).statistic)),
    "mse": (fit.mean_squared_error, lambda a, b: float(sk.mean_squared_error(b, a))),
    "rmse": (fit.root_mean_squared_error, lambda a, b: float(sk.root_mean_squared_error(b, a))),
    "mae": (fit.mean_absolute_error, lambda a, b: float(sk.mean_absolute_error(b, a))),
    "r2": (fit.r_squared, lambda a, b: float(sk.r2_score(b, a))),
}


@pytest.mark.parametrize("name", FITS)
@settings(deadline=None, max_examples=40)
@given(rows=ROWS)
def test_fits_agree_with_scipy_and_scikit_learn_on_copies(name: str, rows: list[tuple[int, int, int]]) -> None:
    answers, labels, weights, taken = columns(rows)
    make, known = FITS[name]
    if not len(taken):
        return
    value = np.asarray(make(answers.astype(float), labels.astype(float))(weights))[0]
    a, b = answers[taken].astype(float), labels[taken].astype(float)
    constant = name in {"pearson", "spearman", "r2"} and len(set(b.tolist())) == 1
    constant |= name in {"pearson", "spearman"} and len(set(a.tolist())) == 1
    if constant:
        assert np.isnan(value)
    else:
        assert value == pytest.approx(known(a, b), abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(rows=ROWS)
def test_auroc_agrees_with_scikit_learn_on_copies(rows: list[tuple[int, int, int]]) -> None:
    answers, labels, weights, taken = columns(rows)
    positive = labels > 1
    value = auroc(order(answers.astype(float)), positive, weights)[0]
    if len(set(positive[taken].tolist())) < 2:
        assert np.isnan(value)
    else:
        assert value == pytest.approx(sk.roc_auc_score(positive[taken], answers[taken]), abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(rows=ROWS)
def test_counts_agree_with_scikit_learn_on_copies(rows: list[tuple[int, int, int]]) -> None:
    predicted, labels, weights, taken = columns(rows)
    counts = counting.confusion(labels, predicted, 4, weights)
    occurring = np.unique(labels[taken])
    if not len(occurring):
        return
    for score, known in (
        (counting.precision, sk.precision_score),
        (counting.recall, sk.recall_score),
        (counting.f1, sk.f1_score),
    ):
        right = known(labels[taken], predicted[taken], labels=occurring, average=None, zero_division=0)
        assert score(counts)[occurring, 0] == pytest.approx(right, abs=1e-12)
        assert np.isnan(np.delete(score(counts)[:, 0], occurring)).all()
    if len(occurring) > 1:
        right = sk.matthews_corrcoef(labels[taken], predicted[taken])
        assert counting.matthews(counts)[0] == pytest.approx(right, abs=1e-9)
    else:
        assert np.isnan(counting.matthews(counts)[0])


def test_many_draws_at_once_are_each_what_they_are_alone() -> None:
    generator = np.random.default_rng(0)
    answers, labels = generator.normal(size=(2, 30))
    weights = generator.integers(0, 3, (30, 7)).astype(float)
    for make, _ in FITS.values():
        together = np.asarray(make(answers, labels)(weights))
        alone = [float(np.asarray(make(answers, labels)(weights[:, k : k + 1]))[0]) for k in range(7)]
        assert together == pytest.approx(alone, rel=1e-12)
