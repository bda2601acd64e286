"""A small Hub on this machine: repositories as folders in memory, served by the endpoints that `huggingface_hub` asks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import cast
from urllib.parse import unquote, urlsplit


@dataclass
class TinyHub:
    """What the server serves.

    Attributes:
        commits: commit to the files of the one repository `owner/tiny`.
        branches: branch to commit.
        refusal: status and error code to answer with; 0 serves normally.
        refused: what a path must hold to be answered so.
        requests: `METHOD /path` of every request.
        authorizations: the `Authorization` headers that came.
        endpoint: its address.
    """

    commits: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    refusal: tuple[int, str] = (0, "")
    refused: str = "/"
    requests: list[str] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    endpoint: str = ""

    def push(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        """Adds a commit to a branch and returns its sha."""
        sha = hashlib.sha1(json.dumps([len(self.commits), sorted(files)]).encode()).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha


@contextmanager
def serving(hub: TinyHub) -> Iterator[TinyHub]:
    """Serves a hub on a free port of this machine until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: TinyHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        del format, args

    def _answer(self) -> None:
        quoted = urlsplit(self.path).path
        path = unquote(quoted)
        self.hub.requests.append(f"{self.command} {path}")
        self.hub.authorizations.add(self.headers.get("Authorization", ""))
        status, code = self.hub.refusal
        parts = [unquote(part) for part in quoted.strip("/").split("/")]  # a branch's name may hold a slash
        match parts:
            case _ if status and self.hub.refused in path:
                self._send(status, b"{}", {"X-Error-Code": code})
            case ["api", "models" | "datasets", "owner", "tiny", *rest]:
                self._api(rest)
            case ["owner", "tiny", "resolve", revision, *name] | [
                "datasets",
                "owner",
                "tiny",
                "resolve",
                revision,
                *name,
            ]:
                self._file(self._commit(revision), "/".join(name))
            case _:
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _api(self, rest: list[str]) -> None:
        commit = self._commit(rest[1] if rest else "main")
        if commit not in self.hub.commits:
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif rest[:1] == ["tree"]:
            files = self.hub.commits[commit]
            tree = [{"type": "file", "path": n, "size": len(c), "oid": _sha(c)} for n, c in files.items()]
            self._send(200, json.dumps(tree).encode())
        else:
            self._send(200, json.dumps({"id": "owner/tiny", "sha": commit, "siblings": []}).encode())

    def _file(self, commit: str, name: str) -> None:
        content = self.hub.commits.get(commit, {}).get(name)
        if content is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        else:
            xet = {"X-Xet-Hash": "0" * 64, "X-Xet-Refresh-Route": "/xet"}  # as the real Hub offers it for large files
            self._send(200, content, {"ETag": f'"{_sha(content)}"', "X-Repo-Commit": commit, **xet})

    def _commit(self, revision: str) -> str:
        return self.hub.branches.get(revision, revision)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | tuple[()] = ()) -> None:
        self.send_response(status)
        for name, value in cast("Mapping[str, str]", dict(headers)).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _sha(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
