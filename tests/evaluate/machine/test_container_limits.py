from pathlib import Path

import pytest

from olivelike.evaluate.machine.container_limits import container_cpus


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, 0),
        ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, 0),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 0),
    ],
)
def test_quota_over_period_is_the_limit(tmp_path: Path, files: dict[str, str], cpus: float) -> None:
    assert container_cpus(write(tmp_path, files)) == cpus


def test_the_tightest_group_on_the_path_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "1:name=systemd:/x\n0::/pods/mine\n",
        "sys/fs/cgroup/pods/cpu.max": "200000 100000",
        "sys/fs/cgroup/pods/mine/cpu.max": "400000 100000",
    }
    assert container_cpus(write(tmp_path, files)) == 2
