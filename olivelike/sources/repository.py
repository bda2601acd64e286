"""A repository on the Hugging Face Hub or a mirror of it: its commits, the names of its files, and their download."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from olivelike.digest import files_below
from olivelike.errors import InputError, fail


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository and how to reach it.

    Attributes:
        name: `owner/name`.
        asked: branch, tag or commit, or empty for the default branch.
        endpoint: the Hub's address.
        cache: the Hub's cache folder.
        offline: whether only the cache may be used.
        kind: what it holds.
    """

    name: str
    asked: str
    endpoint: str
    cache: Path
    offline: bool
    kind: Literal["model", "dataset"] = "model"

    @classmethod
    def at(cls, name: str, asked: str, *, offline: bool, kind: Literal["model", "dataset"] = "model") -> Repository:
        """Returns the repository as the environment says to reach it (`HF_ENDPOINT`, `HF_HOME`, `HF_HUB_OFFLINE`, ...)."""
        return cls(name, asked, _endpoint(), _cache(), offline or _offline_by_environment(), kind)

    @property
    def place(self) -> str:
        """What it is called in messages."""
        return f"hub {self.name}@{self.asked}" if self.asked else f"hub {self.name}"


def commit_of(repository: Repository) -> str:
    """Returns the commit that the revision asked for is now, or was when it was cached."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=repository.endpoint, library_name="olivelike")
    return api.resolve_revision(
        repository.name,
        repo_type=repository.kind,
        revision=repository.asked or None,
        cache_dir=repository.cache,
        local_files_only=repository.offline,
    ).resolved


def names_at(repository: Repository, commit: str) -> list[str]:
    """Returns the names of all files of a commit; one that would leave its folder is left out."""
    return [name for name in _listed(repository, commit) if _stays_inside(name)]


def _listed(repository: Repository, commit: str) -> list[str]:
    from huggingface_hub import HfApi, get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError
    from huggingface_hub.hf_api import RepoFile

    try:
        return [
            entry.path
            for entry in get_cached_repo_tree(
                repository.name, repo_type=repository.kind, revision=commit, cache_dir=repository.cache
            )
        ]
    except CachedRepoTreeNotFoundError:
        if repository.offline:  # fetched by a tool that keeps no listing
            return files_below(download(repository, commit, ()))
        api = HfApi(endpoint=repository.endpoint, library_name="olivelike")
        tree = api.list_repo_tree(repository.name, repo_type=repository.kind, recursive=True, revision=commit)
        return [entry.path for entry in tree if isinstance(entry, RepoFile)]


def _stays_inside(name: str) -> bool:
    # The listing is a server's word, and names become paths.
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name and ":" not in name


def download(repository: Repository, commit: str, names: Sequence[str]) -> Path:
    """Downloads files of a commit into the Hub's cache and returns the folder there; none named means all that are cached."""
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            repository.name,
            repo_type=repository.kind,
            revision=commit,
            cache_dir=repository.cache,
            endpoint=repository.endpoint,
            library_name="olivelike",
            local_files_only=repository.offline,
            allow_patterns=[glob.escape(name) for name in names],
        )
    )


@contextmanager
def reached(repository: Repository) -> Iterator[None]:
    """Turns whatever goes wrong while a repository is asked into an InputError, OL204."""
    with _explained(repository), _plain_http():
        yield


@contextmanager
def _plain_http() -> Iterator[None]:
    # The Xet protocol fetches from other hosts than the endpoint's, which mirrors and firewalls do not pass; the library
    # has no argument for it, only this constant, which it reads at every call.
    from huggingface_hub import constants

    before = constants.HF_HUB_DISABLE_XET
    constants.HF_HUB_DISABLE_XET = True
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = before


@contextmanager
def _explained(repository: Repository) -> Iterator[None]:
    from httpx2 import HTTPError
    from huggingface_hub.errors import HFValidationError, RevisionResolutionError

    try:
        yield
    except (HTTPError, RevisionResolutionError, HFValidationError, OSError) as error:
        claim, hint = _explain(repository, error)
        # The library's own messages may quote request headers and addresses: they stay in the cause, out of the claim.
        raise fail(InputError, "OL204", claim, place=repository.place, hint=hint) from error


def _explain(repository: Repository, error: Exception) -> tuple[str, str]:
    from httpx2 import HTTPError
    from huggingface_hub import errors

    match error:
        case errors.GatedRepoError():
            return (
                f"the {repository.kind} is gated and this user has no access",
                "ask for access on its page, then `hf auth login`",
            )
        case errors.RepositoryNotFoundError():
            return (
                f"there is no such {repository.kind}, or it is private",
                "check owner/name; for a private one, `hf auth login`",
            )
        case errors.RevisionNotFoundError():
            return f"there is no revision {repository.asked!r}", "name a branch, a tag or a full commit"
        case errors.HFValidationError():
            return f"{repository.name!r} is not the name of a repository", "write owner/name"
        case errors.RevisionResolutionError() | errors.LocalEntryNotFoundError():
            return _absent(repository)
        case errors.HfHubHTTPError(response=response):
            return f"{repository.endpoint} answered {response.status_code}", "try again later, or check HF_ENDPOINT"
        case HTTPError():
            return f"{repository.endpoint} cannot be reached ({type(error).__name__})", "check the network, HF_ENDPOINT"
        case _:
            return f"{type(error).__name__}: {error}".splitlines()[
                0
            ], f"check HF_ENDPOINT and the cache {repository.cache}"


def _absent(repository: Repository) -> tuple[str, str]:
    claim = f"is not, or not completely, in the cache {repository.cache}"
    if repository.offline:
        return f"{claim}, and only the cache may be used", "run once with the network"
    return f"{claim}, and {repository.endpoint} cannot be reached", "check the network, HF_ENDPOINT"


def _endpoint() -> str:
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or str(constants.ENDPOINT)).rstrip("/")


def _cache() -> Path:
    from huggingface_hub import constants

    home = os.environ.get("HF_HOME")
    named = os.environ.get("HF_HUB_CACHE") or (str(Path(home) / "hub") if home else str(constants.HF_HUB_CACHE))
    return Path(os.path.expandvars(named)).expanduser()


def _offline_by_environment() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
