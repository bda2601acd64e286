"""Sizes as far as they are known: numbers, names, and sums and products of them that can be told equal."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeAlias

Term: TypeAlias = "tuple[str, Dim, Dim]"
Dim: TypeAlias = "int | str | Term"
"""A number, a name (of a dimension that the model leaves open), or an operation on two sizes.

Two that are equal in Python are equal as the model runs; two that differ may be equal or not."""
ABBREVIATED = "digest"
LARGEST = 32
"""A term of more names and numbers than this is abbreviated: one that a graph doubles at every node would grow without end."""

Shape: TypeAlias = "tuple[Dim, ...]"


def term(operation: str, left: Dim, right: Dim) -> Term:
    """Returns an operation on two sizes; a large one as the digest of itself, which is equal where they are.

    >>> term("min", "n", 512)
    ('min', 'n', 512)
    """
    whole = (operation, left, right)
    return whole if _size(whole) <= LARGEST else _abbreviated(whole)


def may_be_negative(size: Dim) -> bool:
    """Whether a size may be computed as a difference.

    >>> may_be_negative("n"), may_be_negative(minus("n", 1)), may_be_negative(times(minus("n", 1), 8))
    (False, True, True)
    """
    if isinstance(size, int):
        return size < 0
    if isinstance(size, str) or size[0] == "cut":
        return False
    return size[0] in ("-", ABBREVIATED) or any(map(may_be_negative, size[1:]))


def plus(left: Dim, right: Dim) -> Dim:
    """Returns a sum; the order of its two terms does not matter.

    >>> plus("past", "new") == plus("new", "past"), plus(2, 3), plus("n", 0)
    (True, 5, 'n')
    """
    if isinstance(left, int) and isinstance(right, int):
        return _fitting("+", left + right, left, right)
    if 0 in (left, right):
        return right if left == 0 else left
    return term("+", *_sorted(left, right))


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
    return left if right == 0 else term("-", left, right)


def times(left: Dim, right: Dim) -> Dim:
    """Returns a product; the order of its two factors does not matter.

    >>> times("n", 4) == times(4, "n"), times(2, 3), times("n", 1), times("n", 0)
    (True, 6, 'n', 0)
    """
    if isinstance(left, int) and isinstance(right, int):
        return _fitting("*", left * right, left, right)
    if 1 in (left, right):
        return right if left == 1 else left
    return 0 if 0 in (left, right) else term("*", *_sorted(left, right))


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
    return top if bottom == 1 else term("/", top, bottom)


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
    return term("~", *_sorted(left, right))


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


def _abbreviated(whole: Term) -> Term:
    return (ABBREVIATED, hashlib.sha256(repr(whole).encode()).hexdigest(), 0)


def _fitting(operation: str, number: int, left: int, right: int) -> Dim:
    """Returns a number that an int64 holds; one that it does not is another as the model runs."""
    return number if -(2**63) <= number < 2**63 else _abbreviated((operation, left, right))


def _size(size: Dim) -> int:
    return sum(map(_size, size[1:])) if isinstance(size, tuple) else 1


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
