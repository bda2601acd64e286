"""The generated pages and the schema are those that the code gives now."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from olivelike.errors import CODES
from tests.docs.pages import ROOT

SCRIPT = ROOT / "docs" / "generate_reference.py"


def generate(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)


def test_generated_pages_are_fresh() -> None:
    done = generate(SCRIPT)
    assert done.returncode == 0, f"run `python docs/generate_reference.py`\n{done.stdout}{done.stderr}"


def test_a_stale_page_is_named(tmp_path: Path) -> None:
    for name in (
        "generate_reference.py",
        "schema_tables.py",
        "command_page.py",
        "reference/workflow.md",
        "reference/errors.md",
    ):
        target = tmp_path / "docs" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((ROOT / "docs" / name).read_text("utf-8"), encoding="utf-8")
    (tmp_path / "docs" / "reference" / "errors.md").write_text("# Error codes\n", encoding="utf-8")
    done = generate(tmp_path / "docs" / "generate_reference.py")
    assert done.returncode == 1
    assert "stale: docs/reference/errors.md" in done.stdout
    assert "workflow.md" not in done.stdout


def test_every_error_code_has_a_line() -> None:
    text = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")
    assert all(f"| {code} | {meaning} |" in text for code, meaning in CODES.items())


def test_schema_in_the_repository_is_json_with_a_final_newline() -> None:
    text = (ROOT / "workflows" / "schema.json").read_text("utf-8")
    assert text.endswith("}\n")
    assert json.loads(text)["title"] == "olivelike workflow"
