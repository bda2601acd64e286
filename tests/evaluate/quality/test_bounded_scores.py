from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from olivelike.contracts.metric import Prospect
from olivelike.contracts.outcome import Measurement, Paired, Unpaired
from olivelike.evaluate.quality.accuracy import Accuracy, AccuracyConfig
from olivelike.evaluate.quality.bounded_scores import mean_score, stops_when_out
from olivelike.evaluate.quality.side_by_side import FIRST_LOOK, Observed
from olivelike.evaluate.statistics.intervals import matched_difference_interval, proportion_interval
from olivelike.evaluate.statistics.sequences import bounded_mean_sequence
from olivelike.testing.measure_context import MemoryContext
from tests.evaluate.tiny_models import classifier

SAMPLES = 4000


def observed(own: object, other: object = None, complete: bool = True) -> Observed:
    rows = {"score": np.asarray(own)}
    return Observed(rows, {} if other is None else {"score": np.asarray(other)}, len(rows["score"]), complete)


def ends(measured: Measurement) -> tuple[float, float, float]:
    return measured.low, measured.value, measured.high


def test_right_or_wrong_has_wilsons_interval_and_the_matched_one() -> None:
    own, other = [True] * 6 + [False] * 4, [True] * 4 + [False] * 5 + [True]
    measured = mean_score(observed(own, other), "score")
    known = proportion_interval(6, 10)
    assert ends(measured) == (known.low, known.value, known.high)
    assert measured.versus == Paired("difference", matched_difference_interval(2, 1, 10))
    assert measured.complete


def test_scores_between_have_the_interval_that_bets() -> None:
    scores = np.random.default_rng(0).random(50)
    measured = mean_score(observed(scores, scores / 2), "score")
    known = bounded_mean_sequence(scores.tolist(), 0, 1)
    assert ends(measured) == (known.low, known.value, known.high)
    assert isinstance(measured.versus, Paired)
    assert measured.versus.interval.value == pytest.approx(scores.mean() / 2)
    assert measured.complete


def test_what_ended_early_is_incomplete_and_has_the_interval_that_holds_at_any_time() -> None:
    own = [True, False] * 200
    measured = mean_score(observed(own, complete=False), "score")
    known = bounded_mean_sequence([float(each) for each in own], 0, 1)
    assert ends(measured) == (known.low, known.value, known.high)
    assert not measured.complete


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("samples", [1, 2, 100])
def test_all_right_or_all_wrong_is_never_certain(right: bool, samples: int) -> None:
    measured = mean_score(observed([right] * samples, [right] * samples), "score")
    assert measured.value == right
    assert measured.high - measured.low > 0
    assert isinstance(measured.versus, Paired)
    gap = measured.versus.interval
    assert gap.low < gap.value == 0 < gap.high


def test_a_single_sample_leaves_everything_open() -> None:
    measured = mean_score(observed([True], [False]), "score")
    assert (measured.n, measured.value) == (1, 1)
    assert measured.low < 0.3
    assert isinstance(measured.versus, Paired)
    assert measured.versus.interval.low < 0, "one sample shows no gain"


def test_alone_nothing_is_compared() -> None:
    assert mean_score(observed([True, False]), "score").versus == Unpaired()


def test_it_is_told_the_value_that_would_be_reported(tmp_path: Path) -> None:
    told: list[Measurement] = []

    def out(values: Mapping[str, Measurement]) -> Prospect:
        told.append(values["top1"])
        return Prospect.OUT

    enough = stops_when_out("top1", "score", MemoryContext(tmp_path, held_against=out))
    early = observed([True, False] * 200, [True] * 400, complete=False)
    assert enough(early.own, early.other)
    assert told == [mean_score(early, "score")]


@pytest.mark.parametrize("prospect", [Prospect.OPEN, Prospect.CLEAR])
def test_only_a_candidate_that_is_out_is_left_early(tmp_path: Path, prospect: Prospect) -> None:
    enough = stops_when_out("top1", "score", MemoryContext(tmp_path, held_against=lambda values: prospect))
    assert not enough(observed([True]).own, {})


def drop_of(share: float, seed: int, folder: Path, most: float) -> Measurement:
    """Measures a candidate that gets a share of all samples wrong, held against the most that may be lost."""
    labels = np.random.default_rng(seed).integers(0, 2, SAMPLES)
    spoilt = np.random.default_rng(seed + 1).random(SAMPLES) < share
    scores = np.eye(2)[labels]
    columns = np.concatenate([scores, np.where(spoilt[:, None], scores[:, ::-1], scores)], axis=1)
    reference = classifier(folder / "reference", [[1, 0], [0, 1], [0, 0], [0, 0]])
    candidate = classifier(folder / "candidate", [[0, 0], [0, 0], [1, 0], [0, 1]])

    def held_against(values: Mapping[str, Measurement]) -> Prospect:
        versus = values["top1"].versus
        assert isinstance(versus, Paired)
        return Prospect.OUT if versus.interval.high < -most else Prospect.OPEN

    given = MemoryContext(folder, {"image": columns}, labels, held_against=held_against)
    (measured,) = Accuracy().measure(candidate, reference, AccuracyConfig(), given).values()
    return measured


def test_accuracy_leaves_a_clear_loser_after_a_few_hundred_samples(tmp_path: Path) -> None:
    measured = drop_of(0.3, 0, tmp_path, most=0.01)
    assert measured.n == FIRST_LOOK
    assert not measured.complete
    assert isinstance(measured.versus, Paired)
    assert measured.versus.interval.high < -0.01


def test_accuracy_sees_all_samples_of_a_candidate_that_may_hold(tmp_path: Path) -> None:
    measured = drop_of(0.002, 0, tmp_path, most=0.01)
    assert (measured.n, measured.complete) == (SAMPLES, True)


def test_a_candidate_at_the_limit_is_seldom_thrown_out(tmp_path: Path) -> None:
    """The true drop is the limit itself; at most 2.5 % may be ruled out on that side: 1 of 20 expected, 4 are bad luck of 0.2 %."""
    out = sum(not drop_of(0.05, 2 * seed, tmp_path, most=0.05).complete for seed in range(20))
    assert out <= 3, out
