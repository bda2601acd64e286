from __future__ import annotations

import numpy as np
import pytest

from olivelike.contracts.outcome import Measurement, Paired, Undefined, Unpaired, Value
from olivelike.evaluate.statistics.bootstrap import RESAMPLES, Resampling, Rows, bootstrapped, reweighted
from olivelike.evaluate.statistics.fit import mean

generator = np.random.default_rng(0)
X = generator.normal(5, 2, 100)
Y = X + generator.normal(0.1, 0.1, 100)


def average(rows: Rows) -> float:
    return float(rows["x"].astype(float).mean())


def defined(value: Value) -> Measurement:
    assert isinstance(value, Measurement), value
    return value


def test_the_interval_of_a_mean_is_about_the_normal_one() -> None:
    """1.96 standard errors either side, to within a tenth: 999 resamples place a 2.5 % quantile that well."""
    found = defined(bootstrapped(average, {"x": X}, {}, better="higher", seed=0))
    half = 1.96 * X.std(ddof=1) / 10
    assert found.value == pytest.approx(X.mean())
    assert found.high - found.value == pytest.approx(half, rel=0.1)
    assert found.value - found.low == pytest.approx(half, rel=0.1)
    assert (found.n, found.versus, found.complete) == (100, Unpaired(), True)


def test_the_difference_is_of_the_same_samples() -> None:
    """Both models vary with a standard deviation of 2 over samples and of 0.1 between each other."""
    found = defined(bootstrapped(average, {"x": Y}, {"x": X}, better="higher", seed=0))
    assert isinstance(found.versus, Paired)
    gap = found.versus.interval
    assert gap.value == pytest.approx((Y - X).mean())
    assert gap.high - gap.low == pytest.approx(2 * 1.96 * (Y - X).std(ddof=1) / 10, rel=0.1)
    assert gap.high - gap.low < (found.high - found.low) / 10


def test_rows_and_weights_say_the_same() -> None:
    rows = bootstrapped(average, {"x": Y}, {"x": X}, better="higher", seed=3)
    weights = reweighted(mean(Y), mean(X), Resampling(100, 3), better="higher")
    ours, theirs = defined(rows), defined(weights)
    assert (ours.low, ours.value, ours.high) == pytest.approx((theirs.low, theirs.value, theirs.high), rel=1e-12)


def test_a_seed_gives_one_answer() -> None:
    first, second, other = (bootstrapped(average, {"x": X}, {}, better="higher", seed=seed) for seed in (1, 1, 2))
    assert first == second != other


@pytest.mark.parametrize("planted", [0, 4])
@pytest.mark.parametrize("samples", [1, 10, 3000])
def test_every_draw_takes_as_many_samples_as_there_are(samples: int, planted: int) -> None:
    """With planted disagreements two more: one of either kind on average."""
    resampling = Resampling(samples, 0, planted=planted)
    weights = np.concatenate(list(resampling.weights()), axis=1)
    assert weights.shape == (samples + 2 * planted, RESAMPLES)
    assert set(weights.sum(axis=0)) == {samples + (2 if planted else 0)}
    if planted:
        gained, lost = weights[samples : samples + planted].sum(axis=0), weights[samples + planted :].sum(axis=0)
        assert gained.mean() == pytest.approx(1, abs=0.15), (
            "the mean of 999 Poisson counts has a standard error of 0.03"
        )
        assert lost.mean() == pytest.approx(1, abs=0.15)
    assert resampling.observed().sum() == samples


@pytest.mark.parametrize("samples", [1, 2, 9])
def test_too_few_samples_are_no_basis_for_an_interval(samples: int) -> None:
    found = bootstrapped(average, {"x": X[:samples]}, {}, better="higher", seed=0)
    claim = f"{samples} samples are too few for an interval: at least 10 are needed, some hundreds are better"
    assert found == Undefined(claim)


def test_a_statistic_that_is_undefined_says_why_and_for_whom() -> None:
    def nothing(rows: Rows) -> float:
        return float("nan") if rows["x"].astype(float).mean() > 5 else 1.0

    high, low = {"x": np.full(20, 9.0)}, {"x": np.full(20, 1.0)}
    assert bootstrapped(nothing, high, {}, better="higher", seed=0, undefined="too high") == Undefined("too high")
    versus = bootstrapped(nothing, low, high, better="higher", seed=0, undefined="too high")
    assert versus == Undefined("of the baseline: too high")
    assert bootstrapped(nothing, high, {}, better="higher", seed=0) == Undefined("it is undefined on these data")


def test_a_statistic_that_is_undefined_on_many_resamples_is_given_up() -> None:
    """The one sample that counts is missing from 36 % of the resamples."""

    def rare(rows: Rows) -> float:
        return 1.0 if rows["x"].any() else float("nan")

    column = np.zeros(30)
    column[0] = 1
    found = bootstrapped(rare, {"x": column}, {}, better="higher", seed=0, undefined="the rare class is missing")
    assert found == Undefined("the rare class is missing: 30 samples are too few")


def test_the_interval_always_holds_the_value() -> None:
    """The maximum is never exceeded by a resample, so percentiles alone would lie below it."""
    found = defined(bootstrapped(lambda rows: float(rows["x"].max()), {"x": X}, {}, better="higher", seed=0))
    assert found.high == found.value == X.max()


def test_a_mirrored_interval_takes_the_bias_of_resampling_off() -> None:
    """Resamples of the maximum lie below it, and the truth above: so does the mirrored interval."""
    highest = Resampling(100, 0, mirrored=True)
    found = defined(
        reweighted(lambda w: np.where(w > 0, X[:, None], -np.inf).max(axis=0), None, highest, better="higher")
    )
    assert found.low == found.value == X.max() < found.high


def test_planted_disagreements_widen_the_interval_of_models_that_never_disagree() -> None:
    """As wide as Bonett and Price make it: 1.96 sqrt(2) / n either side, to a fifth (the count is small and whole)."""
    right = np.concatenate([np.ones(50), np.ones(4), np.zeros(4)])
    wrong = np.concatenate([np.ones(50), np.zeros(4), np.ones(4)])
    found = defined(reweighted(mean(right), mean(wrong), Resampling(50, 0, planted=4), better="higher"))
    assert isinstance(found.versus, Paired)
    gap = found.versus.interval
    assert gap.value == 0
    assert gap.high == pytest.approx(1.96 * 2**0.5 / 52, rel=0.3)
    assert gap.low == pytest.approx(-1.96 * 2**0.5 / 52, rel=0.3)
    assert found.value == 1 and 0.9 < found.low < 1


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Means of 60 exponential values: 95 % of 300 replicates are 285, with a standard error of 4; skewness costs a point."""
    held = 0
    for seed in range(300):
        samples = np.random.default_rng(seed).exponential(2.0, 60)
        found = defined(reweighted(mean(samples), None, Resampling(60, seed), better="lower"))
        held += found.low <= 2 <= found.high
    assert 270 <= held <= 297, held
