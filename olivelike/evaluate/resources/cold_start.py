"""The metric `cold_start`: how long a fresh process takes from nothing to its first answer, beside the baseline."""

from __future__ import annotations

from collections.abc import Mapping

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, ValueSpec
from olivelike.contracts.outcome import Value
from olivelike.evaluate.resources.cold_pairs import ColdConfig, Reading, cold_values
from olivelike.evaluate.resources.fresh_process import FreshProcesses
from olivelike.evaluate.sessions.feeds import FedConfig, first_feeds

READINGS = (
    Reading("total", lambda life: life.load_seconds + life.run_seconds[0]),
    Reading("load", lambda life: life.load_seconds),
    Reading("first_run", lambda life: life.run_seconds[0]),
)


class ColdStartConfig(ColdConfig, FedConfig):
    """What is run, and in how many processes."""


class ColdStart(Metric[ColdStartConfig]):
    """Milliseconds until the first answer of a process that never held a model: creating the session, and its first run.

    What a serverless function, a command-line tool or an app waits for when it starts. `total` is `load` (as the metric
    `load_time` gives it) and `first_run` together; a first run is slower than later ones, because memory is claimed and
    caches are filled on the way. Starting Python and importing the runtime are not in it. The model's files come from the
    system's cache: a first start after a boot takes the disk's time beyond that.

    Each round starts one process for the candidate and one for the baseline, in random order. Values are geometric means;
    their intervals and those of the ratios hold at every number of rounds, so measuring ends as soon as it is decided.
    """

    name = "cold_start"
    config = ColdStartConfig
    cost = Cost.RUNS
    timed = True
    compares = True
    data = "optional"

    def values(self, config: ColdStartConfig) -> tuple[ValueSpec, ...]:
        """Returns `total`, `load` and `first_run` in `ms`, lower is better."""
        del config
        return tuple(ValueSpec(reading.name, "ms", "lower") for reading in READINGS)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: ColdStartConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Starts the models in fresh processes, in turns.

        Raises:
            InputError: OL206, fewer samples than one batch, or `dims` that do not fit the model.
            MeasureError: OL504, a model cannot be loaded or run; OL501, its process died.
        """
        models = [candidate] if candidate.digest == reference.digest else [candidate, reference]
        fed = [(model, first_feeds(context.open(model), config, context)) for model in models]
        live = FreshProcesses(context.target, context.scratch)
        return cold_values(fed, READINGS, config, context, live, runs=1)
