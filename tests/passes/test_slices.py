"""Tests of working through a weight in slices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from olivelike_passes.compression.factors import Spectrum
from olivelike_passes.quantization.blocks.gptq import ahead
from olivelike_passes.slices import ELEMENTS, in_slices, one_thread_of_blas


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


def test_blas_has_one_thread_each_also_that_of_scipy() -> None:
    in_slices(1, 1, lambda part: None)  # looks for libraries, maybe before scipy is there
    import scipy.linalg  # noqa: F401

    with threadpool_limits(limits=2, user_api="blas"), one_thread_of_blas():
        found = [each for each in threadpool_info() if each["user_api"] == "blas"]
    assert found and {each["num_threads"] for each in found} == {1}


@pytest.mark.parametrize(
    "made",
    [lambda gram: ahead(gram, 1e-6, largest_first=True).upper, lambda gram: Spectrum(gram[:, :200], gram).shares],
    ids=["gptq", "low_rank"],
)
def test_sums_do_not_depend_on_the_threads_of_blas(made: Callable[[np.ndarray], np.ndarray]) -> None:
    draws = np.random.default_rng(0)
    inputs = draws.standard_normal((1000, 20)) @ draws.standard_normal((20, 500))  # few directions: small errors grow
    gram = (inputs.T @ inputs / 1000).astype(np.float32)
    with threadpool_limits(limits=1, user_api="blas"):
        alone = made(gram)
    with threadpool_limits(limits=2, user_api="blas"):
        assert (made(gram) == alone).all()
