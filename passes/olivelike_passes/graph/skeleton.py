"""A model without its large weights: they become inputs while a tool works on the graph, and weights again afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, TypeAlias

from olivelike.onnxfile.external import is_external, locate
from olivelike.onnxfile.sizes import byte_count
from olivelike.onnxfile.tensors import take_in
from olivelike.onnxfile.walk import initializers, nodes, tensors
from olivelike.onnxfile.write import SMALL, write_model
from olivelike_passes.weights import replaceable_weights

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

HELD = 16 << 20
"""Bytes of weights that stay in, whatever reads them."""
TOUCHED = 1 << 30
"""Bytes of weights at most that stay in because something may be computed of them before the model runs."""
WEIGHED = frozenset({"Conv", "ConvTranspose", "BatchNormalization"})
"""Operators whose weights are combined with others' (a batch norm goes into the convolution before it)."""

Lent: TypeAlias = "Mapping[str, TensorProto]"


def lend(model: ModelProto) -> Lent:
    """Turns the main graph's largest weights into inputs, until those left have 16 MiB.

    Weights of which something may be computed at build time stay, up to 1 GiB: a convolution's, and those that meet nothing but
    other weights.

    Args:
        model: changed in place.

    Returns:
        The weights that became inputs, by name.
    """
    from onnx import TensorProto

    fixed = replaceable_weights(model) | _computed_with(model)
    left = sum(map(byte_count, tensors(model))) - HELD
    lent: dict[str, TensorProto] = {}
    for tensor in sorted(model.graph.initializer, key=lambda each: (-byte_count(each), each.name)):
        if left <= 0:
            break
        if tensor.name not in fixed and tensor.data_type != TensorProto.STRING:
            left -= byte_count(tensor)
            lent[tensor.name] = TensorProto.FromString(tensor.SerializeToString())
    _make_inputs(model, lent)
    return lent


def take_back(model: ModelProto, lent: Lent, source: Path, beside: Path) -> None:
    """Makes weights of the inputs again that `lend` made of them, as far as the graph still reads them; in place.

    Args:
        model: what came of the model that `lend` left.
        lent: what `lend` returned.
        source: the file beside which the lent weights' external data lie.
        beside: the file beside which they shall lie from now on, with the model's own: they are linked there, not copied.
    """
    for place in reversed(range(len(model.graph.input))):
        if model.graph.input[place].name in lent:
            del model.graph.input[place]
    read = {name for node in nodes(model) for name in node.input} | {entry.name for entry in model.graph.output}
    back = [tensor for name, tensor in lent.items() if name in read]
    model.graph.initializer.extend(back)
    _link_data(list(model.graph.initializer)[len(model.graph.initializer) - len(back) :], source, beside, "lent")


def write_linked(model: ModelProto, folder: Path, source: Path) -> Path:
    """Writes a model for a tool, and returns its path: large external data are linked beside it, not copied.

    Args:
        model: taken over.
        folder: an empty folder.
        source: the file beside which its external data lie.
    """
    if sum(map(byte_count, tensors(model))) <= HELD:
        return write_model(model, folder, beside=source)
    large = [tensor for tensor in initializers(model) if is_external(tensor) and byte_count(tensor) >= SMALL]
    kept = set(map(id, large))
    for tensor in tensors(model):
        if is_external(tensor) and id(tensor) not in kept:
            take_in(tensor, source)
    path = folder / "model.onnx"
    _link_data(large, source, path, "held")
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def _link_data(found: Sequence[TensorProto], source: Path, beside: Path, name: str) -> None:
    """Lets external tensors lie beside another file than the one that they were read with, in links of this name."""
    links: dict[str, str] = {}
    for tensor in found:
        for entry in tensor.external_data if is_external(tensor) else ():
            if entry.key == "location":
                entry.value = links.setdefault(entry.value, f"{name}{len(links)}.data")
    for location, link in links.items():
        if not (beside.parent / link).exists():
            _link(locate(location, source), beside.parent / link)


def _link(file: Path, to: Path) -> None:
    try:
        to.hardlink_to(file)
    except OSError:  # another disk, or one that has no links
        copyfile(file, to)


def _computed_with(model: ModelProto) -> frozenset[str]:
    """Returns the weights of which something may be computed at build time, the smaller first, while they have 1 GiB."""
    sizes = {tensor.name: byte_count(tensor) for tensor in model.graph.initializer}
    touched: set[str] = set()
    as_they_are: set[str] = set()
    for node in nodes(model):
        read = [name for name in node.input if name]
        weights = {name for name in read if name in sizes}
        if node.op_type in WEIGHED or len(weights) == len(read):
            touched |= weights
        else:
            as_they_are |= weights  # computing something of such a one makes two of it
    kept: set[str] = set()
    room = TOUCHED
    for name in sorted(touched - as_they_are, key=lambda each: (sizes[each], each)):
        room -= sizes[name]
        if room < 0:
            break
        kept.add(name)
    return frozenset(kept)


def _make_inputs(model: ModelProto, lent: Lent) -> None:
    import onnx

    for place in reversed(range(len(model.graph.initializer))):
        if model.graph.initializer[place].name in lent:
            del model.graph.initializer[place]
    known = {entry.name: place for place, entry in enumerate(model.graph.value_info)}
    for place in sorted((known[name] for name in lent if name in known), reverse=True):
        del model.graph.value_info[place]
    model.graph.input.extend(
        onnx.helper.make_tensor_value_info(name, tensor.data_type, tensor.dims) for name, tensor in lent.items()
    )
