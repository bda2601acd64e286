"""A local store whose clock the test sets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from olivelike.store.local import LocalStore


@dataclass
class Hand:
    """A clock that stands still until it is moved."""

    at: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def local(tmp_path: Path, clock: Hand) -> Iterator[LocalStore]:
    with LocalStore(tmp_path / "store", now=clock) as store:
        yield store
