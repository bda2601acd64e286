"""Exchanging two folders in one step of the operating system, so that there is no moment without either."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

AT_FDCWD = -100
RENAME_EXCHANGE = 2
"""Linux: renameat2(2)."""
RENAME_SWAP = 2
"""macOS: renamex_np(2)."""
UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM})
"""What an older kernel, a file system without the call, or a sandbox answers."""


def exchange(one: Path, other: Path) -> bool:
    """Lets two existing paths of one file system take each other's place; False where the system has no such call.

    Raises:
        OSError: the system has the call and refuses it.
    """
    if sys.platform == "win32":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):
        ended = library.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE)
    elif hasattr(library, "renamex_np"):
        ended = library.renamex_np(*names, RENAME_SWAP)
    else:
        return False
    if not ended:
        return True
    number = ctypes.get_errno()
    if number in UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(one))
