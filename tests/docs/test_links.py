"""Links between pages lead somewhere, and every page can be reached."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, named, pages, prose

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def targets(page: Path) -> list[tuple[Path, str]]:
    """Returns where a page's relative links lead: the file and the heading in it, or an empty text."""
    found = [link for link in LINK.findall(prose(page)) if "://" not in link]
    parts = [link.partition("#") for link in found]
    return [((page.parent / name).resolve() if name else page, heading) for name, _, heading in parts]


def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=named)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for file, heading in targets(page):
        assert file.exists(), f"{file} does not exist"
        assert not heading or heading in anchors(file), f"{file} has no heading #{heading}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        waiting += [file for file, _ in targets(page)]
    assert set(pages()) <= reached
