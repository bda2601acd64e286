from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.special import log_softmax
from scipy.stats import entropy

import olivelike
from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import Dataset, DataSpec
from olivelike.contracts.metric import Session
from olivelike.contracts.outcome import Measurement, Paired, Undefined, Unpaired, Value
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.quality.perplexity import Perplexity, PerplexityConfig
from olivelike.evaluate.statistics.corpus_values import missed_share
from olivelike.sources.dataset import open_dataset
from olivelike.sources.npz import Npz
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.language_models import bigram
from tests.evaluate.tiny_models import classifier

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

RANDOM = np.random.default_rng(0)
VOCABULARY = 11
TABLE = RANDOM.normal(0, 2, (VOCABULARY, VOCABULARY))
OTHER = TABLE + RANDOM.normal(0, 1, TABLE.shape)
TOKENS = RANDOM.integers(0, VOCABULARY, (20, 33))
FLOAT32 = 1e-5
"""Tables are stored in float32: what follows from them is good to a few units in its seventh digit."""


def context(folder: Path, tokens: ArrayLike = TOKENS, **columns: Array) -> MemoryContext:
    return MemoryContext(folder, {"input_ids": np.asarray(tokens), **columns})


def measure(
    folder: Path,
    table: ArrayLike = TABLE,
    baseline: ArrayLike = TABLE,
    tokens: ArrayLike = TOKENS,
    mask: Array | None = None,
    *,
    state: bool = False,
    length: int | str = "sequence_length",
    **options: int,
) -> Mapping[str, Value]:
    reference = bigram(folder / "baseline", baseline, state=state, length=length)
    same = table is baseline
    candidate = reference if same else bigram(folder / "candidate", table, state=state, length=length)
    given = context(folder, tokens, **({} if mask is None else {"attention_mask": mask}))
    return Perplexity().measure(candidate, reference, PerplexityConfig.model_validate(options), given)


def found(value: Value) -> Measurement:
    assert isinstance(value, Measurement)
    return value


def negative_log_likelihoods(tokens: Array, table: Array = TABLE) -> Array:
    return -log_softmax(table, axis=1)[tokens[:, :-1], tokens[:, 1:]]


class TestPerplexity(MetricContract):
    metric = Perplexity

    def artifact(self, folder: Path) -> Artifact:
        return bigram(folder, TABLE, state=True)

    def context(self, folder: Path) -> MemoryContext:
        return context(folder)

    def configs(self) -> Sequence[PerplexityConfig]:
        return PerplexityConfig(), PerplexityConfig(length=8, batch=3, samples=10, output="logits")


def test_perplexity_is_the_exponential_of_the_mean_negative_log_likelihood(tmp_path: Path) -> None:
    measured = found(measure(tmp_path)["perplexity"])
    assert measured.value == pytest.approx(np.exp(negative_log_likelihoods(TOKENS).mean()), rel=FLOAT32)
    assert measured.low < measured.value < measured.high
    assert (measured.n, measured.details["tokens"], measured.details["sequences"]) == (20, 20 * 32, 20)
    assert measured.versus == Unpaired()


def test_a_model_that_knows_nothing_is_as_perplexed_as_its_vocabulary_is_large(tmp_path: Path) -> None:
    flat = np.zeros((5, 5))
    measured = found(measure(tmp_path, flat, flat, TOKENS % 5)["perplexity"])
    assert measured.value == pytest.approx(5, rel=1e-12), "logits of zero are exact"


def test_divergence_and_agreement_are_those_of_the_distributions(tmp_path: Path) -> None:
    measured = measure(tmp_path, OTHER)
    before = TOKENS[:, :-1]
    p, q = (np.exp(log_softmax(table, axis=1))[before] for table in (TABLE, OTHER))
    kl, same = found(measured["kl"]), found(measured["same_top"])
    assert kl.value == pytest.approx(entropy(p, q, axis=-1).mean(), rel=FLOAT32)
    assert kl.unit == "nat"
    assert same.value == pytest.approx((p.argmax(-1) == q.argmax(-1)).mean(), rel=1e-12)
    for each in (kl, same):
        assert each.low < each.value < each.high
        assert 0 < float(str(each.details["standard_error"])) < each.high - each.low


def test_perplexity_is_compared_on_the_same_sequences(tmp_path: Path) -> None:
    measured = found(measure(tmp_path, OTHER)["perplexity"])
    own, other = (np.exp(negative_log_likelihoods(TOKENS, table).mean()) for table in (OTHER, TABLE))
    assert isinstance(measured.versus, Paired)
    assert measured.versus.interval.value == pytest.approx(own - other, rel=FLOAT32)
    ratio = measured.details["ratio_to_baseline"]
    assert isinstance(ratio, dict)
    assert ratio["value"] == pytest.approx(own / other, rel=FLOAT32)
    low, high = float(str(ratio["low"])), float(str(ratio["high"]))
    assert low < own / other < high
    assert high - low < (measured.high - measured.low) / other, "what makes a sequence hard for both cancels"


