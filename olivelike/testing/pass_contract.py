"""The conformance suite of passes: subclass `PassContract`, name your pass and models, and pytest runs every check."""
# ruff: noqa: D102  # the name of a test is its description

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias, cast

from olivelike.contracts.artifact import MODEL, Artifact, Manifest
from olivelike.contracts.passes import AnyPass, PassConfig, Reads
from olivelike.contracts.target import Target
from olivelike.digest import canonical_json, digest_file, files_below
from olivelike.errors import RefusedError
from olivelike.onnxfile.check import validate_graph
from olivelike.onnxfile.read import signature
from olivelike.testing import models
from olivelike.testing.context import run_model
from olivelike.testing.feeds import feeds_for
from olivelike.testing.run_pass import Settings, folder_digest, run_pass

if TYPE_CHECKING:
    from onnx import ModelProto

    from olivelike.contracts.data import Array

Build: TypeAlias = "Callable[[], ModelProto]"
HEAVY = ("torch", "transformers", "onnxruntime", "onnx_ir", "onnxscript", "optuna", "scipy", "onnx", "numpy")
SECTIONS = ("What it does:", "When to use it:", "Limits:", "Example:")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A model that the pass must refuse.

    Attributes:
        build: builds the model.
        words: what the reason must say.
        config: the configuration.
    """

    build: Build
    words: str
    config: Settings = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """A run that several tests look at: its source, that source's digest before the run, its result."""

    source: Artifact
    before: str
    result: Artifact


class Folders(Protocol):
    """pytest's `tmp_path_factory`."""

    def mktemp(self, name: str) -> Path:
        """Makes a folder."""


class Parametrizer(Protocol):
    """What pytest hands to `pytest_generate_tests`."""

    fixturenames: list[str]

    def parametrize(self, names: str, values: Iterable[object], *, ids: Iterable[str]) -> None:
        """Gives a test its parameters."""


