"""The Lee corpora of news that gensim's package carries: fifty documents with ratings of all pairs, and three hundred others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from cases.case import packaged

INSTALL = "pip install --no-deps gensim==4.4.0"
FOLDER = "test/test_data"


def documents(install: str = INSTALL) -> list[str]:
    """Returns the fifty documents that people compared (Lee, Pincombe and Welsh 2005)."""
    return _lines(packaged("gensim", f"{FOLDER}/lee.cor", install))


def ratings(install: str = INSTALL) -> list[list[float]]:
    """Returns how alike people found two documents, from 0 to 1: fifty rows, of which the part above the diagonal counts."""
    rows = _lines(packaged("gensim", f"{FOLDER}/similarities0-1.txt", install))
    return [[float(word) for word in row.split()] for row in rows]


def background(install: str = INSTALL) -> list[str]:
    """Returns the three hundred documents of the background corpus: news of the Australian Broadcasting Corporation."""
    return _lines(packaged("gensim", f"{FOLDER}/lee_background.cor", install))


def write_lines(path: Path, rows: Iterable[Mapping[str, object]]) -> str:
    """Writes a JSON object to each line; returns the path as text."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text("latin-1").splitlines() if line.strip()]
