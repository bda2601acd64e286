"""A stand-in for the package netron: a page that says of itself what Netron's says, and a file beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="version" content="9.3.3">
<meta name="date" content="2020-01-01 00:00:00">
<title>Netron</title>
<script type="text/javascript" src="index.js"></script>
</head>
<body></body>
</html>
"""


@pytest.fixture
def netron(tmp_path: Path) -> Path:
    """A folder called `netron` with a page, a script and Python code; it can be imported."""
    folder = tmp_path / "site" / "netron"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "index.js").write_text("// a script")
    (folder / "__init__.py").write_text("")
    (folder / "server.py").write_text("")
    return folder
