from olivelike.executors.inline import Inline
from olivelike.testing.executor_contract import ExecutorContract


class TestInline(ExecutorContract):
    executor = Inline
    isolates = False
