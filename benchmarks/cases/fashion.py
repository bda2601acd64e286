"""The case `fashion`: the quickstart's image classifier (ResNet-8 on Fashion-MNIST), with the data of the checkout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cases.case import ROOT, Case, Prepared, at_least_faster, drops_at_most

if TYPE_CHECKING:
    from olivelike.digest import Json

FOLDER = ROOT / "workflows" / "quickstart"


def prepare(room: Path) -> Prepared:
    """Names the files of the quickstart; `workflows/quickstart/train.py` made them."""
    del room
    images: dict[str, Json] = {"inputs": {"image": "images"}, "labels": "labels"}
    return Prepared(
        model={"path": str(FOLDER / "fashion.onnx")},
        data={
            "calibration": {"npz": str(FOLDER / "calibration.npz"), "use": ["calibration"]},
            "test": {"npz": str(FOLDER / "test.npz"), **images, "use": ["selection"]},
        },
        metrics={
            "accuracy": {"type": "accuracy", "data": "test"},
            "latency": {"type": "latency", "data": "test", "batch": 1},
        },
        constraints=({"metric": "accuracy", "max_drop": 0.01},),
        objectives=({"minimize": "latency.p50"},),
    )


CASE = Case(
    name="fashion",
    told="ResNet-8 on Fashion-MNIST, one image",
    prepare=prepare,
    quality="accuracy.top1",
    speed="latency.p50",
    by_hand="static int8 per channel: .919 (from .9185), 1.4 to 1.8 x faster, 0.16 MB (from 0.62)",
    goals=(at_least_faster("latency.p50", 1.3), drops_at_most("accuracy.top1", 0.01)),
)
