"""The Python API: run a workflow from a file, a mapping or a `Workflow`, and work with the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from olivelike.contracts import report as contract
from olivelike.contracts.artifact import PARTS_KIND, Artifact
from olivelike.contracts.outcome import Measured, Measurement
from olivelike.contracts.target import Target
from olivelike.digest import Json, JsonObject
from olivelike.engine.events import Listener, ignore
from olivelike.engine.opened import Opened, open_workflow
from olivelike.engine.session import Settings, run_workflow

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from olivelike.workflow.schema import Workflow

    WorkflowLike: TypeAlias = "str | Path | Mapping[str, Json] | Workflow"


def run(
    workflow: WorkflowLike,
    *,
    overrides: str | Sequence[str] = (),
    cache_dir: str | Path = "",
    ship_closest: bool = False,
    listener: Listener = ignore,
) -> Report:
    """Runs a workflow and returns its report.

    Args:
        workflow: a workflow file, its content as a mapping, or a `Workflow` built in code. Relative paths start in the
            file's folder, else in the current one.
        overrides: `KEY=VALUE` texts, as on the command line, or one of them.
        cache_dir: the store's folder; by default as on the command line.
        ship_closest: write the closest candidate even where it breaks a constraint.
        listener: told of everything that happens (`olivelike.TrialEnded` and the other events).

    Raises:
        InputError: everything that is wrong with the workflow; nothing ran.
    """
    opened = load(workflow, overrides)
    settings = Settings(cache_dir=str(cache_dir), ship_closest=ship_closest)
    return Report(*run_workflow(opened, settings, listener))


def load(workflow: WorkflowLike, overrides: str | Sequence[str] = ()) -> Opened:
    """Reads and resolves a workflow without running it.

    Raises:
        InputError: everything that is wrong with it.
    """
    return open_workflow(workflow, overrides)


@dataclass(frozen=True, slots=True)
class Best:
    """The model that a run hands out.

    Attributes:
        chosen: what the report says of it.
        label: which trial it is, with the parameters that tell it apart.
        artifact: its files in the store.
        target: what it was made for.
    """

    chosen: contract.Chosen
    artifact: Artifact
    target: Target
    label: str

    @property
    def path(self) -> Path:
        """The model's main file: in the bundle where one was written, else in the store.

        Raises:
            StepError: OL303, the model lies in several parts.
        """
        if self.chosen.path and self.chosen.files and self.artifact.kind != PARTS_KIND:
            return Path(self.chosen.path, self.chosen.files[0])
        return self.artifact.model

    @property
    def metrics(self) -> Mapping[str, Measurement]:
        """What was measured of it, by `name.value`."""
        return self.chosen.metrics

    @property
    def recipe(self) -> tuple[str, ...]:
        """The names of the steps that made it."""
        return tuple(step.name for step in self.chosen.recipe.steps)

    def session(self) -> InferenceSession:
        """Loads it in ONNX Runtime, on the workflow's target with the workflow's options."""
        from olivelike.evaluate.sessions.session import open_session

        return open_session(self.artifact, self.target).runtime

    def __repr__(self) -> str:
        from olivelike.contracts.figures import figures

        values = "; ".join(f"{name} {', '.join(figures(found))}" for name, found in self.metrics.items())
        return f"<Best {self.label}: {values}>" if values else f"<Best {self.label}>"


class Report:
    """A run's report in Python: the best model, every trial, and how it looks in a notebook."""

    def __init__(self, report: contract.Report, best: Artifact | None, target: Target) -> None:
        self.contract = report
        self._best = best
        self._target = target

    @property
    def status(self) -> str:
        """`feasible`, `built`, `infeasible`, `undecided`, `failed` or `interrupted`."""
        return self.contract.status.value

    @property
    def best(self) -> Best:
        """The model handed out.

        Raises:
            LookupError: no model holds the constraints; the message says why.
        """
        if self._best is None or self.contract.status.exit_code:
            raise LookupError(f"the run is {self.status}: {self.contract.why}")
        from olivelike.report.rows import choice_text

        choice = self.contract.chosen[0]
        return Best(choice, self._best, self._target, choice_text(self.contract, choice))

    def to_json(self) -> JsonObject:
        """Returns the answer document."""
        return self.contract.to_json()

    def to_dicts(self) -> list[dict[str, Json]]:
        """Returns one flat row for each trial, ready for a data frame: number, steps, outcome, verdict and values."""
        from olivelike.report.rows import told_of

        told, rows = told_of(self.contract), []
        for trial in self.contract.trials:
            document = trial.to_json()
            row: dict[str, Json] = {
                "number": trial.number,
                "steps": trial.recipe.text(told),
                "outcome": document["outcome"],
                "verdict": trial.verdict,
            }
            if isinstance(trial.outcome, Measured):
                row |= {name: measurement.value for name, measurement in trial.outcome.metrics.items()}
            rows.append(row)
        return rows

    def __repr__(self) -> str:
        from olivelike.contracts.figures import figures
        from olivelike.report.headline import headline

        found, said = self.contract, headline(self.contract)
        lines = [f"<Report {said}"]
        if found.chosen:
            lines += [f"  {name}: {', '.join(figures(m))}" for name, m in found.chosen[0].metrics.items()]
        if found.why not in said:
            lines.append(f"  {found.why}")
        lines += [f"  {line}" for certificate in found.certificates for line in certificate.sentences()]
        many = "1 trial" if len(found.trials) == 1 else f"{len(found.trials)} trials"
        lines.append(f"  {many}, {found.cost.seconds:.1f} s>")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from olivelike.report.html import report_html

        return report_html(self.contract)
