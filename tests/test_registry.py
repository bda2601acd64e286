"""One broken plugin blocks nobody who does not use it, and is named to whoever does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from olivelike.errors import InputError
from olivelike.registry import installed

Install = Callable[[str, str], None]

PLUGIN = "from olivelike.contracts.plugin import Plugin\nPLUGIN = Plugin(passes={'wonder': 'fragile_pass:Wonder'})\n"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution with a plugin module and the module of its pass."""

    def write(plugin: str, work: str) -> None:
        info = tmp_path / "fragile_tools-0.1.dist-info"
        info.mkdir()
        (tmp_path / "fragile_plugin.py").write_text(plugin)
        (tmp_path / "fragile_pass.py").write_text(work)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fragile-tools\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text("[olivelike.plugins]\nfragile = fragile_plugin:PLUGIN\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        for name in ("fragile_plugin", "fragile_pass"):
            monkeypatch.delitem(sys.modules, name, raising=False)

    return write


def test_a_plugin_that_cannot_be_loaded_blocks_nobody_else(install: Install) -> None:
    install("def broken(:\n", "")
    registry = installed()
    assert registry.pass_named("simplify").name == "simplify"
    with pytest.raises(
        InputError, match=r"OL107.*'wonder'.*plugin 'fragile' of fragile-tools cannot be loaded: Syntax"
    ):
        registry.pass_named("wonder")


def test_a_pass_whose_module_is_broken_is_named_with_its_plugin(install: Install) -> None:
    install(PLUGIN, "def broken(:\n")
    with pytest.raises(InputError, match=r"OL211 fragile_pass.*'wonder' of the plugin 'fragile'.*SyntaxError"):
        installed().pass_named("wonder")
