"""Where the store lies: the flag, the variable, the checkout's tagged folder, or the user's cache folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "OLIVELIKE_CACHE_DIR"
TAG_NAME = "CACHEDIR.TAG"
TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache of olivelike. Everything in it can be made again.\n"
    "# For information about cache directory tags see https://bford.info/cachedir/\n"
)


def default_root(flag: str, environ: Mapping[str, str], cwd: Path) -> Path:
    """Returns the store's folder: the flag, else `OLIVELIKE_CACHE_DIR`, else `./cache` if it bears our tag, else the user's.

    Args:
        flag: what the command line or the workflow named; empty for nothing.
        environ: the process's environment.
        cwd: the folder that relative paths start in.
    """
    if named := flag or environ.get(VARIABLE, ""):
        return cwd / Path(named).expanduser()
    checkout = cwd / "cache"
    return checkout if is_tagged(checkout) else _user_cache(environ) / "olivelike"


def is_tagged(folder: Path) -> bool:
    """Whether a folder's CACHEDIR.TAG says that it is a cache of olivelike."""
    try:
        return b"olivelike" in (folder / TAG_NAME).read_bytes()
    except OSError:
        return False


def _user_cache(environ: Mapping[str, str]) -> Path:
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or Path.home())
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
