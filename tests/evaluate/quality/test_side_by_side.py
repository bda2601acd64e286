from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from olivelike.contracts.data import Batch
from olivelike.contracts.metric import Session
from olivelike.errors import InputError
from olivelike.evaluate.quality.side_by_side import FIRST_LOOK, Observer, Rows, observe
from olivelike.testing.measure_context import MemoryContext
from tests.evaluate.tiny_models import classifier

COUNT = 5 * FIRST_LOOK


def observer(session: Session) -> Observer:
    def rows(batch: Batch) -> Rows:
        return {"logits": session.run(batch.feeds)["logits"], "labels": batch.labels}

    return rows


def context(folder: Path, samples: int = COUNT) -> MemoryContext:
    return MemoryContext(folder, {"image": np.arange(samples)[:, None]}, np.arange(samples))


def test_both_models_see_the_same_samples_in_the_same_order(tmp_path: Path) -> None:
    candidate, reference = classifier(tmp_path / "c", [[2.0]]), classifier(tmp_path / "r", [[1.0]])
    observed = observe(candidate, reference, observer, context(tmp_path, 10), 3)
    assert observed.own["logits"][:, 0].tolist() == [2.0 * k for k in range(10)]
    assert observed.other["logits"][:, 0].tolist() == [float(k) for k in range(10)]
    assert observed.own["labels"].tolist() == observed.other["labels"].tolist() == list(range(10))
    assert (observed.count, observed.complete) == (10, True)


def test_the_baseline_alone_is_run_once(tmp_path: Path) -> None:
    model, given = classifier(tmp_path, [[1.0]]), context(tmp_path, 10)
    observed = observe(model, model, observer, given, 3)
    assert observed.other == {}
    assert given.opened == [model.digest]


@pytest.mark.parametrize("batch", [1, 64, 100, 10_000])
def test_it_asks_now_and_then_and_stops_when_nothing_more_is_needed(tmp_path: Path, batch: int) -> None:
    asked: list[int] = []

    def enough(own: Rows, other: Rows) -> bool:
        asked.append(len(own["labels"]))
        assert len(other["labels"]) == len(own["labels"])
        return len(asked) == 2

    model = classifier(tmp_path, [[1.0]])
    observed = observe(replace(model, digest="other"), model, observer, context(tmp_path), batch, enough=enough)
    if batch > COUNT:
        assert (asked, observed.complete) == ([], True), "there is nothing left to save"
    else:
        assert len(asked) == 2
        assert FIRST_LOOK <= asked[0] < FIRST_LOOK + batch
        assert 2 * asked[0] <= asked[1] < 2 * asked[0] + batch
        assert (observed.count, observed.complete) == (asked[1], False)


def test_nobody_is_asked_when_all_samples_are_seen(tmp_path: Path) -> None:
    def enough(own: Rows, other: Rows) -> bool:
        raise AssertionError("after the last sample there is nothing to stop")

    model = classifier(tmp_path, [[1.0]])
    observed = observe(model, model, observer, context(tmp_path, FIRST_LOOK), 64, enough=enough)
    assert (observed.count, observed.complete) == (FIRST_LOOK, True)


def test_samples_bound_how_many_are_seen(tmp_path: Path) -> None:
    model = classifier(tmp_path, [[1.0]])
    observed = observe(model, model, observer, context(tmp_path), 64, samples=100)
    assert (observed.count, observed.complete) == (100, True)


def test_progress_ends_at_one(tmp_path: Path) -> None:
    class Watching(MemoryContext):
        def progress(self, done: float, text: str = "") -> None:
            seen.append(done)

    seen: list[float] = []
    model = classifier(tmp_path, [[1.0]])
    observe(model, model, observer, Watching(tmp_path, {"image": np.ones((10, 1))}, np.ones(10)), 3)
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_no_samples_are_refused(tmp_path: Path) -> None:
    columns: Mapping[str, np.ndarray[tuple[int, int], np.dtype[np.float64]]] = {"image": np.empty((0, 1))}
    model = classifier(tmp_path, [[1.0]])
    with pytest.raises(InputError, match="OL206: the data hold no samples"):
        observe(model, model, observer, MemoryContext(tmp_path, columns, []), 3)
