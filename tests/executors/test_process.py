import subprocess
import sys

import pytest

from olivelike.contracts.ports import Answer
from olivelike.contracts.space import Limits
from olivelike.executors.process import Process
from olivelike.testing.executor_contract import ENTRY, MIB, ExecutorContract, do, expect, pid


class TestProcess(ExecutorContract):
    executor = Process

    def test_a_worker_still_large_from_earlier_tasks_is_replaced_before_a_task_with_a_memory_limit(self) -> None:
        with self.open() as executor:
            before = pid(executor)
            do(executor, "keep", 200)
            assert pid(executor) == before
            limits = Limits(seconds=30, bytes=300 * MIB)
            assert expect(Answer, do(executor, "echo", None, limits)).value["pid"] != before

    def test_a_worker_that_died_while_idle_is_replaced_unnoticed(self) -> None:
        import psutil

        with self.open() as executor:
            before = psutil.Process(pid(executor))
            before.kill()
            before.wait(10)
            assert pid(executor) != before.pid

    def test_a_closed_executor_takes_no_task(self) -> None:
        executor = Process(ENTRY, 1)
        executor.close()
        with pytest.raises(RuntimeError, match="closed"):
            do(executor, "echo")


def test_a_worker_imports_nothing_heavy_before_its_first_task() -> None:
    script = "import sys, olivelike.executors.worker_main; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "onnx", "onnxruntime", "pydantic", "psutil", "olivelike.contracts.ports"} & set(modules)
