"""Values of a whole corpus where all samples agree: what so many could have missed, held against the rule of three."""

from __future__ import annotations

import numpy as np
import pytest

from olivelike.contracts.outcome import Measurement, Paired, Undefined, Value
from olivelike.evaluate.statistics.bootstrap import Rows, Statistic, bootstrapped
from olivelike.evaluate.statistics.corpus_values import corpus_value, missed_share

WORDS = 20


def rate(rows: Rows) -> float:
    return float(rows["errors"].sum() / rows["words"].sum())


def texts(errors: object) -> Rows:
    column = np.asarray(errors)
    return {"errors": column, "words": np.full(len(column), WORDS)}


def extremes(chosen: object) -> tuple[Rows, Rows]:
    count = len(np.asarray(chosen))
    return texts(np.zeros(count, int)), texts(np.full(count, WORDS))


def valued(own: Rows, other: Rows | None = None, statistic: Statistic = rate, level: float = 0.95) -> Measurement:
    found = corpus_value(statistic, own, other or {}, extremes, better="lower", seed=0, level=level)
    assert isinstance(found, Measurement), found
    return found


@pytest.mark.parametrize(("samples", "share"), [(10, 0.3085), (100, 0.0362), (400, 0.0092), (3000, 0.0012)])
def test_no_error_in_so_many_samples_leaves_room_for_the_rule_of_three(samples: int, share: float) -> None:
    """Clopper and Pearson's upper end for no success in `samples`; whole copies of rows meet it to a tenth, from above."""
    found = valued(texts(np.zeros(samples, int)))
    assert missed_share(samples) == pytest.approx(share, abs=5e-5)
    assert found.value == found.low == 0
    assert missed_share(samples) <= found.high <= 1.1 * missed_share(samples)


def test_nothing_but_errors_leaves_as_much_room_below() -> None:
    found = valued(texts(np.full(100, WORDS)))
    assert found.high == found.value == 1
    assert 1 - 1.1 * missed_share(100) <= found.low <= 1 - missed_share(100)


def test_models_that_never_differ_may_do_so_on_what_was_not_seen() -> None:
    """One may get wholly wrong what the other gets wholly right, either way; the value's own interval is the bootstrap's."""
    rows = texts(np.random.default_rng(0).binomial(WORDS, 0.1, 200))
    found, plain = valued(rows, rows), bootstrapped(rate, rows, rows, better="lower", seed=0)
    assert isinstance(plain, Measurement) and isinstance(found.versus, Paired)
    gap = found.versus.interval
    assert (found.low, found.value, found.high, gap.value) == (plain.low, plain.value, plain.high, 0)
    for end in (-gap.low, gap.high):
        assert missed_share(200) <= end <= 1.1 * missed_share(200)


def test_models_that_differ_are_left_to_the_bootstrap() -> None:
    draw = np.random.default_rng(1)
    own, other = (texts(draw.binomial(WORDS, 0.1, 50)) for _ in range(2))
    assert valued(own, other) == bootstrapped(rate, own, other, better="lower", seed=0)


def test_more_certainty_takes_more_room() -> None:
    rows = texts(np.zeros(100, int))
    assert valued(rows, level=0.9).high < valued(rows).high < valued(rows, level=0.99).high


def test_the_order_of_additions_is_no_spread() -> None:
    """Tenths are not exact in binary, so that sums over resamples of unequal sizes differ in their last bits."""
    words = np.random.default_rng(0).integers(1, 50, 60)
    rows = {"errors": words * 0.1, "words": words}
    assert valued(rows).high > 0.1 + missed_share(60) / 5


def test_what_nothing_bounds_has_no_value() -> None:
    rows = texts(np.full(20, 3))

    def same(chosen: object) -> tuple[Rows, Rows]:
        alike = texts(np.full(len(np.asarray(chosen)), 3))
        return alike, alike

    found: Value = corpus_value(rate, rows, {}, same, better="lower", seed=0)
    assert isinstance(found, Undefined) and "all 20 samples agree, and nothing bounds" in found.reason


def test_the_bound_holds_as_often_as_it_says() -> None:
    """One text in 120 is wholly wrong: 95 % or more of 400 corpora of 100 texts hold it, less three standard errors of 1.1 %.

    The bootstrap alone holds it in 57 %: it says exactly 0 of the 43 % of corpora without such a text.
    """
    held = 0
    for seed in range(400):
        errors = np.where(np.random.default_rng(seed).random(100) < 1 / 120, WORDS, 0)
        found = valued(texts(errors))
        held += found.low <= 1 / 120 <= found.high
    assert held >= 367, held
