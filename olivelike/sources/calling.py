"""Calling a user's function from a file: its siblings importable while it runs, nothing left behind when it does not.

Two folders may each hold a `features.py`: a folder's modules are in `sys.modules` only while code of that folder runs, and
`sys.path` is as before afterwards. Not to be used from two threads at once, because both are the interpreter's own.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Protocol, cast, runtime_checkable

from olivelike.digest import Json, digest_file, digest_tree
from olivelike.errors import InputError, OlivelikeError, fail, nearest
from olivelike.sources.closure import script_files

PREFIX = "olivelike_user_"


@runtime_checkable
class Indexed(Protocol):
    """A dataset that is read by number and does not iterate by itself, as PyTorch's are."""

    def __len__(self) -> int:
        """Returns the number of samples."""

    def __getitem__(self, number: int, /) -> object:
        """Returns one sample."""


def load_call(folder: Path, script: str, call: str, args: Mapping[str, Json]) -> UserCall:
    """Loads a user's script and returns the function in it, its keyword arguments bound.

    The script runs once, here, under a module name made of its content; it is never written to, nor is bytecode.

    Args:
        folder: where `script` starts.
        script: relative name of the file.
        call: name of a callable in it.
        args: its keyword arguments.

    Raises:
        InputError: OL209, the script is missing, fails (file and line of the user's code), or has no such callable.
    """
    code = UserCode((folder / script).resolve())
    module = code.load()
    function = getattr(module, call, code)
    if function is code:
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise fail(InputError, "OL209", f"has no {call!r}", place=str(code.path), hint=nearest(call, names))
    if not callable(function):
        claim = f"{call!r} is a {type(function).__name__} and cannot be called"
        raise fail(InputError, "OL209", claim, place=str(code.path), hint="name a function")
    return UserCall(code, function, call, args)


class UserCall:
    """A user's function with its arguments bound; what it raises becomes OL209 with the file and line of its code."""

    def __init__(self, code: UserCode, function: Callable[..., object], name: str, args: Mapping[str, Json]) -> None:
        self._code = code
        self._function = function
        self._name = name
        self._args = args

    def __call__(self, *values: object) -> object:
        """Calls the function; a generator that it returns runs under the same care.

        Raises:
            InputError: OL209.
        """
        with self._code.running(f"{self._name}()"):
            result = self._function(*values, **self._args)
        return self.each(cast("Iterator[object]", result)) if isinstance(result, Iterator) else result

    def each(self, samples: Iterable[object] | Indexed) -> Iterator[object]:
        """Yields what a user's own iterable or dataset gives.

        Raises:
            InputError: OL209.
        """
        what = f"what {self._name}() returned"
        with self._code.running(what):
            numbered = _iterated(samples)
        while True:
            with self._code.running(what):
                try:
                    sample = next(numbered)
                except StopIteration:
                    return
            yield sample


class UserCode:
    """One script with its sibling modules."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = script_files(path)
        self._tops = frozenset(name.partition("/")[0].removesuffix(".py") for name in self._files)
        self._modules: dict[str, ModuleType] = {}

    def load(self) -> ModuleType:
        """Runs the script as a module.

        Raises:
            InputError: OL209.
        """
        content = digest_tree((name, digest_file(path)) for name, path in self._files.items())
        module = ModuleType(f"{PREFIX}{content[:16]}")
        module.__file__ = str(self.path)
        sys.modules[module.__name__] = module  # where dataclasses and type hints look a module up
        importlib.invalidate_caches()
        with self.running("importing it"):
            exec(compile(self.path.read_bytes(), str(self.path), "exec"), vars(module))
        return module

    @contextmanager
    def running(self, what: str) -> Iterator[None]:
        """Lets the folder's modules be imported, and turns whatever the user's code raises into OL209.

        Raises:
            InputError: OL209.
        """
        with self._importable():
            try:
                yield
            except (Exception, SystemExit) as error:  # the user's code may raise anything: this is its boundary
                raise self._explained(what, error) from error

    @contextmanager
    def _importable(self) -> Iterator[None]:
        path, without_bytecode = list(sys.path), sys.dont_write_bytecode
        hidden = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in self._tops}
        for name in hidden:
            del sys.modules[name]
        others = set(sys.modules)
        sys.modules.update(self._modules)
        sys.path.insert(0, str(self.path.parent))
        sys.dont_write_bytecode = True  # the folder may belong to the store
        try:
            yield
        finally:
            self._modules = {name: sys.modules[name] for name in sys.modules.keys() - others if self._owns(name)}
            for name in self._modules:
                del sys.modules[name]
            sys.modules.update(hidden)
            sys.path[:], sys.dont_write_bytecode = path, without_bytecode

    def _owns(self, name: str) -> bool:
        # By the first segment, because a virtual environment may lie in the same folder.
        module, top = sys.modules[name], name.partition(".")[0]
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
        own = {self.path.parent / top, self.path.parent / f"{top}.py"}
        return any(own & {Path(place), *Path(place).parents} for place in places if isinstance(place, str))

    def _explained(self, what: str, error: BaseException) -> OlivelikeError:
        lines = str(error).splitlines() or [""]
        claim = f"{what} raises {type(error).__name__}: {lines[0]}".removesuffix(": ")
        frames = [
            frame for frame in extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(self.path.parent)
        ]
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else str(self.path)
        if isinstance(error, ModuleNotFoundError):
            hint = f"install {error.name}, or put {error.name}.py beside the script and import it by a statement"
        else:
            hint = "correct the script, or the args it is called with"
        return fail(InputError, "OL209", claim, place=place, hint=hint)


def _iterated(samples: Iterable[object] | Indexed) -> Iterator[object]:
    if isinstance(samples, Iterable):
        return iter(samples)
    return (samples[number] for number in range(len(samples)))
