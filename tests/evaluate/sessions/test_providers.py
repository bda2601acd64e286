import subprocess
import sys

import pytest

from olivelike.contracts.target import Provider, Target
from olivelike.errors import InputError
from olivelike.evaluate.sessions.providers import available_providers, require_providers


def test_the_cpu_provider_is_always_there() -> None:
    assert "CPUExecutionProvider" in available_providers()


def test_a_provider_that_is_not_offered_is_refused_with_those_that_are() -> None:
    with pytest.raises(
        InputError, match=r"OL210 target\.providers: .*QNNExecutionProvider; it offers .*CPUExecutionProvider"
    ):
        require_providers(Target(providers=(Provider("QNNExecutionProvider"), Provider("CPUExecutionProvider"))))


def test_a_target_of_the_cpu_alone_is_checked_without_importing_the_runtime() -> None:
    program = (
        "import sys; from olivelike.contracts.target import Target;"
        "from olivelike.evaluate.sessions.providers import require_providers; require_providers(Target());"
        "print('onnxruntime' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )
