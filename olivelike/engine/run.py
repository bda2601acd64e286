"""The life of a run, as a straight line: baseline, trials, selection, report."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from time import monotonic

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.certificate import Certificate
from olivelike.contracts.outcome import Failed, Measured, Refused
from olivelike.contracts.recipe import Recipe
from olivelike.contracts.report import Baseline, Chosen, Report, Search, Status, Stop, Trial
from olivelike.digest import JsonObject
from olivelike.engine.baseline import Reference, set_baseline
from olivelike.engine.candidate import BASELINE, Candidate
from olivelike.engine.certified import certified
from olivelike.engine.certify import certified_metrics, uncertified
from olivelike.engine.desk import Desk
from olivelike.engine.events import Noted, RunEnded, RunStarted
from olivelike.engine.profile import profiled
from olivelike.engine.select import Selection, pareto, select
from olivelike.engine.trials import Trials, broken, expected_trials, run_trials, ways
from olivelike.errors import InputError


def run(desk: Desk, source: Artifact) -> Report:
    """Runs a plan to its report; nothing is handed out yet (`deliver` writes the bundle).

    Args:
        desk: the plan and what it needs.
        source: the model, in the store.

    Raises:
        InputError: the data do not fit the model.
    """
    start = monotonic()
    desk = replace(desk, deadline=start + desk.plan.search.time_limit)
    desk.tell(RunStarted(desk.plan.name, expected_trials(desk), desk.notes))
    baseline, trials = Reference(source, Recipe(), Measured(source.digest, {}), False), Trials()
    try:
        baseline = set_baseline(desk, source)
        for note in baseline.notes:
            desk.tell(Noted(note))
        run_trials(desk, source, baseline, start, trials)
        report = _conclude(desk, baseline, trials)
    except InputError:
        raise
    except KeyboardInterrupt:  # while the baseline was made: there is no trial yet
        trials.stopped_by = Stop.INTERRUPTED
        report = _conclude(desk, baseline, trials)
    except Exception as error:  # the boundary of a run: the trials that have ended are reported
        trials.stopped_by = Stop.BROKEN
        desk.log.debug("the run broke", exc_info=True)
        report = replace(_unfinished(desk, baseline, trials), why=broken(error).reason)
    if desk.plan.run.profile and trials.stopped_by not in {Stop.INTERRUPTED, Stop.BROKEN}:
        report = profiled(desk, baseline, report)
    report = replace(report, cost=desk.ledger.cost(monotonic() - start, desk.executor.started))
    desk.tell(RunEnded(report))
    return report


def _unfinished(desk: Desk, baseline: Reference, trials: Trials) -> Report:
    of = ways(desk) if trials.stopped_by.cut_short else len(trials.done)
    search = Search(trials.stopped_by, len(trials.done), of)
    return Report(
        version=version("olivelike"),
        workflow=desk.plan.name,
        status=Status.FAILED,
        baseline=Baseline(desk.plan.baseline, baseline.digest, baseline.metrics),
        chosen=(),
        trials=trials.done,
        cost=desk.ledger.cost(0.0, 0),
        why="",
        notes=(*desk.plan.notes, *desk.notes, *baseline.notes, *([search.note] if search.note else [])),
        conditions=conditions(desk),
        search=search,
        goals=tuple(dict.fromkeys([c.key for c in desk.plan.constraints] + [o.key for o in desk.plan.objectives])),
    )


def _conclude(desk: Desk, baseline: Reference, trials: Trials) -> Report:
    report = _unfinished(desk, baseline, trials)
    if trials.stopped_by is Stop.INTERRUPTED:
        return replace(report, status=Status.INTERRUPTED, why="the same command again resumes")
    measured = [trial for trial in trials.done if isinstance(trial.outcome, Measured)]
    if not measured:
        wrong = [p for t in trials.done if isinstance(t.outcome, Failed) for p in t.outcome.input]
        if wrong:
            raise InputError(*dict.fromkeys(wrong))
        return replace(report, why=f"OL506 no candidate could be measured: {_first_reason(trials.done)}")
    if not desk.plan.chooses:
        built = tuple(replace(trial, verdict="built") if trial is measured[0] else trial for trial in trials.done)
        why = "the workflow leaves one recipe, so there was nothing to choose"
        return replace(report, status=Status.BUILT, why=why, chosen=(_built(desk, measured[0]),), trials=built)
    return _selected(desk, report, baseline, trials)


def _selected(desk: Desk, report: Report, baseline: Reference, trials: Trials) -> Report:
    plan, candidates = desk.plan, list(trials.candidates)
    if baseline.usable:
        candidates.append(baseline.candidate)
    selection = select(candidates, baseline.metrics, plan.constraints, plan.objectives, plan.output.kind)
    certificates: tuple[Certificate, ...] = ()
    if selection.status is Status.FEASIBLE and certified_metrics(desk):
        selection, certificates = certified(desk, selection, baseline)
    picked = _picked(desk, selection)
    chosen = tuple(_chosen(desk, candidate, selection, rank) for rank, candidate in enumerate(picked))
    judged = tuple(
        replace(trial, verdict=selection.verdicts.get(trial.number, "") or trial.verdict) for trial in report.trials
    )
    notes = (*report.notes, *uncertified(plan.constraints, plan.metrics, len(candidates)))
    return replace(
        report,
        status=selection.status,
        why=selection.why,
        chosen=chosen,
        trials=judged,
        notes=notes,
        certificates=certificates,
    )


def _picked(desk: Desk, selection: Selection) -> tuple[Candidate, ...]:
    if selection.status is not Status.FEASIBLE or desk.plan.output.keep == "best":
        return selection.ranked[:1]
    if desk.plan.output.keep == "pareto":
        return pareto(selection.ranked, desk.plan.objectives, desk.plan.constraints)
    return selection.ranked


def _chosen(desk: Desk, candidate: Candidate, selection: Selection, rank: int) -> Chosen:
    why = selection.why if rank == 0 else selection.verdicts.get(candidate.trial, "")
    if candidate.trial == BASELINE and selection.status is Status.FEASIBLE and rank == 0 and not selection.refused:
        why = f"nothing beats the baseline ({desk.plan.baseline}): {why}"
    notes = desk.store.open(candidate.artifact).manifest.notes
    return Chosen(
        candidate.trial, candidate.recipe, candidate.metrics, candidate.kind, candidate.artifact, why, notes=notes
    )


def _built(desk: Desk, trial: Trial) -> Chosen:
    assert isinstance(trial.outcome, Measured)
    artifact = desk.store.open(trial.outcome.artifact)
    why = "the one recipe that the workflow leaves"
    notes = artifact.manifest.notes
    return Chosen(trial.number, trial.recipe, trial.outcome.metrics, artifact.kind, artifact.digest, why, notes=notes)


def _first_reason(trials: tuple[Trial, ...]) -> str:
    for trial in trials:
        if isinstance(trial.outcome, Refused | Failed):
            return trial.outcome.reason
    return "the space of recipes is empty"


def conditions(desk: Desk) -> JsonObject:
    """Returns the conditions of every measurement of this run: target, runtime and machine."""
    return {"target": desk.plan.target.to_json(), "runtime": desk.runtime, "machine": desk.machine}
