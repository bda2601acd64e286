"""The case `digits`: scikit-learn's multi-layer perceptron on its own data of handwritten digits, through skl2onnx.

pip install scikit-learn skl2onnx
"""

from __future__ import annotations

from pathlib import Path

from cases.case import Case, Prepared, at_least_faster, drops_at_most, require

INSTALL = "pip install scikit-learn skl2onnx"
HIDDEN = (1024, 512)
OPSET = 17


def prepare(room: Path) -> Prepared:
    """Trains (some seconds) on one half of the data, converts, and writes the other half to test on."""
    require(INSTALL, "sklearn", "skl2onnx")
    if not (room / "digits.onnx").exists():
        _train(room)
    return Prepared(
        model={"path": str(room / "digits.onnx")},
        data={
            "calibration": {"npz": str(room / "calibration.npz"), "use": ["calibration"]},
            "test": {"npz": str(room / "test.npz"), "labels": "labels", "use": ["selection"]},
        },
        metrics={
            "accuracy": {"type": "accuracy", "data": "test", "output": "probabilities"},
            "latency": {"type": "latency", "data": "test", "batch": 64},
        },
        constraints=({"metric": "accuracy", "max_drop": 0.02},),
        objectives=({"minimize": "latency.p50"},),
    )


def _train(room: Path) -> None:
    import numpy as np
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    pixels, labels = load_digits(return_X_y=True)
    pixels = pixels.astype(np.float32)
    train, test, train_labels, test_labels = train_test_split(pixels, labels, test_size=0.5, random_state=0)
    network = MLPClassifier(HIDDEN, max_iter=40, random_state=0).fit(train, train_labels)
    options = {id(network): {"zipmap": False}}
    model = to_onnx(network, train[:1], options=options, target_opset={"": OPSET, "ai.onnx.ml": 3})
    np.savez(room / "calibration.npz", **{model.graph.input[0].name: train[:256]})
    np.savez(room / "test.npz", **{model.graph.input[0].name: test}, labels=test_labels)
    (room / "digits.onnx").write_bytes(model.SerializeToString(deterministic=True))


CASE = Case(
    name="digits",
    told="scikit-learn's MLP on handwritten digits, 64 samples",
    prepare=prepare,
    quality="accuracy.top1",
    speed="latency.p50",
    by_hand="dynamic int8: .963 (from .969), 1.9 x faster",
    goals=(at_least_faster("latency.p50", 1.7), drops_at_most("accuracy.top1", 0.01)),
)
