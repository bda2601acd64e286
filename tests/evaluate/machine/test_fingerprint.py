import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from olivelike.evaluate.machine.fingerprint import cpu_features, machine_fingerprint, runtime_fingerprint, usable_cores


def test_both_are_json_and_stay_the_same_from_call_to_call() -> None:
    for fingerprint in (runtime_fingerprint, machine_fingerprint):
        assert json.loads(json.dumps(fingerprint())) == fingerprint()


def test_the_runtimes_version_is_the_installed_one() -> None:
    packages = runtime_fingerprint()["packages"]
    assert isinstance(packages, dict)
    assert packages["onnxruntime"] == version("onnxruntime")


def test_no_heavy_library_is_imported_for_it() -> None:
    program = (
        "import sys; from olivelike.evaluate.machine.fingerprint import *; runtime_fingerprint(); machine_fingerprint();"
        "print([name for name in ('numpy', 'onnx', 'onnxruntime', 'psutil') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.skipif(platform.system() != "Linux", reason="needs Linux's /proc/cpuinfo")
def test_instruction_sets_are_sorted_and_limited_to_those_kernels_are_chosen_by() -> None:
    listed = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    features = cpu_features()
    assert list(features) == sorted(set(features))
    assert all(feature in listed.lower() for feature in features)
    assert not {"fpu", "aes", "smep"} & set(features)
    assert ("avx2" in features) == (" avx2 " in listed)


def test_cores_are_those_of_this_process() -> None:
    assert machine_fingerprint()["cores"] == usable_cores() >= 1
