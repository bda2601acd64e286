"""The metric `load_time`: how long a model takes to load in a fresh process, beside the baseline."""

from __future__ import annotations

from collections.abc import Mapping

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, ValueSpec
from olivelike.contracts.outcome import Value
from olivelike.evaluate.resources.cold_pairs import ColdConfig, Reading, cold_values
from olivelike.evaluate.resources.fresh_process import FreshProcesses

LOAD = Reading("load", lambda life: life.load_seconds)


class LoadTimeConfig(ColdConfig):
    """How many processes."""


class LoadTime(Metric[LoadTimeConfig]):
    """Milliseconds to create a session, in processes that have the runtime's library already but never held a model.

    Reading the file, optimizing the graph, and preparing weights are in it; starting Python and importing the runtime, which
    cost the same whatever the model, are not. The model's files come from the system's cache (a first round that is not
    counted brings them there), as on a machine that has used them lately: a first start after a boot takes the disk's time
    beyond that.

    Each round starts one process for the candidate and one for the baseline, in random order. The value is the geometric
    mean; its interval and that of the ratio hold at every number of rounds, so measuring ends as soon as it is decided.
    """

    name = "load_time"
    config = LoadTimeConfig
    cost = Cost.RUNS
    timed = True
    compares = True

    def values(self, config: LoadTimeConfig) -> tuple[ValueSpec, ...]:
        """Returns `load` in `ms`, lower is better."""
        del config
        return (ValueSpec(LOAD.name, "ms", "lower"),)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: LoadTimeConfig, context: MeasureContext
    ) -> Mapping[str, Value]:
        """Loads the models in fresh processes, in turns.

        Raises:
            InputError: OL105, OL107 or OL210, the target's options or providers do not fit the runtime.
            MeasureError: OL504, a model cannot be loaded; OL501, its process died.
        """
        models = [candidate] if candidate.digest == reference.digest else [candidate, reference]
        live = FreshProcesses(context.target, context.scratch)
        return cold_values([(model, {}) for model in models], [LOAD], config, context, live, runs=0)
