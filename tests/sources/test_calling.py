"""Calling a user's function from a file."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from olivelike.sources.calling import PREFIX, load_call
from tests.sources.refusals import refusal


@pytest.fixture(autouse=True)
def _no_user_module_stays() -> Iterator[None]:
    yield
    for name in [name for name in sys.modules if name.startswith(PREFIX)]:
        del sys.modules[name]


def write(folder: Path, **modules: str) -> Path:
    """Writes `name.py` files into a folder and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


def test_a_function_is_called_with_its_arguments_bound(tmp_path: Path) -> None:
    write(tmp_path, user="def add(x, *, y):\n    return x + y\n")
    assert load_call(tmp_path, "user.py", "add", {"y": 2})(1) == 3


def test_a_script_may_lie_deeper_and_be_a_dataclass(tmp_path: Path) -> None:
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\n"
    )
    write(tmp_path / "deep", user=text)
    point = load_call(tmp_path, "deep/user.py", "Point", {"x": 1})()
    assert getattr(point, "x", None) == 1


def test_two_folders_with_modules_of_the_same_name_do_not_meet(tmp_path: Path) -> None:
    user = "import features\ndef value():\n    import late\n    return features.VALUE, late.VALUE\n"
    calls = [
        load_call(
            write(tmp_path / str(number), user=user, features=f"VALUE = {number}", late=f"VALUE = {-number}"),
            "user.py",
            "value",
            {},
        )
        for number in (1, 2)
    ]
    assert [call() for call in calls] == [(1, -1), (2, -2)]
    assert [call() for call in reversed(calls)] == [(2, -2), (1, -1)]


def test_a_sibling_is_imported_once_for_all_calls(tmp_path: Path) -> None:
    user = "def count():\n    import counter\n    counter.N += 1\n    return counter.N\n"
    call = load_call(write(tmp_path, user=user, counter="N = 0\n"), "user.py", "count", {})
    assert [call(), call()] == [1, 2]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    write(tmp_path, user="import features, pkg.one\ndef f():\n    import late\n", features="", late="")
    write(tmp_path / "pkg", __init__="", one="")
    path, modules, bytecode = list(sys.path), set(sys.modules), sys.dont_write_bytecode
    load_call(tmp_path, "user.py", "f", {})()
    assert sys.path == path
    assert sys.dont_write_bytecode == bytecode
    assert {name for name in set(sys.modules) - modules if not name.startswith(PREFIX)} == set()
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_module_of_this_process_is_hidden_only_while_the_users_code_runs(tmp_path: Path) -> None:
    write(tmp_path, user="import random\ndef value():\n    return random.VALUE\n", random="VALUE = 'mine'\n")
    assert load_call(tmp_path, "user.py", "value", {})() == "mine"
    assert sys.modules["random"] is random


def test_a_generator_runs_with_its_siblings_too(tmp_path: Path) -> None:
    user = "def samples():\n    for number in range(2):\n        import late\n        yield late.VALUE + number\n"
    result = load_call(write(tmp_path, user=user, late="VALUE = 5\n"), "user.py", "samples", {})()
    assert isinstance(result, Iterator)
    assert list(result) == [5, 6]
    assert "late" not in sys.modules


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("    raise ValueError('no such\\nsplit')", "f() raises ValueError: no such"),
        ("    raise SystemExit(3)", "f() raises SystemExit: 3"),
        ("    assert False", "f() raises AssertionError"),
        ("    return {}['image']", "f() raises KeyError: 'image'"),
    ],
)
def test_what_a_function_raises_comes_with_file_and_line(tmp_path: Path, body: str, says: str) -> None:
    write(tmp_path, user=f"def f():\n    pass\n{body}\n")
    problem = refusal(load_call(tmp_path, "user.py", "f", {}))
    assert problem.code == "OL209"
    assert problem.claim == says
    assert problem.place == f"{tmp_path / 'user.py'}:3"


def test_the_line_is_the_users_and_not_the_librarys(tmp_path: Path) -> None:
    write(tmp_path, user="from features import parse\ndef f():\n    return parse()\n")
    write(tmp_path, features="import json\ndef parse():\n    return json.loads('{')\n")
    problem = refusal(load_call(tmp_path, "user.py", "f", {}))
    assert problem.place == f"{tmp_path / 'features.py'}:3"


def test_a_generator_that_raises_midway_is_refused_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, user="def f():\n    yield 1\n    raise ValueError('broken')\n")
    samples = load_call(tmp_path, "user.py", "f", {})()
    assert isinstance(samples, Iterator)
    assert next(samples) == 1
    assert refusal(lambda: next(samples)).place == f"{tmp_path / 'user.py'}:3"


def test_a_script_that_fails_when_imported_is_refused_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, user="import features\n", features="x = 1\nx / 0\n")
    problem = refusal(lambda: load_call(tmp_path, "user.py", "f", {}))
    assert problem.claim == "importing it raises ZeroDivisionError: division by zero"
    assert problem.place == f"{tmp_path / 'features.py'}:2"


def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    write(tmp_path, user="import no_such_module_here\n")
    problem = refusal(lambda: load_call(tmp_path, "user.py", "f", {}))
    assert "No module named 'no_such_module_here'" in problem.claim
    assert "install no_such_module_here" in problem.hint


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    write(tmp_path, user="def f(length):\n    return length\n")
    problem = refusal(load_call(tmp_path, "user.py", "f", {"lenght": 1}))
    assert "unexpected keyword argument 'lenght'" in problem.claim


def test_an_unknown_name_gets_the_near_miss_among_callables(tmp_path: Path) -> None:
    write(tmp_path, user="LOAD = 1\ndef load():\n    pass\n")
    assert refusal(lambda: load_call(tmp_path, "user.py", "laod", {})).hint == "did you mean load?"
    assert "is a int and cannot be called" in refusal(lambda: load_call(tmp_path, "user.py", "LOAD", {})).claim


def test_a_missing_script_is_refused(tmp_path: Path) -> None:
    assert refusal(lambda: load_call(tmp_path, "user.py", "f", {})).code == "OL209"