class PassContract:
    """Checks that a pass keeps the contract. Every test can fail; none needs a network.

    Override the class attributes. A config may name the data entry `data`: its values are drawn to fit the model.

    Example:
        ```python
        class TestMyPass(PassContract):
            pass_type = MyPass
            configs = ({}, {"strength": 2})
            accepted = {"mlp": models.mlp}
            refused = {"quantized": Refusal(models.quantized, "quantized already")}
        ```
    """

    pass_type: ClassVar[type[AnyPass]]
    configs: ClassVar[tuple[Settings, ...]] = ({},)
    accepted: ClassVar[Mapping[str, Build]]
    refused: ClassVar[Mapping[str, Refusal]] = {}
    tolerance: ClassVar[float] = 1e-4
    """For a lossless pass: the largest difference of an output, as a share of that output's largest magnitude. Sums in
    another order differ by a few units in the last place of float32 (6e-8) for each of some hundred terms."""

    keeps_signature: ClassVar[bool] = True
    """Whether inputs and outputs keep their names; a pass whose work is to change them says no."""

    _runs: ClassVar[dict[tuple[str, bytes], Made]]

    def __init_subclass__(cls) -> None:
        """Gives every suite its own runs to look at."""
        cls._runs = {}

    def pytest_generate_tests(self, metafunc: Parametrizer) -> None:
        """Runs the tests over all configs and models."""
        if "model" in metafunc.fixturenames:
            metafunc.parametrize("model", list(self.accepted.values()), ids=list(self.accepted))
        if "settings" in metafunc.fixturenames:
            metafunc.parametrize("settings", list(self.configs), ids=[f"config{i}" for i in range(len(self.configs))])
        if "refusal" in metafunc.fixturenames:
            metafunc.parametrize("refusal", list(self.refused.values()), ids=list(self.refused))

    def test_declares_what_the_engine_must_know(self) -> None:
        kind = self.pass_type
        assert kind.name.isidentifier(), f"{kind.name!r} cannot stand in a workflow"
        assert kind.name.islower(), "a pass is named in lower case"
        assert kind.version >= 1
        assert issubclass(kind.config, PassConfig)
        assert kind.accepts and kind.produces, "it must say what it takes and gives"
        assert kind.scope in ("part", "whole")
        assert all(isinstance(entry, Reads) for entry in kind.reads)
        assert not (kind.lossless and kind.auxiliary), "an auxiliary pass makes no model that could be compared"
        assert kind.tools, "name the distributions whose version changes the output"

    def test_is_documented(self) -> None:
        text = self.pass_type.__doc__ or ""
        missing = [section for section in SECTIONS if section not in text]
        assert not missing, f"the class docstring lacks {missing}"
        silent = [name for name, entry in self.pass_type.config.model_fields.items() if not entry.description]
        assert not silent, f"describe the config's {silent}"

    def test_config_survives_json(self, settings: Settings) -> None:
        config = self._config(settings)
        assert self.pass_type.config.model_validate_json(config.model_dump_json()) == config

    def test_importing_it_imports_no_heavy_library(self) -> None:
        said = _python(IMPORTS, self.pass_type.__module__, *HEAVY)
        assert said == "", (
            f"importing {self.pass_type.__module__} imports {said}: import inside the function that needs it"
        )

    def test_output_holds_what_the_manifest_says(
        self, model: Build, settings: Settings, tmp_path_factory: Folders
    ) -> None:
        result = self._made(model, settings, tmp_path_factory).result
        manifest = result.manifest
        named = {*manifest.parts.values(), *manifest.companions, *manifest.custom_operators}
        missing = named - set(files_below(result.folder))
        assert manifest.kind == self.pass_type.produces
        assert manifest.parts, "an artifact has at least one part"
        assert not missing, f"the manifest names {sorted(missing)}, which the pass did not write"

    def test_source_stays_untouched(self, model: Build, settings: Settings, tmp_path_factory: Folders) -> None:
        made = self._made(model, settings, tmp_path_factory)
        assert folder_digest(made.source.folder) == made.before, "the pass wrote into its source"

    def test_companions_notes_and_session_are_handed_on(self, tmp_path: Path) -> None:
        if self.pass_type.auxiliary or self.pass_type.produces != "onnx":
            return
        source = self._source(next(iter(self.accepted.values())), tmp_path)
        (source.folder / "tokenizer").mkdir()
        (source.folder / "tokenizer" / "vocabulary.txt").write_text("one two")
        manifest = replace(
            source.manifest.noted(mine=[1]),
            companions=("tokenizer/vocabulary.txt",),
            session={"intra_op_num_threads": 1},
        )
        result = self._run(Artifact(source.folder, manifest, source.digest), self.configs[0], tmp_path / "run")
        assert result.manifest.companions == manifest.companions
        assert result.manifest.session == manifest.session
        assert result.manifest.notes["mine"] == [1], "notes that a pass does not know are handed on"
        assert (result.folder / "tokenizer" / "vocabulary.txt").read_text() == "one two"

    def test_two_runs_write_the_same_bytes(
        self, model: Build, settings: Settings, tmp_path: Path, tmp_path_factory: Folders
    ) -> None:
        if not self.pass_type.deterministic:
            return
        made = self._made(model, settings, tmp_path_factory)
        again = self._run(made.source, settings, tmp_path)
        assert again.digest == made.result.digest, "equal inputs gave different bytes"

    def test_another_process_writes_the_same_bytes(self, tmp_path: Path) -> None:
        if not self.pass_type.deterministic:
            return
        name, build = next(iter(self.accepted.items()))
        here = folder_digest(self._result(build, self.configs[0], tmp_path / "here").folder)
        kind = type(self)
        there = _python(RUNS, kind.__module__, kind.__qualname__, name, str(tmp_path / "there"), *_roots())
        assert there == here, "another process gave different bytes: is a set iterated somewhere?"

    def test_output_is_valid_and_gives_finite_numbers(
        self, model: Build, settings: Settings, tmp_path_factory: Folders
    ) -> None:
        if self.pass_type.produces != "onnx":
            return
        result = self._made(model, settings, tmp_path_factory).result
        for part in result.manifest.parts.values():
            validate_graph(result.folder / part)
            outputs = run_model(result.folder / part, feeds_for(result.folder / part))
            assert all(_is_finite(values) for values in outputs.values()), f"{part} gives values that are not finite"

    def test_inputs_and_outputs_keep_their_names(
        self, model: Build, settings: Settings, tmp_path_factory: Folders
    ) -> None:
        if self.pass_type.produces != "onnx" or "onnx" not in self.pass_type.accepts or not self.keeps_signature:
            return
        made = self._made(model, settings, tmp_path_factory)
        before, after = signature(made.source.model), signature(made.result.model)
        assert [value.name for value in after.outputs] == [value.name for value in before.outputs]
        assert [value.name for value in after.inputs] == [value.name for value in before.inputs]

    def test_lossless_pass_keeps_the_outputs(self, model: Build, settings: Settings, tmp_path_factory: Folders) -> None:
        # A suite of its own compares what is no single model before or behind the pass.
        single = self.pass_type.produces == "onnx" and "onnx" in self.pass_type.accepts
        if not self.pass_type.lossless or not single:
            return
        made = self._made(model, settings, tmp_path_factory)
        feeds = feeds_for(made.source.model)
        before, after = run_model(made.source.model, feeds), run_model(made.result.model, feeds)
        for name, expected in before.items():
            gap = gap_between(expected, after[name])
            assert gap <= self.tolerance, f"the output {name} differs by {gap:.2g} of its largest magnitude"

    def test_refuses_gives_a_reason(self, refusal: Refusal, tmp_path: Path) -> None:
        source = self._source(refusal.build, tmp_path)
        before = folder_digest(source.folder)
        reason = self._reason(source, refusal.config, tmp_path / "run")
        assert refusal.words in reason, f"the reason is {reason!r}"
        assert folder_digest(source.folder) == before, "refusing wrote into the source"

    def test_accepts_what_it_should(self, model: Build, settings: Settings, tmp_path: Path) -> None:
        source = self._source(model, tmp_path)
        assert list(self.pass_type().refuses(source, self._config(settings), Target())) == []

    def run_on(self, name: str, folder: Path) -> str:
        """Runs the first config on the accepted model of a name and returns the digest of what came out."""
        return folder_digest(self._result(self.accepted[name], self.configs[0], folder).folder)

    def _config(self, settings: Settings) -> PassConfig:
        return self.pass_type.config.model_validate(dict(settings))

    def _source(self, build: Build, folder: Path) -> Artifact:
        path = models.save(build(), folder / "source")
        return Artifact(path.parent, Manifest("onnx", {MODEL: path.name}), digest_file(path))

    def _made(self, build: Build, settings: Settings, folders: Folders) -> Made:
        name = next(name for name, entry in self.accepted.items() if entry is build)
        key = (name, canonical_json(settings))
        if key not in self._runs:
            folder = folders.mktemp(self.pass_type.name)
            source = self._source(build, folder)
            before = folder_digest(source.folder)
            self._runs[key] = Made(source, before, self._run(source, settings, folder / "run"))
        return self._runs[key]

    def _result(self, build: Build, settings: Settings, folder: Path) -> Artifact:
        return self._run(self._source(build, folder), settings, folder / "run")

    def _run(self, source: Artifact, settings: Settings, folder: Path) -> Artifact:
        return run_pass(self.pass_type, source, settings, folder)

    def _reason(self, source: Artifact, settings: Settings, folder: Path) -> str:
        reasons = self.pass_type().refuses(source, self._config(settings), Target())
        if reasons:
            return "; ".join(reasons)
        try:
            self._run(source, settings, folder)
        except RefusedError as error:
            return str(error)
        raise AssertionError("the pass accepted a model that it should refuse")


