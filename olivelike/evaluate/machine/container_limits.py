"""The processor time that a Linux control group grants this process, versions 1 and 2."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

ROOT = Path("/")
UNLIMITED = 0.0


def container_cpus(root: Path = ROOT) -> float:
    """Returns the number of processors' worth of time granted (`1.5`), or 0 where nothing limits it.

    The limit of version 2 (`cpu.max`) holds along the whole path of groups, so the smallest counts; version 1 is read at
    the mount point that a container sees.

    Args:
        root: the root of the file system; another folder in tests.
    """
    limits = [limit for group in _groups(root) if (limit := _version_2(root / "sys/fs/cgroup" / group / "cpu.max"))]
    limits += [limit for name in ("cpu", "cpu,cpuacct") if (limit := _version_1(root / "sys/fs/cgroup" / name))]
    return min(limits, default=UNLIMITED)


def _groups(root: Path) -> list[PurePosixPath]:
    """Returns this process's group of version 2 and those above it, relative to the mount point."""
    lines = _read(root / "proc/self/cgroup").splitlines()
    paths = [PurePosixPath(line[3:]).relative_to("/") for line in lines if line.startswith("0::/")]
    return [group for path in paths for group in (path, *path.parents)] or [PurePosixPath()]


def _version_2(path: Path) -> float:
    quota, _, period = _read(path).partition(" ")
    return _share(quota, period)


def _version_1(folder: Path) -> float:
    return _share(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _share(quota: str, period: str) -> float:
    """Returns quota over period; `max` (version 2) and -1 (version 1) mean no limit."""
    if not quota.strip().isdigit() or not period.strip().isdigit():
        return UNLIMITED
    return round(int(quota) / int(period), 3)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
