"""The model source `hub`: a model on the Hugging Face Hub or a mirror of it, pinned to one commit."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import ClassVar

from olivelike.contracts.ports import Fetched, Source
from olivelike.digest import Json
from olivelike.sources.layout import layout
from olivelike.sources.ondisk import external_locations, model_in
from olivelike.sources.repository import Repository, commit_of, download, names_at, reached
from olivelike.sources.value import name_in

log = logging.getLogger(__name__)


class Hub(Source):
    """Finds a model on the Hub: `hub: openai/clip-vit-base-patch32`, with `revision` for a branch, tag or commit.

    What it does: resolves the revision to a commit, downloads the files of that commit which make the model (by the same
    rules as a folder on disk) into the Hub's own cache, and hands them out from there. `HF_ENDPOINT`, `HF_HOME`,
    `HF_HUB_CACHE`, `HF_HUB_OFFLINE` and the user's token are respected. Without a network the cached commit is used.

    Limits: pickled weights and a repository's own Python are never downloaded.
    """

    key: ClassVar[str] = "hub"

    def fetch(self, value: Json, *, file: str, revision: str, folder: Path, offline: bool) -> Fetched:
        """Returns the model's files in the Hub's cache, and the commit they are of.

        Raises:
            InputError: OL105; OL201 to OL203, the repository holds no such model; OL204, it cannot be fetched.
        """
        repository = Repository.at(name_in(value, self.key), revision, offline=offline)
        with reached(repository):
            return _fetch(repository, file)


def _fetch(repository: Repository, file: str) -> Fetched:
    commit = commit_of(repository)
    found = layout(names_at(repository, commit), file, repository.place)
    log.info("fetching %s at %s: %d files", repository.name, commit, len(found.files))
    folder = download(repository, commit, found.files)
    if found.kind == "onnx" and (external := external_locations(folder, found.main)):
        folder = download(repository, commit, [*found.files, *external])
    pin: dict[str, Json] = {"hub": repository.name, "commit": commit, "asked": repository.asked}
    return model_in(folder, found, pin)
