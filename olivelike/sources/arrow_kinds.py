"""Columns by their Arrow types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from olivelike.contracts.data import Column, Columns
from olivelike.errors import InputError, fail, nearest
from olivelike.sources.json_kinds import Unusable
from olivelike.sources.table import Element, Kind, Table, TableColumn

if TYPE_CHECKING:
    from pyarrow import DataType, Schema


def typed_columns(table: Table, schema: Schema, wanted: Sequence[str]) -> Columns:
    """Returns the columns of a table by its Arrow schema; `wanted` are those to take, all where it is empty.

    Raises:
        InputError: OL205, a column holds something else than numbers, text, and lists of numbers; OL206, there is none of
            a name that is wanted.
    """
    names = list(schema.names)
    absent = next((name for name in wanted if name not in names), "")
    if absent:
        claim = f"there is no column {absent!r}"
        raise fail(InputError, "OL206", claim, place=table.place, hint=nearest(absent, names))
    found: dict[str, Column] = {}
    for name in wanted or names:
        try:
            found[name] = TableColumn(table, name, kind_of(schema.field(name).type))
        except Unusable as error:
            others = [other for other in names if other != name]
            hint = f"leave it out with `columns: [{', '.join(others)}]`" if others else "write values of one type"
            raise fail(InputError, "OL205", f"the column {name!r} {error}", place=table.place, hint=hint) from error
    return Columns(found)


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
