"""Tests of the tiny models: each is valid, runs, and is built the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from olivelike.onnxfile.check import validate_graph
from olivelike.testing import models
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for

BUILDERS = {
    name: getattr(models, name)
    for name in (
        *("mlp", "matmul_chain", "conv_net", "wasteful", "unfolded", "quantized", "half", "if_model", "attention23"),
        *("bert_layer", "copies_input", "string_input", "weights_as_inputs", "repeated_opset"),
    )
}


@pytest.mark.parametrize("name", BUILDERS)
def test_model_is_valid_and_gives_finite_outputs(name: str, tmp_path: Path) -> None:
    path = models.save(BUILDERS[name](), tmp_path)
    validate_graph(path)
    outputs = run_model(path, feeds_for(path))
    assert outputs
    assert all(np.isfinite(values).all() for values in outputs.values())


@pytest.mark.parametrize("name", BUILDERS)
def test_model_is_built_the_same_each_time(name: str) -> None:
    first, second = (BUILDERS[name]().SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_constants_and_initializers_make_the_same_network(tmp_path: Path) -> None:
    paths = [models.save(models.conv_net(constants=flag), tmp_path / str(flag)) for flag in (True, False)]
    feeds = feeds_for(paths[0])
    first, second = (run_model(path, feeds)["logits"] for path in paths)
    assert first == pytest.approx(second, rel=1e-5)  # the runtime may fuse in another order
