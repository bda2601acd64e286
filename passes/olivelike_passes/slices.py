"""Work through a weight in slices that fit the processor's cache, on all cores; the same result on any number of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, TypeVar

ElementT = TypeVar("ElementT")

ELEMENTS = 1 << 18
"""Of a slice; its float32 copies stay in a core's own cache."""


def in_slices(rows: int, elements_per_row: int, work: Callable[[slice], None], *, multiple: int = 1) -> None:
    """Calls a function for slices of rows until all rows were worked on; several at a time.

    Args:
        rows: how many there are.
        elements_per_row: elements of one, from which follows how many make a slice.
        work: writes what it makes of a slice to its own place; what it does for one row does not depend on the others.
        multiple: all slices but the last have a multiple of so many rows.
    """
    step = max(ELEMENTS // max(elements_per_row, 1) // multiple, 1) * multiple
    at_once(work, [slice(start, min(start + step, rows)) for start in range(0, rows, step)])


def at_once(work: Callable[[ElementT], None], parts: Sequence[ElementT]) -> None:
    """Calls a function for each of some parts, several at a time; what it does for one does not depend on the others.

    BLAS, which has threads of its own, gets by with one in each: its sums would depend on how many it has.
    """
    with one_thread_of_blas():
        if len(parts) == 1:
            work(parts[0])
            return
        with ThreadPoolExecutor(cores()) as pool:
            for _ in pool.map(work, parts):  # raises what a part raised
                pass


def cores() -> int:
    """Returns how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def one_thread_of_blas() -> AbstractContextManager[object]:
    """Returns a context in which sums of products do not depend on how many cores there are; `at_once` has it already."""
    libraries = _libraries(with_scipy="scipy.linalg" in sys.modules)
    limited: AbstractContextManager[object] = libraries.limit(limits=1, user_api="blas")
    return limited


@cache
def _libraries(*, with_scipy: bool) -> Any:
    del with_scipy  # it brings a BLAS of its own: libraries are looked for anew once it is there
    import numpy as np  # noqa: F401  # its BLAS must be there to be found
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()
