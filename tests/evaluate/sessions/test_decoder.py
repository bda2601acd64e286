"""What is written does not depend on how it is computed: with a cache, without one, or from numpy."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.target import Target
from olivelike.errors import InputError
from olivelike.evaluate.sessions.decoder import Decoder, decoder
from olivelike.evaluate.sessions.session import open_session
from olivelike.testing.measure_context import artifact_at
from tests.evaluate.tiny_models import VOCABULARY, classifier, language_model, write

PROMPT = (3, 1, 4, 1, 5)


def opened(model: Artifact) -> Decoder:
    return decoder(open_session(model, Target(threads=1)))


def written(model: Decoder, count: int = 20) -> list[int]:
    return list(islice(model.tokens(PROMPT), count))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_a_cache_changes_nothing_of_what_is_written(tmp_path: Path, seed: int, half: bool) -> None:
    cached = opened(language_model(tmp_path / "cached", half=half, seed=seed))
    plain = opened(language_model(tmp_path / "plain", half=half, seed=seed, cached=False))
    assert (cached.is_cached, plain.is_cached) == (True, False)
    assert written(cached) == written(plain)


def test_the_likeliest_token_comes_next(tmp_path: Path) -> None:
    """Token by token the whole sequence is put through the model by hand."""
    model = language_model(tmp_path, cached=False)
    session = open_session(model, Target(threads=1))
    sequence = list(PROMPT)
    for _ in range(6):
        feeds = {
            "input_ids": np.array([sequence]),
            "attention_mask": np.ones((1, len(sequence)), np.int64),
            "position_ids": np.arange(len(sequence))[None],
        }
        sequence.append(int(session.run(feeds)["logits"][0, -1].argmax()))
    assert written(opened(model), 6) == sequence[len(PROMPT) :]


def test_what_is_written_depends_on_more_than_the_last_token(tmp_path: Path) -> None:
    """Otherwise a cache that is lost on the way would not be noticed."""
    model = opened(language_model(tmp_path))
    endings = {tuple(islice(model.tokens((first, *PROMPT)), 12)) for first in range(VOCABULARY)}
    assert len(endings) > 1


def test_the_vocabulary_is_the_last_dimension_of_the_logits_where_the_model_leaves_it_open_too(tmp_path: Path) -> None:
    model = language_model(tmp_path / "fixed")
    assert opened(model).vocabulary() == VOCABULARY
    proto = onnx.load(model.model)
    proto.graph.output[0].type.tensor_type.shape.dim[2].dim_param = "vocabulary"
    (tmp_path / "open").mkdir()
    onnx.save(proto, tmp_path / "open" / "model.onnx")
    assert opened(artifact_at(tmp_path / "open")).vocabulary() == VOCABULARY


def test_caches_are_called_as_older_exports_call_them_too(tmp_path: Path) -> None:
    model = language_model(tmp_path / "new")
    proto = onnx.load(model.model)
    for node in proto.graph.node:
        node.input[:] = [_older(name) for name in node.input]
        node.output[:] = [_older(name) for name in node.output]
    for info in (*proto.graph.input, *proto.graph.output):
        info.name = _older(info.name)
    (tmp_path / "old").mkdir()
    onnx.save(proto, tmp_path / "old" / "model.onnx")
    old = opened(artifact_at(tmp_path / "old"))
    assert old.past == {"past_0_key": "present_0_key", "past_0_value": "present_0_value"}
    assert written(old) == written(opened(model))


def _older(name: str) -> str:
    return name.replace("past_key_values.0.", "past_0_").replace("present.0.", "present_0_")


def test_a_model_without_tokens_is_refused_and_what_it_takes_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"OL206.*no input 'input_ids' of whole numbers; it takes image \(float32\)"):
        opened(classifier(tmp_path))


def test_a_model_with_tokens_in_floating_point_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["input_ids"], ["logits"])]
    model = write(tmp_path, nodes, {"input_ids": ("n", "length")}, {"logits": ("n", "length")})
    with pytest.raises(InputError, match=r"OL206.*it takes input_ids \(float32\)"):
        opened(model)


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        ({"input_ids": ("n", "length")}, {"scores": ("n", "length")}, "no output 'logits'; it gives scores"),
        ({"input_ids": (1, 64)}, {"logits": (1, 64)}, r"of shape \[1, 64\] does not take one sequence of any length"),
        ({"input_ids": (2, "length")}, {"logits": (2, "length")}, "does not take one sequence of any length"),
        (
            {"input_ids": ("n", "length"), "pixels": ("n", 3)},
            {"logits": ("n", "length")},
            "takes 'pixels', which is neither tokens, mask, positions nor a past",
        ),
        (
            {"input_ids": ("n", "length"), "past_key_values.0.key": ("n", 2, "past", 4)},
            {"logits": ("n", "length")},
            "takes the cache 'past_key_values.0.key' and gives no 'present.0.key'",
        ),
    ],
)
def test_a_model_that_cannot_write_by_itself_is_refused(
    tmp_path: Path, inputs: dict[str, tuple[int | str, ...]], outputs: dict[str, tuple[int | str, ...]], reason: str
) -> None:
    nodes = [helper.make_node("Identity", ["input_ids"], [next(iter(outputs))])]
    model = write(tmp_path, nodes, inputs, outputs, kind=TensorProto.INT64)
    with pytest.raises(InputError, match=f"OL206.*{reason}"):
        opened(model)
