"""A rate: how often something happened among so many tries, and the bound that it is held to."""

from __future__ import annotations

from dataclasses import dataclass

from olivelike.digest import JsonObject

PROMISED = 0.95
UNLUCKY = 0.005
"""The chance, at most, that a count of tries with the promised rate lies beyond its bound."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened.

    Attributes:
        name: what is counted, in words.
        count: how often it happened.
        of: among how many tries.
        least: the fewest times it must happen.
        most: the most times it may happen.
    """

    name: str
    count: int
    of: int
    least: int = 0
    most: int = 1 << 62

    @property
    def holds(self) -> bool:
        """Whether the count is inside its bounds."""
        return self.least <= self.count <= self.most

    @property
    def bound(self) -> str:
        """The bound in words."""
        if self.least:
            return f"at least {self.least}"
        return f"at most {self.most}" if self.most <= self.of else "for comparison"

    def to_json(self) -> JsonObject:
        """Returns the rate as JSON."""
        return {"name": self.name, "count": self.count, "of": self.of, "bound": self.bound, "holds": self.holds}


def covered(name: str, count: int, of: int) -> Rate:
    """Returns the rate of an interval of 95 % that held the truth; the bound leaves room for the error of counting."""
    from scipy.stats import binom

    return Rate(name, count, of, least=int(binom.ppf(UNLUCKY, of, PROMISED)))


def most_errors(of: int, tries: int, most: int) -> int:
    """Returns how many errors there may be: `most` in `tries`, and in fewer what an error rate of 5 % explains.

    >>> most_errors(400, 400, 28), most_errors(20, 400, 28)
    (28, 4)
    """
    from scipy.stats import binom

    return most if of >= tries else int(binom.isf(UNLUCKY, of, 1 - PROMISED))
