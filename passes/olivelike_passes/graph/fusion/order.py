"""Where nodes stand while some of them are replaced, and whether a replacement would make the graph a circle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from olivelike.onnxfile.wiring import reads

if TYPE_CHECKING:
    from onnx import NodeProto


class Order:
    """The places of a graph's nodes: most stand behind what they take from, so that a search stays near what it is about.

    Attributes:
        place: by the identity of a node; nodes that are put in share the place of others.
    """

    def __init__(
        self, nodes: Sequence[NodeProto], makers: Mapping[str, NodeProto], users: Mapping[str, Mapping[int, NodeProto]]
    ) -> None:
        """Looks at the nodes of a graph; who makes and who takes a value is the caller's to keep."""
        self.place = {id(node): place for place, node in enumerate(nodes)}
        self._makers = makers
        self._users = users
        self._crossed: set[tuple[int, int]] = set()
        for node in nodes:
            self._note(node)

    def put(self, node: NodeProto, place: int) -> None:
        """Gives a node a place."""
        self.place[id(node)] = place
        self._note(node)

    def is_circle(self, new: Sequence[NodeProto], old: Mapping[int, NodeProto]) -> bool:
        """Whether something that new nodes take is computed by one of the nodes whose place they are to take."""
        between: set[str] = set()
        ahead: list[str] = []
        for node in new:
            ahead += [name for name in reads(node) if name not in between]
            between.update(node.output)
        first = self._first_behind(min(self.place[each] for each in old))
        seen: set[int] = set()
        while ahead:
            maker = self._makers.get(ahead.pop())
            if maker is None or id(maker) in seen or self.place[id(maker)] < first:
                continue
            if id(maker) in old:
                return True
            seen.add(id(maker))
            ahead += reads(maker)
        return False

    def _first_behind(self, place: int) -> int:
        """Returns the first place of a node that may, over others, take something made at a place or behind it."""
        found = place
        while crossing := [taker for taker, maker in self._crossed if taker < found <= maker]:
            found = min(crossing)
        return found

    def _note(self, node: NodeProto) -> None:
        """Remembers where a node stands before one that it takes from."""
        place = self.place[id(node)]
        for name in reads(node):
            maker = self.place[id(self._makers[name])] if name in self._makers else place
            if maker > place:
                self._crossed.add((place, maker))
        for name in node.output:
            for user in self._users.get(name, {}):
                if self.place[user] < place:
                    self._crossed.add((self.place[user], place))
