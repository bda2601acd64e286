"""The conformance suite of passes over graphs: `PassContract`, and odd models that must come out right or be refused."""
# ruff: noqa: D102  # the name of a test is its description

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from olivelike.contracts import carry
from olivelike.contracts.artifact import MODEL, Artifact, Manifest
from olivelike.contracts.target import Target
from olivelike.digest import digest_file
from olivelike.errors import RefusedError
from olivelike.onnxfile import write
from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.read import signature
from olivelike.testing import models
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.odd_models import RUNNABLE, UNRUNNABLE, Build
from olivelike.testing.pass_contract import Parametrizer, PassContract, gap_between
from olivelike.testing.run_pass import Settings

BROKEN = ("cycle", "dangling_input", "duplicate_names", "duplicate_values")
"""Models of `UNRUNNABLE` that are no models at all: every graph pass refuses them."""


class GraphPassContract(PassContract):
    """Checks that a graph pass keeps the contract on ordinary models and never gets an odd one wrong.

    Every odd model is either refused with a reason, or comes out valid and with the outputs that it had; outputs are compared
    where the pass is lossless and the model still has them under their names.

    Example:
        ```python
        class TestStrip(GraphPassContract):
            pass_type = Strip
            accepted = {"mlp": models.mlp}
        ```
    """

    odd_config: ClassVar[Settings | None] = None
    """The configuration for odd models and external data, if not the first of `configs`."""

    def pytest_generate_tests(self, metafunc: Parametrizer) -> None:
        """Runs the tests over all odd models too."""
        super().pytest_generate_tests(metafunc)
        if "odd" in metafunc.fixturenames:
            metafunc.parametrize("odd", list(RUNNABLE.values()), ids=list(RUNNABLE))
        if "broken" in metafunc.fixturenames:
            metafunc.parametrize("broken", [UNRUNNABLE[name] for name in BROKEN], ids=BROKEN)

    def test_odd_model_comes_out_right_or_is_refused(self, odd: Build, tmp_path: Path) -> None:
        source = self._source(odd, tmp_path)
        result = self._result_or_reason(source, tmp_path / "run")
        if isinstance(result, str):
            assert len(result.split()) > 3, f"the reason is only {result!r}"
            return
        for part in result.manifest.parts.values():
            validate_graph(result.folder / part)
        self._assert_same(source, result)

    def test_broken_model_is_refused_with_the_place(self, broken: Build, tmp_path: Path) -> None:
        source = self._source(broken, tmp_path)
        reason = self._result_or_reason(source, tmp_path / "run")
        assert isinstance(reason, str), "a model that is none was accepted"
        assert "'" in reason or "cycle" in reason, f"the reason names nothing: {reason!r}"

    def test_external_data_give_the_same_model(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        build = next(iter(self.accepted.values()))
        inside = self._result_or_reason(self._source(build, tmp_path / "inside"), tmp_path / "inside/run")
        monkeypatch.setattr(carry, "OUTSIDE_ABOVE", 0)
        monkeypatch.setattr(write, "SMALL", 64)
        path = models.save_external(build(), tmp_path / "outside/source")
        outside = self._result_or_reason(
            Artifact(path.parent, Manifest("onnx", {MODEL: path.name}), digest_file(path)), tmp_path / "outside/run"
        )
        assert not isinstance(inside, str) and not isinstance(outside, str), f"refused: {inside} {outside}"
        for name in inside.manifest.parts.values():
            before = run_model(inside.folder / name, feeds_for(inside.folder / name))
            after = run_model(outside.folder / name, feeds_for(outside.folder / name))
            assert all(gap_between(before[each], after[each]) <= self.tolerance for each in before)

    def _assert_same(self, source: Artifact, result: Artifact) -> None:
        if not self.pass_type.lossless or source.kind != result.kind:
            return
        ends = signature(source.model), signature(result.model)
        if [value.name for value in ends[0].inputs] != [value.name for value in ends[1].inputs]:
            return
        values = feeds_for(source.model)
        before, after = run_model(source.model, values), run_model(result.model, values)
        for name in set(before) & set(after):
            gap = gap_between(before[name], after[name])
            assert gap <= self.tolerance, f"the output {name} differs by {gap:.2g} of its largest magnitude"

    def _result_or_reason(self, source: Artifact, folder: Path) -> Artifact | str:
        """Returns what the pass makes, or why it refuses."""
        settings = self.configs[0] if self.odd_config is None else self.odd_config
        reasons = self.pass_type().refuses(source, self._config(settings), Target())
        if reasons:
            return "; ".join(reasons)
        try:
            return self._run(source, settings, folder)
        except RefusedError as error:
            return str(error)
