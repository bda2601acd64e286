"""Sizes as far as they are known: numbers, names, and sums and products of them that can be told equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Term: TypeAlias = "tuple[str, Dim, Dim]"
Dim: TypeAlias = "int | str | Term"
"""A number, a name (of a dimension that the model leaves open), or an operation on two sizes.

Two that are equal in Python are equal as the model runs; two that differ may be equal or not."""

Shape: TypeAlias = "tuple[Dim, ...]"


def plus(left: Dim, right: Dim) -> Dim:
    """Returns a sum; the order of its two terms does not matter.

    >>> plus("past", "new") == plus("new", "past"), plus(2, 3), plus("n", 0)
    (True, 5, 'n')
    """
    if isinstance(left, int) and isinstance(right, int):
        return left + right
    if 0 in (left, right):
        return right if left == 0 else left
    return ("+", *_sorted(left, right))


def minus(left: Dim, right: Dim) -> Dim:
    """Returns a difference.

    >>> minus(plus("past", "new"), "past"), minus("n", "n"), minus(7, 3)
    ('new', 0, 4)
    """
    if isinstance(left, int) and isinstance(right, int):
        return left - right
    if left == right:
        return 0
    if isinstance(left, tuple) and left[0] == "+" and right in left[1:]:
        return left[2] if left[1] == right else left[1]
    return left if right == 0 else ("-", left, right)


def times(left: Dim, right: Dim) -> Dim:
    """Returns a product; the order of its two factors does not matter.

    >>> times("n", 4) == times(4, "n"), times(2, 3), times("n", 1), times("n", 0)
    (True, 6, 'n', 0)
    """
    if isinstance(left, int) and isinstance(right, int):
        return left * right
    if 1 in (left, right):
        return right if left == 1 else left
    return 0 if 0 in (left, right) else ("*", *_sorted(left, right))


def quotient(whole: Sequence[Dim], parts: Sequence[Dim]) -> Dim:
    """Returns by what a product of sizes must be multiplied to give another, as `Reshape` infers a size.

    >>> quotient(["n", "s", 64], ["n", "s", 16]), quotient(["n", 4, 8], [32]), quotient(["n", 3], ["m"])
    (4, 'n', ('/', ('*', 'n', 3), 'm'))
    """
    over, under = list(_factors(whole)), list(_factors(parts))
    for factor in list(under):
        if factor in over and not isinstance(factor, int):
            over.remove(factor)
            under.remove(factor)
    top, bottom = _product(over), _product(under)
    number, divisor = _number(over), _number(under)
    if divisor and number % divisor == 0:
        top = _product([number // divisor, *(f for f in over if not isinstance(f, int))])
        bottom = _product([f for f in under if not isinstance(f, int)])
    return top if bottom == 1 else ("/", top, bottom)


def together(left: Dim, right: Dim) -> Dim:
    """Returns the size of two dimensions that are broadcast against each other, as a model does that runs at all.

    A size cut off at a number above 1 is the other size: were it not, the two would not fit.

    >>> together("n", 1), together("n", 8), together("n", ("min", "n", 512)), together("n", "n")
    ('n', 8, 'n', 'n')
    """
    if right in (left, 1):
        return left
    if left == 1:
        return right
    for one, other in ((left, right), (right, left)):
        if isinstance(one, int) and one > 1:
            return one
        if isinstance(other, tuple) and other[0] == "min" and one in other[1:] and _other_above_1(other, one):
            return one
    return ("~", *_sorted(left, right))


def broadcast(left: Shape, right: Shape) -> Shape:
    """Returns the shape of two values that are broadcast against each other.

    >>> broadcast(("n", 1, 8), (5, 1))
    ('n', 5, 8)
    """
    rank = max(len(left), len(right))
    padded = [(1,) * (rank - len(shape)) + shape for shape in (left, right)]
    return tuple(together(a, b) for a, b in zip(*padded, strict=True))


def _other_above_1(term: Term, one: Dim) -> bool:
    other = term[2] if term[1] == one else term[1]
    return isinstance(other, int) and other > 1


def _sorted(left: Dim, right: Dim) -> tuple[Dim, Dim]:
    return (left, right) if repr(left) <= repr(right) else (right, left)


def _factors(sizes: Sequence[Dim]) -> Sequence[Dim]:
    found: list[Dim] = []
    for size in sizes:
        if isinstance(size, tuple) and size[0] == "*":
            found += _factors(size[1:])
        else:
            found.append(size)
    return found


def _product(sizes: Sequence[Dim]) -> Dim:
    product: Dim = 1
    for size in sizes:
        product = times(product, size)
    return product


def _number(sizes: Sequence[Dim]) -> int:
    number = 1
    for size in sizes:
        number *= size if isinstance(size, int) else 1
    return number
