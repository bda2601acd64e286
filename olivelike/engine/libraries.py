"""Libraries of custom operators named on the command line: for a workflow made in code, and for a model where it lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from olivelike.contracts.artifact import LIBRARIES, Artifact, Manifest
from olivelike.digest import Json
from olivelike.errors import InputError
from olivelike.sources.operator_libraries import PLACE, operator_libraries

OPTION = "--custom-operators"


def model_section(model: Path, libraries: Sequence[str]) -> dict[str, Json]:
    """Returns what a workflow says of a model named on the command line."""
    section: dict[str, Json] = {"path": str(model.absolute())}
    return section | ({"custom_operators": list(libraries)} if libraries else {})


def beside(libraries: Sequence[str]) -> tuple[Artifact, ...]:
    """Returns artifacts that hold the libraries where they lie: what `open_session` takes beside a model.

    Args:
        libraries: files, from the current folder on, or `onnxruntime-extensions`.

    Raises:
        InputError: OL110, OL201, OL211, as `sources.operator_libraries`.
    """
    with named_by_option():
        files = operator_libraries(libraries, Path()).values()
    return tuple(
        Artifact(path.parent, Manifest(LIBRARIES, custom_operators=(path.name,)), "")
        for path in (file.resolve() for file in files)
    )


@contextmanager
def named_by_option() -> Iterator[None]:
    """Gives what is wrong with libraries the name of the option that they were written as."""
    try:
        yield
    except InputError as error:
        raise InputError(
            *(replace(problem, path=OPTION) if problem.path == PLACE else problem for problem in error.problems)
        ) from error
