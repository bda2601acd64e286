"""How many samples a data entry has, told before anything runs and without reading them."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from olivelike.contracts.data import DataReader, DataSpec
from olivelike.contracts.transform import NoTransform, Transform

UNKNOWN = 0


def count_samples(
    reader: DataReader, config: BaseModel, spec: DataSpec, folder: Path, transform: type[Transform] = NoTransform
) -> int:
    """Returns how many samples a plan's entry has, or 0 where that cannot be told cheaply.

    It cannot for the user's Python (`script`), for data on the Hub, and for a transform that cuts samples anew (`causal_lm`),
    unless the entry's own `samples` bounds them: then that is returned, as the most there can be. A batch size that the
    model fixes is not looked at.

    Args:
        reader: the entry's reader.
        config: its configuration, paths as the user wrote them.
        spec: the entry.
        folder: where relative paths start.
        transform: the entry's named transform.

    Raises:
        InputError: OL205, a file is missing or cannot be read.
    """
    found = UNKNOWN
    if transform.counts_samples and not reader.is_remote(config):
        found = reader.count(config, {name: folder / Path(name).expanduser() for name in reader.files(config)})
    return min(found or spec.samples, spec.samples or found)
