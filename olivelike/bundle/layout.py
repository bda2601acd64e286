"""The layout of a bundle on disk, put in place as a whole: an older bundle stays until the new one is complete."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

from olivelike.bundle.lock import LOCK_NAME
from olivelike.contracts.report import Report
from olivelike.digest import JsonObject
from olivelike.errors import InputError, fail

REPORT_NAME = "report.json"
README_NAME = "README.md"


def is_ours(path: Path) -> bool:
    """Whether an output path may be written: it is absent, an empty folder, or an older bundle."""
    if not path.exists():
        return True
    return path.is_dir() and ((path / LOCK_NAME).is_file() or not any(path.iterdir()))


def require_ours(path: Path, place: str = "") -> None:
    """Checks that an output path may be written.

    Raises:
        InputError: OL116, something of somebody else's lies there; it is kept.
    """
    if not is_ours(path):
        claim = f"{path} exists and was not written by olivelike; it is kept"
        raise fail(
            InputError,
            "OL116",
            claim,
            place=place,
            path="output.path",
            hint="choose another output.path, or move it away",
        )


def put_in_place(path: Path, fill: Callable[[Path], None]) -> None:
    """Fills a new folder beside `path` and then takes its place; a failure leaves what was there untouched.

    Args:
        path: where the bundle is to lie.
        fill: writes the bundle into the empty folder that it is given.
    """
    require_ours(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    room = Path(mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        new = room / "new"
        new.mkdir()
        fill(new)
        if path.exists():
            path.replace(room / "old")
        new.replace(path)
    finally:
        _remove(room)


def put_file_in_place(report: Report, bundle: Path, file: Path) -> Report:
    """Moves a bundle's model out of it to a file of the user's choice, its external data beside it; an older file is replaced."""
    chosen = report.chosen[0]
    main, *rest = chosen.files
    file.parent.mkdir(parents=True, exist_ok=True)
    for name in rest:
        target = file.parent / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(bundle / name, target)
    shutil.move(bundle / main, file)
    placed = replace(chosen, path=str(file.parent), files=(file.name, *rest))
    return replace(report, chosen=(placed,))


def write_json(path: Path, value: JsonObject) -> None:
    """Writes a JSON file as a whole: readers see the old or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def readme(name: str, files: Sequence[str], why: str, providers: Sequence[str]) -> str:
    """Returns the bundle's README: what it is and how to load it."""
    model = next((file for file in files if file.endswith(".onnx")), files[0] if files else "")
    listed = "\n".join(f"- `{file}`" for file in files)
    load = f"""```python
import onnxruntime

session = onnxruntime.InferenceSession("{model}", providers={list(providers)!r})
print([(i.name, i.type, i.shape) for i in session.get_inputs()])
```
"""
    return f"""# {name}

{why}

{listed}

Load it:

{load if model.endswith(".onnx") else "See `artifact` in the report for its kind."}
`{REPORT_NAME}` holds every candidate that was tried and what was measured of it. `{LOCK_NAME}` holds what this was made of;
`olivelike run --locked {LOCK_NAME}` makes it again and says what differs.
"""


def _remove(folder: Path) -> None:
    """Removes a folder; read-only files (weights linked from the store) are no hindrance, and are not written to."""
    shutil.rmtree(folder, ignore_errors=True)
