from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from olivelike.contracts.target import Target
from olivelike.errors import MeasureError
from olivelike.evaluate.sessions.batches import batch_size, finite
from olivelike.evaluate.sessions.session import open_session
from tests.evaluate.tiny_models import write


@pytest.mark.parametrize(("first", "size"), [("n", 64), (4, 4)])
def test_a_fixed_batch_dimension_wins_over_the_size_wanted(tmp_path: Path, first: int | str, size: int) -> None:
    model = write(tmp_path, [helper.make_node("Identity", ["a"], ["b"])], {"a": (first, 2)}, {"b": (first, 2)})
    assert batch_size(open_session(model, Target()), 64) == size


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_output_that_is_not_finite_is_named(value: float) -> None:
    with pytest.raises(MeasureError, match="OL504: the output 'logits' is not finite in 1 of 3 values"):
        finite(np.array([0, value, 1], np.float32), "logits")


def test_integers_and_strings_are_always_finite() -> None:
    for array in (np.array([1, 2]), np.array(["a"], object)):
        assert finite(array, "ids") is array