def test_the_baseline_diverges_from_itself_by_nothing(tmp_path: Path) -> None:
    measured = measure(tmp_path)
    assert [found(measured[name]).interval.high for name in ("kl", "same_top")] == [0, 1]


def test_models_that_agree_on_all_sequences_may_differ_on_others(tmp_path: Path) -> None:
    """Twenty sequences may have missed a sixth of all (rule of three), and a model that knows nothing gives log 11 nats."""
    candidate, reference = bigram(tmp_path / "candidate", TABLE, state=True), bigram(tmp_path / "baseline", TABLE)
    measured = Perplexity().measure(candidate, reference, PerplexityConfig(), context(tmp_path))
    kl, same, perplexity = (found(measured[name]) for name in ("kl", "same_top", "perplexity"))
    share = missed_share(20)
    assert (kl.low, kl.value, kl.high) == (0, 0, pytest.approx(share * np.log(VOCABULARY), rel=0.1))
    assert (same.low, same.value, same.high) == (pytest.approx(1 - share, rel=0.05), 1, 1)
    assert isinstance(perplexity.versus, Paired)
    assert perplexity.versus.interval.low < 0 < perplexity.versus.interval.high
    ratio = perplexity.details["ratio_to_baseline"]
    assert isinstance(ratio, dict)
    assert float(str(ratio["low"])) < 1 < float(str(ratio["high"]))


def test_the_standard_error_is_that_of_sequences_not_of_tokens(tmp_path: Path) -> None:
    # Each sequence repeats one pair of tokens: more of the same tells nothing new.
    pairs = RANDOM.integers(0, VOCABULARY, (24, 2))
    short, long = (np.tile(pairs, (1, times))[:, : 2 * times - 1] for times in (3, 30))
    errors = [
        found(measure(tmp_path / str(tokens.shape[1]), tokens=tokens)["perplexity"]).details["standard_error"]
        for tokens in (short, long)
    ]
    assert errors[0] == pytest.approx(errors[1], rel=1e-9)
    spread = np.exp(negative_log_likelihoods(short).mean()) * negative_log_likelihoods(short).mean(axis=1).std(ddof=1)
    assert errors[0] == pytest.approx(spread / np.sqrt(24), rel=FLOAT32), "sequences of one length: the textbook's"


@pytest.mark.parametrize("left", [True, False])
def test_padding_is_not_counted(left: bool, tmp_path: Path) -> None:
    lengths = RANDOM.integers(2, 34, 20)
    place = np.arange(33)[None]
    mask = (place >= 33 - lengths[:, None]) if left else (place < lengths[:, None])
    measured = found(measure(tmp_path, mask=mask.astype(np.int64), state=True)["perplexity"])
    kept = mask[:, 1:] & mask[:, :-1]
    expected = negative_log_likelihoods(TOKENS)[kept].mean()
    assert measured.value == pytest.approx(np.exp(expected), rel=FLOAT32)
    assert measured.details["tokens"] == int(kept.sum())


def test_mask_positions_and_an_empty_past_are_filled_in(tmp_path: Path) -> None:
    plain, full = (found(measure(tmp_path / str(s), state=s)["perplexity"]) for s in (False, True))
    assert full == plain


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batch_size_does_not_change_the_result(batch: int, tmp_path: Path) -> None:
    measured = measure(tmp_path / "batched", OTHER, batch=batch)
    alone = measure(tmp_path / "alone", OTHER)
    for name, value in measured.items():
        assert found(value).value == pytest.approx(found(alone[name]).value, rel=1e-12)


def test_one_long_text_is_cut_into_blocks_that_are_resampled(tmp_path: Path) -> None:
    text = RANDOM.integers(0, VOCABULARY, (1, 1001))
    config = PerplexityConfig(length=50)
    model = bigram(tmp_path, TABLE)
    value = found(Perplexity().measure(model, model, config, context(tmp_path, text))["perplexity"])
    assert (value.n, value.details["blocks"], value.details["tokens"]) == (20, 20, 20 * 49)
    inside = negative_log_likelihoods(text)[0][np.arange(1000) % 50 != 49]
    assert value.value == pytest.approx(np.exp(inside.mean()), rel=FLOAT32), "the first token of a block has no context"


