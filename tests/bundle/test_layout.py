"""What lies in a bundle: files that are written as a whole, and a README that says how to load them."""

from __future__ import annotations

from pathlib import Path

from olivelike.bundle.layout import write_json


def test_a_json_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    write_json(path, {"name": "Zürich"})
    write_json(path, {"name": "Bern"})
    assert "Bern" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]
