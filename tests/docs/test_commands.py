"""Every command and option that a page names exists, and every command and option that exists is on the reference page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from olivelike.cli.app import app
from tests.docs.pages import ROOT, blocks, named, pages, prose

FOREIGN = {"--check", "--max-line-length"}
"""Options of other programs that pages name."""
ALWAYS = {"--help", "-h", "--version"}
GROUP = typer.main.get_command(app)


def commands() -> dict[str, set[str]]:
    """Returns every command by its words, with its options."""
    found: dict[str, set[str]] = {}
    for name, command in GROUP.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {"": command})
        for word, each in inner.items():
            found[f"{name} {word}".strip()] = {
                option for p in each.params for option in p.opts if option.startswith("-")
            }
    return found


def uses(page: Path) -> Iterator[list[str]]:
    """Yields every use of the program on a page, in code blocks and in running text, as words."""
    for block in blocks(page):
        if block.language == "bash":
            for line in block.text.splitlines():
                yield from (shlex.split(part) for part in line.split(" && ") if part.startswith("olivelike "))
    for span in re.findall(r"`(olivelike [^`]+)`", prose(page)):
        yield span.split()


@pytest.mark.parametrize("page", pages(), ids=named)
def test_every_command_on_the_page_exists(page: Path) -> None:
    known = commands()
    for words in uses(page):
        if words[1] in ALWAYS:
            continue
        name = next((n for n in (" ".join(words[1:3]), words[1]) if n in known), "")
        assert name or words[1] in GROUP.commands, f"there is no command {' '.join(words)}"  # type: ignore[attr-defined]
        options = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert options <= known.get(name, set()) | ALWAYS, f"{' '.join(words)}: unknown {options - known[name]}"


@pytest.mark.parametrize("page", pages(), ids=named)
def test_every_option_in_running_text_exists(page: Path) -> None:
    known = set().union(*commands().values()) | ALWAYS | FOREIGN
    named_here = set(re.findall(r"`(--[a-z-]+)[^`]*`", prose(page)))
    assert named_here <= known


def test_reference_page_names_every_command_and_option() -> None:
    text = (ROOT / "docs" / "reference" / "command-line.md").read_text("utf-8")
    sections = {part.partition("`")[0]: part for part in text.split("## `olivelike ")[1:]}
    assert set(sections) == set(commands())
    for name, options in commands().items():
        assert all(f"`{option}" in sections[name] for option in options), name


def test_readme_opens_with_the_two_commands() -> None:
    first, second = list(blocks(ROOT / "README.md"))[:2]
    assert first.text == "pip install -e . && olivelike run workflows/quickstart.yaml\n"
    assert second.text == "pip install -e '.[dev]' && pytest\n"
