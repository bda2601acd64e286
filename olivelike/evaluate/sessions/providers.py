"""Which execution providers the runtime offers, and the check that a target asks for no other."""

from __future__ import annotations

from collections.abc import Sequence

from olivelike.contracts.target import PROVIDERS, Target
from olivelike.errors import InputError, fail

ALWAYS_OFFERED = PROVIDERS["cpu"]


def available_providers() -> tuple[str, ...]:
    """Returns the full names of the providers that the installed runtime offers, in its own order; opens no session."""
    import onnxruntime

    return tuple(onnxruntime.get_available_providers())


def require_providers(target: Target) -> None:
    """Checks that the runtime offers every provider of a target; ONNX Runtime itself would run on the CPU silently.

    The runtime is imported only where the target names more than the CPU's provider, which every build has.

    Raises:
        InputError: OL210, with the providers that there are.
    """
    wanted = [provider.name for provider in target.providers if provider.name != ALWAYS_OFFERED]
    if wanted:
        offered = available_providers()
        refuse_missing([name for name in wanted if name not in offered], offered)


def refuse_missing(missing: Sequence[str], offered: Sequence[str]) -> None:
    """Raises the error for providers that are not to be had; does nothing when none is missing.

    Raises:
        InputError: OL210.
    """
    if missing:
        claim = f"the runtime does not offer {', '.join(missing)}; it offers {', '.join(offered)}"
        hint = "install the runtime's build for this provider, or write `present: false` in the target"
        raise fail(InputError, "OL210", claim, path="target.providers", hint=hint)
