"""The conformance suite for metrics that start processes: each kind of measurement is made once and looked at by every test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from olivelike.contracts.metric import MetricConfig
from olivelike.contracts.outcome import Measurement
from olivelike.testing.metric_contract import MetricContract


class MeasuredOnce(MetricContract):
    """A `MetricContract` that remembers what was measured."""

    known: ClassVar[dict[tuple[str, str, bool], Mapping[str, Measurement]]] = {}

    def _measure(self, folder: Path, config: MetricConfig, *, copy: bool) -> Mapping[str, Measurement]:
        key = (self.metric.name, config.model_dump_json(), copy)
        if key not in self.known:
            self.known[key] = super()._measure(folder, config, copy=copy)
        return self.known[key]
