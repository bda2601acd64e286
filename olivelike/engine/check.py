"""Checking everything that a plan names, before any work and without a store: all that is wrong is said at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from olivelike.bundle.place import require_writable
from olivelike.contracts.artifact import PARTS_KIND
from olivelike.contracts.data import FetchedData, RefersTo
from olivelike.contracts.metric import TensorInfo
from olivelike.contracts.ports import Fetched
from olivelike.contracts.space import Choice, Space, StepSpace
from olivelike.digest import Json
from olivelike.engine.baseline import baseline_recipe
from olivelike.errors import InputError, OlivelikeError, Problem, fail
from olivelike.evaluate.sessions.providers import require_providers
from olivelike.onnxfile.read import UNKNOWN_RANK, signature
from olivelike.plan.kinds import SOURCE_KIND
from olivelike.plan.model import INPUT, DataPlan, Plan
from olivelike.sources.closure import script_files
from olivelike.sources.data_files import data_files
from olivelike.sources.dataset import open_dataset
from olivelike.sources.local import Local
from olivelike.sources.operator_libraries import operator_libraries
from olivelike.sources.parts import parts_at

CHEAP = 64 << 20
"""Bytes of files up to which a data entry is opened here; a larger one is opened by the first worker that reads it."""


def check_inputs(plan: Plan) -> None:
    """Checks the output path, the target's providers, scripts, data, and a model on this machine's disk.

    Data are held against the model's signature where the model that reads them takes what the input takes. A model on a
    hub is not asked for, which would be a download, and no user's Python is run.

    Raises:
        InputError: everything that is wrong, at once.
    """
    checks: list[Callable[[], object]] = [
        partial(check_target, plan),
        partial(operator_libraries, plan.model.custom_operators, plan.folder),
    ]
    if plan.output.path:
        checks.append(partial(require_writable, plan.folder / plan.output.path))
    checks += [partial(script_files, plan.folder / name) for metric in plan.metrics for name in metric.scripts]
    checks += [partial(script_files, plan.folder / entry.prepare) for entry in plan.data.values() if entry.prepare]
    checks += [partial(entry_files, entry, plan) for entry in plan.data.values() if not is_remote(entry)]
    problems = _problems_of(checks)
    if plan.model.source.key != "hub":
        problems += _problems_of_model(plan)
    if problems:
        raise InputError(*dict.fromkeys(problems))


def check_target(plan: Plan) -> None:
    """Checks that the runtime offers the target's providers.

    Raises:
        InputError: OL210, with those it has.
    """
    if plan.target.present:
        require_providers(plan.target)


def check_kind(plan: Plan, source_kind: str) -> None:
    """Checks that a model of a kind can be made into what is to be delivered, and that there is a baseline to measure.

    Raises:
        InputError: OL112.
    """
    wanted = plan.output.kind
    made = {kind if kind != SOURCE_KIND else source_kind for kind in plan.kinds}
    if wanted and wanted not in made:
        claim = f"no recipe makes an artifact of the kind {wanted!r} of a model of the kind {source_kind!r}"
        raise fail(InputError, "OL112", claim, path="output.kind", hint=f"they make: {', '.join(sorted(made))}")
    if plan.chooses:
        baseline_recipe(plan, source_kind)


def fetch(plan: Plan) -> Fetched:
    """Asks the plan's source for the model; a folder on this machine is a model in parts where the first pass takes those.

    Raises:
        InputError: OL201 to OL204.
    """
    model = plan.model
    if folder := parts_folder(plan):
        return parts_at(Path(folder), {model.source.key: str(model.value)})
    return model.source().fetch(
        model.value, file=model.file, revision=model.revision, folder=plan.folder, offline=plan.run.offline
    )


def parts_folder(plan: Plan) -> str:
    """Returns the folder that is to be read as a model in parts; empty where there is none."""
    model = plan.model
    if model.source.key != Local.key or model.file or model.revision or not isinstance(model.value, str):
        return ""
    folder = plan.folder / Path(model.value).expanduser()
    first = [plan.passes[name].accepts for name in _first_passes(plan.space.tree)]
    asked = any(PARTS_KIND in accepts for accepts in first) and not any("onnx" in accepts for accepts in first)
    return str(folder) if asked and folder.is_dir() else ""


def _first_passes(chain: Space) -> Iterator[str]:
    for node in chain[:1]:
        if isinstance(node, StepSpace):
            yield node.pass_name
        else:
            for alternative in node.alternatives:
                yield from _first_passes(alternative)


def is_remote(entry: DataPlan) -> bool:
    """Whether asking for an entry's files would be a download."""
    return entry.reader().is_remote(entry.config)


