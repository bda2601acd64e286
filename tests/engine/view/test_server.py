"""Showing models in the browser: what is served, what is not, and that no page can reach further."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from olivelike.engine.view.server import viewing
from olivelike.errors import InputError
from olivelike.testing import models

COMMAND = """
import signal
from olivelike.cli.app import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell, and its children, ignore it
main()
"""
MISSING = "netron is not installed: pip install 'olivelike[view]'"


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def asked(url: str, path: str, *, method: str = "GET", host: str = "") -> Answer:
    """Asks as no browser would: the path goes out as it stands, dots and all."""
    where = urlsplit(url).netloc
    connection = HTTPConnection(where, timeout=30)
    connection.request(method, path, headers={"Host": host or where})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return Answer(response.status, dict(response.headers), body)


def policy(answer: Answer) -> dict[str, str]:
    parts = (each.strip().partition(" ") for each in answer.headers["Content-Security-Policy"].split(";"))
    return {name: value for name, _, value in parts}


def test_the_page_opens_the_model_and_is_told_nothing_that_makes_it_call_home(netron: Path, tmp_path: Path) -> None:
    path = models.save(models.mlp(), tmp_path / "my <models>")
    with viewing([path], assets=netron) as viewer:
        first = asked(viewer.url, "/")
        page = asked(viewer.url, first.headers["Location"])
        model = asked(viewer.url, "/0/data/model.onnx")
    assert first.status == 302
    text = page.body.decode()
    assert '<meta name="file" content="data/model.onnx">' in text
    assert 'my &lt;models&gt;/model.onnx">' in text
    assert '<meta name="version" content="0.0.0">' in text  # Netron starts its analytics in releases alone
    assert "9.3.3" not in text
    assert 'name="date"' not in text  # by which it asks to be updated
    assert page.headers["Set-Cookie"] == "consent=0; Path=/0/; SameSite=Strict"
    assert model.body == path.read_bytes()


@pytest.mark.parametrize("path", ["/", "/0/", "/0/index.js", "/0/data/model.onnx", "/0/nothing", "/9/"])
def test_every_answer_forbids_to_reach_another_server(path: str, netron: Path, tmp_path: Path) -> None:
    saved = models.save(models.mlp(), tmp_path)
    with viewing([saved, saved], assets=netron) as viewer:
        found = policy(asked(viewer.url, path))
    assert found["default-src"] == "'none'"
    assert found["connect-src"] == found["script-src"] == found["worker-src"] == "'self'"
    outside = [source for value in found.values() for source in value.split() if "*" in source or "http" in source]
    assert outside == []


def test_two_models_stand_side_by_side(netron: Path, tmp_path: Path) -> None:
    paths = [models.save(models.mlp(), tmp_path / "a"), models.save(models.conv_net(), tmp_path / "b")]
    with viewing(paths, assets=netron) as viewer:
        both = asked(viewer.url, "/").body.decode()
        bodies = [asked(viewer.url, f"/{number}/data/model.onnx").body for number in (0, 1)]
        script = asked(viewer.url, "/1/index.js")
    assert '<iframe src="/0/"' in both and '<iframe src="/1/"' in both
    assert bodies == [path.read_bytes() for path in paths]
    assert script.headers["Content-Type"].startswith("text/javascript")
    assert viewer.titles == tuple(map(str, paths))


def test_external_data_are_served_and_other_files_are_not(netron: Path, tmp_path: Path) -> None:
    path = models.save_external(models.mlp(), tmp_path / "model")
    (path.parent / "secret.txt").write_text("mine")
    with viewing([path.parent], assets=netron) as viewer:
        data = asked(viewer.url, "/0/data/model.onnx.data")
        head = asked(viewer.url, "/0/data/model.onnx.data", method="HEAD")
        others = [
            asked(viewer.url, path).status
            for path in (
                "/0/data/secret.txt", "/0/data/../secret.txt", "/0/data/%2e%2e/site/netron/server.py", "/0/server.py",
                "/0/../model/secret.txt", "/0/..%2f..%2fmodel/secret.txt", "/0//etc/passwd", "/1/", "/0/.hidden.js",
            )
        ]  # fmt: skip
        (path.parent / "model.onnx.data").unlink()
        gone = asked(viewer.url, "/0/data/model.onnx.data")
    assert data.body and (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(data.body))
    assert set(others) == {404}
    assert gone.status == 404


def test_a_name_that_was_made_to_lead_here_gets_nothing(netron: Path, tmp_path: Path) -> None:
    saved = models.save(models.mlp(), tmp_path)
    with viewing([saved], assets=netron) as viewer:
        assert asked(viewer.url, "/0/", host="evil.example").status == 404
        assert asked(viewer.url, "/0/", host=f"localhost:{urlsplit(viewer.url).port}").status == 200


def test_the_server_is_on_the_loopback_interface_and_gone_afterwards(netron: Path, tmp_path: Path) -> None:
    saved = models.save(models.mlp(), tmp_path)
    with viewing([saved], assets=netron) as viewer:
        where = urlsplit(viewer.url)
        assert where.hostname == "127.0.0.1"
        with (
            pytest.raises(InputError, match=rf"OL115: --port {where.port} cannot be used"),
            viewing([saved], int(str(where.port)), netron),
        ):
            raise AssertionError("two servers on one port")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(str(where.port))), timeout=30)


def test_a_model_is_looked_for_before_anything_is_served(netron: Path, tmp_path: Path) -> None:
    saved = models.save(models.mlp(), tmp_path)
    for wrong in ([tmp_path / "missing.onnx"], [saved, tmp_path / "missing"]):
        with pytest.raises(InputError, match="OL201"), viewing(wrong, assets=netron):
            raise AssertionError("it serves what is not there")
    for count in (0, 3):
        with (
            pytest.raises(InputError, match=f"OL115: view shows one model or two, got {count}"),
            viewing([saved] * count),
        ):
            raise AssertionError("it serves as many")


def test_a_missing_netron_is_said_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("olivelike.contracts.extras.find_spec", lambda name: None)
    saved = models.save(models.mlp(), tmp_path)
    said = r'OL211: olivelike view needs the package netron.*pip install "olivelike\[view\]"'
    with pytest.raises(InputError, match=said), viewing([saved]):
        raise AssertionError("it serves without Netron")


@pytest.mark.skipif(sys.platform == "win32", reason="no process can be sent Ctrl-C by its id there")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_interrupted(how: signal.Signals, netron: Path, tmp_path: Path) -> None:
    saved = models.save(models.mlp(), tmp_path)
    running = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "view", str(saved), "--no-browser"],
        env={**os.environ, "PYTHONPATH": str(netron.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout
    line = running.stdout.readline()
    title, _, rest = line.partition(": http")
    assert title == str(saved)
    url = f"http{rest.partition(' ')[0]}"
    assert asked(url, "/0/").status == 200
    running.send_signal(how)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (0, "", "")


@pytest.mark.skipif(find_spec("netron") is None, reason=MISSING)
def test_netron_as_it_is_installed_finds_its_parts_and_its_model(tmp_path: Path) -> None:
    path = models.save_external(models.conv_net(), tmp_path)
    with viewing([path]) as viewer:
        page = asked(viewer.url, "/0/")
        parts = [
            asked(viewer.url, f"/0/{name}") for name in ("index.js", "browser.js", "onnx.js", "onnx-metadata.json")
        ]
        model = asked(viewer.url, "/0/data/model.onnx")
    text = page.body.decode()
    assert [part.status for part in parts] == [200] * 4
    assert text.count('<meta name="version"') == text.count('<meta name="file"') == 1
    assert 'name="date"' not in text
    assert policy(page)["connect-src"] == "'self'"
    assert model.body == path.read_bytes()
