"""Text that language models read block by block: cut, filled up, run, and kept as sums over each block only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Batch
from olivelike.contracts.metric import MeasureContext, Session
from olivelike.errors import InputError, MeasureError, fail, nearest
from olivelike.evaluate.quality.next_token import COUNT, sequence_sums
from olivelike.evaluate.sessions.batches import batch_size, finite
from olivelike.evaluate.sessions.causal import CausalSession, open_tokens
from olivelike.evaluate.sessions.causal_inputs import MASK, TOKENS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from olivelike.contracts.data import Array

    Sums = NDArray[np.float64]

LOGITS = "logits"


class Reading(Protocol):
    """How text is cut and read; a metric's config is one."""

    @property
    def length(self) -> int:
        """Longer samples are cut into blocks of so many tokens."""

    @property
    def output(self) -> str:
        """The output that holds the logits; empty for `logits`, or else the first."""

    @property
    def samples(self) -> int:
        """The first so many samples; 0 for all."""

    @property
    def batch(self) -> int:
        """Samples in one run."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """What was read: the sums of each block of tokens, the sample that each is of, and how many tokens the models know."""

    sums: Sums
    samples: NDArray[np.int64]
    vocabulary: int

    def by_sequence(self) -> tuple[Sums, str]:
        """Returns the sums of what is resampled: of each sample, or of each block where there is one sample only."""
        import numpy as np

        filled = self.sums[:, COUNT] > 0
        sums, samples = self.sums[filled], self.samples[filled]
        if len(np.unique(samples)) < 2:
            return sums, "blocks"
        together = np.zeros((int(samples.max()) + 1, sums.shape[1]))
        np.add.at(together, samples, sums)
        return together[together[:, COUNT] > 0], "sequences"


def read_blocks(models: list[Artifact], config: Reading, context: MeasureContext) -> Blocks:
    """Runs the models on every block of text, keeping the sums only.

    Args:
        models: the candidate, and the baseline where it is another artifact.
        config: how to read.
        context: what the engine offers.

    Raises:
        InputError: OL206, no samples, no such output, inputs that cannot be filled in, tokens outside the vocabulary.
        MeasureError: OL504, logits of another shape than the baseline's, or not finite, or the model cannot be run.
    """
    import numpy as np

    opened = [open_tokens(context, context.open(model)) for model in models]
    sessions = [session for session, _ in opened]
    outputs = [_output(session, config) for session in sessions]
    size = min(batch_size(session, config.batch) for session in sessions)
    length = min(_length(session, config.length) for session in sessions)
    total, vocabulary = opened[0][1].count, 1
    sums, samples, count = [np.empty((0, 5))], [np.empty(0, np.int64)], 0
    for batch in opened[0][1].batches(size, config.samples):
        for tokens, mask in _blocks(batch, length):
            feeds = _padded(tokens, mask, sessions[0])
            logits = [_logits(*each, feeds) for each in zip(sessions, outputs, strict=True)]
            _check(tokens, logits, outputs[0])
            vocabulary = logits[0].shape[2]
            sums.append(sequence_sums(tokens, mask, logits[0], logits[-1]))
            samples.append(count + np.arange(len(tokens)))
        count += batch.size
        context.progress(min(count / max(min(config.samples or total, total), 1), 1.0))
    if not count:
        raise fail(InputError, "OL206", "the data hold no samples", hint="give at least one sample")
    return Blocks(np.concatenate(sums), np.concatenate(samples), vocabulary)


def _output(session: Session, config: Reading) -> str:
    names = [info.name for info in session.outputs]
    if config.output and config.output not in names:
        claim = f"the model has no output {config.output!r}"
        raise fail(InputError, "OL206", claim, path="output", hint=nearest(config.output, names))
    return config.output or (LOGITS if LOGITS in names else names[0])


def _length(session: CausalSession, wanted: int) -> int:
    """Returns the length that the model fixes for its tokens, or else the one wanted."""
    shapes = [info.shape for info in session.inputs if info.name == TOKENS]
    return next((size for shape in shapes for size in shape[1:2] if isinstance(size, int)), wanted)


def _blocks(batch: Batch, length: int) -> Iterator[tuple[Array, Array]]:
    import numpy as np

    tokens = batch.feeds[TOKENS]
    if tokens.ndim != 2:
        claim = f"{TOKENS} has the shape {list(tokens.shape)} where [samples, length] is needed"
        raise fail(InputError, "OL206", claim, hint="give each sample a sequence of tokens")
    mask = np.asarray(batch.feeds.get(MASK, np.ones_like(tokens)))
    for start in range(0, tokens.shape[1] - 1, length):
        yield tokens[:, start : start + length], mask[:, start : start + length]


def _padded(tokens: Array, mask: Array, session: CausalSession) -> dict[str, Array]:
    """Returns feeds; a last block that is shorter than what the model fixes is filled up on the right, which no token sees."""
    import numpy as np

    missing = _length(session, tokens.shape[1]) - tokens.shape[1]
    return {name: np.pad(each, ((0, 0), (0, missing))) for name, each in ((TOKENS, tokens), (MASK, mask))}


def _logits(session: CausalSession, output: str, feeds: Mapping[str, Array]) -> Array:
    return finite(session.run(feeds, [output])[output], output)


def _check(tokens: Array, logits: list[Array], output: str) -> None:
    import numpy as np

    shape = logits[0].shape
    if len(shape) != 3 or shape[0] != len(tokens) or shape[1] < tokens.shape[1]:
        claim = f"the output {output!r} has the shape {list(shape)} for tokens {list(tokens.shape)}"
        hint = (
            "name the output of logits [samples, length, vocabulary]; a model that gives the last one's only has none"
        )
        raise fail(InputError, "OL206", claim, path="output", hint=hint)
    if logits[-1].shape != shape:
        claim = f"the logits have the shape {list(shape)} where the baseline's have {list(logits[-1].shape)}"
        raise fail(MeasureError, "OL504", claim)
    largest = int(np.asarray(tokens).max(initial=0))
    if largest >= shape[2]:
        claim = f"the token {largest} is outside the model's vocabulary of {shape[2]}"
        raise fail(InputError, "OL206", claim, hint="use the tokenizer that the model was trained with")
