"""Which kinds of artifact a workflow can end in, and which of them is to be delivered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from olivelike.contracts.passes import AnyPass
from olivelike.contracts.space import ForkSpace, Space, StepSpace
from olivelike.plan.findings import Findings

SOURCE_KIND = ""
"""Stands for the kind of the model that the workflow begins with, which is known only once it is fetched."""


def kinds_made(tree: Space, passes: Mapping[str, type[AnyPass]]) -> tuple[str, ...]:
    """Returns the kinds that recipes end in, that of the first choices first; `SOURCE_KIND` where no step may run."""
    return _through(tree, passes, (SOURCE_KIND,))


def _through(chain: Space, passes: Mapping[str, type[AnyPass]], before: tuple[str, ...]) -> tuple[str, ...]:
    for node in chain:
        match node:
            case StepSpace(pass_name=name):
                after: tuple[str, ...] = (passes[name].produces,)
            case ForkSpace(alternatives=alternatives):
                ends = (_through(alternative, passes, before) for alternative in alternatives)
                after = tuple(dict.fromkeys(kind for end in ends for kind in end))
            case _ as never:
                assert_never(never)
        before = tuple(dict.fromkeys((*after, *before))) if node.when else after
    return before


def misfits(tree: Space, passes: Mapping[str, type[AnyPass]]) -> dict[str, str]:
    """Returns the steps that can take nothing that the steps before them make, by name, and why.

    Where the model itself may arrive, its kind is not known yet, and nothing is said.
    """
    found: dict[str, str] = {}
    _misfits(tree, passes, (SOURCE_KIND,), found)
    return found


def _misfits(chain: Space, passes: Mapping[str, type[AnyPass]], before: tuple[str, ...], found: dict[str, str]) -> None:
    for node in chain:
        match node:
            case StepSpace(pass_name=name):
                accepts = passes[name].accepts
                if SOURCE_KIND not in before and not accepts & set(before):
                    wanted, given = " or ".join(sorted(accepts)), " or ".join(before)
                    found[node.name] = f"{name} takes {wanted}, and what arrives is {given}"
            case ForkSpace(alternatives=alternatives):
                for alternative in alternatives:
                    _misfits(alternative, passes, before, found)
            case _ as never:
                assert_never(never)
        before = _through((node,), passes, before)


def deliverable(written: str, made: tuple[str, ...], findings: Findings) -> str:
    """Returns the kind that can win: the one that the user names, else what the last step produces.

    Where the last steps of several alternatives produce several kinds, it is the first of them. `SOURCE_KIND` where there
    is no step at all.
    """
    if not written:
        return next((kind for kind in made if kind != SOURCE_KIND), SOURCE_KIND)
    if SOURCE_KIND not in made and written not in made:
        claim = f"no recipe makes an artifact of the kind {written!r}"
        findings.add("OL112", claim, ("output", "kind"), f"the steps make: {', '.join(made)}")
    return written


def several(written: str, made: tuple[str, ...]) -> str:
    """Returns a note where alternatives make several kinds and the user names none; else nothing."""
    kinds = [kind for kind in made if kind != SOURCE_KIND]
    if written or len(kinds) < 2:
        return ""
    return f"recipes end in {', '.join(kinds)}: only {kinds[0]} can win; set output.kind for another"
