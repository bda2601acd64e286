"""Taking a place: a bundle appears as a whole, what was there stays until then, and what is not ours is kept.

A bundle grows in a room beside its place, `.NAME-MACHINE-PID-RANDOM`. A killed run leaves its room behind; the next one brings
back what lies in it aside, and removes the rest.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from olivelike.bundle.exchange import exchange
from olivelike.bundle.lock import LOCK_NAME, read_lock
from olivelike.digest import files_below
from olivelike.errors import InputError, OlivelikeError, fail
from olivelike.owner import Life, Owner

MACHINE_DIGITS = 12
KEEP = "choose another output.path, or move it away"


def require_ours(path: Path, place: str = "") -> None:
    """Checks that an output path may be written: it is absent, an empty folder, or a bundle with nothing added to it.

    Raises:
        InputError: OL116, something of somebody else's lies there; it is kept.
    """
    if claim := _foreign(path):
        raise fail(InputError, "OL116", f"{claim}; it is kept", place=place, path="output.path", hint=KEEP)


def require_writable(path: Path) -> None:
    """Checks that an output path is ours and that its folder is there or can be made; makes nothing.

    Raises:
        InputError: OL116.
    """
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        claim = f"{path} cannot be written: {above} is a file"
        raise fail(InputError, "OL116", claim, path="output.path", hint="choose another output.path")
    if not _may_write(above):
        claim = f"{path} cannot be written: there is no permission to write in {above}"
        raise fail(InputError, "OL116", claim, path="output.path", hint="choose another output.path")
    require_ours(path)


def put_in_place(path: Path, fill: Callable[[Path], None]) -> None:
    """Fills a new folder beside `path` and then takes its place; a failure leaves what was there untouched.

    Args:
        path: where the bundle is to lie.
        fill: writes the bundle into the empty folder that it is given.

    Raises:
        InputError: OL116, something of somebody else's lies there.
    """
    recover(path)
    require_ours(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    room = _new_room(path)
    try:
        new = room / "new"
        new.mkdir()
        fill(new)
        require_ours(path)  # filling may have taken long
        if not path.exists():
            new.replace(path)
        elif not exchange(new, path):
            path.replace(room / "old")  # killed here, `recover` brings it back
            new.replace(path)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def recover(path: Path) -> None:
    """Brings back an older bundle that a killed run had moved aside, and removes what killed runs left beside it."""
    for room in _abandoned(path):
        if (room / "old").is_dir() and not path.exists():
            (room / "old").replace(path)
        shutil.rmtree(room, ignore_errors=True)


def _foreign(path: Path) -> str:
    """Returns what is not ours at a path; empty where it may be replaced."""
    if not path.exists():
        return ""
    if not path.is_dir():
        return f"{path} is a file"
    if not any(path.iterdir()):
        return ""
    if not (path / LOCK_NAME).is_file():
        return f"{path} exists and was not written by olivelike"
    try:
        known = {LOCK_NAME, *read_lock(path / LOCK_NAME).files}
    except OlivelikeError:
        return f"{path} holds a {LOCK_NAME} that is not olivelike's"
    strangers = sorted(set(files_below(path)) - known)
    return f"{path} holds {strangers[0]}, which olivelike did not write" if strangers else ""


def _may_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def _new_room(path: Path) -> Path:
    owner = Owner.current()
    room = path.with_name(f".{path.name}-{owner.machine[:MACHINE_DIGITS]}-{owner.pid}-{secrets.token_hex(4)}")
    room.mkdir(mode=0o700)
    return room


def _abandoned(path: Path) -> Iterator[Path]:
    """Yields the rooms beside a path whose process is known to be dead."""
    pattern = re.compile(rf"\.{re.escape(path.name)}-([0-9a-f]{{{MACHINE_DIGITS}}})-([0-9]+)-[0-9a-f]{{8}}")
    mine = Owner.current()
    for room in sorted(path.parent.iterdir()) if path.parent.is_dir() else ():
        named = pattern.fullmatch(room.name)
        if named is None or named[1] != mine.machine[:MACHINE_DIGITS]:
            continue
        if Owner(mine.machine, int(named[2])).life(since=room.lstat().st_mtime) is Life.DEAD:
            yield room
