"""The runtime's session options for an artifact on a target: the target decides, the artifact fills what it leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.errors import InputError, MeasureError, OlivelikeError, fail, nearest
from olivelike.evaluate.sessions.runtime_errors import explained

if TYPE_CHECKING:
    from onnxruntime import SessionOptions

THREADS = "intra_op_num_threads"
ERRORS_ONLY = 3

KINDS: Mapping[str, str] = {
    THREADS: "int",
    "inter_op_num_threads": "int",
    "enable_cpu_mem_arena": "bool",
    "enable_mem_pattern": "bool",
    "enable_mem_reuse": "bool",
    "use_deterministic_compute": "bool",
    "execution_mode": "ExecutionMode",
    "execution_order": "ExecutionOrder",
    "graph_optimization_level": "GraphOptimizationLevel",
}
"""Options without a dot, by their names in ONNX Runtime's Python API; names with a dot are configuration entries.

Options that write files (profiles, optimized models) or change the log are left out on purpose.
"""


def session_options(artifact: Artifact, target: Target, *, beside: Sequence[Artifact] = ()) -> SessionOptions:
    """Returns the options that a session of this artifact gets on this target, custom operators registered.

    Args:
        artifact: what is loaded.
        target: where.
        beside: artifacts whose custom operators it needs too.

    Raises:
        InputError: OL105, a value that an option does not take; OL107, an unknown option.
        MeasureError: OL504, a library of custom operators is outside the artifact or cannot be loaded.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    for name, value in effective_options(artifact.manifest, target).items():
        if "." in name:
            options.add_session_config_entry(name, _text(value))
        else:
            setattr(options, name, _converted(name, value))
    for owner in (artifact, *beside):
        for library in owner.manifest.custom_operators:
            _register(options, owner.folder, library)
    return options


def effective_options(manifest: Manifest, target: Target) -> dict[str, Json]:
    """Returns every option that is set, by name.

    `target.session` comes first, then `target.threads` as an upper bound, then what the artifact brings along. One
    inter-operator thread is the default, because candidates are compared on a fixed number of threads.

    Example:
        >>> tuned = Manifest("onnx", session={"intra_op_num_threads": 2, "enable_mem_pattern": False})
        >>> effective_options(tuned, Target(threads=4, session={"enable_mem_pattern": True}))
        {'inter_op_num_threads': 1, 'intra_op_num_threads': 2, 'enable_mem_pattern': True}
    """
    options: dict[str, Json] = {"inter_op_num_threads": 1, **manifest.session}
    asked = options.get(THREADS, 0)
    if target.threads and not (isinstance(asked, int) and 0 < asked <= target.threads):
        options[THREADS] = target.threads
    return options | dict(target.session)


def _text(value: Json) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _converted(name: str, value: Json) -> object:
    if name not in KINDS:
        claim = f"the runtime has no session option {name!r}"
        raise fail(InputError, "OL107", claim, path=f"session.{name}", hint=nearest(name, KINDS))
    match KINDS[name]:
        case "int" if isinstance(value, int) and not isinstance(value, bool):
            return value
        case "bool" if isinstance(value, bool):
            return value
        case "int" | "bool" as kind:
            raise _wrong(name, value, "a whole number" if kind == "int" else "true or false")
        case enumeration:
            return _member(name, value, enumeration)


def _member(name: str, value: Json, enumeration: str) -> object:
    import onnxruntime

    members: Mapping[str, object] = getattr(onnxruntime, enumeration).__members__
    known = {_short(full): member for full, member in members.items()}
    if not isinstance(value, str) or _short(value) not in known:
        raise _wrong(name, value, f"one of {', '.join(known)}")
    return known[_short(value)]


def _short(name: str) -> str:
    return name.lower().removeprefix("ort_").removeprefix("enable_")


def _wrong(name: str, value: Json, wanted: str) -> OlivelikeError:
    return fail(InputError, "OL105", f"the session option {name} got {value!r}", hint=f"give {wanted}")


def _register(options: SessionOptions, folder: Path, library: str) -> None:
    path = (folder / library).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise fail(MeasureError, "OL504", f"the custom operators {library!r} lie outside the artifact")
    with explained(f"the custom operators {library!r} cannot be loaded"):
        options.register_custom_ops_library(str(path))
