"""A small real job that the tests of engine, API and crashes share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from olivelike.digest import Json
from olivelike.testing import models
from olivelike.testing.context import run_model


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Json]:
    """A workflow as a mapping: two deterministic metrics, three recipes, everything in the test's folder."""
    folder = tmp_path / "job"
    folder.mkdir()
    model = models.save(models.mlp(hidden=256), folder)
    features = np.random.default_rng(0).standard_normal((200, models.FEATURES)).astype("float32")
    labels = run_model(model, {"x": features})["logits"].argmax(axis=-1)
    np.savez(folder / "test.npz", x=features, labels=labels)
    return {
        "name": "small-job",
        "model": {"path": str(model)},
        "target": {"providers": ["cpu"], "threads": 1},
        "data": {"test": {"npz": str(folder / "test.npz"), "labels": "labels"}},
        "metrics": {"accuracy": {"type": "accuracy", "data": "test"}, "size": {"type": "size"}},
        "constraints": [{"metric": "accuracy", "max_drop": 0.2}],
        "objectives": [{"minimize": "size"}],
        "passes": [{"name": "quantize", "one_of": [{"dynamic_quant": {"per_channel": [True, False]}}, "none"]}],
        "output": {"path": str(tmp_path / "out")},
        "run": {"executor": "inline", "cache": str(tmp_path / "cache")},
    }
