"""Where a chain of nodes is cut into parts that run one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from olivelike.errors import RefusedError, fail
from olivelike.onnxfile.wiring import leading_to
from olivelike_passes.graph.chain import Chain
from olivelike_passes.graph.value_types import UNKNOWN

Groups: TypeAlias = tuple[tuple[int, ...], ...]
"""For each part the places of its nodes, ascending; what a part reads was made by an earlier one or by itself."""
SLACK = 0.25
"""How far a cut may move from where the sizes alone would put it, as a share of a part, to cross fewer bytes."""


def into_equal(chain: Chain, parts: int, crossing: Sequence[int]) -> Groups:
    """Cuts into so many parts of about equally many nodes, each cut where the fewest bytes cross nearby.

    Args:
        chain: at least as many nodes as parts.
        parts: how many, 2 or more.
        crossing: what `Chain.crossing` returned.
    """
    count = len(chain.nodes)
    cuts = [0]
    for number in range(1, parts):
        ideal = number * count / parts
        reach = SLACK * count / parts
        low = max(cuts[-1] + 1, round(ideal - reach))
        high = min(count - (parts - number), max(round(ideal + reach), low))
        near, allowed = range(low, high + 1), range(cuts[-1] + 1, count - (parts - number) + 1)
        cuts.append(_best(near, allowed, crossing, ideal))
    return _between(chain, cuts)


def by_bytes(chain: Chain, most: int, crossing: Sequence[int]) -> Groups:
    """Cuts so that no part holds more than so many bytes of weights.

    A part that is full ends where the fewest bytes cross, among the places at which it holds three quarters of what it may.
    A weight that several parts read counts in each.

    Raises:
        RefusedError: OL301, one node alone holds more.
    """
    cuts, start, count = [0], 0, len(chain.nodes)
    while (end := _full(chain, start, most)) < count:
        held, sizes = set[str](), [0]
        for place in chain.nodes[start:end]:
            new = {name: size for name, size in chain.held_by(place).items() if name not in held}
            held |= set(new)
            sizes.append(sizes[-1] + sum(new.values()))
        enough = [start + at for at in range(1, len(sizes)) if sizes[at] >= (1 - SLACK) * sizes[-1]]
        start = _best(enough, range(start + 1, end + 1), crossing, end)
        cuts.append(start)
    return _between(chain, cuts)


def at_values(chain: Chain, cuts: Sequence[Sequence[str]]) -> Groups:
    """Cuts behind named values: a part holds what leads to them and is in no earlier part, the last one the rest.

    Args:
        chain: the chain.
        cuts: for each cut the values, or names of nodes, that the part before it ends with.

    Raises:
        RefusedError: OL301, a name that is none, a cut that leaves nothing before or behind it.
    """
    graph = chain.model.graph
    nodes = {node.name: tuple(filter(None, node.output)) for node in graph.node if node.name}
    left = set(chain.nodes)
    groups: list[tuple[int, ...]] = []
    for names in cuts:
        unknown = [name for name in names if name not in chain.made_by and name not in nodes]
        if unknown:
            raise _refused(f"no node of the main graph makes {unknown[0]!r}, and none is called so")
        wanted = [value for name in names for value in ([name] if name in chain.made_by else nodes[name])]
        group = left & set(leading_to(wanted, graph.node, chain.made_by))
        if not group:
            raise _refused(f"the cut at {', '.join(map(repr, names))} leaves no node between it and the one before")
        left -= group
        groups.append(tuple(sorted(group)))
    if not left:
        raise _refused(f"there is no node behind the last cut, at {', '.join(map(repr, cuts[-1]))}")
    return (*groups, tuple(sorted(left)))


def by_provider(chain: Chain, providers: Mapping[str, str]) -> Groups:
    """Cuts where another execution provider goes on, with as few parts as a greedy order gives.

    Of the nodes that are ready to run, those of the provider at work come first; a part ends where it has none left.

    Args:
        chain: the chain, its nodes named.
        providers: name of a node to its provider.
    """
    waiting = {place: _before(chain, place) for place in chain.nodes}
    names = {place: providers.get(chain.model.graph.node[place].name, "") for place in chain.nodes}
    groups: list[tuple[int, ...]] = []
    while waiting:
        at_work = names[next(place for place, before in waiting.items() if not before & waiting.keys())]
        group = []
        for place, before in list(waiting.items()):  # ascending, so one sweep finds all that this provider can do
            if names[place] == at_work and not before & waiting.keys():
                group.append(place)
                del waiting[place]
        groups.append(tuple(group))
    return tuple(groups)


def _best(near: Sequence[int], allowed: Sequence[int], crossing: Sequence[int], ideal: float) -> int:
    """Returns where the fewest bytes cross; farther away than `near` only where every value there is of unknown type."""
    known = any(crossing[at] < UNKNOWN for at in near)
    return min(near if known else allowed, key=lambda at: (crossing[at], abs(at - ideal)))


def _before(chain: Chain, place: int) -> set[int]:
    made = {chain.made_by[name] for name in chain.read_by(place) if name in chain.made_by}
    return made - chain.constants


def _full(chain: Chain, start: int, most: int) -> int:
    held: set[str] = set()
    total = 0
    for number in range(start, len(chain.nodes)):
        place = chain.nodes[number]
        own = chain.held_by(place)
        if sum(own.values()) > most:
            claim = f"the node {chain.label(place)} alone holds {sum(own.values())} bytes of weights, more than {most}"
            raise _refused(claim)
        total += sum(size for name, size in own.items() if name not in held)
        held |= set(own)
        if total > most:
            return number
    return len(chain.nodes)


def _between(chain: Chain, cuts: Sequence[int]) -> Groups:
    ends = (*cuts[1:], len(chain.nodes))
    return tuple(chain.nodes[begin:end] for begin, end in zip(cuts, ends, strict=True))


def _refused(claim: str) -> Exception:
    return fail(RefusedError, "OL301", claim)
