"""What the viewer serves: Netron's own files and the models asked for, by path; nothing else of this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from urllib.parse import quote, unquote

from olivelike.engine.located import located
from olivelike.onnxfile.external import external_names
from olivelike.onnxfile.read import read_structure

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".svg": "image/svg+xml",
}
"""The kinds of files that Netron consists of, and their types."""
BYTES = "application/octet-stream"
DATA = "data/"
INDEX = "index.html"
ONNX = ".onnx"
SAID_OTHERWISE = re.compile(r'<meta name="(?:version|date|type|file|name|identifier)" content="[^"]*">\n?')
UNPACKAGED = "0.0.0"
"""The version by which Netron's page knows that it is not a release, and then does not start its analytics."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page made here."""

    text: str


@dataclass(frozen=True, slots=True)
class File:
    """A file to be sent as it is, and its type."""

    path: Path
    kind: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What was asked for is at another path."""

    path: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing at this path."""


Found: TypeAlias = "Page | File | Elsewhere | Nothing"


@dataclass(frozen=True, slots=True)
class Shown:
    """A model as the viewer serves it.

    Attributes:
        title: as the user wrote it.
        name: of the model's file in the viewer, which ends in `.onnx`.
        files: by their names in the viewer, beside each other as on disk.
    """

    title: str
    name: str
    files: dict[str, Path]


@dataclass(frozen=True, slots=True)
class Site:
    """The viewer's paths: `/0/` is Netron with the first model, `/1/` with the second, `/` the one or both side by side.

    Attributes:
        assets: the folder of Netron's files.
        models: one or two.
    """

    assets: Path
    models: tuple[Shown, ...]

    def find(self, path: str) -> Found:
        """Returns what is at a path of a URL, which begins with a slash and has no query."""
        if path == "/":
            return Elsewhere("/0/") if len(self.models) == 1 else Page(_side_by_side(self.models))
        number, _, rest = path[1:].partition("/")
        if number not in {str(place) for place in range(len(self.models))}:
            return Nothing()
        if not path.startswith(f"/{number}/"):
            return Elsewhere(f"/{number}/")
        model = self.models[int(number)]
        if rest in ("", INDEX):
            return Page(_netron((self.assets / INDEX).read_text("utf-8"), model))
        if rest.startswith(DATA):
            file = model.files.get(unquote(rest.removeprefix(DATA)))
            return File(file, BYTES) if file else Nothing()
        return self._asset(unquote(rest))

    def _asset(self, name: str) -> Found:
        file = self.assets / name
        kind = KINDS.get(PurePosixPath(name).suffix, "")
        plain = "/" not in name and "\\" not in name and not name.startswith(".")
        return File(file, kind) if kind and plain and file.is_file() else Nothing()


def shown(path: Path) -> Shown:
    """Returns a model for the viewer: its own file and its external data, of which none is read.

    Raises:
        InputError: OL115, OL201 or OL202, there is no ONNX model; OL203, external data outside its folder.
    """
    model = located(path).model
    name = model.name if model.name.endswith(ONNX) else f"{model.name}{ONNX}"
    beside = external_names(read_structure(model), model)
    return Shown(str(path), name, {name: model, **{each: model.parent / each for each in beside}})


def _netron(page: str, model: Shown) -> str:
    """Returns Netron's page that opens a model; its own remarks on version and date, by which it asks for updates, are left out."""
    told = {
        "type": "Python",
        "version": UNPACKAGED,
        "file": DATA + quote(model.name),
        "name": model.title,
        "identifier": model.name,
    }
    metas = "\n".join(f'<meta name="{name}" content="{escape(text)}">' for name, text in told.items())
    return SAID_OTHERWISE.sub("", page).replace("<head>", f"<head>\n{metas}", 1)


def _side_by_side(models: tuple[Shown, ...]) -> str:
    titles = " | ".join(escape(model.title) for model in models)
    frames = "\n".join(f'<iframe src="/{n}/" title="{escape(m.title)}"></iframe>' for n, m in enumerate(models))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{titles}</title>
<style>
html, body {{ margin: 0; height: 100%; }}
body {{ display: flex; }}
iframe {{ flex: 1; border: 0; border-left: 1px solid #999; height: 100%; }}
</style>
</head>
<body>
{frames}
</body>
</html>
"""
