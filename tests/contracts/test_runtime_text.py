"""Messages of the runtime, as people read them."""

from __future__ import annotations

import pytest

from olivelike.contracts.runtime_text import sentence

SRC = "/onnxruntime_src/onnxruntime/core"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model failed:\n Protobuf parsing failed.",
            "Load model failed: Protobuf parsing failed",
        ),
        (
            f"[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Gemm node. Name:'g' Status "
            f"Message: {SRC}/providers/cpu/math/gemm_helper.h:14 onnxruntime::GemmHelper::GemmHelper(const "
            "onnxruntime::TensorShape&, bool, const onnxruntime::TensorShape&) left.NumDimensions() == 2 was false. (K) 3",
            "Non-zero status code returned while running Gemm node. Name:'g' Status Message: left.NumDimensions() == 2 was "
            "false. (K) 3",
        ),
        (
            f"Exception during initialization: {SRC}/a.cc:12 static onnxruntime::common::Status onnxruntime::F<T>::Run(int, "
            "std::function<void(int)>) const [with T = float; X = std::vector<int>] the weight is empty.",
            "Exception during initialization: the weight is empty",
        ),
        (
            r"D:\a\_work\1\s\onnxruntime\core\x.cc:9 onnxruntime::A::operator()(int) first. "
            f"{SRC}/b.cc:1 onnxruntime::B::C() second (of two)",
            "first. second (of two)",
        ),
        (f"{SRC}/a.cc:3 (x > 2) was false", "(x > 2) was false"),
        ("Node (a) has input size 1 (expected 2)", "Node (a) has input size 1 (expected 2)"),
    ],
)
def test_a_message_keeps_its_sentence_alone(said: str, told: str) -> None:
    assert sentence(said) == told


def test_prose_that_looks_like_a_signature_to_its_end_is_left_as_it_is() -> None:
    text = "/src/onnxruntime/core/a.cc:12 Op com::Foo failed (code 3)"
    assert sentence(text) == text
