"""The contract of a pass: an artifact in, an artifact out, and everything the engine must know to trust and cache that."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.data import Dataset
from olivelike.contracts.target import Target
from olivelike.digest import Json

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


class PassConfig(BaseModel):
    """Base of every pass's configuration: frozen, unknown keys refused, field descriptions shown in the reference."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


ConfigT = TypeVar("ConfigT", bound=PassConfig)


class Reads(Enum):
    """What a pass's output depends on beside its input and its configuration; each becomes part of the step's key."""

    TARGET = "target"
    DATA = "data"
    SCRIPT = "script"
    MACHINE = "machine"
    SEED = "seed"


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """A step whose cached output a pass needs: run on the same input, shared by all candidates that ask for the same."""

    pass_name: str
    config: Mapping[str, Json]


class PassContext(Protocol):
    """What the engine offers a pass while it runs."""

    @property
    def target(self) -> Target:
        """The target the candidate is made for."""

    @property
    def seed(self) -> int:
        """The seed, for a pass that declares `Reads.SEED`."""

    @property
    def scratch(self) -> Path:
        """An empty folder that is deleted after the pass."""

    @property
    def needed(self) -> Mapping[str, Artifact]:
        """The outputs of the auxiliary steps, by the names that `needs` gave them."""

    def data(self, name: str, model: Path) -> Dataset:
        """Opens a data entry that the configuration names, cast to the inputs of `model`.

        Raises:
            InputError: OL206, the data do not fit the model.
        """

    def run(self, model: Path, feeds: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        """Runs a model once on the target and returns its outputs by name (all, or those asked for).

        On the CPU where the target is not present. A pass whose output depends on the answer declares `Reads.TARGET`.
        """

    def progress(self, done: float, text: str = "") -> None:
        """Says how far the pass is: `done` from 0 to 1."""


class Pass(ABC, Generic[ConfigT]):
    """Makes one artifact out of another. Effectively pure: a read-only source in, an empty folder to fill.

    A subclass sets the class variables and `run`; it is created without arguments and keeps no state.
    """

    name: ClassVar[str]
    """What it does to the model, in the imperative (`static_quant`), as it stands in a workflow."""
    version: ClassVar[int] = 1
    """Raised when the output changes for a reason that the source text does not show."""
    config: ClassVar[type[PassConfig]]
    accepts: ClassVar[frozenset[str]] = frozenset({"onnx"})
    produces: ClassVar[str] = "onnx"
    scope: ClassVar[Literal["part", "whole"]] = "part"
    reads: ClassVar[frozenset[Reads]] = frozenset()
    tools: ClassVar[tuple[str, ...]] = ()
    """Distributions whose installed version is part of the key (`onnxruntime`)."""
    lossless: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True
    auxiliary: ClassVar[bool] = False
    """Whether it only makes what other passes need (calibration statistics) and no model."""

    def needs(self, config: ConfigT) -> Mapping[str, Auxiliary]:
        """Returns the auxiliary steps whose outputs `run` finds in its context, by name."""
        del config
        return {}

    def refuses(self, source: Artifact, config: ConfigT, target: Target) -> Sequence[str]:
        """Returns the reasons why the pass cannot apply to this source; empty when it can.

        Called before the auxiliary steps and before `run`; it may read the model's structure but runs nothing.
        """
        del source, config, target
        return ()

    @abstractmethod
    def run(self, source: Artifact, out: Path, config: ConfigT, context: PassContext) -> Manifest:
        """Fills `out` and returns what is in it; the engine writes `artifact.json`, checks and publishes.

        Args:
            source: the input, read-only.
            out: an empty folder.
            config: validated, no choice left.
            context: what the engine offers.

        Raises:
            RefusedError: OL301, the pass found while running that it cannot apply.
        """


AnyPass = Pass[PassConfig]