def _is_finite(values: Array | list[Array]) -> bool:
    import numpy as np

    if isinstance(values, list):
        return all(map(_is_finite, values))
    return values.dtype.kind not in "fc" or bool(np.isfinite(values).all())


def gap_between(expected: Array | list[Array], got: Array | list[Array]) -> float:
    """Returns the largest difference as a share of the largest magnitude expected; of words and truth values 0 or 1."""
    import numpy as np

    if isinstance(expected, list) or isinstance(got, list):  # a sequence of tensors
        assert isinstance(expected, list) and isinstance(got, list)
        return max((gap_between(one, other) for one, other in zip(expected, got, strict=True)), default=0.0)
    if expected.dtype.kind in "OUSb":
        return float(np.any(expected != got))
    wide = cast("np.ndarray[tuple[int, ...], np.dtype[np.float64]]", expected.astype(np.float64))
    largest = float(np.abs(wide).max(initial=0.0)) or 1.0
    return float(np.abs(wide - got.astype(np.float64)).max(initial=0.0)) / largest


IMPORTS = """
import sys
from importlib import import_module
import_module(sys.argv[1])
print(" ".join(name for name in sys.argv[2:] if name in sys.modules), end="")
"""
RUNS = """
import sys
from importlib import import_module
from pathlib import Path
sys.path[:0] = sys.argv[5:]
module, name, model, folder = sys.argv[1:5]
print(getattr(import_module(module), name)().run_on(model, Path(folder)), end="")
"""


def _roots() -> list[str]:
    return [entry for entry in sys.path if entry]


def _python(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
