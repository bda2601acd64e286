"""The checks that CONTRIBUTING.md names run before every commit and in CI, from what the `dev` extra installs."""

from __future__ import annotations

import tomllib

from ruamel.yaml import YAML

from tests.docs.pages import ROOT

CHECKS = ("ruff check", "ruff format --check", "mypy", "lint-imports")


def test_pre_commit_runs_every_check_and_downloads_nothing() -> None:
    repos = YAML(typ="safe").load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert [repo["repo"] for repo in repos] == ["local"]
    hooks = repos[0]["hooks"]
    assert {hook["entry"] for hook in hooks} == set(CHECKS)
    assert {hook["language"] for hook in hooks} == {"system"}


def test_contributing_and_ci_name_every_check() -> None:
    for name in ("CONTRIBUTING.md", ".ci/run"):
        text = (ROOT / name).read_text("utf-8")
        assert all(check in text for check in CHECKS), name


def test_dev_extra_holds_what_the_checks_need() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = " ".join(extras["dev"])
    assert all(tool in named for tool in ("ruff", "mypy", "import-linter", "pytest", "pre-commit"))


def test_decision_on_dependencies_names_each_of_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = (ROOT / "docs" / "decisions" / "0003-dependencies.md").read_text("utf-8").lower()
    every = [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]
    plain = {name.partition(">")[0].removeprefix("pytest-") for name in every}
    assert {name for name in plain if name not in text and not name.startswith("olivelike[")} == set()
