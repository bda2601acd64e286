"""What passes over a graph have in common: a sound model is read without its weights, rewritten, and written again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.contracts.carry import deliver
from olivelike.contracts.passes import Pass, PassConfig, PassContext
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.onnxfile.defects import defects
from olivelike.onnxfile.external import is_external
from olivelike.onnxfile.made import Made
from olivelike.onnxfile.read import read_structure
from olivelike.onnxfile.walk import initializers
from olivelike.onnxfile.wiring import put_in_order

if TYPE_CHECKING:
    from onnx import ModelProto

ConfigT = TypeVar("ConfigT", bound=PassConfig)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What a rewrite made.

    Attributes:
        model: the new model. Tensors that it has from the source may still lie in the source's external data.
        notes: what the report and later passes should know, under the pass's name; nothing adds nothing.
        made: the values of initializers that have none yet: they are made one after another as the model is written.
    """

    model: ModelProto
    notes: Mapping[str, Json] | None = None
    made: Made | None = None


class GraphPass(Pass[ConfigT]):
    """A pass that rewrites a graph and need not hold its weights: correct at any size.

    A subclass sets the class variables and `rewrite`, and `unsuitable` where it cannot apply to every sound model. Broken
    models (`onnxfile.defects`) are refused before it sees them, and nodes in a wrong order are put in a right one.
    """

    tools: ClassVar[tuple[str, ...]] = ("onnx",)

    def refuses(self, source: Artifact, config: ConfigT, target: Target) -> Sequence[str]:
        """Refuses broken models, then what `unsuitable` says."""
        model = read_structure(source.model)
        return defects(model) or self.unsuitable(model, config, target)

    def unsuitable(self, model: ModelProto, config: ConfigT, target: Target) -> Sequence[str]:
        """Returns the reasons why a sound model cannot be rewritten; weights that lie outside the file are not in it."""
        del model, config, target
        return ()

    def run(self, source: Artifact, out: Path, config: ConfigT, context: PassContext) -> Manifest:
        """Reads the structure, rewrites it, and writes it with its weights and all that belongs to it."""
        model = read_structure(source.model)
        put_in_order(model)
        outside = any(is_external(tensor) for tensor in initializers(model))
        new = self.rewrite(model, source, config, context)
        manifest = deliver(
            source, out, new.model, beside=source.model, outside=outside if new.made else None, made=new.made
        )
        return manifest if new.notes is None else manifest.noted(**{self.name: dict(new.notes)})

    @abstractmethod
    def rewrite(self, model: ModelProto, source: Artifact, config: ConfigT, context: PassContext) -> Rewritten:
        """Returns the rewritten model.

        Args:
            model: the source's structure, its nodes in order; it may be changed in place and returned. Read a weight's values
                with `onnxfile.tensors.inlined(tensor, source.model)`.
            source: the artifact it was read from.
            config: validated, no choice left.
            context: what the engine offers.

        Raises:
            RefusedError: OL301, there is nothing to do, or it cannot be done.
        """
