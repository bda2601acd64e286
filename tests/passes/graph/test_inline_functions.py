"""Tests of the pass `inline_functions`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest

from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.read import read_structure
from olivelike.testing import models, odd_models
from olivelike.testing.context import run_model
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.graph.inline_functions import InlineFunctions
from tests.passes.running import applied, artifact, kinds

NESTED = """
<ir_version: 10, opset_import: ["" : 17, "own" : 1, "com.microsoft" : 1]>
g (float[2,3] x, bool c) => (float[2,3] y, float[2,3] z, float[2,3] q) {
   t = Neg(x)
   b__1 = Neg(t)
   y = own.outer <alpha = 2.0> (b__1, t)
   z, _u = own.two (t)
   q = If (c) <then_branch = th () => (float[2,3] o1) { o1 = own.opt(x) },
               else_branch = el () => (float[2,3] o2) { o2 = own.opt(x, t) }>
}
<opset_import: ["" : 17, "own" : 1], domain: "own">
outer <alpha: float = 1.0> (a, b) => (t) { u = own.inner <k: float = @alpha> (a)  t = Add(u, b) }
<opset_import: ["" : 17, "com.microsoft" : 1], domain: "own">
inner <k: float = 3.0> (x) => (y) {
   kk = Constant <value_float: float = @k> ()
   t = Mul(x, kk)
   c = Constant <value = bool {1}> ()
   y = If (c) <then_branch = th () => (float[2,3] o1) { o1 = com.microsoft.Gelu(t) },
               else_branch = el () => (float[2,3] o2) { o2 = Identity(x) }>
}
<opset_import: ["" : 17], domain: "own">
two (a) => (b, c) { b = Relu(a)  c = Abs(a) }
<opset_import: ["" : 17], domain: "own">
opt (a, b) => (c) { lo = Identity(a)  c = Clip(lo, , ) }
"""
PASSING = """
<ir_version: 10, opset_import: ["" : 17, "own" : 1]>
g (float[2,3] x) => (float[2,3] y, float[2,3] z) { y, z = own.same(x) }
<opset_import: ["" : 17], domain: "own">
same (a) => (a, d) { d = Abs(a) }
"""
OLD = """
<ir_version: 10, opset_import: ["" : 17, "own" : 1]>
g (float[2,3] x) => (float[2,3] y) { y = own.f(x) }
<opset_import: ["" : 11], domain: "own">
f (a) => (c) { b = Transpose(a)  c = BODY(b) }
"""
ITSELF = """
<ir_version: 10, opset_import: ["" : 17, "own" : 1]>
g (float[2,3] x) => (float[2,3] y) { y = own.f(x) }
<opset_import: ["" : 17, "own" : 1], domain: "own">
f (a) => (b) { b = own.k(a) }
<opset_import: ["" : 17, "own" : 1], domain: "own">
k (a) => (b) { b = own.f(a) }
"""
IMPORTING = """
<ir_version: 10, opset_import: ["" : 17, "own" : 1]>
g (float[2,3] x) => (float[2,3] y) { y = own.f(x) }
<opset_import: ["" : 17, "com.microsoft" : 1], domain: "own">
f (a) => (b) { b = com.microsoft.Gelu(a) }
"""


def parsed(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(text)


class TestInlineFunctions(GraphPassContract):
    pass_type = InlineFunctions
    accepted: ClassVar = {
        "function": odd_models.function,
        "nested": lambda: parsed(NESTED),
        "importing": lambda: parsed(IMPORTING),
        "without": models.mlp,
    }
    refused: ClassVar = {
        "unknown": Refusal(
            odd_models.function,
            "no function 'own:Square'; did you mean own:SquarePlus?",
            {"functions": ["own:Square"]},
        ),
        "another operator": Refusal(
            lambda: parsed(OLD.replace("BODY", "Softmax")),
            "'own:f' has Softmax of version 11 of ai.onnx, and the model imports version 17, where it is another operator",
        ),
        "itself": Refusal(lambda: parsed(ITSELF), "the function 'own:f' calls itself"),
    }


def test_bodies_stand_where_the_functions_were_called(tmp_path: Path) -> None:
    model = read_structure(applied(InlineFunctions, odd_models.function(), tmp_path).model)
    assert kinds(model) == {"Mul": 2, "Add": 2}
    assert not model.functions
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]


@pytest.mark.parametrize("flag", [True, False])
def test_attributes_branches_and_missing_inputs_come_out_right(flag: bool, tmp_path: Path) -> None:
    result = applied(InlineFunctions, parsed(NESTED), tmp_path)
    validate_graph(result.model)
    model = read_structure(result.model)
    assert not model.functions
    feeds = {"x": np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3), "c": np.array(flag)}
    source = artifact(parsed(NESTED), tmp_path / "again")
    before, after = run_model(source.model, feeds), run_model(result.model, feeds)
    assert list(after) == list(before) == ["y", "z", "q"]
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=1e-6)  # the runtime may fuse the one and not the other
    names = [node.name for node in model.graph.node]
    assert len({*names}) == len(names)


@pytest.mark.parametrize("wanted", ["inner", "own:inner"])
def test_function_that_is_kept_calls_no_function_that_is_gone(wanted: str, tmp_path: Path) -> None:
    result = applied(InlineFunctions, parsed(NESTED), tmp_path, functions=[wanted])
    model = read_structure(result.model)
    assert [function.name for function in model.functions] == ["outer", "two", "opt"]
    assert "inner" not in kinds(model)
    feeds = {"x": np.ones((2, 3), np.float32), "c": np.array(True)}
    assert np.isfinite(run_model(result.model, feeds)["y"]).all()


def test_whole_domain_goes(tmp_path: Path) -> None:
    assert not read_structure(applied(InlineFunctions, parsed(NESTED), tmp_path, functions=["own:*"]).model).functions


def test_what_a_function_imports_the_model_does(tmp_path: Path) -> None:
    model = read_structure(applied(InlineFunctions, parsed(IMPORTING), tmp_path).model)
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 17, "com.microsoft": 1}


def test_older_function_of_operators_that_only_took_more_types_still_goes(tmp_path: Path) -> None:
    model = parsed(OLD.replace("BODY", "Abs"))
    assert kinds(read_structure(applied(InlineFunctions, model, tmp_path).model)) == {"Transpose": 1, "Abs": 1}


def test_output_that_a_function_only_hands_on_is_made(tmp_path: Path) -> None:
    """The runtime takes no such function, and ONNX's inliner would leave the output to nobody."""
    result = applied(InlineFunctions, parsed(PASSING), tmp_path)
    values = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)
    got = run_model(result.model, {"x": values})
    np.testing.assert_array_equal(got["y"], values)
    np.testing.assert_array_equal(got["z"], np.abs(values))


def test_descriptions_of_the_model_stay(tmp_path: Path) -> None:
    model = odd_models.function()
    model.metadata_props.add(key="labels", value="cat,dog")
    model.doc_string = "what it is"
    got = read_structure(applied(InlineFunctions, model, tmp_path).model)
    assert (got.doc_string, got.metadata_props[0].value, got.ir_version) == ("what it is", "cat,dog", 8)
