"""The metric `profile`: where the time goes, by operator and by node, from the runtime's own profiler."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from pydantic import Field, PositiveInt

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Cost, MeasureContext, Metric, ValueSpec
from olivelike.contracts.outcome import Measurement
from olivelike.digest import Json, JsonObject
from olivelike.evaluate.sessions.feeds import FedConfig, first_feeds
from olivelike.evaluate.sessions.session import open_session
from olivelike.evaluate.statistics.intervals import median_interval
from olivelike.evaluate.timing.node_times import Kernel, ProfiledRun, read_profile

MOST_NODES = 50


class ProfileConfig(FedConfig):
    """What is run, and how often."""

    runs: int = Field(default=50, ge=10, le=1000)
    """Runs that count."""
    warmup: PositiveInt = 10
    """Runs before them."""


class Profile(Metric[ProfileConfig]):
    """Milliseconds inside kernels in one run, and in the details which operators and nodes they go to.

    The runtime notes when each node begins and ends. What is reported of an operator or node is the median over runs of what
    it took in a run, in kernels alone: copying inputs and outputs, waiting, and the profiler's own work are not in it, so
    `kernels` is less than a latency and no replacement for it. Times are whole microseconds, which makes nodes of a few of
    them uncertain. Nodes are those of the optimized graph, after fusing. Where a provider works asynchronously (CUDA), a
    node's time is that of handing it out.

    For a table of two models side by side see `olivelike profile`, or `run: {profile: true}` in a workflow.
    """

    name = "profile"
    config = ProfileConfig
    cost = Cost.RUNS
    timed = True
    data = "optional"

    def values(self, config: ProfileConfig) -> tuple[ValueSpec, ...]:
        """Returns `kernels` in `ms`, lower is better."""
        del config
        return (ValueSpec("kernels", "ms", "lower"),)

    def measure(
        self, candidate: Artifact, reference: Artifact, config: ProfileConfig, context: MeasureContext
    ) -> Mapping[str, Measurement]:
        """Runs the candidate under the runtime's profiler.

        Raises:
            InputError: OL206, fewer samples than one batch, or `dims` that do not fit the model.
            MeasureError: OL504, the model cannot be loaded or run.
        """
        del reference
        session = open_session(candidate, context.target, profile=str(context.scratch / "profile"))
        feeds = first_feeds(session, config, context)
        for _ in range(config.warmup + config.runs):
            session.time(feeds)
        written = Path(session.runtime.end_profiling())
        runs = read_profile(written, config.runs)
        written.unlink()
        kernels = median_interval([run.kernel_ms for run in runs])
        details = {"shapes": {name: list(array.shape) for name, array in feeds.items()}, **where_time_goes(runs)}
        found = Measurement(kernels.value, "ms", "lower", kernels.low, kernels.high, len(runs), details=details)
        return {"kernels": found}


def where_time_goes(runs: Sequence[ProfiledRun]) -> JsonObject:
    """Returns the table of a profile.

    Returns:
        `operators` and `nodes`, most expensive first, each with `ms` (median over runs) and `share` (of all kernels);
        `nodes_left_out`, the number of cheaper nodes that are not listed; `outside_kernels_ms`, the median of what a run took
        beyond its kernels.
    """
    every = sorted({kernel for run in runs for kernel in run.kernels})
    total = median(run.kernel_ms for run in runs) or 1.0
    of_node = {kernel: median(run.kernels.get(kernel, 0.0) for run in runs) for kernel in every}
    slowest = sorted(every, key=lambda kernel: -of_node[kernel])
    return {
        "operators": _operators(runs, every, total),
        "nodes": [
            {"name": k.name, "op_type": k.op_type, "provider": k.provider, **_told(of_node[k], total)}
            for k in slowest[:MOST_NODES]
        ],
        "nodes_left_out": max(len(every) - MOST_NODES, 0),
        "outside_kernels_ms": round(median(run.ms - run.kernel_ms for run in runs), 4),
    }


def _operators(runs: Sequence[ProfiledRun], every: Sequence[Kernel], total: float) -> list[Json]:
    nodes = Counter(kernel.op_type for kernel in every)
    in_runs = [_by_operator(run) for run in runs]
    of_operator = {op_type: median(run.get(op_type, 0.0) for run in in_runs) for op_type in nodes}
    slowest = sorted(nodes, key=lambda op_type: (-of_operator[op_type], op_type))
    return [{"op_type": op, "nodes": nodes[op], **_told(of_operator[op], total)} for op in slowest]


def _by_operator(run: ProfiledRun) -> Mapping[str, float]:
    added: defaultdict[str, float] = defaultdict(float)
    for kernel, ms in run.kernels.items():
        added[kernel.op_type] += ms
    return added


def _told(ms: float, total: float) -> dict[str, Json]:
    return {"ms": round(ms, 4), "share": round(ms / total, 4)}