def test_blocks_of_one_sample_are_resampled_together(tmp_path: Path) -> None:
    model = bigram(tmp_path, TABLE)
    value = found(Perplexity().measure(model, model, PerplexityConfig(length=11), context(tmp_path))["perplexity"])
    assert (value.n, value.details["tokens"]) == (20, 20 * 30)


def test_a_model_of_fixed_length_gets_its_own(tmp_path: Path) -> None:
    fixed = found(measure(tmp_path / "fixed", length=12)["perplexity"])
    config = PerplexityConfig(length=12)
    model = bigram(tmp_path / "free", TABLE)
    free = found(Perplexity().measure(model, model, config, context(tmp_path))["perplexity"])
    assert fixed == free, "the last block, of 9 tokens, is filled up and what is filled up is not counted"


def test_too_few_sequences_give_no_interval_and_so_no_value(tmp_path: Path) -> None:
    measured = measure(tmp_path, OTHER, tokens=TOKENS[:7])
    assert measured["kl"] == Undefined("7 sequences are too few to resample: give at least 10, or a smaller `length`")
    assert set(measured) == {"perplexity", "kl", "same_top"}


def test_logits_that_are_far_apart_neither_overflow_nor_pretend(tmp_path: Path) -> None:
    measured = measure(tmp_path, TABLE * 1e4)
    value = measured["perplexity"]
    assert isinstance(value, Undefined) and "too large for a finite perplexity" in value.reason
    assert np.isfinite(found(measured["kl"]).value)


def test_logits_of_the_last_token_alone_are_refused(tmp_path: Path) -> None:
    model = bigram(tmp_path, TABLE, last=True)
    with pytest.raises(InputError, match=r"OL206 output: the output 'logits' has the shape \[1, 1, 11\]"):
        Perplexity().measure(model, model, PerplexityConfig(), context(tmp_path))


def test_another_vocabulary_than_the_baselines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match=r"OL504: the logits have the shape \[1, 33, 12\] where the baseline's"):
        measure(tmp_path, np.zeros((12, 12)))


def test_a_model_that_takes_no_tokens_is_refused(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    with pytest.raises(InputError, match=r"OL206: the model has no input 'input_ids' of whole numbers; it takes image"):
        Perplexity().measure(model, model, PerplexityConfig(), MemoryContext(tmp_path))


def test_a_model_that_gives_nan_is_not_measured(tmp_path: Path) -> None:
    table = TABLE.copy()
    table[3, 3] = np.nan
    with pytest.raises(MeasureError, match="OL504: the output 'logits' is not finite"):
        measure(tmp_path, table)


def test_an_unknown_output_is_refused_with_the_near_miss(tmp_path: Path) -> None:
    model = bigram(tmp_path, TABLE)
    with pytest.raises(InputError, match=r"OL206 output: .*did you mean logits\?"):
        Perplexity().measure(model, model, PerplexityConfig(output="logit"), context(tmp_path))


def test_data_without_samples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="OL206: the data hold no samples"):
        measure(tmp_path, tokens=np.empty((0, 33)))


@pytest.mark.parametrize("masked", [True, False])
def test_a_column_for_the_mask_is_used_where_the_data_have_one(masked: bool, tmp_path: Path) -> None:
    mask = np.arange(33)[None] < RANDOM.integers(2, 34, 20)[:, None]
    np.savez(tmp_path / "text.npz", input_ids=TOKENS, **({"attention_mask": mask.astype(np.int64)} if masked else {}))
    model = bigram(tmp_path / "model", TABLE, state=True)
    report = olivelike.run(
        {
            "name": "reads",
            "model": {"path": str(model.model)},
            "data": {"text": {"npz": str(tmp_path / "text.npz")}},
            "metrics": {"quality": {"type": "perplexity", "data": "text"}},
            "output": {"path": str(tmp_path / "out")},
            "run": {"executor": "inline", "cache": str(tmp_path / "cache")},
        }
    )
    kept = mask[:, 1:] if masked else np.ones((20, 32), np.bool_)
    expected = np.exp(negative_log_likelihoods(TOKENS)[kept].mean())
    assert report.best.metrics["quality.perplexity"].value == pytest.approx(expected, rel=FLOAT32)


def test_data_without_tokens_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "text.npz", words=TOKENS, attention_mask=np.ones_like(TOKENS))
    model = bigram(tmp_path / "model", TABLE, state=True)
    spec = DataSpec("text", "npz", {"npz": "text.npz"})

    class OnDisk(MemoryContext):
        def data(self, session: Session) -> Dataset:
            return open_dataset(spec, Npz(), tmp_path, session.inputs)

    with pytest.raises(InputError, match=r"OL206 data\.text: no column feeds the model's input input_ids"):
        Perplexity().measure(model, model, PerplexityConfig(), OnDisk(tmp_path))
