"""Delivering: the chosen models leave the store as a bundle, or the report alone is written where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from olivelike.bundle.layout import README_NAME, REPORT_NAME, readme, readme_of_several, write_json
from olivelike.bundle.lock import LOCK_NAME, Lock, installed_versions
from olivelike.bundle.place import put_in_place
from olivelike.contracts.artifact import MANIFEST_NAME, PARTS_KIND, Artifact
from olivelike.contracts.report import Chosen, Report, Status
from olivelike.digest import Json, files_below
from olivelike.engine.desk import Desk
from olivelike.engine.unseen import file_contents


def output_path(desk: Desk) -> Path | None:
    """Returns where the bundle goes; nothing where the workflow names no output."""
    written = desk.plan.output.path
    return (desk.plan.folder / written) if written else None


def deliver(
    desk: Desk, report: Report, source: Artifact, revision: Mapping[str, Json], *, ship_closest: bool
) -> Report:
    """Writes what the report chose to the output path and returns the report with the paths in it.

    On any status but feasible and built an older bundle stays untouched and `<output.path>.report.json` is written beside
    it; `ship_closest` writes the closest candidate of an infeasible run all the same.
    """
    path = output_path(desk)
    if path is None:
        return report
    beside = path.with_name(f"{path.name}.report.json")
    if report.status.exit_code and not (ship_closest and report.status is Status.INFEASIBLE and report.chosen):
        write_json(beside, report.to_json())
        return report
    single = len(report.chosen) == 1
    placed = tuple(_placed(desk, choice, path if single else path / _folder_name(choice)) for choice in report.chosen)
    final = replace(report, chosen=placed)
    origin = _Origin(desk, source, revision)
    put_in_place(path, partial(_fill_one if single else _fill_several, origin, final, path))
    beside.unlink(missing_ok=True)
    return final


@dataclass(frozen=True, slots=True)
class _Origin:
    """What every lock of a bundle says the same about: the run, the model it began with, and what pins that."""

    desk: Desk
    source: Artifact
    revision: Mapping[str, Json]

    def lock(self, choice: Chosen, place: Path, files: Iterable[str]) -> Lock:
        """Returns the lock of a model whose lock file is to lie in `place`, beside `files`."""
        return Lock(
            workflow=self.desk.plan.document,
            folder=_relative(self.desk, place),
            revision=self.revision,
            source=self.source.digest,
            steps=choice.recipe.steps,
            data={name: spec.files for name, spec in self.desk.data.items()},
            data_revisions={name: dict(spec.revision) for name, spec in self.desk.data.items() if spec.revision},
            data_contents=file_contents(self.desk.data, self.desk.store),
            output=choice.digest,
            versions=installed_versions(),
            machine=self.desk.machine,
            files=tuple(sorted(files)),
        )


def _fill_one(origin: _Origin, report: Report, path: Path, folder: Path) -> None:
    [choice] = report.chosen
    _write_model(origin.desk, report, choice, folder)
    write_json(folder / LOCK_NAME, origin.lock(choice, path, (*choice.files, README_NAME, REPORT_NAME)).to_json())
    write_json(folder / REPORT_NAME, report.to_json())


def _fill_several(origin: _Origin, report: Report, path: Path, folder: Path) -> None:
    files = [README_NAME, REPORT_NAME]
    for choice in report.chosen:
        name, own = _folder_name(choice), (*choice.files, README_NAME)
        _write_model(origin.desk, report, choice, folder / name)
        write_json(folder / name / LOCK_NAME, origin.lock(choice, path / name, own).to_json())
        files += [f"{name}/{file}" for file in (*own, LOCK_NAME)]
    text = readme_of_several(origin.desk.plan.name, [(_folder_name(choice), choice) for choice in report.chosen])
    (folder / README_NAME).write_text(text, encoding="utf-8")
    write_json(folder / LOCK_NAME, origin.lock(report.chosen[0], path, files).to_json())
    write_json(folder / REPORT_NAME, report.to_json())


def _folder_name(choice: Chosen) -> str:
    return "baseline" if choice.trial < 0 else f"trial-{choice.trial}"


def _placed(desk: Desk, choice: Chosen, path: Path) -> Chosen:
    artifact = desk.store.open(choice.digest)
    main = list(artifact.manifest.parts.values())
    described = set() if artifact.kind == PARTS_KIND else {MANIFEST_NAME}  # `compose` reads what the whole looked like
    rest = sorted(set(files_below(artifact.folder)) - {*described, *main})
    return replace(choice, path=str(path), files=(*main, *rest))


def _write_model(desk: Desk, report: Report, choice: Chosen, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    artifact = desk.store.open(choice.digest)
    desk.store.export(artifact, folder)
    if MANIFEST_NAME in choice.files:
        artifact.manifest.write(folder)
    providers = [provider.name for provider in desk.plan.target.providers]
    certificates = [each for each in report.certificates if each.trial == choice.trial]
    why = "\n\n".join([choice.why, *(line for each in certificates for line in each.sentences())])
    text = readme(desk.plan.name, choice.files, why, providers, artifact.manifest)
    (folder / README_NAME).write_text(text, encoding="utf-8")


def _relative(desk: Desk, bundle: Path) -> str:
    """Returns the workflow's folder as seen from the bundle, so that a lock says nothing of this machine's folders."""
    from os.path import relpath

    try:
        return Path(relpath(desk.plan.folder.resolve(), bundle.resolve())).as_posix()
    except ValueError:  # another drive
        return "."
