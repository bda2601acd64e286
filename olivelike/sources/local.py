"""The model source `path`: a file or a folder on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from olivelike.contracts.ports import Fetched, Source
from olivelike.digest import Json
from olivelike.errors import InputError, fail
from olivelike.sources.ondisk import model_at
from olivelike.sources.value import name_in


class Local(Source):
    """Finds a model by its path.

    What it does: takes an `.onnx` file with its external data; a folder with one `.onnx` file (or the one that `file`
    names) and its tokenizer and configuration files; or a folder with `config.json` and safetensors, as Transformers
    saves them. A bundle of olivelike is a folder with one `.onnx` file.

    Limits: nothing pickled is taken, and hidden folders are not looked into.
    """

    key: ClassVar[str] = "path"

    def fetch(self, value: Json, *, file: str, revision: str, folder: Path, offline: bool) -> Fetched:
        """Returns the model's files; the path starts at the workflow's folder, and `~` is the user's home.

        Raises:
            InputError: OL105, OL112, OL201, OL202, OL203.
        """
        written = name_in(value, self.key)
        if revision:
            claim = f"`revision: {revision}` means nothing for a path"
            raise fail(InputError, "OL112", claim, path="model.revision", hint="leave it out")
        return model_at(folder / Path(written).expanduser(), file, {self.key: written})