def entry_files(entry: DataPlan, plan: Plan) -> FetchedData:
    """Returns a data entry's files, by the names that the reader knows them under, and what pins them.

    Raises:
        InputError: OL205, one is missing; OL204, they cannot be fetched.
    """
    reader = entry.reader()
    if reader.chooses_files:
        return reader.fetch(entry.config, plan.folder, offline=plan.run.offline)
    return FetchedData(data_files(reader, entry.config, plan.folder), {})


def _problems_of(checks: list[Callable[[], object]]) -> list[Problem]:
    problems: list[Problem] = []
    for check in checks:
        try:
            check()
        except InputError as error:
            problems += error.problems
    return problems


def _problems_of_model(plan: Plan) -> list[Problem]:
    try:
        found = fetch(plan)
    except InputError as error:
        return list(error.problems)
    problems = _problems_of([partial(check_kind, plan, found.kind)])
    if found.kind != "onnx":
        return problems
    [main, *_] = found.parts.values()
    inputs = tuple(TensorInfo(value.name, value.dtype, value.shape) for value in signature(found.files[main]).inputs)
    if any(UNKNOWN_RANK in info.shape for info in inputs):
        return problems
    entries = dict.fromkeys(name for name in _read_by_like_models(plan) if name in plan.data)
    return problems + _problems_of([partial(_check_fits, plan, plan.data[name], inputs) for name in entries])


def _read_by_like_models(plan: Plan) -> Iterator[str]:
    """Yields the data entries that some model reads whose inputs are those of the workflow's own.

    The baseline does where it is the input; so does every pass before which nothing but lossless passes run.
    """
    if not plan.space.tree or (plan.chooses and plan.baseline == INPUT):
        yield from (metric.data for metric in plan.metrics if metric.data and not metric.metric.completes_feeds)
    yield from _read_by_passes(plan, plan.space.tree)[0]


def _read_by_passes(plan: Plan, chain: Space) -> tuple[list[str], bool]:
    """Returns the entries that a chain's passes read of the model as it was, and whether it leaves its inputs as they are."""
    names: list[str] = []
    same = True
    for node in chain:
        if not same:
            break
        if isinstance(node, StepSpace):
            kind = plan.passes[node.pass_name]
            for name, info in kind.config.model_fields.items():
                if any(isinstance(mark, RefersTo) for mark in info.metadata):
                    names += _texts(node, name)
            same = kind.lossless
            continue
        for alternative in node.alternatives:
            inner, unchanged = _read_by_passes(plan, alternative)
            names += inner
            same = same and unchanged
    return names, same


def _texts(step: StepSpace, parameter: str) -> list[str]:
    domain = step.free.get(parameter)
    values: tuple[Json, ...] = domain.values if isinstance(domain, Choice) else (step.fixed.get(parameter),)
    return [value for value in values if isinstance(value, str)]


def _check_fits(plan: Plan, entry: DataPlan, inputs: tuple[TensorInfo, ...]) -> None:
    spec, reader = entry.spec, entry.reader()
    if spec.reader == "script" or spec.prepare or is_remote(entry) or not _is_cheap(plan, entry):
        return
    dataset = open_dataset(spec, reader, plan.folder, inputs)
    next(dataset.batches(1, 1), None)
    if dataset.has_labels:
        return
    for metric in plan.metrics:
        if metric.data == spec.name and metric.metric.needs_labels:
            claim = f"the metric {metric.name!r} needs labels, and these data have none"
            raise fail(InputError, "OL207", claim, path=f"data.{spec.name}", hint="add `labels:`")


def _is_cheap(plan: Plan, entry: DataPlan) -> bool:
    with suppress(OlivelikeError, OSError):  # what is wrong with the files is said elsewhere
        files = entry_files(entry, plan).files.values()
        direct = all((plan.folder / name).exists() for name in entry.reader().files(entry.config))
        return direct and sum(Path(file).stat().st_size for file in files) <= CHEAP
    return False
