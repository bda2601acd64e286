"""What a measurement depends on beside the model: the runtime's build, the processor's instructions, the machine."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from olivelike.digest import Json, JsonObject
from olivelike.evaluate.machine.container_limits import container_cpus

RUNTIMES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-qnn",
    "onnxruntime-ep-openvino",
)
"""Distributions that hold a build of the runtime or a provider for it."""

FEATURE = re.compile(r"avx|amx|sse4|fma$|f16c$|neon|asimd|sve|sme(?!p)|i8mm|bf16|dotprod")
"""Names of instruction sets that numeric kernels are chosen by (x86 and ARM, as Linux and macOS spell them)."""

WINDOWS_FEATURES = {
    6: "sse",
    37: "sse4_1",
    38: "sse4_2",
    39: "avx",
    40: "avx2",
    41: "avx512f",
    19: "neon",
    43: "dotprod",
}
"""`IsProcessorFeaturePresent`: number to name (winnt.h, PF_*)."""

GIB = 1 << 30


def runtime_fingerprint() -> JsonObject:
    """Returns what the numbers that a model gives depend on; part of the key of every metric that runs a model.

    `packages`: the runtime's distributions and versions; `arch`; `cpu_features`: instruction sets, sorted, because int8
    results differ between those with and without VNNI. Imports no runtime.
    """
    features: list[Json] = list(cpu_features())
    return {"packages": _packages(), "arch": platform.machine(), "cpu_features": features}


def machine_fingerprint() -> JsonObject:
    """Returns what times depend on beside the runtime; part of the key of timed metrics.

    `cpu`: the model's name; `cores`: those this process may use; `governor`: of frequency, where it can be read;
    `container_cpus`: the control group's limit, where there is one; `memory_gib`: rounded; `os` and `arch`.
    """
    known: JsonObject = {
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "memory_gib": round(_memory_bytes() / GIB),
        "os": platform.system(),
        "arch": platform.machine(),
    }
    governor = _first_line(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))
    limit = container_cpus()
    return known | ({"governor": governor} if governor else {}) | ({"container_cpus": limit} if limit else {})


def cpu_features() -> tuple[str, ...]:
    """Returns the processor's instruction sets that numeric kernels are chosen by, sorted; empty where unknown."""
    if sys.platform == "win32":
        return _relevant(_windows_features())
    if sys.platform == "darwin":
        return _relevant(_darwin_features())
    return _relevant((_cpuinfo("flags") or _cpuinfo("Features")).split())


def cpu_model() -> str:
    """Returns the processor's name as the system gives it."""
    if sys.platform == "darwin":
        return _sysctl("machdep.cpu.brand_string") or platform.processor()
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def usable_cores() -> int:
    """Returns how many logical processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _packages() -> JsonObject:
    found: JsonObject = {}
    for name in RUNTIMES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _relevant(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name.lower() for name in names if FEATURE.match(name.lower())}))


def _cpuinfo(field: str) -> str:
    """Returns the first value of a field in Linux's `/proc/cpuinfo`, or an empty string; reads no further than that."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == field:
                    return value.strip()
    except OSError:
        pass
    return ""


def _darwin_features() -> list[str]:
    listed = f"{_sysctl('machdep.cpu.features')} {_sysctl('machdep.cpu.leaf7_features')}"
    arm = {"hw.optional.arm.FEAT_DotProd": "dotprod", "hw.optional.arm.FEAT_I8MM": "i8mm", "hw.optional.neon": "neon"}
    return [*listed.replace(".", "_").split(), *(name for key, name in arm.items() if _sysctl(key) == "1")]


def _sysctl(name: str) -> str:
    import subprocess

    done = subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _windows_features() -> list[str]:
    import ctypes

    present = getattr(ctypes, "windll").kernel32.IsProcessorFeaturePresent  # noqa: B009 - exists on Windows only
    return [name for number, name in WINDOWS_FEATURES.items() if present(number)]


def _memory_bytes() -> int:
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    import psutil

    return int(psutil.virtual_memory().total)


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
