"""What ONNX Runtime says of an error, as a sentence: without its codes, its source files and its signatures."""

from __future__ import annotations

import re

PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
SOURCE = re.compile(r"(?:[A-Za-z]:)?[\\/][\w\\/.+-]*\.(?:cc|cpp|cuh?|h|hpp|mm):\d+")
"""A file of the runtime's sources with a line, as in `/onnxruntime_src/onnxruntime/core/graph/model.cc:181`."""
HEAD = re.compile(r"[\w:<>,&*~ =\[\]]*::[\w:<>,&*~ =\[\]]*")
"""What stands before the parameters of a function in a namespace."""
QUALIFIERS = re.compile(r"^(?:(?:const|noexcept|mutable)\b ?)+")
BRACKETS = {"(": ")", "[": "]", "{": "}"}


def sentence(text: str) -> str:
    """Returns a message of the runtime as one line that says what is wrong, and not where in the runtime that was found.

    Example:
        >>> said = (
        ...     "[ONNXRuntimeError] : 1 : FAIL : Load model from m.onnx failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:181"
        ...     " onnxruntime::Model::Model(onnx::ModelProto&&, const PathString&) Unsupported model IR version: 99"
        ... )
        >>> sentence(said)
        'Load model from m.onnx failed: Unsupported model IR version: 99'
    """
    rest = PREFIX.sub("", " ".join(text.split()))
    told = ""
    while found := SOURCE.search(rest):
        told = f"{told}{rest[: found.start()].rstrip()} "
        rest = _without_signature(rest[found.end() :].lstrip())
    return f"{told}{rest}".strip().rstrip(". ") or " ".join(text.split())  # prose may look like a signature


def _without_signature(text: str) -> str:
    """Returns what follows the signature of a function; the text itself where it begins with none."""
    start = text.find("(")
    if start < 0 or not HEAD.fullmatch(text[:start]):
        return text
    rest = text[start:]
    if text[:start].endswith("operator"):  # `operator()(int)`
        rest = _behind_brackets(rest)
    rest = QUALIFIERS.sub("", _behind_brackets(rest), count=1)
    return _behind_brackets(rest) if rest.startswith("[with ") else rest


def _behind_brackets(text: str) -> str:
    open_ones: list[str] = []
    for place, each in enumerate(text):
        if each in BRACKETS:
            open_ones.append(BRACKETS[each])
        elif open_ones and each == open_ones[-1]:
            open_ones.pop()
            if not open_ones:
                return text[place + 1 :].lstrip()
    return ""
