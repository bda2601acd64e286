"""Leases and owners: who lives, as far as can be said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from olivelike import owner
from olivelike.owner import Life, Owner
from olivelike.store import leases
from olivelike.store.leases import EXPIRES_AFTER, Lease, Leases
from olivelike.store.local import LocalStore
from olivelike.store.lock import StoreLock
from olivelike.store.staging import Staging
from tests.store.conftest import Hand


def test_this_process_lives() -> None:
    assert Owner.current().life(since=time.time()) is Life.ALIVE


def test_ended_process_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert Owner(Owner.current().machine, child.pid).life(since=time.time()) is Life.DEAD


def test_process_that_began_later_under_the_same_number_is_another() -> None:
    parent = Owner(Owner.current().machine, os.getppid())
    assert parent.life(since=time.time()) is Life.ALIVE
    assert parent.life(since=1.0) is Life.DEAD


def test_nothing_can_be_said_about_another_machine() -> None:
    assert Owner("elsewhere", os.getpid()).life(since=time.time()) is Life.ELSEWHERE


def test_another_container_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Owner.current()
    monkeypatch.setattr(owner, "_machine", lambda: "the same host, another pid namespace")
    assert mine.life(since=time.time()) is Life.ELSEWHERE


@pytest.mark.parametrize(("age", "live"), [(EXPIRES_AFTER - 1, True), (EXPIRES_AFTER + 1, False)])
def test_lease_from_another_machine_lives_while_it_is_refreshed(tmp_path: Path, age: float, live: bool) -> None:
    lease = Lease(tmp_path / "1-aa.json", Owner("elsewhere", 1), started=0.0, refreshed=1000.0)
    assert lease.is_live(1000.0 + age) is live


def test_lease_is_refreshed_while_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "REFRESH_EVERY", 0.001)
    ticks = iter(range(1000, 1_000_000))
    held = Leases(tmp_path / "leases", Staging(tmp_path / "staging"), lambda: float(next(ticks)))
    with held.hold():
        (lease,) = held.all()
        while held.all()[0].refreshed == lease.refreshed:
            threading.Event().wait(0.001)
        assert held.all()[0].started == lease.started
    assert held.all() == ()


def test_lease_ends_with_an_exception_too(local: LocalStore) -> None:
    with pytest.raises(KeyboardInterrupt), local.lease():
        raise KeyboardInterrupt
    assert list((local.root / "leases").iterdir()) == []


def test_lease_of_a_dead_process_holds_nothing_back(local: LocalStore, clock: Hand) -> None:
    file = local.root / "leases" / "1-aa.json"
    file.write_text(json.dumps({"machine": Owner.current().machine, "pid": 1 << 29, "started": clock.at}))
    assert local.gc(0, now=clock).leftovers == 1
    assert not file.exists()


def test_collector_waits_for_those_who_share_the_lock(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    lock, order = StoreLock(tmp_path / "file"), list[str]()

    def collect() -> None:
        waiting.set()
        with lock.exclusive():
            order.append("collected")

    waiting, thread = threading.Event(), threading.Thread(target=collect)
    with lock.shared(), lock.shared():
        thread.start()
        waiting.wait()
        thread.join(timeout=0.05)
        order.append("published")
    thread.join()
    assert order == ["published", "collected"]
