"""Tests of the integer forms of weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from olivelike.testing import models
from olivelike_passes.quantization.blocks.choice import choices
from olivelike_passes.quantization.blocks.forms import Forms
from olivelike_passes.quantization.blocks.learned import Learned
from olivelike_passes.quantization.blocks.making import made
from olivelike_passes.quantization.blocks.opened import OpenModel
from olivelike_passes.quantization.coded import Form, IntegerWeights
from olivelike_passes.quantization.integers import Integers
from olivelike_passes.quantization.weight_only_config import WeightOnlyConfig


def test_integers_are_made_after_their_weight_was_taken_out_of_the_model() -> None:
    model = models.mlp()
    weight = model.graph.initializer[0]
    rows, columns = weight.dims
    weights = IntegerWeights(model, Path(), Integers("int8", symmetric=True))
    coded = weights.coded(weight, Form(rows, "none", (rows, columns), (0, 1), ()))
    plain = weights.reshaped(weight, (columns, rows))
    weight.Clear()
    taken = {
        tensor.name: weights.made.take(tensor) for tensor in model.graph.initializer if tensor.name in weights.made
    }
    assert np.abs(np.frombuffer(taken[coded.codes], np.int8)).max() == 127
    assert len(taken[plain]) == 4 * rows * columns


def test_blocks_are_made_after_their_weight_was_taken_out_of_the_model() -> None:
    model = models.matmul_chain()
    opened, config = OpenModel(model), WeightOnlyConfig()
    choice = choices(model, config).chosen[0]
    learned = Learned(Path(), None, config.damping, act_order=False)
    forms = Forms(opened, {}, lambda each, layout: made(each, layout, learned))
    forms.nbits(choice, 0, "x")
    choice.matrix.tensor.Clear()
    codes = next(tensor for tensor in model.graph.initializer if tensor.name in opened.made)
    assert np.any(np.frombuffer(opened.made.take(codes), np.uint8))
