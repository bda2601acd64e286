"""Tests of working through a weight in slices."""

from __future__ import annotations

import numpy as np
import pytest

from olivelike_passes.slices import ELEMENTS, in_slices


def test_every_row_is_worked_on_once() -> None:
    seen = np.zeros(1000, int)
    in_slices(1000, ELEMENTS // 100, lambda part: np.add(seen[part], 1, out=seen[part]))
    assert (seen == 1).all()


def test_slices_keep_to_the_multiple() -> None:
    parts: list[slice] = []
    in_slices(1000, ELEMENTS // 100, parts.append, multiple=64)
    assert len(parts) > 1
    assert all(part.start % 64 == 0 for part in parts)


def test_a_row_longer_than_a_slice_is_a_slice() -> None:
    parts: list[slice] = []
    in_slices(3, 10 * ELEMENTS, parts.append)
    assert sorted(part.start for part in parts) == [0, 1, 2]


def test_what_a_slice_raises_is_raised() -> None:
    def fails(part: slice) -> None:
        raise ValueError(f"row {part.start}")

    with pytest.raises(ValueError, match="row 0"):
        in_slices(3, 10 * ELEMENTS, fails)
