"""Packages of an extra: asked for where they are needed, refused with the command that installs them."""

from __future__ import annotations

from importlib.util import find_spec

from olivelike.errors import InputError, fail


def need(extra: str, *modules: str, what: str) -> None:
    """Makes sure that the modules of an extra can be imported; imports none of them.

    Args:
        extra: the extra of olivelike that brings them.
        modules: top-level modules.
        what: what needs them, as the subject of a sentence (`the metric text`).

    Raises:
        InputError: OL211, one is not installed.
    """
    for module in modules:
        if find_spec(module) is None:
            claim = f"{what} needs the package {module}, which is not installed"
            raise fail(InputError, "OL211", claim, hint=f'pip install "olivelike[{extra}]"')
