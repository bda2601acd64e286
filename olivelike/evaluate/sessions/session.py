"""A model loaded in ONNX Runtime on a target: its inputs and outputs, one run, one timed run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import TensorInfo
from olivelike.contracts.target import Target
from olivelike.evaluate.sessions.providers import refuse_missing, require_providers
from olivelike.evaluate.sessions.runtime_errors import explained
from olivelike.evaluate.sessions.session_options import session_options

if TYPE_CHECKING:
    import onnxruntime

    from olivelike.contracts.data import Array

DTYPES = {"float": "float32", "double": "float64"}
UNNAMED = "?"


@dataclass(frozen=True, slots=True)
class RuntimeSession:
    """A loaded model; implements `contracts.metric.Session`.

    Attributes:
        inputs: the model's inputs, without initializers that may be overridden.
        outputs: the model's outputs.
        runtime: the runtime's own session.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    runtime: onnxruntime.InferenceSession

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        """Runs the model and returns its outputs by name (all, or those asked for).

        Raises:
            MeasureError: OL504, the runtime refuses the feeds or fails.
        """
        names = list(outputs) or [info.name for info in self.outputs]
        with explained("the model cannot be run"):
            return dict(zip(names, self.runtime.run(names, dict(feeds)), strict=True))

    def time(self, feeds: Mapping[str, Array]) -> float:
        """Runs the model once and returns the seconds it took, outputs discarded.

        What is timed is `InferenceSession.run` with arrays that already have the model's types: binding the inputs, running
        the graph, and handing out all outputs as arrays on the CPU, which is what a caller in Python waits for.

        Raises:
            MeasureError: OL504, the runtime refuses the feeds or fails.
        """
        names = [info.name for info in self.outputs]
        prepared = dict(feeds)
        run = self.runtime.run
        with explained("the model cannot be run"):
            begin = perf_counter_ns()
            run(names, prepared)
            return (perf_counter_ns() - begin) * 1e-9


def open_session(
    artifact: Artifact, target: Target, *, profile: str = "", beside: Sequence[Artifact] = ()
) -> RuntimeSession:
    """Loads the model of an artifact on a target.

    Args:
        artifact: of kind `onnx`; its part `model`, or its only part, is loaded.
        target: providers in order, threads and session options.
        profile: where the runtime writes what each node takes, as the beginning of a path; empty for nowhere.
        beside: artifacts whose custom operators the model needs too, as the one that it is made of.

    Raises:
        InputError: OL210, a provider that the runtime does not offer or that does not start; OL105 or OL107, a session
            option that the runtime does not take.
        MeasureError: OL504, the runtime cannot load the model.
    """
    options = session_options(artifact, target, beside=beside)
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    return start_session(str(artifact.model), artifact.model.name, options, target)


def start_session(model: str | bytes, name: str, options: onnxruntime.SessionOptions, target: Target) -> RuntimeSession:
    """Loads a model with the options given.

    Args:
        model: its file, or what is in it.
        name: what it is called in errors.
        options: of the session.
        target: its providers.

    Raises:
        InputError: OL210, a provider that the runtime does not offer or that does not start.
        MeasureError: OL504, the runtime cannot load the model.
    """
    import onnxruntime

    require_providers(target)
    providers = [(provider.name, dict(provider.options)) for provider in target.providers]
    with explained(f"{name} cannot be loaded"):
        # Without `enable_fallback=False` a provider that fails is replaced by the CPU's, with a line on standard output.
        session = onnxruntime.InferenceSession(model, options, providers=providers, enable_fallback=False)
    started = session.get_providers()
    refuse_missing([name for name, _ in providers if name not in started], started)
    return RuntimeSession(_tensors(session.get_inputs()), _tensors(session.get_outputs()), session)


def _tensors(nodes: Sequence[onnxruntime.NodeArg]) -> tuple[TensorInfo, ...]:
    return tuple(TensorInfo(node.name, _dtype(node.type), _shape(node.shape)) for node in nodes)


def _dtype(kind: str) -> str:
    """Returns `float32` for `tensor(float)`; sequences and maps keep the runtime's spelling (`seq(tensor(float))`)."""
    if not kind.startswith("tensor("):
        return kind
    element = kind.removeprefix("tensor(").removesuffix(")")
    return DTYPES.get(element, element)


def _shape(dimensions: Sequence[object]) -> tuple[int | str, ...]:
    return tuple(size if isinstance(size, int | str) and size != "" else UNNAMED for size in dimensions)
