"""Names of dimensions, which may be formulas over other names (`s0 + s1`), as exporters write them."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

WORD = re.compile(r"[A-Za-z_]\w*(?!\w*\()")
"""A name in a formula; what a bracket follows is a function."""
UNSPACED = re.compile(r"\w[-+]\w")
"""Exporters (sympy) write spaces around sums; without them it is a plain name: `batch-size`."""
FUNCTIONS: Mapping[str, Callable[..., Fraction | int]] = {
    "Max": max, "max": max, "Min": min, "min": min, "floor": math.floor, "ceiling": math.ceil, "ceil": math.ceil,
}  # fmt: skip
OPERATIONS: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
    ast.Mod: lambda a, b: a % b,
}
LONGEST = 300


def words(name: str) -> tuple[str, ...]:
    """Returns the plain names that a dimension's name speaks of, each once.

    Example:
        >>> words("s0 + 2*s1"), words("batch-size"), words("Max(1, s0)")
        (('s0', 's1'), ('batch-size',), ('s0',))
    """
    return tuple(dict.fromkeys(WORD.findall(name))) if _is_formula(name) else (name,)


def renamed(name: str, names: Mapping[str, str]) -> str:
    """Returns a dimension's name with the names in it replaced, all at once.

    Example:
        >>> renamed("s0 + s1", {"s0": "batch", "s1": "s0"})
        'batch + s0'
    """
    if name in names or not _is_formula(name):
        return names.get(name, name)
    return WORD.sub(lambda word: names.get(word[0], word[0]), name)


def evaluated(name: str, numbers: Mapping[str, int]) -> int | str:
    """Returns a dimension's number where those of all names in it are known, else its name with the known ones put in.

    Example:
        >>> evaluated("s0 + s1", {"s0": 3, "s1": 4}), evaluated("s0 + s1", {"s0": 3}), evaluated("s0//2", {"s0": 7})
        (7, '3 + s1', 3)
    """
    if name in numbers:
        return numbers[name]
    text = renamed(name, {word: str(number) for word, number in numbers.items()})
    if text == name or not _is_formula(text) or WORD.search(text):
        return text
    try:
        value = Fraction(_value(ast.parse(text, mode="eval").body))
    except ZeroDivisionError:
        return text
    return int(value) if value.denominator == 1 else text


def _is_formula(name: str) -> bool:
    if len(name) > LONGEST or UNSPACED.search(name):
        return False
    try:
        tree = ast.parse(name.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return False
    return not isinstance(tree, ast.Name | ast.Constant) and _is_arithmetic(tree)


def _is_arithmetic(tree: ast.expr) -> bool:
    match tree:
        case ast.Name():
            return True
        case ast.Constant(value=int(number)):
            return not isinstance(number, bool)
        case ast.BinOp(left=left, op=operation, right=right):
            return type(operation) in OPERATIONS and _is_arithmetic(left) and _is_arithmetic(right)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _is_arithmetic(operand)
        case ast.Call(func=ast.Name(id=function), args=[_, *_] as values, keywords=[]):
            return function in FUNCTIONS and all(map(_is_arithmetic, values))
        case _:
            return False


def _value(tree: ast.expr) -> Fraction:
    """Returns what arithmetic without names comes to."""
    match tree:
        case ast.Constant(value=int(number)):
            return Fraction(number)
        case ast.BinOp(left=left, op=operation, right=right):
            return OPERATIONS[type(operation)](_value(left), _value(right))
        case ast.UnaryOp(operand=operand):
            return -_value(operand)
        case ast.Call(func=ast.Name(id=function), args=values):
            return Fraction(FUNCTIONS[function](*map(_value, values)))
        case _:
            raise AssertionError(f"{ast.dump(tree)} was taken for arithmetic")
