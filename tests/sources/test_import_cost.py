"""Sources and readers are imported by the command line: what they work with is imported only when they work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import olivelike.sources

HEAVY = ("numpy", "onnx", "onnxruntime", "huggingface_hub", "PIL", "torch")


def test_importing_every_module_imports_nothing_heavy() -> None:
    (folder,) = olivelike.sources.__path__
    names = [f"olivelike.sources.{path.stem}" for path in Path(folder).glob("*.py") if path.stem != "__init__"]
    code = f"import sys, {', '.join(names)}; print([name for name in {HEAVY!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
