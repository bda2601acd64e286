"""A rewrite of rotary embeddings: one cache of cosines and sines where the model chooses between two as it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import AliasChoices, Field, field_validator

from olivelike_passes.surgery.opened import Opened
from olivelike_passes.surgery.rewrite import Found, Parameters, Rewrite
from olivelike_passes.surgery.scope import Scope, attribute_of

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto

CACHES = {"GroupQueryAttention": (7, 8), "RotaryEmbedding": (2, 3)}
"""The inputs that are the caches of cosines and sines (ONNX Runtime, ContribOperators.md)."""


class RopeCache(Parameters):
    """Which of the two caches stays."""

    cache: Literal["small", "large"] = Field("small", validation_alias=AliasChoices("cache", "use_large_cache"))
    """`small` is the one for sequences up to the length that the model was trained on first. Olive's `use_large_cache` is
    taken, too: true is `large`."""

    @field_validator("cache", mode="before")
    @classmethod
    def _from_flag(cls, value: object) -> object:
        return {True: "large", False: "small"}[value] if isinstance(value, bool) else value


@dataclass(frozen=True, slots=True)
class _Choice:
    """A value that an `If` chooses: the node, the place among its outputs, and both constants."""

    node: NodeProto
    place: int
    small: TensorProto
    large: TensorProto


def remove_rope_multi_cache(opened: Opened, parameters: RopeCache) -> Found:
    """Leaves one of the two rotary caches that a model with long context chooses between.

    Pattern: an `If` whose branches give constants alone, and whose outputs are the caches of cosines and sines of
    `GroupQueryAttention` or `RotaryEmbedding` and nothing else (onnxruntime-genai's builder writes `LongRoPE` so). Result:
    initializers `cos_cache_single` and `sin_cache_single` in their place; the `If` and what decided it are gone. The smaller
    cache is the one with fewer rows, or, where both have the same, the one named so. Numbers are equal for sequences for
    which the model would have chosen this cache, and differ for others; the runtime fails on sequences that are longer than
    the cache that stayed.
    """
    scope = opened.main
    chosen: dict[str, _Choice] = {}
    kinds: dict[str, str] = {}
    for inner, node in opened.nodes(*CACHES):
        for kind, place in zip(("cos", "sin"), CACHES[node.op_type], strict=True):
            name = node.input[place] if place < len(node.input) else ""
            choice = _choice(opened, scope, name) if inner.home(name) is scope else None
            if choice is not None:
                chosen[name], kinds[name] = choice, kind
    for node in {id(choice.node): choice.node for choice in chosen.values()}.values():
        others = [name for name in node.output if name not in chosen and scope.is_read(name)]
        if others or any(name in scope.outputs for name in node.output):
            raise opened.refuse(f"step remove_rope_multi_cache: the If {node.name!r} gives more than caches")
        scope.drop(node)
    for name, choice in chosen.items():
        tensor = choice.small if parameters.cache == "small" else choice.large
        scope.redirect(name, opened.hold(scope, tensor, f"{kinds[name]}_cache_single"))
    return len(chosen)


def _choice(opened: Opened, scope: Scope, name: str) -> _Choice | None:
    node = scope.maker(name, "If")
    if node is None:
        return None
    place = list(node.output).index(name)
    branches = [attribute_of(node, key, None) for key in ("then_branch", "else_branch")]
    inside = [each for each in opened.scopes if any(each.graph is branch for branch in branches)]
    tensors = [_given(each, place) for each in inside]
    first, second = tensors if len(tensors) == 2 else (None, None)
    if first is None or second is None or not first.dims or not second.dims:
        return None
    small_is_first = first.dims[0] < second.dims[0]
    if first.dims[0] == second.dims[0]:
        words = [("small" in name_of, "large" in name_of) for name_of in (_name(each.graph, place) for each in inside)]
        if words == [(False, True), (True, False)]:
            small_is_first = False
        elif words == [(True, False), (False, True)]:
            small_is_first = True
        else:
            return None
    small, large = (first, second) if small_is_first else (second, first)
    return _Choice(node, place, small, large)


def _given(scope: Scope, place: int) -> TensorProto | None:
    name = scope.graph.output[place].name
    node = scope.maker(name, "Identity")
    return scope.constant(node.input[0] if node is not None else name)


def _name(graph: GraphProto, place: int) -> str:
    return f"{graph.output[place].name} {graph.name}"


REWRITES = (
    Rewrite(
        "remove_rope_multi_cache",
        "RemoveRopeMultiCache",
        remove_rope_multi_cache,
        "If that chooses between two constant caches of GroupQueryAttention or RotaryEmbedding",
        RopeCache,
    ),
)
