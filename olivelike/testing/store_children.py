"""Processes that use a store beside a test: they race, hold a lease, or are killed in the middle of a publication.

A child is this module run as a program: `python -m olivelike.testing.store_children WHAT OPENER ROOT NUMBER`. It says `ready`,
waits for a line, does its work and prints what came of it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Literal, TypeAlias, cast

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.store.port import Store

Program: TypeAlias = Callable[[str, Path, int], None]
Work: TypeAlias = Literal["publish", "collect"]

MANIFEST = Manifest("onnx", {"model": "model.onnx"})
TINY = {"model.onnx": b"not much of a model", "sub/weights.bin": bytes(range(256)) * 8}
OWN = 5
"""How many artifacts of its own a racing child publishes, beside one that all publish."""


def publish(store: Store, files: Mapping[str, bytes], manifest: Manifest = MANIFEST) -> Artifact:
    """Publishes an artifact with the given files."""
    with store.scratch() as folder:
        write(folder, files)
        manifest.write(folder)
        return store.publish(folder)


def publish_and_record(store: Store, files: Mapping[str, bytes]) -> Artifact:
    """Publishes an artifact and records a step that made it."""
    artifact = publish(store, files)
    store.record(f"step/{artifact.digest}", {"output": artifact.digest})
    return artifact


def write(folder: Path, files: Mapping[str, bytes]) -> dict[str, Path]:
    """Writes files into a folder and returns where they are, by name."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return {name: folder / name for name in files}


def open_by(opener: str, root: Path) -> Store:
    """Opens a store by the name of the function that does (`module:function`)."""
    module, _, function = opener.partition(":")
    return cast("Callable[[Path], Store]", getattr(import_module(module), function))(root)


def race(opener: str, root: Path, count: int) -> list[list[str]]:
    """Lets processes publish at once; returns for each the digest of what all publish, then of what it alone publishes."""
    children = [_started("race", opener, root, number) for number in range(count)]
    for child in children:
        _say(child, "go")
    return [child.communicate()[0].split() for child in children]


@contextmanager
def searching(opener: str, root: Path) -> Iterator[str]:
    """Runs a process that holds a lease on the store; gives the digest of an artifact that it has published."""
    child = _started("search", opener, root, 0)
    try:
        _say(child, "go")
        yield _heard(child)
    finally:
        child.communicate()


def count_calls(opener: str, root: Path, work: Work) -> int:
    """Returns how many audited system calls it takes to open the store and do the work."""
    child = _started(work, opener, root, 0)
    return int(child.communicate("go\n")[0])


def is_killed(opener: str, root: Path, work: Work, calls: int) -> bool:
    """Opens the store and does the work in a process that is killed at one of its system calls; whether it got that far."""
    child = _started(work, opener, root, calls)
    child.communicate("go\n")
    return child.returncode != 0


def _started(program: str, opener: str, root: Path, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", __name__, program, opener, str(root), str(number)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    _heard(child)
    return child


def _say(child: subprocess.Popen[str], line: str) -> None:
    assert child.stdin is not None
    child.stdin.write(f"{line}\n")
    child.stdin.flush()


def _heard(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def _main(program: str, opener: str, root: str, number: str) -> None:
    import_module(opener.partition(":")[0])
    _print("ready")
    sys.stdin.readline()
    PROGRAMS[program](opener, Path(root), int(number))


def _race(opener: str, root: Path, number: int) -> None:
    with open_by(opener, root) as store:
        for own in range(OWN):
            for files in (TINY, TINY | {"own.bin": bytes([number, own]) * 1000}):
                _print(publish_and_record(store, files).digest)


def _search(opener: str, root: Path, number: int) -> None:
    del number
    with open_by(opener, root) as store, store.lease():
        _print(publish_and_record(store, TINY).digest)
        sys.stdin.read()


def _audited(work: Callable[[Store, int], None]) -> Program:
    def run(opener: str, root: Path, number: int) -> None:
        calls = _audit(stop_at=number)
        with open_by(opener, root) as store:
            work(store, number)
        _print(str(len(calls)))

    return run


def _publish_own(store: Store, number: int) -> None:
    publish_and_record(store, TINY | {"own.bin": str(number).encode() * 1000})


def _collect(store: Store, number: int) -> None:
    del number
    store.gc(0, min_age=0)


def _audit(stop_at: int) -> list[str]:
    """Lists this process's calls that touch files (PEP 578) as they happen, and kills it at the given one, from 1."""
    calls: list[str] = []

    def note(event: str, arguments: object) -> None:
        del arguments
        if event == "open" or event.startswith(("os.", "fcntl.", "sqlite3.")):
            calls.append(event)
            if len(calls) == stop_at:
                os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    sys.addaudithook(note)
    return calls


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


PROGRAMS: dict[str, Program] = {
    "race": _race,
    "search": _search,
    "publish": _audited(_publish_own),
    "collect": _audited(_collect),
}

if __name__ == "__main__":
    _main(*sys.argv[1:])
