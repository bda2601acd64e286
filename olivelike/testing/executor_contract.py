"""The conformance suite of executors: subclass `ExecutorContract` in a test module and name the class under test."""

# ruff: noqa: D102 - the names of the tests are sentences

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar, TypeVar

from olivelike.contracts.outcome import Failed
from olivelike.contracts.ports import Answer, Executor, Reply
from olivelike.contracts.space import Limits
from olivelike.digest import Json, JsonObject

ENTRY = "olivelike.testing.worker_entry"
MIB = 1 << 20
PATIENCE = 30.0

ENGINE = """
import sys, threading
from importlib import import_module
from olivelike.contracts.space import Limits
module, name, entry, file = sys.argv[1:]
executor = getattr(import_module(module), name)(entry, 2)
executor.run({"do": "echo"}, Limits())
threading.Thread(target=executor.run, args=({"do": "hang with child", "with": file}, Limits()), daemon=True).start()
print(executor.run({"do": "echo"}, Limits()).value["pid"], flush=True)
threading.Event().wait()
"""
"""An engine with one idle and one busy worker, for killing."""

ReplyT = TypeVar("ReplyT", Answer, Failed)


class ExecutorContract:
    """What every executor must do.

    Attributes:
        executor: the class under test.
        isolates: whether tasks run outside this process. Only then crashes, limits and workers are tested: those tests
            are skipped by name otherwise.
    """

    executor: ClassVar[type[Executor]]
    isolates: ClassVar[bool] = True

    def test_an_answer_comes_back_as_it_was_given(self) -> None:
        value: Json = {"text": "äöü 模型 🧪\n\x00\u2028", "numbers": [1, 1.0, -0.5, None, True], "nested": {"": []}}
        with self.open() as executor:
            assert expect(Answer, do(executor, "echo", value)).value["echo"] == value

    def test_an_answer_of_five_megabytes_comes_back(self) -> None:
        with self.open() as executor:
            assert expect(Answer, do(executor, "huge")).value == {"huge": "x" * (5 * MIB)}

    def test_an_exception_is_a_failure_with_its_message_and_traceback(self) -> None:
        with self.open() as executor:
            failed = expect(Failed, do(executor, "raise", "too\nfew"))
        assert failed.reason == "OL599: ValueError: too few"
        assert "worker_entry.py" in failed.log
        assert "in _raise" in failed.log

    def test_an_error_raised_on_purpose_keeps_its_code_and_claim(self) -> None:
        with self.open() as executor:
            assert expect(Failed, do(executor, "refuse", "it")).reason == "OL303: nothing came of it"

    def test_an_answer_that_is_not_json_is_a_failure(self) -> None:
        with self.open() as executor:
            assert "OL599: TypeError" in expect(Failed, do(executor, "not json")).reason

    def test_sys_exit_is_a_failure(self) -> None:
        with self.open() as executor:
            assert "OL599: SystemExit: enough of it" in expect(Failed, do(executor, "exit", "it")).reason

    def test_an_unknown_entry_is_a_failure(self) -> None:
        with closing(self.executor("olivelike.testing.nothing_here", 1)) as executor:
            failed = expect(Failed, executor.run({"do": "echo"}, Limits()))
        assert "OL599: ModuleNotFoundError" in failed.reason

    def test_a_failure_does_not_keep_the_next_task_from_running(self) -> None:
        with self.open() as executor:
            do(executor, "raise", "x")
            assert expect(Answer, do(executor, "echo", 1)).value["echo"] == 1

    def test_several_threads_may_run_tasks(self) -> None:
        with self.open(workers=2) as executor, ThreadPoolExecutor(4) as threads:
            replies = list(threads.map(lambda number: do(executor, "echo", number), range(12)))
        assert [expect(Answer, reply).value["echo"] for reply in replies] == list(range(12))
        assert executor.started <= 2

    def test_closing_twice_is_harmless(self) -> None:
        executor = self.executor(ENTRY, 1)
        do(executor, "echo")
        executor.close()
        executor.close()

    def test_no_worker_is_started_before_the_first_task(self) -> None:
        with self.open() as executor:
            assert executor.started == 0

    def test_a_worker_is_reused(self) -> None:
        self.needs_isolation()
        with self.open() as executor:
            assert len({pid(executor) for _ in range(3)}) == 1
            assert pid(executor) != os.getpid()
            assert executor.started == 1

    def test_what_a_library_prints_or_reads_does_not_disturb_the_answers(self) -> None:
        self.needs_isolation()
        with self.open() as executor:
            assert expect(Answer, do(executor, "print", '{"answer": "wrong"}')).value == {"read": ""}
            assert expect(Answer, do(executor, "echo", 1)).value["echo"] == 1

    def test_a_worker_that_ends_itself_is_a_failure_with_the_end_of_its_log(self) -> None:
        self.needs_isolation()
        with self.open() as executor:
            failed = expect(Failed, do(executor, "print and die", "line"))
        assert failed.reason.startswith("OL501")
        assert "exit code 3" in failed.reason
        assert failed.log.splitlines()[-1] == "line 99"
        assert len(failed.log.splitlines()) == 40

    def test_a_segmentation_fault_is_a_failure_with_the_place_and_the_worker_is_replaced(self) -> None:
        self.needs_isolation()
        with self.open() as executor:
            before = pid(executor)
            failed = expect(Failed, do(executor, "segfault"))
            assert pid(executor) != before
            assert executor.started == 2
        assert failed.reason.startswith("OL501")
        assert "in _segfault" in failed.log

    def test_a_killed_worker_is_a_failure_that_names_the_signal(self) -> None:
        self.needs_isolation()
        with self.open() as executor:
            failed = expect(Failed, do(executor, "kill itself"))
        assert failed.reason.startswith("OL501")
        assert sys.platform == "win32" or "SIGKILL, perhaps because the machine was out of memory" in failed.reason

    def test_a_hanging_task_is_ended_at_the_time_limit(self) -> None:
        self.needs_isolation()
        with self.open() as executor:
            before = pid(executor)
            failed = expect(Failed, do(executor, "hang", None, Limits(seconds=0.2)))
            assert failed.reason == "OL502: the task took longer than its time limit of 0.2 s"
            assert pid(executor) != before
        wait_until_gone([before])

    def test_a_crashed_worker_leaves_no_child_behind(self, tmp_path: Path) -> None:
        self.needs_isolation()
        note = tmp_path / "pids"
        with self.open() as executor:
            assert expect(Failed, do(executor, "crash with child", str(note))).reason.startswith("OL501")
        worker, child = map(int, note.read_text().split())
        wait_until_gone([worker] if sys.platform == "win32" else [worker, child])

    def test_a_task_that_takes_too_much_memory_is_ended(self) -> None:
        self.needs_isolation()
        with self.open() as executor:
            do(executor, "echo")
            failed = expect(Failed, do(executor, "hog", None, Limits(seconds=PATIENCE, bytes=150 * MIB)))
            assert expect(Answer, do(executor, "echo", 1)).value["echo"] == 1
        assert failed.reason.startswith("OL503")
        assert "150 MiB" in failed.reason

    def test_closing_ends_idle_and_busy_workers(self, tmp_path: Path) -> None:
        self.needs_isolation()
        note = tmp_path / "pids"
        with self.open(workers=2) as executor, ThreadPoolExecutor(1) as threads:
            busy = threads.submit(do, executor, "hang with child", str(note))
            idle = pid(executor)
            wait_for(note)
            executor.close()
            assert expect(Failed, busy.result(PATIENCE)).reason.startswith("OL501")
        wait_until_gone([idle, *map(int, note.read_text().split())])

    def test_no_worker_outlives_a_killed_engine(self, tmp_path: Path) -> None:
        self.needs_isolation()
        note = tmp_path / "pids"
        command = [sys.executable, "-c", ENGINE, self.executor.__module__, self.executor.__name__, ENTRY, str(note)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:
            try:
                idle = int((engine.stdout or sys.stdin).readline())
                wait_for(note)
            finally:
                engine.kill()
        worker, child = map(int, note.read_text().split())
        wait_until_gone([idle, worker] if sys.platform == "win32" else [idle, worker, child])

    def test_an_interrupt_ends_the_worker_and_passes_through(self, tmp_path: Path) -> None:
        self.needs_isolation()
        note = tmp_path / "pids"
        with self.open() as executor:
            with interrupt_when(note):
                try:
                    do(executor, "hang with child", str(note))
                except KeyboardInterrupt:
                    pass
                else:
                    raise AssertionError("the interrupt did not pass through")
            wait_until_gone(map(int, note.read_text().split()))
            assert expect(Answer, do(executor, "echo", 1)).value["echo"] == 1

    @contextmanager
    def open(self, workers: int = 1) -> Iterator[Executor]:
        """Opens the executor on the suite's own entry and closes it afterwards."""
        with closing(self.executor(ENTRY, workers)) as executor:
            yield executor

    def needs_isolation(self) -> None:
        """Skips a test that would take this process along."""
        if not self.isolates:
            import pytest

            pytest.skip(f"{self.executor.__name__} runs tasks in this process: no crash and no limit can be tested")


def do(executor: Executor, deed: str, value: Json = None, limits: Limits | None = None) -> Reply:
    """Runs one of the deeds of `worker_entry`."""
    task: JsonObject = {"do": deed, "with": value}
    return executor.run(task, limits or Limits(seconds=PATIENCE))


def expect(kind: type[ReplyT], reply: Reply) -> ReplyT:
    """Returns the reply if it is of the kind."""
    assert isinstance(reply, kind), reply
    return reply


def pid(executor: Executor) -> int:
    """Returns the number of the process that a task ran in."""
    value = expect(Answer, do(executor, "echo")).value["pid"]
    assert isinstance(value, int)
    return value


def wait_for(file: Path) -> None:
    """Waits until a file is there."""
    deadline = time.monotonic() + PATIENCE
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} was not written"
        threading.Event().wait(0.01)


def wait_until_gone(pids: Iterator[int] | list[int]) -> None:
    """Waits until no process has one of the numbers; a zombie that nobody waits for counts as gone."""
    deadline = time.monotonic() + PATIENCE
    for number in pids:
        while _lives(number):
            assert time.monotonic() < deadline, f"the process {number} still runs"
            threading.Event().wait(0.01)


@contextmanager
def interrupt_when(file: Path) -> Iterator[None]:
    """Interrupts the main thread, as Ctrl-C does, as soon as a file is there."""
    from _thread import interrupt_main

    def interrupt() -> None:
        wait_for(file)
        interrupt_main()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _lives(number: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(number).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
