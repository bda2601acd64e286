"""A public model as a case: what it needs, how it and its data are prepared, what counts as good, and what was found by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from olivelike.digest import Json

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

ROOT = Path(__file__).parents[2]
"""The checkout."""


class MissingError(Exception):
    """Something that a case is made of is not installed; the text says what, and how to get it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value of the chosen model.

    Attributes:
        value: as it was measured, in the metric's unit.
        before: the same of the model as it was.
        ratio: candidate over baseline, where both were timed in turns, else of the two values.
    """

    value: float
    before: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Goal:
    """What was found by hand and has to be reached.

    Attributes:
        metric: `name.value`, as the answer calls it.
        told: the goal in words (`>= 1.5 x`).
        reached: whether a figure is as good.
    """

    metric: str
    told: str
    reached: Callable[[Figure], bool]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case ready to run: the parts of a workflow that depend on the model.

    Attributes:
        model: the section `model`.
        data: the section `data`; it holds an entry `calibration`.
        metrics: the section `metrics`, beside `size`, which every case has.
        constraints: what a candidate must hold.
        objectives: what is to be best.
    """

    model: Mapping[str, Json]
    data: Mapping[str, Json]
    metrics: Mapping[str, Json]
    constraints: tuple[Json, ...]
    objectives: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A public model with labelled data.

    Attributes:
        name: as the table calls it.
        told: what it is, and where model and data come from.
        prepare: makes or finds model and data, and writes what has to be written into a folder; raises `MissingError`.
        quality: the metric that must not suffer, as `name.value`.
        speed: the timed metric.
        by_hand: the figures of the best setting that people found, as text.
        goals: what the chosen model has to reach.
    """

    name: str
    told: str
    prepare: Callable[[Path], Prepared]
    quality: str
    speed: str
    by_hand: str
    goals: tuple[Goal, ...]


def at_least_faster(metric: str, times: float) -> Goal:
    """The chosen model is so many times as fast as it was."""
    return Goal(metric, f">= {times:g} x as fast", lambda figure: figure.ratio * times <= 1)


def at_least(metric: str, value: float, unit: str = "") -> Goal:
    """The value is no lower."""
    return Goal(metric, f">= {value:g}{unit}", lambda figure: figure.value >= value)


def at_most(metric: str, value: float, unit: str = "") -> Goal:
    """The value is no higher."""
    return Goal(metric, f"<= {value:g}{unit}", lambda figure: figure.value <= value)


def drops_at_most(metric: str, most: float) -> Goal:
    """The value falls by no more than that."""
    told = f"drop <= {most:g}" if most else "no drop"
    return Goal(metric, told, lambda figure: figure.before - figure.value <= most)


def packaged(package: str, file: str, install: str) -> Path:
    """Returns a file or folder of an installed package, which is not imported.

    Raises:
        MissingError: the package, or that file of it, is not there.
    """
    spec = find_spec(package)
    folder = Path(spec.origin).parent if spec is not None and spec.origin else Path()
    if spec is None or not spec.origin or not (folder / file).exists():
        raise MissingError(f"{package}/{file} is not installed: {install}")
    return folder / file


def require(install: str, *packages: str) -> None:
    """Asks for packages that a case imports.

    Raises:
        MissingError: one is not installed.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise MissingError(f"{', '.join(missing)} not installed: {install}")


def require_equal(model: Path, feeds: Mapping[str, Array], expected: Array) -> None:
    """Runs an exported model once, so that no benchmark is made of a wrong export.

    Raises:
        RuntimeError: its first output is not what the network gave, to a thousandth of the largest value.
    """
    import numpy as np

    from olivelike.testing.context import run_model

    found, wanted = (np.asarray(each, np.float64) for each in (next(iter(run_model(model, feeds).values())), expected))
    error = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    if not error < 1e-3:
        raise RuntimeError(
            f"{model} gives something else than the network that it was exported from: {error:.2g} of the largest"
        )
