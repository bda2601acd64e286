"""The commands of the cache: `cache where | ls | verify | gc | clear`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from olivelike.cli.options import AsJson, CacheDir, Debug

if TYPE_CHECKING:
    from olivelike.store.port import Store

RECENT = 3600.0
"""Seconds for which what was used stays while a run uses the cache."""
UNLIMITED = 1 << 62
ZERO = re.compile(r"\s*0+(\.0*)?\s*[A-Za-z]*\s*")

app = typer.Typer(help="Look at the cache, check it, trim it.", no_args_is_help=True)


@app.command("where")
def where(cache_dir: CacheDir = "", debug: Debug = False) -> int:
    """Print the folder of the cache."""
    del debug
    from olivelike.cli import render

    render.say(str(_root(cache_dir)))
    return 0


@app.command("ls")
def ls(cache_dir: CacheDir = "", json: AsJson = False, debug: Debug = False) -> int:
    """List the artifacts: what they are, how large, when last used, which step made them."""
    del debug
    from olivelike.cli import render

    with _store(cache_dir) as store:
        render.entries(store.listing(), as_json=json)
    return 0


@app.command("verify")
def verify(cache_dir: CacheDir = "", json: AsJson = False, debug: Debug = False) -> int:
    """Read every byte and say what is damaged or missing."""
    del debug
    from olivelike.cli import render

    with _store(cache_dir) as store:
        verdict = store.verify()
    render.verified(verdict, as_json=json)
    return 5 if verdict.bad else 0


@app.command("gc")
def gc(
    max_size: Annotated[str, typer.Option("--max-size", help="How much may stay, as in 2GiB; 0 for nothing.")],
    min_age: Annotated[
        str,
        typer.Option(
            "--min-age",
            help="What was used more recently stays, as in 2h; without it an hour while a run uses the cache, else nothing.",
            show_default=False,
        ),
    ] = "",
    cache_dir: CacheDir = "",
    json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Remove what was not used for longest, and what killed runs left behind; safe beside a running search."""
    del debug
    from olivelike.cli import render
    from olivelike.contracts.units import seconds, size

    limit = int(_quantity("--max-size", max_size, size))
    asked = _quantity("--min-age", min_age, seconds) if min_age else None
    with _store(cache_dir) as store:
        age = asked if asked is not None else RECENT if store.in_use() else 0.0
        render.swept(store.gc(limit, min_age=age), limit, age, as_json=json)
    return 0


@app.command("clear")
def clear(cache_dir: CacheDir = "", json: AsJson = False, debug: Debug = False) -> int:
    """Remove everything from the cache."""
    del debug
    from olivelike.cli import render

    with _store(cache_dir) as store:
        held = store.listing()
        size = store.gc(UNLIMITED).kept
        store.clear()
    render.cleared(len(held), size, as_json=json)
    return 0


def _quantity(flag: str, written: str, read: Callable[[object], float]) -> float:
    """Reads a quantity that may be zero, with or without a unit.

    Raises:
        InputError: OL115, it is none.
    """
    from olivelike.contracts.units import UnitError
    from olivelike.errors import InputError, fail

    if ZERO.fullmatch(written):
        return 0.0
    try:
        return read(written)
    except UnitError as error:
        raise fail(InputError, "OL115", f"{flag}: {error}", hint=error.hint) from error


def _root(cache_dir: str) -> Path:
    import os

    from olivelike.store.location import default_root

    return default_root(cache_dir, os.environ, Path.cwd())


@contextmanager
def _store(cache_dir: str) -> Iterator[Store]:
    from olivelike.engine.session import opened_store

    store = opened_store(_root(cache_dir))
    try:
        yield store
    finally:
        store.close()
