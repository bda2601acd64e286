"""The package onnxruntime-extensions, where it is installed: the library with its operators."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from olivelike.errors import InputError, fail

PACKAGE = "onnxruntime-extensions"
MODULE = "onnxruntime_extensions"
LIBRARY = "_extensions_pydll*"


def is_installed() -> bool:
    """Whether the package is installed."""
    return find_spec(MODULE) is not None


def extensions_library() -> Path:
    """Returns the library that a session has to load, found without importing the package.

    A process that has imported the package crashes once it loads a second copy of the library (seen with 0.15.2), and
    every artifact has a copy.

    Raises:
        InputError: OL211, the package is not installed, or holds no library.
    """
    spec = find_spec(MODULE)
    places = spec.submodule_search_locations if spec else None
    found = sorted(path for place in places or () for path in Path(place).glob(LIBRARY) if path.suffix != ".pyi")
    if not found:
        what = "holds no library of operators" if places else "is not installed"
        raise fail(InputError, "OL211", f"the package {PACKAGE} {what}", hint=f"pip install {PACKAGE}")
    return found[0]
