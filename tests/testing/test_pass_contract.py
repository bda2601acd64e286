"""Tests of the conformance suite: it finds what it is there to find."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.carry import deliver
from olivelike.contracts.passes import Pass, PassConfig, PassContext
from olivelike.onnxfile.read import read_model
from olivelike.testing import models
from olivelike.testing.pass_contract import PassContract


class NoConfig(PassConfig):
    undescribed: int = 0


class Copying(Pass[NoConfig]):
    """What it does: copies."""

    name = "copying"
    config = NoConfig
    lossless = True

    def run(self, source: Artifact, out: Path, config: NoConfig, context: PassContext) -> Manifest:
        return deliver(source, out, read_model(source.model))


class WritesIntoSource(Copying):
    def run(self, source: Artifact, out: Path, config: NoConfig, context: PassContext) -> Manifest:
        (source.folder / "mine").write_text("here")
        return super().run(source, out, config, context)


class Undecided(Copying):
    def run(self, source: Artifact, out: Path, config: NoConfig, context: PassContext) -> Manifest:
        manifest = super().run(source, out, config, context)
        (out / "noise").write_bytes(os.urandom(8))
        return manifest


class Forgets(Copying):
    def run(self, source: Artifact, out: Path, config: NoConfig, context: PassContext) -> Manifest:
        super().run(source, out, config, context)
        return Manifest("onnx", {"model": "other.onnx"})


class Lossy(Copying):
    def run(self, source: Artifact, out: Path, config: NoConfig, context: PassContext) -> Manifest:
        model = read_model(source.model)
        del model.graph.node[1]  # the Relu
        model.graph.node[1].input[0] = "h"
        return deliver(source, out, model)


class Invalid(Copying):
    def run(self, source: Artifact, out: Path, config: NoConfig, context: PassContext) -> Manifest:
        model = read_model(source.model)
        del model.graph.node[0]
        return deliver(source, out, model)


def suite(kind: type[Pass[NoConfig]]) -> PassContract:
    attributes = {"pass_type": kind, "accepted": {"mlp": models.mlp}, "__module__": __name__}
    made = type("Suite", (PassContract,), attributes)()
    assert isinstance(made, PassContract)
    return made


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (Forgets, PassContract.test_output_holds_what_the_manifest_says),
        (WritesIntoSource, PassContract.test_source_stays_untouched),
        (Lossy, PassContract.test_lossless_pass_keeps_the_outputs),
        (Invalid, PassContract.test_output_is_valid_and_gives_finite_numbers),
    ],
)
def test_fault_of_a_run_is_found(
    kind: type[Pass[NoConfig]], check: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(suite(Copying), models.mlp, {}, tmp_path_factory)
    with pytest.raises(Exception, match=r"other\.onnx|wrote into its source|differs by|OL304"):
        check(suite(kind), models.mlp, {}, tmp_path_factory)


def test_bytes_that_change_are_found(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(AssertionError, match="different bytes"):
        suite(Undecided).test_two_runs_write_the_same_bytes(models.mlp, {}, tmp_path, tmp_path_factory)


def test_companions_that_get_lost_are_found(tmp_path: Path) -> None:
    suite(Copying).test_companions_notes_and_session_are_handed_on(tmp_path / "kept")
    with pytest.raises(AssertionError):
        suite(Forgets).test_companions_notes_and_session_are_handed_on(tmp_path / "lost")


def test_missing_documentation_is_found() -> None:
    with pytest.raises(AssertionError, match="the class docstring lacks"):
        suite(Copying).test_is_documented()


def test_missing_tools_are_found() -> None:
    with pytest.raises(AssertionError, match="name the distributions"):
        suite(Copying).test_declares_what_the_engine_must_know()


def test_heavy_import_is_found() -> None:
    with pytest.raises(AssertionError, match="imports onnx"):
        suite(type("Heavy", (Copying,), {"__module__": "onnx.checker"})).test_importing_it_imports_no_heavy_library()
