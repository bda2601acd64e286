"""A plugin of misbehaving passes and a vague metric, installed for one test."""

from __future__ import annotations

from pathlib import Path

import pytest

BAD_PASSES = '''
"""Passes that break their contract, each in its own way."""
import os
from pathlib import Path

from olivelike.contracts.artifact import Manifest
from olivelike.contracts.metric import Cost, Metric, MetricConfig, Prospect, ValueSpec
from olivelike.contracts.outcome import Measurement
from olivelike.contracts.passes import Pass, PassConfig
from olivelike.contracts.plugin import Plugin


class Nothing(PassConfig):
    pass


class Raises(Pass[Nothing]):
    """Raises."""

    name, config = "raises", Nothing

    def run(self, source, out, config, context):
        raise ValueError("the planted error")


class ReturnsNothing(Pass[Nothing]):
    """Returns nothing."""

    name, config = "returns_nothing", Nothing

    def run(self, source, out, config, context):
        return None


class NamesNoPart(Pass[Nothing]):
    """Returns a manifest without parts."""

    name, config = "names_no_part", Nothing

    def run(self, source, out, config, context):
        return Manifest("onnx")


class WritesGarbage(Pass[Nothing]):
    """Writes an invalid graph."""

    name, config = "writes_garbage", Nothing

    def run(self, source, out, config, context):
        (out / "model.onnx").write_bytes(b"no graph at all")
        return Manifest("onnx", {"model": "model.onnx"})


class ForgetsTheFile(Pass[Nothing]):
    """Names a file that it did not write."""

    name, config = "forgets_the_file", Nothing

    def run(self, source, out, config, context):
        return Manifest("onnx", {"model": "model.onnx"})


class Explodes(Pass[Nothing]):
    """Scales the weights beyond what a float holds."""

    name, config = "explodes", Nothing

    def run(self, source, out, config, context):
        import numpy as np
        import onnx
        from onnx import numpy_helper

        model = onnx.load(source.model)
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            if array.dtype == np.float32:
                tensor.CopyFrom(numpy_helper.from_array(np.full_like(array, np.nan), tensor.name))
        onnx.save(model, out / "model.onnx")
        return Manifest("onnx", {"model": "model.onnx"})


class Lies(Pass[Nothing]):
    """Is declared lossless and changes the weights."""

    name, config, lossless = "lies", Nothing, True

    def run(self, source, out, config, context):
        import onnx
        from onnx import numpy_helper

        model = onnx.load(source.model)
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            if array.dtype == "float32":
                tensor.CopyFrom(numpy_helper.from_array(array * array.dtype.type(1.5), tensor.name))
        onnx.save(model, out / "model.onnx")
        return Manifest("onnx", {"model": "model.onnx"})


class Dies(Pass[Nothing]):
    """Kills its own process."""

    name, config = "dies", Nothing

    def run(self, source, out, config, context):
        os.kill(os.getpid(), 9)


class NeedsNobodyKnowsWhat(Pass[Nothing]):
    """Breaks in the engine's own process, where auxiliary steps are asked for."""

    name, config = "needs_nobody_knows_what", Nothing

    def needs(self, config):
        raise KeyError("the planted error in the engine")

    def run(self, source, out, config, context):
        raise AssertionError("never run")


class Refuses(Pass[Nothing]):
    """Refuses everything."""

    name, config = "refuses_all", Nothing

    def refuses(self, source, config, target):
        return ["the planted reason"]

    def run(self, source, out, config, context):
        raise AssertionError("a pass that refuses is not run")


class Captures(Pass[Nothing]):
    """Makes an ONNX model of a Hugging Face folder."""

    name, config, accepts = "captures", Nothing, frozenset({"hf"})

    def run(self, source, out, config, context):
        from olivelike.testing import models

        models.save(models.mlp(hidden=256), out)
        return Manifest("onnx", {"model": "model.onnx"})


class Vague(Metric[MetricConfig]):
    """A time of 4 ms whose interval halves with each round; it goes on, four rounds at most, while a constraint is open."""

    name, config, cost = "vague", MetricConfig, Cost.RUNS

    def values(self, config):
        return (ValueSpec("ms", "ms", "lower"),)

    def longer(self, config):
        return Pace(rounds=config.rounds + 1)

    def measure(self, candidate, reference, config, context):
        for rounds in range(1, 5):
            half = 4.0 / 2**rounds
            found = Measurement(4.0, "ms", "lower", 4.0 - half, 4.0 + half, rounds)
            if context.prospect({"ms": found}) is not Prospect.OPEN or not context.seconds_left:
                break
        return {"ms": found}


PLUGIN = Plugin(
    metrics={"vague": "bad_passes:Vague"},
    passes={
        "captures": "bad_passes:Captures",
        "raises": "bad_passes:Raises",
        "names_no_part": "bad_passes:NamesNoPart",
        "returns_nothing": "bad_passes:ReturnsNothing",
        "writes_garbage": "bad_passes:WritesGarbage",
        "forgets_the_file": "bad_passes:ForgetsTheFile",
        "explodes": "bad_passes:Explodes",
        "lies": "bad_passes:Lies",
        "dies": "bad_passes:Dies",
        "needs_nobody_knows_what": "bad_passes:NeedsNobodyKnowsWhat",
        "refuses_all": "bad_passes:Refuses",
    }
)
'''


@pytest.fixture
def bad_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installs a distribution of misbehaving passes for this process and its workers."""
    site = tmp_path / "site"
    info = site / "bad_passes-0.1.dist-info"
    info.mkdir(parents=True)
    (site / "bad_passes.py").write_text(BAD_PASSES)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-passes\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[olivelike.plugins]\nbad = bad_passes:PLUGIN\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    return site
