"""The layout of a bundle on disk: what its files are called, and the README that says how to load it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from olivelike.bundle.lock import LOCK_NAME
from olivelike.contracts.artifact import PARTS_KIND, Manifest
from olivelike.contracts.report import Chosen
from olivelike.digest import JsonObject

REPORT_NAME = "report.json"
README_NAME = "README.md"


def write_json(path: Path, value: JsonObject) -> None:
    """Writes a JSON file as a whole: readers see the old or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def readme(name: str, files: Sequence[str], why: str, providers: Sequence[str], manifest: Manifest) -> str:
    """Returns the bundle's README: what it is and how to load it.

    Args:
        name: the workflow's name.
        files: the bundle's files, the main ones first.
        why: why this model was chosen.
        providers: the target's.
        manifest: what the model is.
    """
    model = next((file for file in files if file.endswith(".onnx")), files[0] if files else "")
    listed = "\n".join(f"- `{file}`" for file in files)
    in_parts = manifest.kind == PARTS_KIND
    load = _load_parts(manifest, providers) if in_parts else _load(model, providers, manifest.custom_operators)
    return f"""# {name}

{why}

{listed}

Load it:

{load if model.endswith(".onnx") else "See `artifact` in the report for its kind."}
`{REPORT_NAME}` holds every candidate that was tried and what was measured of it. `{LOCK_NAME}` holds what this was made of;
`olivelike run --locked {LOCK_NAME}` makes it again and says what differs.
"""


def _load(model: str, providers: Sequence[str], operators: Sequence[str]) -> str:
    options, given = _options(operators)
    return f"""```python
import onnxruntime

{options}session = onnxruntime.InferenceSession("{model}", {given}providers={list(providers)!r})
print([(i.name, i.type, i.shape) for i in session.get_inputs()])
```
"""


def _load_parts(manifest: Manifest, providers: Sequence[str]) -> str:
    options, given = _options(manifest.custom_operators)
    return f"""```python
import onnxruntime

{options}values = {{}}  # the model's inputs by name
for part in {list(manifest.parts.values())!r}:  # each takes what the model is given and what earlier parts made
    session = onnxruntime.InferenceSession(part, {given}providers={list(providers)!r})
    made = [output.name for output in session.get_outputs()]
    feeds = {{entry.name: values[entry.name] for entry in session.get_inputs()}}
    values |= zip(made, session.run(made, feeds))
```
"""


def _options(operators: Sequence[str]) -> tuple[str, str]:
    """Returns the lines that register custom operators, and the argument that hands them to a session."""
    if not operators:
        return "", ""
    lines = ["options = onnxruntime.SessionOptions()"]
    lines += [f'options.register_custom_ops_library("{name}")' for name in operators]
    return "\n".join(lines) + "\n", "options, "


def readme_of_several(name: str, folders: Sequence[tuple[str, Chosen]]) -> str:
    """Returns the README of a bundle that holds several models, each in a folder with a README of its own."""
    listed = "\n".join(f"- [`{folder}`]({folder}/{README_NAME}): {choice.why}" for folder, choice in folders)
    return f"""# {name}

{len(folders)} models, the best one first. Each folder is a bundle with its own README and lock.

{listed}

`{REPORT_NAME}` holds every candidate that was tried and what was measured of it. `{LOCK_NAME}` describes the first of them.
"""
