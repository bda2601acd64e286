"""The kind of a column by its Arrow type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from olivelike.sources.json_kinds import Unusable
from olivelike.sources.table import Element, Kind

if TYPE_CHECKING:
    from pyarrow import DataType


def kind_of(type_: DataType) -> Kind:
    """Returns what a column of this type holds.

    Raises:
        Unusable: neither numbers, text, nor lists of numbers.
    """
    from pyarrow import types

    shape: list[int] = []
    inner, ragged = type_, False
    while types.is_nested(inner) and not types.is_struct(inner) and not types.is_map(inner):
        if types.is_fixed_size_list(inner):
            shape.append(inner.list_size)
        elif types.is_list(inner) or types.is_large_list(inner):
            ragged = True
        else:
            break
        inner = inner.value_type
    element = _element(inner)
    if element == "text" and inner is not type_:
        raise Unusable("has lists of something else than numbers")
    return Kind(element, inner is not type_, () if ragged else tuple(shape), ragged)


def _element(type_: DataType) -> Element:
    from pyarrow import types

    plain = type_.value_type if types.is_dictionary(type_) else type_
    if types.is_boolean(plain):
        return "bool"
    if types.is_integer(plain) and not types.is_uint64(plain):
        return "int"
    if types.is_floating(plain):
        return "float"
    if types.is_string(plain) or types.is_large_string(plain) or types.is_string_view(plain):
        return "text"
    if types.is_null(plain):
        return "unknown"
    raise Unusable(f"holds {plain}; only numbers, text, and lists of numbers become columns")
