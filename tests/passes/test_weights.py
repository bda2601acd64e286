"""Weights that no scale can be taken from are refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

from olivelike.errors import RefusedError
from olivelike.testing import models
from olivelike_passes.weights import refuse_unless_finite


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_refused_by_name(poison: float) -> None:
    model = models.mlp()
    refuse_unless_finite(model)
    weight = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 2)
    values = numpy_helper.to_array(weight).copy()
    values[0, 0] = poison
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    with pytest.raises(RefusedError, match=rf"OL301.*the weight '{weight.name}' holds NaN or an infinity"):
        refuse_unless_finite(model)
