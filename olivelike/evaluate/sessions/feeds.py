"""What a measured run is fed: the first batch of the data, or random values where a config gives sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from olivelike.contracts.metric import MeasureContext, MetricConfig, Session
from olivelike.errors import InputError, fail
from olivelike.evaluate.sessions.batches import batch_size
from olivelike.evaluate.sessions.random_feeds import random_feeds

if TYPE_CHECKING:
    from olivelike.contracts.data import Array


class FedConfig(MetricConfig):
    """What every metric that runs a model on one batch can be told."""

    batch: PositiveInt = 1
    """Samples in one run."""
    dims: dict[str, PositiveInt] = Field(default={})
    """Sizes of the model's dynamic dimensions by name; with it, the model is fed random values of these sizes, not data."""


def first_feeds(session: Session, config: FedConfig, context: MeasureContext) -> Mapping[str, Array]:
    """Returns one batch for a loaded model.

    Raises:
        InputError: OL206, fewer samples than one batch, another batch than the model's, or `dims` that do not fit it.
    """
    if config.dims:
        return random_feeds(session.inputs, config.batch, config.dims, context.seed)
    for batch in context.data(session).batches(config.batch, config.batch):
        if batch.size == config.batch:
            return batch.feeds
    if (fixed := batch_size(session, config.batch)) != config.batch:
        claim = f"the model takes {fixed} samples in a run, and not {config.batch}"
        raise fail(InputError, "OL206", claim, path="batch", hint=f"say {fixed}")
    claim = f"the data hold fewer samples than a batch of {config.batch}"
    raise fail(InputError, "OL206", claim, path="batch", hint="lower `batch` or give more data")
