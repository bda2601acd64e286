"""Everything that a page tells its reader to do can be done: commands, Python, pieces of workflows, files, outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import blocks, named, pages
from tests.docs.running import Reader

DONE = {"bash", "python", "yaml"}
FOLLOWED = [page for page in pages() if any(block.language in DONE and block.say != "skip" for block in blocks(page))]


@pytest.mark.parametrize("page", FOLLOWED, ids=named)
def test_page_can_be_followed_from_top_to_bottom(page: Path, reader: Callable[[], Reader]) -> None:
    someone = reader()
    for block in blocks(page):
        someone.follow(block)
