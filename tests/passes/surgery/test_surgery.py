"""Tests of the pass `surgery` as a whole: its contract, its steps by name, their order."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import ValidationError

from olivelike.digest import Json
from olivelike.errors import RefusedError
from olivelike.onnxfile.read import read_structure
from olivelike.testing import models, odd_models
from olivelike.testing.building import float_value, model_of, node_of
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.surgery.surgery import Surgery, SurgeryConfig
from olivelike_passes.surgery.table import REWRITES, canonical
from tests.passes.running import applied
from tests.passes.surgery.operating import assert_equal_outputs, changed, listed, operated, weights

OLIVE = (
    "TieWordEmbeddings", "GemmToMatMulAdd", "RemoveRopeMultiCache", "AttentionMaskToSequenceLengths",
    "ReplaceAttentionMaskValue", "SimplifiedLayerNormToL2Norm", "RenameOutputDims", "PackedAttentionToLoopMHA",
    "MatMulAddToGemm", "ReciprocalMulToDiv", "RemoveGidxFromMatMulNBits", "DeduplicateSubgraphInitializers",
    "DeduplicateNodes", "RenameInputDims", "QuantizeEmbeddingInt8", "ShareEmbeddingLmHead", "RemoveMemcpy",
    "PowReduceSumPowDiv2LpNorm", "RenameInputs",
)  # fmt: skip
"""The classes that the workflow files of microsoft/olive-recipes use, most used first (at 851b284a)."""
LOSSLESS: list[Json] = [
    "deduplicate_nodes", "deduplicate_subgraph_initializers", "remove_memcpy", "reciprocal_mul_to_div", "remove_g_idx",
    "tie_embeddings", "matmul_add_to_gemm", "gemm_to_matmul_add", "packed_attention_to_loop",
    "pow_reduce_sum_pow_div_to_lp_norm",
]  # fmt: skip


class TestSurgery(GraphPassContract):
    pass_type = Surgery
    configs = (
        {"steps": ["gemm_to_matmul_add", {"rename_input_dims": {"input": 0, "dim": 0, "name": "rows"}}]},
        {"steps": ["tie_embeddings", "gemm_to_matmul_add"], "if_absent": "skip"},
    )
    accepted: ClassVar = {"mlp": models.mlp, "conv_net": models.conv_net}
    refused: ClassVar = {
        "nothing": Refusal(
            models.matmul_chain,
            "step remove_memcpy: found no MemcpyFromHost or MemcpyToHost",
            {"steps": ["RemoveMemcpy"]},
        ),
        "second": Refusal(
            models.mlp, "step tie_embeddings: found no", {"steps": ["gemm_to_matmul_add", "tie_embeddings"]}
        ),
    }


@pytest.mark.parametrize("name", list(odd_models.RUNNABLE))
def test_odd_models_keep_their_outputs_through_all_steps_that_should_keep_them(tmp_path: Path, name: str) -> None:
    model = odd_models.RUNNABLE[name]()
    result = applied(Surgery, odd_models.RUNNABLE[name](), tmp_path, steps=LOSSLESS, if_absent="skip")
    assert_equal_outputs(model, result, tmp_path)


def test_every_name_of_olive_is_one_of_ours() -> None:
    assert sorted(canonical(name) for name in OLIVE) == sorted(REWRITES)
    assert {canonical(name.lower()) for name in OLIVE} == set(REWRITES), "Olive does not look at capitals"
    assert all(canonical(name) == name for name in REWRITES)


def test_every_step_says_what_it_looks_for_and_what_it_makes() -> None:
    for name, rewrite in REWRITES.items():
        text = rewrite.apply.__doc__ or ""
        assert rewrite.apply.__name__ == name
        assert "Pattern" in text and "Result" in text, f"{name} does not say what it does"


def test_the_names_of_all_steps_are_told_where_a_terminal_shows_them() -> None:
    said = SurgeryConfig.model_fields["steps"].description or ""
    assert all(f"`{name}`" in said for name in REWRITES)


def test_both_names_are_written_alike_so_that_they_share_a_key() -> None:
    ours = SurgeryConfig.model_validate({"steps": ["tie_embeddings", {"remove_rope_multi_cache": {"cache": "small"}}]})
    theirs = SurgeryConfig.model_validate({"steps": [{"TieWordEmbeddings": None}, "RemoveRopeMultiCache"]})
    assert ours.model_dump_json() == theirs.model_dump_json()
    assert SurgeryConfig.model_validate_json(ours.model_dump_json()) == ours


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (["tie_embedings"], "there is no step 'tie_embedings': did you mean tie_embeddings?"),
        (["TieEmbeddings"], "there is no step 'TieEmbeddings': did you mean TieWordEmbeddings?"),
        (["rename_inputs"], "step rename_inputs: the parameter 'names' is missing"),
        ([{"replace_mask_value": {"value": -5}}], "step replace_mask_value: unknown parameter 'value': "),
        ([{"tie_embeddings": {}, "remove_memcpy": {}}], "a step is a name, or one name with its parameters"),
        (
            [{"RenameInputs": {"old_names": ["a"], "new_names": []}}],
            "old_names and new_names are lists of one length, got ['a'] and []",
        ),
        ([], "give at least one step"),
    ],
)
def test_a_step_that_is_written_wrong_is_told_once(steps: list[Json], words: str) -> None:
    with pytest.raises(ValidationError) as error:
        SurgeryConfig.model_validate({"steps": steps})
    messages = [detail["msg"] for detail in error.value.errors()]
    assert len(messages) == 1
    assert words in messages[0]


def test_steps_are_applied_in_their_order(tmp_path: Path) -> None:
    result = operated(models.mlp(), tmp_path / "right", "gemm_to_matmul_add", "matmul_add_to_gemm")
    assert changed(result) == [("gemm_to_matmul_add", 2), ("matmul_add_to_gemm", 2)]
    with pytest.raises(RefusedError, match="step matmul_add_to_gemm: found no"):
        operated(models.mlp(), tmp_path / "wrong", "matmul_add_to_gemm", "gemm_to_matmul_add")


def test_a_step_may_be_skipped_where_it_finds_nothing(tmp_path: Path) -> None:
    steps: list[Json] = ["remove_memcpy", "gemm_to_matmul_add"]
    result = applied(Surgery, models.mlp(), tmp_path, steps=steps, if_absent="skip")
    assert changed(result) == [("remove_memcpy", 0), ("gemm_to_matmul_add", 2)]


def test_what_was_unused_before_stays(tmp_path: Path) -> None:
    model = models.wasteful()
    model.graph.node[5].op_type = "Gemm"
    result = operated(model, tmp_path, "gemm_to_matmul_add")
    assert listed(result) == ["Identity", "MatMul", "Relu", "Relu", "Add", "MatMul", "MatMul"]
    assert "unused" in weights(result)


def test_entries_about_values_that_are_gone_go_with_them(tmp_path: Path) -> None:
    nodes = [node_of("Reciprocal", ["x"], ["r"]), node_of("Mul", ["r", "a"], ["m"]), node_of("Neg", ["m"], ["y"])]
    model = model_of(nodes, [float_value("x", 4), float_value("a", 4)], [float_value("y", 4)])
    model.graph.value_info.extend([float_value("r", 4), float_value("m", 4)])
    for name in ("r", "m"):
        model.graph.quantization_annotation.add(tensor_name=name)
    graph = read_structure(operated(model, tmp_path, "reciprocal_mul_to_div").model).graph
    assert [entry.name for entry in graph.value_info] == ["m"]
    assert [entry.tensor_name for entry in graph.quantization_annotation] == ["m"]
