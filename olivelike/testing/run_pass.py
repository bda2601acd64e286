"""Run one pass, and the auxiliary passes that it needs, without an engine around it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from olivelike.contracts.artifact import PARTS_KIND, Artifact
from olivelike.contracts.passes import AnyPass
from olivelike.digest import Json, digest_file, digest_tree, files_below
from olivelike.testing.context import MemoryContext
from olivelike.testing.feeds import feeds_for

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

Settings: TypeAlias = "Mapping[str, Json]"
DATA_SAMPLES = 16


def run_pass(pass_type: type[AnyPass], source: Artifact, settings: Settings, folder: Path) -> Artifact:
    """Runs a pass, and before it the auxiliary passes it needs, as the engine would, without cache and checks.

    Args:
        pass_type: the pass.
        source: its input.
        settings: its configuration as JSON values; the data entry `data` is drawn to fit the model.
        folder: where scratch and output folders are made.
    """
    config = pass_type.config.model_validate(dict(settings))
    instance = pass_type()
    needed = {
        name: run_pass(_pass_named(auxiliary.pass_name), source, auxiliary.config, folder / f"needs-{name}")
        for name, auxiliary in instance.needs(config).items()
    }
    out, scratch = folder / "out", folder / "scratch"
    out.mkdir(parents=True)
    scratch.mkdir()
    single = source.kind != PARTS_KIND  # data fit one model
    data: Mapping[str, Mapping[str, Array]] = (
        {"data": feeds_for(source.model, batch=DATA_SAMPLES, seed=1)} if single else {}
    )
    manifest = instance.run(source, out, config, MemoryContext(scratch, data, needed, seed=0))
    return Artifact(out, manifest, folder_digest(out))


def _pass_named(name: str) -> type[AnyPass]:
    from olivelike.registry import installed

    return installed().pass_named(name)


def folder_digest(folder: Path) -> str:
    """Returns the digest of everything in a folder."""
    return digest_tree((name, digest_file(folder / name)) for name in files_below(folder))
