"""Libraries of custom operators that a workflow's model needs: where they lie on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from olivelike.contracts.artifact import LIBRARIES
from olivelike.contracts.extensions import PACKAGE, extensions_library
from olivelike.errors import InputError, fail

PLACE = "model.custom_operators"


def operator_libraries(written: Sequence[str], folder: Path) -> Mapping[str, Path]:
    """Returns the libraries by the names that they have inside an artifact.

    Args:
        written: paths, from the workflow's folder on, or `onnxruntime-extensions`.
        folder: the workflow's folder.

    Raises:
        InputError: OL201, there is no such file; OL211, the package is not installed; OL110, two have the same name.
    """
    found: dict[str, Path] = {}
    for entry in written:
        path = extensions_library() if entry == PACKAGE else folder / Path(entry).expanduser()
        if not path.is_file():
            claim = f"there is no library of custom operators {entry!r}"
            raise fail(InputError, "OL201", claim, path=PLACE, hint=f"give a file, or {PACKAGE} for that package's")
        name = f"{LIBRARIES}/{path.name}"
        if name in found:
            claim = f"two libraries of custom operators are called {path.name}"
            raise fail(InputError, "OL110", claim, path=PLACE, hint="rename one")
        found[name] = path
    return found
