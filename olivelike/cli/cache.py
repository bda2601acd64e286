"""The commands of the cache: `cache where | ls | verify | gc | clear`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from olivelike.cli.optimize import AsJson, CacheDir, Debug

if TYPE_CHECKING:
    from olivelike.store.port import Store

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
    max_size: Annotated[str, typer.Option("--max-size", help="How much may stay, as in 2GiB.")],
    cache_dir: CacheDir = "",
    json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Remove what was not used for longest, and what killed runs left behind; safe beside a running search."""
    del debug
    from olivelike.cli import render
    from olivelike.errors import InputError, fail
    from olivelike.workflow.units import UnitError, size

    try:
        limit = size(max_size)
    except UnitError as error:
        raise fail(InputError, "OL115", f"--max-size: {error}", hint=error.hint) from error
    with _store(cache_dir) as store:
        render.swept(store.gc(int(limit)), as_json=json)
    return 0


@app.command("clear")
def clear(cache_dir: CacheDir = "", debug: Debug = False) -> int:
    """Remove everything from the cache."""
    del debug
    from olivelike.cli import render

    with _store(cache_dir) as store:
        store.clear()
    render.say("the cache is empty")
    return 0


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
