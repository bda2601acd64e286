"""A web server for the viewer: on the loopback interface alone, each answer with a policy that lets no page reach further."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit

from olivelike.contracts.extras import need
from olivelike.engine.view.site import Elsewhere, File, Found, Nothing, Page, Site, shown
from olivelike.errors import InputError, fail

LOG = logging.getLogger("olivelike.view")
HOST = "127.0.0.1"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Netron styles its graph by attributes
        "img-src 'self' data: blob:",  # and exports pictures through blobs
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self'",
        "frame-src 'self'",
        "frame-ancestors 'self'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
"""Content Security Policy (W3C, level 3): `connect-src` is what keeps analytics (`sendBeacon`) and look-ups of the user's
address in; the page may reach this server and nothing else."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
CONSENT = "consent=0; Path=/{number}/; SameSite=Strict"
"""Netron's page asks for consent to its analytics unless this cookie is there; here they cannot run, so there is nothing to
ask. The path keeps the cookie from other servers on this machine."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """A running server.

    Attributes:
        url: where it is.
        titles: the models that it shows, as the user wrote them.
        thread: in which it answers.
    """

    url: str
    titles: tuple[str, ...]
    thread: threading.Thread

    def wait(self) -> None:
        """Waits for Ctrl-C, which is raised as `KeyboardInterrupt`."""
        while self.thread.is_alive():
            self.thread.join(timeout=1.0)  # without a limit Windows would not see Ctrl-C


@contextmanager
def viewing(models: Sequence[Path], port: int = 0, assets: Path | None = None) -> Iterator[Viewer]:
    """Serves models until the block ends.

    Args:
        models: one model, or two side by side; files, or folders with one.
        port: 0 for any that is free.
        assets: Netron's files, by default those of the installed package.

    Raises:
        InputError: OL211, Netron is not installed; OL115, the port cannot be used, or there is no ONNX model; OL201 to OL203.
    """
    if not 1 <= len(models) <= 2:
        raise fail(InputError, "OL115", f"view shows one model or two, got {len(models)}", hint="name one or two")
    site = Site(assets or netron_files(), tuple(map(shown, models)))
    server = _started(site, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield Viewer(f"http://{HOST}:{server.server_port}/", tuple(model.title for model in site.models), thread)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def netron_files() -> Path:
    """Returns the folder of the installed Netron's files; its Python code is not run.

    Raises:
        InputError: OL211, it is not installed.
    """
    need("view", "netron", what="olivelike view")
    spec = find_spec("netron")
    [folder] = (spec.submodule_search_locations if spec else None) or [""]
    return Path(folder)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = os.name == "posix"  # elsewhere a second server could take over a port that is being served

    def __init__(self, address: tuple[str, int], site: Site) -> None:
        self.site = site
        super().__init__(address, _Handler)


def _started(site: Site, port: int) -> _Server:
    try:
        return _Server((HOST, port), site)
    except OSError as error:
        claim = f"--port {port} cannot be used: {error.strerror}"
        raise fail(InputError, "OL115", claim, hint="name another, or 0 for any that is free") from error


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answers a request."""
        path = urlsplit(self.path).path
        # A page elsewhere whose name was made to lead here (DNS rebinding) still sends its own name.
        found = self.server.site.find(path) if self._asked_by_address() else Nothing()
        try:
            self._answer(found, path)
        except ConnectionError:  # the browser went away, which is its right
            LOG.debug("%s was not taken", path)

    def do_HEAD(self) -> None:
        """Answers a request for the head alone."""
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Logs requests as debug messages."""
        LOG.debug(format, *args)

    def _asked_by_address(self) -> bool:
        return self.headers.get("Host", "") in {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}

    def _answer(self, found: Found, path: str) -> None:
        match found:
            case Page(text=text):
                body = text.encode()
                cookie = CONSENT.format(number=path.split("/")[1]) if path != "/" else ""
                self._head(HTTPStatus.OK, "text/html; charset=utf-8", len(body), {"Set-Cookie": cookie})
                if self.command == "GET":
                    self.wfile.write(body)
            case File(path=file, kind=kind):
                self._send(file, kind)
            case Elsewhere(path=other):
                self._head(HTTPStatus.FOUND, "text/plain", 0, {"Location": other})
            case Nothing():
                self._head(HTTPStatus.NOT_FOUND, "text/plain", 0, {})
            case _ as never:
                assert_never(never)

    def _send(self, file: Path, kind: str) -> None:
        try:
            opened = file.open("rb")
        except OSError:  # external data that are missing
            self._head(HTTPStatus.NOT_FOUND, "text/plain", 0, {})
            return
        with opened:
            self._head(HTTPStatus.OK, kind, file.stat().st_size, {})
            if self.command == "GET":
                shutil.copyfileobj(opened, self.wfile, 1 << 20)

    def _head(self, status: HTTPStatus, kind: str, length: int, more: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in {"Content-Type": kind, "Content-Length": str(length), **HEADERS, **more}.items():
            if text:
                self.send_header(name, text)
        self.end_headers()
