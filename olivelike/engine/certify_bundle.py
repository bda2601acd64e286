"""Certifying a bundle: its model and its baseline on samples that the search did not see, each constraint judged anew."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from olivelike.bundle.layout import REPORT_NAME
from olivelike.bundle.lock import LOCK_NAME, Lock, read_lock
from olivelike.contracts.artifact import LIBRARIES, PARTS_KIND, Artifact, Manifest
from olivelike.contracts.certificate import Certainty, Certificate, Finding
from olivelike.contracts.figures import metrics_json
from olivelike.contracts.metric import TensorInfo
from olivelike.contracts.outcome import Measured, Measurement
from olivelike.contracts.recipe import Recipe
from olivelike.digest import Json, JsonObject, digest_file
from olivelike.engine.baseline import Reference, baseline_recipe
from olivelike.engine.candidate import BASELINE
from olivelike.engine.certify import judged_on
from olivelike.engine.check import entry_files, is_remote
from olivelike.engine.data_option import DataOption
from olivelike.engine.desk import Desk
from olivelike.engine.events import Listener, RunStarted, ignore
from olivelike.engine.opened import Opened
from olivelike.engine.rebuild import opened_at
from olivelike.engine.session import Settings, desk_for
from olivelike.engine.step import Made, run_recipe
from olivelike.engine.unseen import CERTIFIES_ONLY, Entry, check_unseen, entry_in, inputs_of, is_shared
from olivelike.errors import InputError, OlivelikeError, StepError, StoreError, fail
from olivelike.plan.model import INPUT, NO_BASELINE, DataPlan
from olivelike.registry import installed
from olivelike.sources.data_files import stored_config
from olivelike.sources.local import Local
from olivelike.store.port import Store

KEPT = ("name", "model", "target", "targets", "constraints", "baseline")
FRESH = "fresh"
USED_BEFORE = "these samples have certified this bundle before: what they say now is no new evidence"
EXIT_CODES = {Certainty.ACCEPT: 0, Certainty.REJECT: 3, Certainty.UNDECIDED: 4}


@dataclass(frozen=True, slots=True)
class Certified:
    """What holds of a bundle on new data.

    Attributes:
        bundle: the bundle's folder.
        alpha: the chance, at most, of a wrong verdict on a constraint.
        findings: one for each constraint.
        metrics: what was measured.
        notes: what the user should know.
    """

    bundle: str
    alpha: float
    findings: tuple[Finding, ...]
    metrics: Mapping[str, Measurement]
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Certainty:
        """Accepted if every constraint is, rejected if any is."""
        return Certificate(0, self.alpha, self.findings, self.metrics).verdict

    @property
    def samples(self) -> int:
        """The fewest samples or runs that a value rests on."""
        return min((found.n for found in self.metrics.values() if found.n > 1), default=0)

    def to_json(self) -> JsonObject:
        """Returns the answer document of `olivelike certify`."""
        return {
            "format": 1,
            "bundle": self.bundle,
            "verdict": self.verdict.value,
            "alpha": self.alpha,
            "constraints": [finding.to_json() for finding in self.findings],
            "metrics": metrics_json(self.metrics),
            "notes": list(self.notes),
        }


def certify_bundle(
    bundle: Path,
    fresh: DataOption,
    alpha: float,
    workflow: Path | None,
    settings: Settings,
    listener: Listener = ignore,
) -> Certified:
    """Judges every constraint of a bundle's workflow on new data.

    The baseline is made again from the lock (or taken from the cache) and measured beside the bundle's model. Intervals are of
    level `1 - 2 alpha`, so that each of their ends is wrong with a chance of `alpha`.

    Args:
        bundle: a folder that `run` wrote.
        fresh: the samples.
        alpha: the chance, at most, of accepting a constraint that does not hold, and of rejecting one that does.
        workflow: the workflow file, where the bundle no longer lies where it was written.
        settings: the machine's side.
        listener: told of everything that happens.

    Raises:
        InputError: OL118 (no bundle), OL105 (alpha), OL112 (data that the search has seen), and everything that is wrong with
            the data or the source.
    """
    if not 0 < alpha < 0.5:
        raise fail(InputError, "OL105", f"--alpha {alpha:g}: expected a chance between 0 and 0.5", hint="such as 0.05")
    if not (bundle / LOCK_NAME).is_file():
        claim = f"{bundle} is no bundle: it holds no {LOCK_NAME}"
        raise fail(InputError, "OL118", claim, hint="name a folder that `olivelike run` wrote")
    lock = read_lock(bundle / LOCK_NAME)
    folder = workflow.parent if workflow else bundle / lock.folder
    opened = _with_fresh_data(lock, bundle, fresh, folder)
    with desk_for(opened, settings, listener) as (desk, prepared):
        desk.tell(RunStarted(desk.plan.name, 1))
        notes = _check_unseen(lock, desk, fresh, _known(lock, bundle, folder), inputs_of(prepared.source))
        candidate = _taken_in(desk, bundle, lock)
        reference = _baseline(desk, prepared.source)
        findings, metrics = judged_on(
            desk, desk.plan.metrics, desk.plan.constraints, candidate, reference, BASELINE + 1, 1 - 2 * alpha
        )
        return Certified(str(bundle), alpha, findings, metrics, notes)


def _known(lock: Lock, bundle: Path, folder: Path) -> dict[str, DataPlan]:
    """Returns the data entries of the locked workflow whose files are still where it names them."""
    known: dict[str, DataPlan] = {}
    for name, written in cast("dict[str, Json]", lock.workflow.get("data", {})).items():
        document = {"name": lock.workflow["name"], "model": lock.workflow["model"], "data": {name: written}}
        with suppress(InputError):  # a certificate needs no old samples: the lock knows what their files held
            known |= opened_at(document, folder, bundle / LOCK_NAME, lock, installed()).plan.data
    return known


def _with_fresh_data(lock: Lock, bundle: Path, fresh: DataOption, folder: Path) -> Opened:
    """Returns the locked workflow with nothing in it but its constraints, their metrics reading the new samples.

    Passes and their data stay only where a step makes the baseline.
    """
    document = {key: lock.workflow[key] for key in KEPT if key in lock.workflow}
    constraints = cast("list[dict[str, Json]]", document.get("constraints", []))
    if not constraints:
        claim = "the bundle's workflow has no constraint: there is nothing to certify"
        raise fail(InputError, "OL112", claim, place=str(bundle / LOCK_NAME))
    entries = cast("dict[str, dict[str, Json]]", lock.workflow.get("data", {}))
    names = {str(constraint["metric"]).partition(".")[0] for constraint in constraints}
    metrics = cast("dict[str, dict[str, Json]]", lock.workflow["metrics"])
    data: dict[str, Json] = {}
    measured: dict[str, Json] = {}
    for name in sorted(names):
        metric = {key: value for key, value in metrics[name].items() if key != "certify"}
        if written := str(metric.get("data", "")):
            metric["data"] = f"{FRESH}_{written}"
            data[f"{FRESH}_{written}"] = _fresh_entry(entries[written], fresh)
        measured[name] = metric
    document |= {"metrics": measured, "data": data}
    if lock.workflow.get("baseline", INPUT) not in {INPUT, NO_BASELINE}:
        document |= {"passes": lock.workflow["passes"], "data": {**entries, **data}}
    return opened_at(document, folder, bundle / LOCK_NAME, lock, installed())


def _fresh_entry(written: Mapping[str, Json], fresh: DataOption) -> dict[str, Json]:
    """Returns a data entry for the new samples that is read and prepared as the one that the search saw."""
    readers = {*installed().names("readers"), "samples", "shuffle", "use", "split", "columns"}
    kept = {key: value for key, value in written.items() if key not in readers}
    return {**kept, **fresh.section()}


def _check_unseen(
    lock: Lock, desk: Desk, fresh: DataOption, known: Mapping[str, DataPlan], inputs: Sequence[TensorInfo]
) -> tuple[str, ...]:
    """Checks that the new samples are none that the search has seen; returns what is to be told of them.

    Raises:
        InputError: OL112, they are.
    """
    told = f"--data {fresh.path}"
    plans = {name: desk.plan.data[name] for name in desk.data if name.startswith(f"{FRESH}_")}
    new = [entry_in(desk.store, told, desk.data[name], plan.reader()) for name, plan in plans.items()]
    contents = {entry.contents for entry in new}
    for name, digests in lock.data_contents.items():
        if any(files & set(digests) for files in contents) and not _only_certifies(lock, name):
            claim = f"{told} and data.{name} hold the same file: the search has seen it"
            raise fail(InputError, "OL112", claim, hint="give samples that it has not seen")
    entries = {name: entry for name, plan in known.items() for entry in _seen(lock, desk, name, plan)}
    seen = [entry for name, entry in entries.items() if not _only_certifies(lock, name)]
    notes = [note for entry in new for note in check_unseen(entry, seen, desk.store, inputs)]
    used = [
        name
        for name in lock.data
        if _only_certifies(lock, name) and _certified_by(new, name, lock, entries, desk.store, inputs)
    ]
    return (*dict.fromkeys(notes), *([USED_BEFORE] if used else []))


def _certified_by(
    new: Sequence[Entry],
    name: str,
    lock: Lock,
    entries: Mapping[str, Entry],
    store: Store,
    inputs: Sequence[TensorInfo],
) -> bool:
    """Whether the new samples are those of an entry that the run certified on."""
    digests = set(lock.data_contents.get(name, ()))
    other = entries.get(name)
    return any(each.contents & digests or (other and is_shared(each, other, store, inputs)) for each in new)


def _seen(lock: Lock, desk: Desk, name: str, plan: DataPlan) -> Iterator[Entry]:
    """Yields a locked data entry, where its files are still in the store or unchanged where the workflow names them."""
    digest, reader = lock.data.get(name, ""), plan.reader()
    with suppress(OlivelikeError):
        if digest and not desk.store.has(digest) and not is_remote(plan):
            desk.store.ingest(entry_files(plan, desk.plan).files, Manifest("data"))
        if digest and desk.store.has(digest):
            spec = replace(plan.spec, config=stored_config(reader, plan.config), files=digest)
            yield entry_in(desk.store, f"data.{name}", spec, reader)


def _only_certifies(lock: Lock, name: str) -> bool:
    entries = cast("dict[str, dict[str, Json]]", lock.workflow.get("data", {}))
    return entries.get(name, {}).get("use") == list(CERTIFIES_ONLY)


def _taken_in(desk: Desk, bundle: Path, lock: Lock) -> Artifact:
    """Returns the bundle's model as an artifact: the locked one where the store has it and the bundle's is the same.

    Raises:
        InputError: OL118, the model is not the one that the lock describes.
    """
    report = cast("JsonObject", json.loads((bundle / REPORT_NAME).read_text(encoding="utf-8")))
    digests = {f"sha256:{lock.output}"}
    chosen = [c for c in cast("list[JsonObject]", report["chosen"]) if c["digest"] in digests]
    files = cast("list[str]", chosen[0]["files"]) if chosen else []
    try:
        artifact = desk.store.open(lock.output)
        same = all(digest_file(bundle / name) == digest_file(artifact.folder / name) for name in files)
    except (StoreError, OSError):
        if chosen and chosen[0]["kind"] == PARTS_KIND:
            claim = f"{bundle} holds a model in several parts, which no metric runs"
            raise fail(
                InputError, "OL118", claim, hint="put its parts together with compose, and certify that"
            ) from None
        libraries = {name: bundle / name for name in files if name.startswith(f"{LIBRARIES}/")}
        fetched = Local().fetch(str(bundle.absolute()), file=files[0], revision="", folder=Path(), offline=True)
        kept = {name: path for name, path in fetched.files.items() if name in files} | libraries
        operators = tuple(libraries)
        manifest = Manifest(fetched.kind, dict(fetched.parts), fetched.companions, custom_operators=operators)
        return desk.store.ingest(kept, manifest)
    if not files or not same:
        claim = f"the model in {bundle} is not the one that its lock describes"
        raise fail(InputError, "OL118", claim, hint="run the workflow again, or compare with `olivelike run --locked`")
    return artifact


def _baseline(desk: Desk, source: Artifact) -> Reference:
    if desk.plan.baseline == NO_BASELINE:
        return Reference(source, Recipe(), Measured(source.digest, {}), False)
    recipe, notes = baseline_recipe(desk.plan, source.kind)
    made = run_recipe(desk, source, recipe, BASELINE)
    if not isinstance(made, Made):
        raise fail(StepError, "OL505", f"the baseline cannot be made: {made.reason}")
    return Reference(made.artifact, recipe, Measured(made.artifact.digest, {}), True, notes)
