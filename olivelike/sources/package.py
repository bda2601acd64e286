"""The model source `package`: a model that an installed Python package carries."""

from __future__ import annotations

from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from olivelike.contracts.ports import Fetched, Source
from olivelike.digest import Json
from olivelike.errors import InputError, fail
from olivelike.sources.layout import inside
from olivelike.sources.ondisk import model_at
from olivelike.sources.value import name_in


class Package(Source):
    """Finds a model in an installed package: `package: rapidocr_onnxruntime/models/x.onnx`.

    What it does: looks for the import package that the first segment names, without importing it, and takes the file or
    folder below it as the source `path` does. The version of its distribution goes into the lock; with `revision` that
    version must be installed.

    Limits: packages inside zip files have no folder and are refused.
    """

    key: ClassVar[str] = "package"

    def fetch(self, value: Json, *, file: str, revision: str, folder: Path, offline: bool) -> Fetched:
        """Returns the model's files.

        Raises:
            InputError: OL105, OL201, OL202, OL203; OL211, the package or the version asked for is not installed.
        """
        written = inside(name_in(value, self.key), f"package {value}")
        name, _, below = written.partition("/")
        roots = _roots(name)
        pinned = _pinned(name, revision)
        there = [root / below for root in roots if (root / below).exists()]
        return model_at((there or [roots[0] / below])[0], file, {self.key: written, **pinned})


def _roots(name: str) -> list[Path]:
    if not name.isidentifier():
        claim = f"{name!r} is not the name of an import package"
        raise fail(InputError, "OL211", claim, path="model.package", hint="write package/path/in/it.onnx")
    spec = find_spec(name)
    if spec is None:
        hint = f"`pip install` the distribution that provides {name}"
        raise fail(InputError, "OL211", f"the package {name!r} is not installed", path="model.package", hint=hint)
    roots = [Path(place) for place in spec.submodule_search_locations or () if Path(place).is_dir()]
    if not roots:
        claim = f"{name!r} is no package with a folder: {spec.origin}"
        raise fail(InputError, "OL211", claim, path="model.package", hint="use `path` for a file outside packages")
    return roots


def _pinned(name: str, revision: str) -> dict[str, Json]:
    distributions = sorted(set(packages_distributions().get(name, ())))
    pinned: dict[str, Json] = {owner: version(owner) for owner in distributions}
    if revision and revision not in pinned.values():
        got = ", ".join(f"{owner} {number}" for owner, number in pinned.items()) or "no distribution"
        hint = f"`pip install {distributions[0]}=={revision}`" if distributions else "leave `revision` out"
        claim = f"{name} {revision} is asked for, installed is {got}"
        raise fail(InputError, "OL211", claim, path="model.revision", hint=hint)
    if not distributions:
        return {}
    return {"distribution": distributions[0], "version": pinned[distributions[0]]}
