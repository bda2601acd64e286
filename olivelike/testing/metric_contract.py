"""The conformance suite of a metric: subclass `MetricContract` in a test module and say what to measure."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import MeasureContext, Metric, MetricConfig
from olivelike.contracts.outcome import Measurement, Paired, Unpaired

HEAVY = ("numpy", "onnx", "onnxruntime", "onnx_ir", "scipy", "torch", "transformers", "pandas", "PIL")
PLAUSIBLE = 5.0


class MetricContract(ABC):
    """What the engine relies on in any metric.

    Example:
        A test module holds a subclass with a name that pytest collects::

            class TestSize(MetricContract):
                metric = Size

                def artifact(self, folder): ...
                def context(self, folder): ...
    """

    metric: ClassVar[type[Metric[Any]]]

    @abstractmethod
    def artifact(self, folder: Path) -> Artifact:
        """Returns an artifact that the metric can measure, written into an empty folder."""

    @abstractmethod
    def context(self, folder: Path) -> MeasureContext:
        """Returns a context with the data that the metric needs; `folder` is empty and may serve as scratch."""

    def configs(self) -> Sequence[MetricConfig]:
        """Returns the configurations to try; the defaults alone unless overridden. Keep timed ones short."""
        return (self.metric.config(),)

    def test_declares_what_the_engine_asks_for(self) -> None:
        """The class variables hold together."""
        assert self.metric.name.isidentifier()
        assert self.metric.version >= 1
        assert self.metric.data in {"required", "optional", "none"}
        assert self.metric.kinds
        assert not self.metric.needs_labels or self.metric.data == "required"
        assert not self.metric.timed or self.metric.runs

    def test_config_round_trips_and_refuses_unknown_keys(self) -> None:
        """A configuration is the same after a trip through JSON, and frozen, so that it can stand in a key."""
        for config in self.configs():
            text = config.model_dump_json()
            assert self.metric.config.model_validate_json(text) == config
            assert self.metric.config.model_validate(json.loads(text)) == config
        assert self.metric.config.model_config.get("extra") == "forbid"
        assert self.metric.config.model_config.get("frozen") is True

    def test_measures_exactly_the_values_it_declares(self, tmp_path: Path) -> None:
        """Names, units and directions are those of `values`; numbers are finite and inside their intervals."""
        for index, config in enumerate(self.configs()):
            measured = self._measure(tmp_path / str(index), config, copy=True)
            declared = self.metric().values(config)
            assert [spec.name for spec in declared] == list(dict.fromkeys(spec.name for spec in declared))
            assert set(measured) == {spec.name for spec in declared}
            for spec in declared:
                measurement = measured[spec.name]
                assert (measurement.unit, measurement.better) == (spec.unit, spec.better)
                assert measurement.is_finite()
                assert measurement.low <= measurement.value <= measurement.high
                assert measurement.n >= 1

    def test_measurement_survives_json(self, tmp_path: Path) -> None:
        """What the index gives back is what was measured."""
        for measurement in self._measure(tmp_path, self.configs()[0], copy=True).values():
            assert Measurement.from_json(json.loads(json.dumps(measurement.to_json(), allow_nan=False))) == measurement

    def test_same_input_gives_the_same_measurement_unless_timed(self, tmp_path: Path) -> None:
        """Measuring twice gives equal measurements, so that a cached one can stand for a new one."""
        config = self.configs()[0]
        first, second = (self._measure(tmp_path / name, config, copy=True) for name in ("first", "second"))
        assert set(first) == set(second)
        assert self.metric.timed or first == second

    def test_baseline_measured_against_itself_is_unpaired(self, tmp_path: Path) -> None:
        """There is nothing to compare when the baseline itself is measured."""
        for measurement in self._measure(tmp_path, self.configs()[0], copy=False).values():
            assert measurement.versus == Unpaired()

    def test_several_measured_side_by_side_each_give_the_declared_values(self, tmp_path: Path) -> None:
        """A copy and the original itself, in one go: in their order, the original compared with nothing."""
        config = self.configs()[0]
        reference, candidate = self._pair(tmp_path)
        found = self.metric().measure_several(
            (candidate, reference), reference, config, self.context(tmp_path / "scratch")
        )
        names = {spec.name for spec in self.metric().values(config)}
        assert [set(values) for values in found] == [names, names]
        measured = [value for value in found[1].values() if isinstance(value, Measurement)]
        assert all(value.versus == Unpaired() for value in measured)

    def test_equal_model_compared_with_the_baseline_shows_no_difference(self, tmp_path: Path) -> None:
        """A ratio of times may wander on a busy machine, so it is only held to the right order of magnitude."""
        for measurement in self._measure(tmp_path, self.configs()[0], copy=True).values():
            match measurement.versus:
                case Paired("difference", interval):
                    assert interval.value == 0
                    assert interval.low <= 0 <= interval.high
                case Paired("ratio", interval):
                    assert 1 / PLAUSIBLE < interval.value < PLAUSIBLE
                    assert interval.low <= interval.value <= interval.high
                case Unpaired():
                    pass

    def test_importing_it_imports_no_heavy_library(self) -> None:
        """The command line imports a metric to read its config, also when every result is cached."""
        program = f"import sys, {self.metric.__module__}; print(*(n for n in {HEAVY!r} if n in sys.modules))"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.split() == []

    def _measure(self, folder: Path, config: MetricConfig, *, copy: bool) -> Mapping[str, Measurement]:
        """Measures an artifact against itself, or a copy of it under another digest against the original.

        The data of a contract test are such that every value is defined.
        """
        reference, twin = self._pair(folder)
        candidate = twin if copy else reference
        values = self.metric().measure(candidate, reference, config, self.context(folder / "scratch"))
        return {name: value for name, value in values.items() if isinstance(value, Measurement)}

    def _pair(self, folder: Path) -> tuple[Artifact, Artifact]:
        """Returns an artifact and a copy of it under another digest; makes the scratch folder too."""
        for name in ("reference", "scratch"):
            (folder / name).mkdir(parents=True)
        reference = self.artifact(folder / "reference")
        shutil.copytree(reference.folder, folder / "candidate")
        return reference, replace(reference, folder=folder / "candidate", digest="0" * 64)
