"""What lies in a bundle: files that are written as a whole, and a README that says how to load them."""

from __future__ import annotations

from pathlib import Path

from olivelike.bundle.layout import readme, write_json
from olivelike.contracts.artifact import PARTS_KIND, Manifest


def test_a_json_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    write_json(path, {"name": "Zürich"})
    write_json(path, {"name": "Bern"})
    assert "Bern" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]


def test_a_readme_registers_the_custom_operators_before_it_loads_the_model() -> None:
    manifest = Manifest("onnx", {"model": "model.onnx"}, custom_operators=("custom_operators/mine.so",))
    text = readme("job", ["model.onnx"], "why", ["CPUExecutionProvider"], manifest)
    assert 'options.register_custom_ops_library("custom_operators/mine.so")' in text
    assert 'InferenceSession("model.onnx", options, providers=' in text
    assert "options" not in readme("job", ["model.onnx"], "why", [], Manifest("onnx", {"model": "model.onnx"}))


def test_the_readme_of_a_model_in_parts_runs_them_all() -> None:
    text = readme("job", ["a.onnx", "b.onnx"], "why", [], Manifest(PARTS_KIND, {"a": "a.onnx", "b": "b.onnx"}))
    assert "for part in ['a.onnx', 'b.onnx']:" in text
