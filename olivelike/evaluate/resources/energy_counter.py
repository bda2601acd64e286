"""The machine's energy counters: Linux's RAPL zones, read in microjoules, their wrapping undone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
PACKAGE = re.compile(r"[a-z]+-rapl:\d+")
"""Top zones alone (`intel-rapl:0`, the name on AMD too): a package's counter holds its cores' and their neighbours', which
are zones below it (`intel-rapl:0:0`). A top zone `psys` holds packages and more, and is left out. Linux kernel,
Documentation/power/powercap/powercap.rst."""
JOULES = 1e-6


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter: what it counts (`package-0`), its file, and the microjoules after which it starts again from 0."""

    name: str
    file: Path
    wraps_at: int

    def read(self) -> int:
        """Returns the microjoules so far.

        Raises:
            OSError: it cannot be read any more.
        """
        return int(self.file.read_text("ascii"))


def readable_counters(powercap: Path = POWERCAP) -> tuple[Counter, ...]:
    """Returns the counters that this process may read; none where the machine has none or keeps them for root.

    Since Linux 5.10 `energy_uj` can be read by root alone (CVE-2020-8694) unless an administrator opens it.
    """
    if not powercap.is_dir():
        return ()
    found = []
    for zone in sorted(powercap.iterdir()):
        if PACKAGE.fullmatch(zone.name):
            try:
                name = (zone / "name").read_text("ascii").strip()
                most = int((zone / "max_energy_range_uj").read_text("ascii"))
                counter = Counter(name, zone / "energy_uj", most)
                counter.read()
            except (OSError, ValueError):
                continue
            if name.startswith("package"):
                found.append(counter)
    return tuple(found)


def joules_between(before: Mapping[str, int], after: Mapping[str, int], counters: Sequence[Counter]) -> float:
    """Returns the joules that all counters together counted between two readings, each of which may have wrapped once.

    Example:
        >>> round(joules_between({"package-0": 900}, {"package-0": 100}, [Counter("package-0", Path(), 1000)]), 6)
        0.0002
    """
    return JOULES * sum(_counted(before[each.name], after[each.name], each.wraps_at) for each in counters)


def reading(counters: Sequence[Counter]) -> dict[str, int]:
    """Reads every counter, by name."""
    return {counter.name: counter.read() for counter in counters}


def _counted(before: int, after: int, wraps_at: int) -> int:
    return after - before if after >= before else after - before + wraps_at
