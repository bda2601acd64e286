"""The package onnxruntime-extensions, where it is installed: the library with its operators."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "onnxruntime-extensions"
DOMAIN = "com.microsoft.extensions"
"""The domain of its operators on images."""


def is_installed() -> bool:
    """Whether the package is installed."""
    return find_spec("onnxruntime_extensions") is not None


def library() -> Path:
    """Returns the path of the library that a session has to load; the package must be installed."""
    from onnxruntime_extensions import get_library_path  # type: ignore[import-not-found,unused-ignore]

    return Path(get_library_path())
