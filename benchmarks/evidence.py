"""What a verdict costs: runs and seconds until a speed difference is decided, beside fixed protocols of 20 and 1,000 runs.

    python benchmarks/evidence.py [--repetitions 30]

A small model is compared with itself made slower by a known share: each of its runs waits, busily, for that share of the
time it took. Three protocols are asked whether it is slower, at the same error rate of 5 %:

- olivelike: in turns, interval valid at any time, stops when decided (`olivelike.evaluate.timing`);
- fixed 20: ten warm-up runs and 20 timed ones of the one model, then of the other, as common tools do;
- fixed 1000: the same with 1,000 runs.

A test on the runs of a fixed protocol would promise 5 % and not hold it, because runs of one stretch of time are not independent.
So the error rates are made equal by hand: a fixed protocol calls a difference what is larger than 95 % of the differences
that it found between the model and itself, on this machine, in this very run. Its user does not know that threshold.

Prints, for each planted slowdown, how often it was found, and the medians of runs and seconds.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from math import expm1, log
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Prospect, Session
from olivelike.contracts.outcome import Measurement, Paired
from olivelike.engine.bench import Verdict, verdict_of
from olivelike.evaluate.machine.fingerprint import machine_fingerprint
from olivelike.evaluate.machine.quiet import quiet_machine
from olivelike.evaluate.sessions.random_feeds import random_feeds
from olivelike.evaluate.timing.latency import Latency, LatencyConfig
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.selftest.timing import SlowedSession, twins

BATCH = 16
ALPHA = 0.05
SLOWDOWNS = (0.0, 0.01, 0.03, 0.1, 0.5)


@dataclass(frozen=True)
class Outcome:
    """What one protocol found once: the log of the ratio, whether that is called slower or faster, runs of both, seconds."""

    ratio: float
    different: bool
    runs: int
    seconds: float


@dataclass(frozen=True)
class Slowed(MemoryContext):
    """Makes the model `twin` slower by a share."""

    share: float = 0.0

    def open(self, artifact: Artifact) -> Session:
        """Loads a model."""
        session = MemoryContext.open(self, artifact)
        return SlowedSession(session, self.share) if artifact.digest == "twin" and self.share else session


def sequential(base: Artifact, twin: Artifact, context: MemoryContext) -> Outcome:
    """In turns, until decided."""
    config = LatencyConfig(batch=BATCH, values=("p50",), runs=20, seconds=10, longest=10)
    begin = perf_counter()
    found = Latency().measure(twin, base, config, replace(context, held_against=decided))["p50"]
    assert isinstance(found, Measurement)
    assert isinstance(found.versus, Paired)
    ratio = found.versus.interval
    different = verdict_of(ratio) in {Verdict.SLOWER, Verdict.FASTER}
    return Outcome(log(ratio.value), different, 2 * found.n, perf_counter() - begin)


def decided(values: Mapping[str, Measurement]) -> Prospect:
    """Ends the timing as soon as a difference is shown."""
    versus = values["p50"].versus
    assert isinstance(versus, Paired)
    shown = verdict_of(versus.interval) in {Verdict.SLOWER, Verdict.FASTER}
    return Prospect.OUT if shown else Prospect.CLEAR


def fixed(runs: int) -> Callable[[Artifact, Artifact, MemoryContext], Outcome]:
    """One model after the other, so many runs each."""

    def protocol(base: Artifact, twin: Artifact, context: MemoryContext) -> Outcome:
        begin = perf_counter()
        slowed, plain = (median(_times(context, model, runs)) for model in (twin, base))
        return Outcome(log(slowed / plain), False, 2 * runs, perf_counter() - begin)

    return protocol


def _times(context: MemoryContext, model: Artifact, runs: int) -> list[float]:
    session = context.open(model)
    feeds = random_feeds(session.inputs, BATCH, {}, 0)
    for _ in range(10):
        session.time(feeds)
    return [session.time(feeds) for _ in range(runs)]


def _threshold(itself: Sequence[Outcome]) -> float:
    """Returns what only 5 % of the differences between the model and itself exceed."""
    apart = sorted(abs(outcome.ratio) for outcome in itself)
    return apart[min(int((1 - ALPHA) * len(apart)), len(apart) - 1)]


def _row(name: str, outcomes: Sequence[Outcome], threshold: float) -> str:
    if threshold:
        found = sum(outcome.ratio > threshold for outcome in outcomes)
    else:
        found = sum(outcome.different and outcome.ratio > 0 for outcome in outcomes)
    runs, seconds = median(o.runs for o in outcomes), median(o.seconds for o in outcomes)
    told = f", threshold {expm1(threshold):.1%}" if threshold else ""
    share = f"{found} of {len(outcomes)}"
    return f"  {name:<11} called slower {share:>9}  runs {runs:>6,.0f}  seconds {seconds:5.2f}{told}"


def main() -> None:
    """Runs all protocols in turns and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=40)
    repetitions = parser.parse_args().repetitions
    print(f"machine: {machine_fingerprint()}, Python {platform.python_version()}, onnxruntime {version('onnxruntime')}")
    print(f"repetitions: {repetitions} of each protocol for each slowdown, in turns")
    protocols = {"olivelike": sequential, "fixed 20": fixed(20), "fixed 1000": fixed(1000)}
    thresholds = dict.fromkeys(protocols, 0.0)
    with TemporaryDirectory() as room, quiet_machine():
        base, twin = twins(Path(room))
        for slowdown in SLOWDOWNS:
            outcomes: dict[str, list[Outcome]] = {name: [] for name in protocols}
            for seed in range(repetitions):
                for name, protocol in protocols.items():
                    context = Slowed(Path(room), seed=seed, share=slowdown)
                    outcomes[name].append(protocol(base, twin, context))
            if not slowdown:
                thresholds |= {name: _threshold(outcomes[name]) for name in ("fixed 20", "fixed 1000")}
            print(f"slower by {slowdown:.0%}:")
            for name, found in outcomes.items():
                print(_row(name, found, thresholds[name]))
            runs = {name: median(outcome.runs for outcome in found) for name, found in outcomes.items()}
            print(f"  runs, olivelike over fixed 1000: {runs['olivelike'] / runs['fixed 1000']:.2f}")


if __name__ == "__main__":
    main()
