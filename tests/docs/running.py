"""Runs the blocks of a page in a folder of their own, in order, as a reader would."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from olivelike.api import load
from olivelike.cli.app import main
from olivelike.workflow.document import expand
from olivelike.workflow.yaml_text import parse_yaml
from tests.docs.pages import ROOT, Block

WORKFLOW = "workflows/quickstart.yaml"


@dataclass
class Reader:
    """Someone who follows a page.

    Attributes:
        folder: where; it holds `workflows/` as the repository does.
        said: what the last commands printed on both streams.
        names: the variables of the page's Python blocks.
    """

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capfd: pytest.CaptureFixture[str]
    said: str = ""
    names: dict[str, object] = field(default_factory=lambda: {"__name__": "page"})

    def follow(self, block: Block) -> None:
        """Does what a block says."""
        match block.say, block.language:
            case ("skip", _):
                return
            case ("file", _):
                self._write(block)
            case ("shows", _):
                self._compare(block.text)
            case ("quoted", _):
                assert block.text in (ROOT / WORKFLOW).read_text("utf-8"), "the quickstart's file says something else"
            case (_, "bash"):
                self._type(block)
            case (_, "python"):
                exec(compile(block.text, "page", "exec"), self.names)
            case (_, "yaml"):
                self._resolve(block.text)

    def _write(self, block: Block) -> None:
        for base in (self.folder, self.folder / "workflows"):  # paths start in the workflow's folder
            path = base / block.value
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        if block.value == "pyproject.toml":
            self._install(block.text)

    def _install(self, pyproject: str) -> None:
        """Makes the metadata that installing a distribution makes, in a folder that Python looks into."""
        import tomllib

        project = tomllib.loads(pyproject)["project"]
        info = self.folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        points = [f"{name} = {value}" for name, value in project["entry-points"]["olivelike.plugins"].items()]
        (info / "entry_points.txt").write_text("\n".join(["[olivelike.plugins]", *points]) + "\n")
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        self.monkeypatch.syspath_prepend(str(self.folder))

    def _compare(self, text: str) -> None:
        said = " ".join(self.said.split())
        for line in text.splitlines():
            assert " ".join(line.split()) in said, f"{line!r} is not in what was printed:\n{self.said}"

    def _type(self, block: Block) -> None:
        self.said = ""
        for line in block.text.splitlines():
            code = self._command(shlex.split(line.rpartition("&& ")[2]))
            assert code == int(block.value if block.say == "exit" else 0), f"{line}\n{self.said}"

    def _command(self, words: list[str]) -> int:
        match words:
            case ["olivelike", *arguments]:
                return self._olivelike(arguments)
            case ["ls", folder]:
                self.said = "\n".join(sorted(path.name for path in Path(folder).iterdir()))
                return 0
            case ["pytest", file]:
                command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file]
                done = subprocess.run(
                    command,
                    env={**os.environ, "PYTHONPATH": str(self.folder)},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                self.said = done.stdout + done.stderr
                return done.returncode
            case _:
                raise AssertionError(f"no test knows how to run {words}")

    def _olivelike(self, words: list[str]) -> int:
        arguments, files = _redirected(words)
        self.monkeypatch.setattr("sys.argv", ["olivelike", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = self.capfd.readouterr()
        for stream, path in files.items():
            Path(path).write_text({">": out, "2>": err}[stream], encoding="utf-8")
        self.said += out + err
        return int(stop.value.code or 0)

    def _resolve(self, text: str) -> None:
        """Checks that a piece of a workflow holds together when it takes its place in the quickstart."""
        whole, piece = (
            expand(parse_yaml(each, "page"), "page").value for each in (Path(WORKFLOW).read_text("utf-8"), text)
        )
        assert isinstance(whole, dict) and isinstance(piece, dict)
        named = {key: {**whole[key], **piece.get(key, {})} for key in ("data", "metrics")}
        with self.monkeypatch.context() as inside:
            inside.chdir(self.folder / "workflows")
            load({**whole, **piece, **named})


def _redirected(words: list[str]) -> tuple[list[str], dict[str, str]]:
    places = [place for place, word in enumerate(words) if word in (">", "2>")]
    files = {words[place]: words[place + 1] for place in places}
    return words[: min(places, default=len(words))], files
