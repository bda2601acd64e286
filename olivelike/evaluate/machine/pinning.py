"""Pinning: binding a piece of work to processors, so that the system does not move it about."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from olivelike.errors import InputError, fail


@contextmanager
def pinned(processors: Sequence[int]) -> Iterator[None]:
    """Binds this thread, and threads that it starts meanwhile, to some processors; none leaves everything as it is.

    Raises:
        InputError: OL105, the system cannot pin, or there is no such processor.
    """
    if not processors:
        yield
        return
    before = _allowed()
    missing = sorted(set(processors) - before)
    if missing:
        known = ", ".join(map(str, sorted(before))) or "none: this system cannot pin"
        claim = f"there is no processor {missing[0]} to pin to"
        raise fail(InputError, "OL105", claim, path="pin", hint=f"known: {known}")
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _allowed() -> set[int]:
    allowed = getattr(os, "sched_getaffinity", None)
    return allowed(0) if allowed else set()
