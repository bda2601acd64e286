"""The pass `add_metadata`: what a model says of itself: entries that applications read, a description, a name, a version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.passes import PassConfig, PassContext
from olivelike_passes.graph.graph_pass import GraphPass, Rewritten

if TYPE_CHECKING:
    from onnx import ModelProto

RESERVED: Mapping[str, str] = {
    "onnx.infer": "quantizers take from it that inner values are typed",
    "onnx.quant.pre_process": "quantizers take from it that the model was prepared for them",
}
"""Entries by which the runtime's tools speak to each other, and what they would believe."""


def _allowed(entries: dict[str, str]) -> dict[str, str]:
    for key in entries:
        if not key:
            raise ValueError("a key cannot be empty")
        if key in RESERVED:
            raise ValueError(f"the key {key!r} is the runtime's tools': {RESERVED[key]}")
    return entries


class AddMetadataConfig(PassConfig):
    """What `add_metadata` writes; what is not given stays as it is."""

    entries: Annotated[dict[str, str], AfterValidator(_allowed)] = Field(default_factory=dict)
    """Entries of the model's metadata (`metadata_props`), key to text; one that is there already gets the new text."""
    doc_string: str = ""
    """The model's description."""
    graph_name: str = ""
    """The name of the main graph."""
    domain: str = ""
    """The model's namespace, a reversed domain name (`org.example`)."""
    model_version: Annotated[int, Field(ge=0)] | Literal["keep"] = "keep"
    """The model's own version, a whole number."""

    @model_validator(mode="after")
    def _says_something(self) -> AddMetadataConfig:
        if not self.model_fields_set:
            raise ValueError("nothing to write: give entries, doc_string, graph_name, domain or model_version")
        return self


class AddMetadata(GraphPass[AddMetadataConfig]):
    """Writes what a model says of itself.

    What it does:
        Sets entries of the metadata, the description, the graph's name, the domain and the version. Other entries stay, in
        their order. What the model computes does not change.

    When to use it:
        Last: class names, the character set, a licence or a commit travel with the model, where an application finds them
        (`get_modelmeta()` of ONNX Runtime).

    Limits:
        Texts only. Refuses the keys by which the runtime's tools tell each other what they did.

    Example:
        ```yaml
        passes:
          - add_metadata:
              entries: {license: Apache-2.0, labels: "cat,dog"}
              model_version: 3
        ```
    """

    name = "add_metadata"
    config = AddMetadataConfig
    lossless = True

    def rewrite(
        self, model: ModelProto, source: Artifact, config: AddMetadataConfig, context: PassContext
    ) -> Rewritten:
        """Sets what was given."""
        _set_entries(model, config.entries)
        if config.doc_string:
            model.doc_string = config.doc_string
        if config.graph_name:
            model.graph.name = config.graph_name
        if config.domain:
            model.domain = config.domain
        if config.model_version != "keep":
            model.model_version = config.model_version
        return Rewritten(model)


def _set_entries(model: ModelProto, entries: Mapping[str, str]) -> None:
    # Of a key that is repeated the runtime reads the last entry, and the checker wants one.
    found = {entry.key: entry.value for entry in model.metadata_props} | dict(entries)
    del model.metadata_props[:]
    for key, value in found.items():
        model.metadata_props.add(key=key, value=value)
