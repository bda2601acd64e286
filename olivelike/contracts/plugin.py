"""A plugin: names to lazy references (`package.module:Class`), registered under the entry point group `olivelike.plugins`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GROUP = "olivelike.plugins"


@dataclass(frozen=True, slots=True)
class Plugin:
    """What one distribution adds. Nothing is imported until a name is used; listing names imports nothing."""

    passes: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    readers: Mapping[str, str] = field(default_factory=dict)
    transforms: Mapping[str, str] = field(default_factory=dict)
    strategies: Mapping[str, str] = field(default_factory=dict)
    executors: Mapping[str, str] = field(default_factory=dict)
