"""What the runtime raises, turned into an error with a code and a reason short enough to read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from olivelike.contracts.runtime_text import sentence
from olivelike.errors import MeasureError, fail

LONGEST = 300
UNREGISTERED = "is not a registered function/op"
"""What the runtime says of an operator that nobody has (`Graph::VerifyNodeAndOpMatch`); others complain of inputs at most."""
OPERATORS = "name the library that has it: `model.custom_operators`, on the command line --custom-operators"


@contextmanager
def explained(claim: str, hint: str = "") -> Iterator[None]:
    """Turns the runtime's exceptions inside a `with` block into an error that begins with `claim`.

    Raises:
        MeasureError: OL504, with the runtime's reason.
    """
    try:
        yield
    except runtime_exceptions() as error:
        hint = hint or (OPERATORS if UNREGISTERED in str(error) else "")
        raise fail(MeasureError, "OL504", f"{claim}: {shortened(str(error))}", hint=hint) from error


def runtime_exceptions() -> tuple[type[Exception], ...]:
    """Returns the exceptions that ONNX Runtime raises; its own have no base class in common below `Exception`."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError)


def shortened(reason: str) -> str:
    """Returns a runtime message as one sentence without codes, source files and signatures, at most 300 characters.

    Example:
        >>> shortened("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model failed:\\n Protobuf parsing failed.")
        'Load model failed: Protobuf parsing failed'
    """
    text = sentence(reason)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
