"""Which column feeds which input of a model, and which one holds the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from olivelike.contracts.metric import TensorInfo
from olivelike.errors import InputError, OlivelikeError, fail, nearest

LABEL = "label"


@dataclass(frozen=True, slots=True)
class Feed:
    """A column and the input that it feeds."""

    column: str
    input: TensorInfo


def label_column(asked: str, columns: Sequence[str], inputs: Sequence[TensorInfo], place: str) -> str:
    """Returns the column of the labels, or empty when there is none.

    It is the one asked for; else a column called `label`, unless the model has an input of that name.

    Raises:
        InputError: OL207, there is no column of the name asked for.
    """
    if asked and asked not in columns:
        claim = f"there is no column {asked!r} for the labels"
        raise fail(InputError, "OL207", claim, path=f"{place}.labels", hint=nearest(asked, columns))
    if asked or LABEL not in columns or any(info.name == LABEL for info in inputs):
        return asked
    return LABEL


def feeds(
    asked: Mapping[str, str], columns: Sequence[str], label: str, inputs: Sequence[TensorInfo], place: str
) -> tuple[Feed, ...]:
    """Returns the column of every input.

    An input takes the column that the workflow names for it, else the column of its own name; a model's only input takes
    the only column that holds no labels.

    Args:
        asked: input name to column name, as the workflow says.
        columns: what the data have.
        label: the column of the labels, or empty.
        inputs: what the model takes.
        place: the data entry, for messages.

    Raises:
        InputError: OL206, a name that does not exist, or inputs without a column.
    """
    _check_names(asked, columns, inputs, place)
    unlabelled = [name for name in columns if name != label]
    if not asked and len(inputs) == 1 and len(unlabelled) == 1:
        return (Feed(unlabelled[0], inputs[0]),)
    chosen = {info.name: asked.get(info.name, info.name) for info in inputs}
    unfed = [name for name, column in chosen.items() if column not in columns]
    if unfed:
        raise _unfed(unfed, columns, unlabelled, place)
    return tuple(Feed(chosen[info.name], info) for info in inputs)


def _check_names(asked: Mapping[str, str], columns: Sequence[str], inputs: Sequence[TensorInfo], place: str) -> None:
    known = [info.name for info in inputs]
    for name, column in asked.items():
        if name not in known:
            claim = f"the model has no input {name!r}"
            raise fail(InputError, "OL206", claim, path=f"{place}.inputs", hint=nearest(name, known))
        if column not in columns:
            claim = f"there is no column {column!r} for the input {name!r}"
            raise fail(InputError, "OL206", claim, path=f"{place}.inputs.{name}", hint=nearest(column, columns))


def _unfed(unfed: Sequence[str], columns: Sequence[str], unlabelled: Sequence[str], place: str) -> OlivelikeError:
    from difflib import get_close_matches

    claim = f"no column feeds the model's {_inputs(unfed)}; columns: {', '.join(columns) or 'none'}"
    close = get_close_matches(unfed[0], unlabelled, n=1, cutoff=0.5) or list(unlabelled[:1]) or ["COLUMN"]
    hint = f"add `inputs: {{{unfed[0]}: {close[0]}}}`"
    return fail(InputError, "OL206", claim, path=place, hint=hint)


def _inputs(names: Sequence[str]) -> str:
    return f"input {names[0]}" if len(names) == 1 else f"inputs {', '.join(names)}"
