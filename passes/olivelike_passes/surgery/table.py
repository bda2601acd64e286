"""The one table of all rewrites, and the name of each by any name that it is known under."""

from __future__ import annotations

from olivelike.errors import nearest
from olivelike_passes.surgery import (
    attention,
    dims_and_names,
    duplicates,
    embeddings,
    gemm,
    lm_head,
    norms,
    packed_attention,
    quantized,
    rope,
)
from olivelike_passes.surgery.rewrite import Rewrite

_ALL = (
    *embeddings.REWRITES,
    *lm_head.REWRITES,
    *gemm.REWRITES,
    *rope.REWRITES,
    *attention.REWRITES,
    *norms.REWRITES,
    *dims_and_names.REWRITES,
    *packed_attention.REWRITES,
    *quantized.REWRITES,
    *duplicates.REWRITES,
)
REWRITES = {rewrite.name: rewrite for rewrite in sorted(_ALL, key=lambda rewrite: rewrite.name)}
"""Our name to the rewrite."""
_OLIVE = {rewrite.olive.lower(): rewrite.name for rewrite in _ALL}


def canonical(name: str) -> str:
    """Returns our name of a rewrite, given by it or by the name of Olive's class (in any case, as Olive takes it).

    >>> canonical("TieWordEmbeddings"), canonical("tie_embeddings")
    ('tie_embeddings', 'tie_embeddings')

    Raises:
        ValueError: there is no such rewrite; the message names the nearest.
    """
    found = name if name in REWRITES else _OLIVE.get(name.lower(), "")
    if not found:
        known = [rewrite.olive for rewrite in _ALL] if name[:1].isupper() else list(REWRITES)
        raise ValueError(f"there is no step {name!r}: {nearest(name, known)}")
    return found


def rewrite_named(name: str) -> Rewrite:
    """Returns the rewrite of a name, ours or Olive's.

    Raises:
        ValueError: as `canonical`.
    """
    return REWRITES[canonical(name)]
