"""The executor `process`: warm worker processes on this machine, reused from task to task and replaced when they die."""

from __future__ import annotations

import threading

from olivelike.contracts.ports import Executor, Reply
from olivelike.contracts.space import Limits
from olivelike.digest import JsonObject
from olivelike.executors.worker import Worker


class Process(Executor):
    """Runs each task in a process of its own that survives it.

    Workers inherit this process's environment, start lazily, and end with this process even when it is killed. A time
    limit counts from the sending of the task; a memory limit is on the worker's resident memory, looked at every 50 ms.
    """

    def __init__(self, entry: str, workers: int) -> None:
        self._entry = entry
        self._slots = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._started = 0
        self._closed = False

    def run(self, task: JsonObject, limits: Limits) -> Reply:
        """Runs one task to its end; waits for a worker when all are busy.

        Raises:
            RuntimeError: the executor was closed.
        """
        with self._slots:
            worker = self._take(limits)
            try:
                return worker.run(task, limits)
            finally:
                self._give_back(worker)

    @property
    def started(self) -> int:
        """How many workers were started so far."""
        return self._started

    def close(self) -> None:
        """Ends all workers; a task still running fails with OL501."""
        with self._lock:
            self._closed = True
            idle, busy = list(self._idle), list(self._busy)
            self._idle.clear()
        for worker in busy:
            worker.kill()
        for worker in idle:
            worker.end()

    def _take(self, limits: Limits) -> Worker:
        with self._lock:
            if self._closed:
                raise RuntimeError("the executor was closed: it takes no more tasks")
            while self._idle:
                worker = self._idle.pop()
                if worker.alive and worker.fits(limits):
                    break
                worker.kill()
            else:
                worker = Worker(self._entry)
                self._started += 1
            self._busy.add(worker)
            return worker

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
            if worker.alive and not self._closed:
                self._idle.append(worker)
                return
        worker.kill()
