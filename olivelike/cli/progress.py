"""Progress on standard error, three ways: a live line, plain lines, JSON events. Listeners of the engine's events."""

from __future__ import annotations

import json
import sys
from time import monotonic
from typing import TYPE_CHECKING, assert_never

from olivelike.contracts.outcome import Failed, Measured, Refused
from olivelike.digest import JsonObject
from olivelike.engine.events import Event, Listener, Noted, RunEnded, RunStarted, StepEnded, StepStarted, TrialEnded

if TYPE_CHECKING:
    from rich.status import Status


def trial_line(event: TrialEnded) -> str:
    """Returns one line for a finished trial: how far the run is, what came of it, what is best so far."""
    remaining = event.elapsed / event.done * (event.total - event.done)
    times = (
        f"{event.elapsed:.0f} s, about {remaining:.0f} s left" if event.done < event.total else f"{event.elapsed:.0f} s"
    )
    best = f"; best so far: {event.best}" if event.best else ""
    return f"[{event.done}/{event.total}] trial {event.trial.number}: {event.recipe}: {_outcome(event)} ({times}){best}"


def _at_most(total: int) -> str:
    return "1 trial" if total == 1 else f"{total} trials at most"


def _outcome(event: TrialEnded) -> str:
    match event.trial.outcome:
        case Measured(metrics=metrics):
            return event.trial.verdict or ("measured" if metrics else "built")
        case Refused(reason=reason):
            return f"refused: {reason}"
        case Failed(reason=reason):
            return f"failed: {reason}"
        case _ as never:
            assert_never(never)


def without_trials(listener: Listener) -> Listener:
    """Returns a listener that tells another nothing of trials and of what every run begins with: the answer says it."""

    def tell(event: Event) -> None:
        if not isinstance(event, RunStarted | Noted | TrialEnded):
            listener(event)

    return tell


class PlainLines:
    """One line for each finished trial, for logs and pipes."""

    def __call__(self, event: Event) -> None:
        """Prints what is worth a line."""
        match event:
            case RunStarted(workflow=name, total=total, notes=notes):
                self._print(f"{name}: {_at_most(total)}")
                for note in notes:
                    self._print(f"note: {note}")
            case Noted(text=text):
                self._print(f"note: {text}")
            case TrialEnded():
                self._print(trial_line(event))
            case StepStarted() | StepEnded() | RunEnded():
                return
            case _ as never:
                assert_never(never)

    def close(self) -> None:
        """Leaves nothing behind."""

    def _print(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


class LiveLine:
    """A line that changes in place, with every finished trial printed above it; for terminals."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._status: Status = self._console.status("starting")
        self._status.start()
        self._begin = monotonic()

    def __call__(self, event: Event) -> None:
        """Shows what runs now."""
        from rich.markup import escape

        match event:
            case RunStarted(workflow=name, total=total, notes=notes):
                for note in notes:
                    self._console.print(escape(f"note: {note}"))
                self._status.update(f"{escape(name)}: {_at_most(total)}")
            case Noted(text=text):
                self._console.print(escape(f"note: {text}"))
            case StepStarted(trial=trial, name=name):
                who = "baseline" if trial < 0 else f"trial {trial}"
                self._status.update(f"{who}: {escape(name)} ({monotonic() - self._begin:.0f} s)")
            case TrialEnded():
                self._console.print(escape(trial_line(event)))
            case StepEnded() | RunEnded():
                return
            case _ as never:
                assert_never(never)

    def close(self) -> None:
        """Takes the line away."""
        self._status.stop()


class JsonEvents:
    """One JSON object a line for every event, for machines."""

    def __call__(self, event: Event) -> None:
        """Prints the event."""
        sys.stderr.write(json.dumps(_event_json(event), ensure_ascii=False) + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Leaves nothing behind."""


def _event_json(event: Event) -> JsonObject:
    match event:
        case RunStarted(workflow=name, total=total, notes=notes):
            return {"event": "run_started", "workflow": name, "total": total, "notes": list(notes)}
        case Noted(text=text):
            return {"event": "noted", "text": text}
        case StepStarted(trial=trial, name=name):
            return {"event": "step_started", "trial": trial, "name": name}
        case StepEnded(trial=trial, name=name, how=how, seconds=seconds):
            return {"event": "step_ended", "trial": trial, "name": name, "how": how, "seconds": round(seconds, 3)}
        case TrialEnded(trial=trial, done=done, total=total, elapsed=elapsed, best=best, recipe=recipe):
            shared: JsonObject = {
                "recipe": recipe,
                "done": done,
                "total": total,
                "elapsed": round(elapsed, 3),
                "best": best,
            }
            return {"event": "trial_ended", **shared, "trial": trial.to_json()}
        case RunEnded(report=report):
            return {"event": "run_ended", "status": report.status.value, "why": report.why}
        case _ as never:
            assert_never(never)
