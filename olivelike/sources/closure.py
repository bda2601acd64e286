"""Which files a user's script is made of: itself and every module that it imports from its own folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from olivelike.errors import InputError, fail, nearest


def script_files(script: Path) -> dict[str, Path]:
    """Returns a script and the modules it imports from its own folder, directly or not; nothing is run.

    Import statements anywhere in the text count, relative ones and packages included; a module that is named only at run
    time (`importlib.import_module(name)`) is not found.

    Args:
        script: the Python file.

    Returns:
        Relative POSIX name, from the script's folder, to the file; sorted by name.

    Raises:
        InputError: OL209, a file is missing or is not Python, with file and line.
    """
    root = script.parent
    found: dict[str, Path] = {}
    waiting = [script.name]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = root / name
            waiting += _siblings(root, name)
    return dict(sorted(found.items()))


def _siblings(root: Path, name: str) -> Iterator[str]:
    for node in ast.walk(_parsed(root / name)):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield from _files_of(root, alias.name.split("."))
            case ast.ImportFrom(module=module, names=names, level=level):
                start = _package(name, level) + (module.split(".") if module else [])
                for alias in names:
                    yield from _files_of(root, [*start, alias.name])
            case _:
                pass


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except FileNotFoundError as error:
        others = [other.name for other in path.parent.glob("*.py")]
        raise fail(
            InputError, "OL209", "there is no such script", place=str(path), hint=nearest(path.name, others)
        ) from error
    except SyntaxError as error:
        claim = f"is not valid Python: {error.msg}"
        raise fail(InputError, "OL209", claim, place=f"{path}:{error.lineno}", hint="correct this line") from error
    except (OSError, ValueError) as error:
        raise fail(
            InputError, "OL209", f"cannot be read: {error}", place=str(path), hint="name a Python file"
        ) from error


def _package(name: str, level: int) -> list[str]:
    # One dot is the package that the importing file lies in, each further dot the one above.
    parents = list(PurePosixPath(name).parent.parts)
    return parents[: len(parents) - level + 1] if level else []


def _files_of(root: Path, dotted: list[str]) -> Iterator[str]:
    for length in range(1, len(dotted) + 1):
        base = "/".join(dotted[:length])
        yield from (name for name in (f"{base}/__init__.py", f"{base}.py") if (root / name).is_file())
