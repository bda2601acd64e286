"""What the installed runtime has for an operator: its own lists, held against what it loads."""

from __future__ import annotations

import onnx
import onnxruntime
import pytest

from olivelike.evaluate.sessions.operators import CPU, OPEN_ENDED, Kernel, RuntimeOperators, Support, runtime_operators
from olivelike.testing.building import float_value, model_of, node_of

CUDA = "CUDAExecutionProvider"
OP = ("", "Thing")


def runtime(*kernels: Kernel) -> RuntimeOperators:
    return RuntimeOperators("0", {OP: (1, 7, 13)}, {OP: kernels})


def test_an_operator_has_the_meaning_of_the_last_change_before_the_opset() -> None:
    known = runtime()
    assert [known.since(OP, opset) for opset in (0, 1, 6, 7, 12, 13, 99)] == [0, 1, 1, 7, 7, 13, 13]
    assert known.since(("", "Other"), 13) == 0
    assert known.newest("") == 13
    assert known.newest("nowhere") == 0


def test_a_kernel_with_an_open_end_does_not_take_a_later_version() -> None:
    """As the runtime's registry decides: the kernel was written before that version and cannot know it."""
    assert Kernel(CPU, 7, OPEN_ENDED).takes(7)
    assert not Kernel(CPU, 7, OPEN_ENDED).takes(13)
    assert Kernel(CPU, 7, 13).takes(13)
    assert not Kernel(CPU, 7, 12).takes(13)


def test_the_cpu_takes_what_the_wanted_provider_leaves() -> None:
    both = runtime(Kernel(CPU, 1, 12), Kernel(CUDA, 7, OPEN_ENDED))
    assert both.support(OP, 7, CUDA) == (Support.KERNEL, CUDA)
    assert both.support(OP, 1, CUDA) == (Support.KERNEL, CPU)
    assert both.support(OP, 13, CUDA) == (Support.NO_KERNEL, "")
    assert both.support(OP, 0, CUDA) == (Support.UNKNOWN, "")
    assert both.lists_kernels_of(CUDA)
    assert not both.lists_kernels_of("QNNExecutionProvider")


@pytest.mark.parametrize(
    ("kind", "opset", "runs"),
    [("Relu", 17, True), ("Mish", 18, True), ("GroupNormalization", 21, True), ("ImageScaler", 10, False)],
)
def test_what_is_said_to_run_loads_and_what_is_not_does_not(kind: str, opset: int, runs: bool) -> None:
    known = runtime_operators()
    operator = ("", kind)
    assert known.support(operator, known.since(operator, opset), CPU)[0].runs is runs
    wide = kind == "GroupNormalization"
    node = node_of(kind, ["x", "s", "s"] if wide else ["x"], ["y"], **({"num_groups": 2} if wide else {}))
    ends = [float_value("x", 1, 4, 2, 2), *([float_value("s", 4)] if wide else [])]
    model = model_of([node], ends, [float_value("y", 1, 4, 2, 2)], opset=opset)
    if runs:
        assert _load(model).get_outputs()[0].name == "y"
        return
    with pytest.raises(Exception, match=kind):
        _load(model)


def _load(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[CPU])
