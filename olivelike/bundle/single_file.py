"""A model handed out as one file of the user's choice: its external data beside it, named after it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from olivelike.errors import InputError, fail
from olivelike.onnxfile.external import external_names, is_external
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.walk import tensors


def require_free(file: Path, inputs: Collection[Path], *, force: bool) -> None:
    """Checks that a file may be written.

    Args:
        file: where the model is to lie.
        inputs: the files that it is made from; none of them is ever replaced.
        force: replace a file that is there.

    Raises:
        InputError: OL116, something lies there; it is kept.
    """
    if not file.exists():
        return
    if any(file.samefile(each) for each in inputs if each.exists()):
        claim = f"{file} is the input itself; it is kept"
        raise fail(InputError, "OL116", claim, hint="choose another --output")
    if file.is_dir() or not force:
        hint = "choose another --output" + ("" if file.is_dir() else ", or replace it with --force")
        raise fail(InputError, "OL116", f"{file} exists; it is kept", hint=hint)


def put_file(model: Path, file: Path, inputs: Collection[Path], *, force: bool) -> tuple[str, ...]:
    """Copies a model to a file, its external data to `FILE.data` (`FILE.0.data`, ... where they are several).

    Nothing is replaced but, with `force`, the file itself and external data of that name. The model's file comes last, and
    as a whole.

    Returns:
        The names of what was written, the model's first, relative to its folder.

    Raises:
        InputError: OL116, something lies there; it is kept.
    """
    structure = read_structure(model)
    before = external_names(structure, model)
    after = [f"{file.name}.data"] if len(before) == 1 else [f"{file.name}.{at}.data" for at in range(len(before))]
    renamed = dict(zip(before, after, strict=True))
    for name in (file.name, *after):
        require_free(file.with_name(name), inputs, force=force)
    file.parent.mkdir(parents=True, exist_ok=True)
    for tensor in tensors(structure):
        for entry in tensor.external_data if is_external(tensor) else ():
            if entry.key == "location":
                entry.value = renamed[entry.value]
    for name, own in renamed.items():
        _take_place(file.with_name(own), partial(shutil.copyfile, model.parent / name))
    _take_place(file, lambda path: path.write_bytes(structure.SerializeToString(deterministic=True)))
    return (file.name, *after)


def _take_place(file: Path, write: Callable[[Path], object]) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        write(temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
