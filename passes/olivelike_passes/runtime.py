"""The runtime as passes use it: a session that says nothing, and quiet around its talkative tools."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.target import Provider
from olivelike.errors import RefusedError, fail

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Level: TypeAlias = Literal["DISABLE_ALL", "ENABLE_BASIC", "ENABLE_EXTENDED", "ENABLE_LAYOUT", "ENABLE_ALL"]
ON_THE_CPU = (Provider("CPUExecutionProvider"),)
EMPTY: Mapping[str, str] = MappingProxyType({})
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SaveTo:
    """Where the runtime is to write the graph as it has optimized it; large weights go to `<name>.data` beside it."""

    path: Path
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unsaved:
    """The optimized graph is not written."""


def open_session(
    model: Path | bytes,
    source: Artifact,
    level: Level = "DISABLE_ALL",
    save: SaveTo | Unsaved = Unsaved(),
    providers: Sequence[Provider] = ON_THE_CPU,
    entries: Mapping[str, str] = EMPTY,
) -> InferenceSession:
    """Opens a model, on the CPU unless other providers are named.

    Args:
        model: the model's file, or what stands in one; an entry then says where its external data lie.
        source: the artifact whose custom-operator libraries it needs.
        level: how far the runtime optimizes the graph.
        save: whether and where to write the optimized graph, and optimizers to leave out.
        providers: execution providers in order of preference, with their options; the runtime must offer them.
        entries: configuration entries of the session, name to text.

    Raises:
        RefusedError: OL301, the runtime cannot load the model, or not save it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_{level}")
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    for name in source.manifest.custom_operators:
        options.register_custom_ops_library(str(source.folder / name))
    without: list[str] = []
    if isinstance(save, SaveTo):
        options.optimized_model_filepath = str(save.path)
        options.add_session_config_entry(
            "session.optimized_model_external_initializers_file_name", f"{save.path.name}.data"
        )
        without = list(save.without)
    with refused_by_runtime():
        return onnxruntime.InferenceSession(
            model,
            options,
            providers=[(each.name, {key: str(value) for key, value in each.options.items()}) for each in providers],
            disabled_optimizers=without,
        )


@contextmanager
def refused_by_runtime() -> Iterator[None]:
    """Turns what the runtime raises where it cannot load a model into a refusal.

    Raises:
        RefusedError: OL301, with the runtime's own words.
    """
    from onnxruntime.capi.onnxruntime_pybind11_state import (
        Fail,
        InvalidArgument,
        InvalidGraph,
        NotImplemented,
        RuntimeException,
    )

    try:
        yield
    except (Fail, InvalidArgument, InvalidGraph, NotImplemented, RuntimeException) as error:
        claim = f"the runtime cannot load the model: {' '.join(str(error).split())[:400]}"
        raise fail(RefusedError, "OL301", claim) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Turns what the runtime's tools log through the root logger into debug messages of this module's logger.

    They call `logging.warning` directly, which also configures the root logger for good where nobody has done so before;
    what they print goes the same way, because standard output carries the answer.
    """
    root = logging.getLogger()
    guard = logging.NullHandler()
    root.addHandler(guard)
    root.addFilter(_demote)
    said = StringIO()
    try:
        with redirect_stdout(said):
            yield
    finally:
        root.removeFilter(_demote)
        root.removeHandler(guard)
        for line in said.getvalue().splitlines():
            LOG.debug("%s", line)


def _demote(record: logging.LogRecord) -> bool:
    if "onnxruntime" not in Path(record.pathname).parts:
        return True
    LOG.debug("%s", record.getMessage())
    return False
