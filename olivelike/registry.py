"""The registry: plugins give names, names give lazy references, references give classes when they are used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Literal, TypeAlias, cast

from olivelike.contracts.data import DataReader
from olivelike.contracts.metric import AnyMetric
from olivelike.contracts.passes import AnyPass
from olivelike.contracts.plugin import GROUP, Plugin
from olivelike.contracts.ports import Executor, Source, Strategy
from olivelike.contracts.transform import Transform
from olivelike.errors import InputError, fail, nearest

Kind: TypeAlias = Literal["passes", "metrics", "sources", "readers", "transforms", "strategies", "executors"]
SINGULAR: dict[Kind, str] = {
    "passes": "pass",
    "metrics": "metric",
    "sources": "model source",
    "readers": "data source",
    "transforms": "transform",
    "strategies": "search strategy",
    "executors": "executor",
}


@dataclass(frozen=True)
class Registry:
    """Every name that the installed plugins offer.

    Attributes:
        plugins: by the name of the entry point.
        broken: plugins that cannot be loaded, each with what is wrong and whose it is.
    """

    plugins: Mapping[str, Plugin]
    broken: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _references(self) -> dict[Kind, dict[str, str]]:
        found: dict[Kind, dict[str, str]] = {kind: {} for kind in SINGULAR}
        for plugin_name, plugin in self.plugins.items():
            for kind, noun in SINGULAR.items():
                for name, reference in cast("Mapping[str, str]", getattr(plugin, kind)).items():
                    if found[kind].setdefault(name, reference) != reference:
                        claim = f"the {noun} {name!r} is registered twice: {found[kind][name]} and {reference}"
                        raise fail(
                            InputError, "OL110", claim, place=plugin_name, hint="uninstall one of the two plugins"
                        )
        return found

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Returns the known names of one kind, sorted; imports nothing."""
        return tuple(sorted(self._references[kind]))

    def reference(self, kind: Kind, name: str) -> str:
        """Returns the lazy reference of a name.

        Raises:
            InputError: OL107, nothing of that name exists.
        """
        known = self._references[kind]
        if name not in known:
            hint = "; ".join([nearest(name, known), *self.broken.values()])
            raise fail(InputError, "OL107", f"no {SINGULAR[kind]} is called {name!r}", hint=hint)
        return known[name]

    def pass_named(self, name: str) -> type[AnyPass]:
        """Returns a pass's class."""
        return cast("type[AnyPass]", self._load("passes", name))

    def metric_named(self, name: str) -> type[AnyMetric]:
        """Returns a metric's class."""
        return cast("type[AnyMetric]", self._load("metrics", name))

    def source_named(self, name: str) -> type[Source]:
        """Returns a model source's class."""
        return cast("type[Source]", self._load("sources", name))

    def reader_named(self, name: str) -> type[DataReader]:
        """Returns a data reader's class."""
        return cast("type[DataReader]", self._load("readers", name))

    def transform_named(self, name: str) -> type[Transform]:
        """Returns a data transform's class."""
        return cast("type[Transform]", self._load("transforms", name))

    def strategy_named(self, name: str) -> type[Strategy]:
        """Returns a search strategy's class."""
        return cast("type[Strategy]", self._load("strategies", name))

    def executor_named(self, name: str) -> type[Executor]:
        """Returns an executor's class."""
        return cast("type[Executor]", self._load("executors", name))

    def _load(self, kind: Kind, name: str) -> object:
        reference = self.reference(kind, name)
        module, _, attribute = reference.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except Exception as error:  # a plugin's module may raise anything: this is its boundary
            whose = next(key for key, plugin in self.plugins.items() if name in getattr(plugin, kind))
            claim = f"the {SINGULAR[kind]} {name!r} of the plugin {whose!r} cannot be loaded: {_told(error)}"
            raise fail(InputError, "OL211", claim, place=module, hint="reinstall its distribution") from error


def installed(extra: Iterable[tuple[str, Plugin]] = ()) -> Registry:
    """Returns the registry of every plugin installed in this environment, and of `extra` ones (tests, notebooks).

    A plugin that cannot be loaded is left out: a workflow that uses none of its names needs it not.
    """
    plugins: dict[str, Plugin] = {}
    broken: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            plugins[point.name] = point.load()
        except Exception as error:  # noqa: BLE001  # a plugin's module may raise anything: this is its boundary
            whose = point.dist.name if point.dist else "an unknown distribution"
            broken[point.name] = f"the plugin {point.name!r} of {whose} cannot be loaded: {_told(error)}"
    return Registry(plugins | dict(extra), broken)


def _told(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
