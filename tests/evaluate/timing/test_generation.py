"""A clock that moves only when a fake model reads makes every time exact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, cycle, repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydantic import ValidationError

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Prospect, Session, TensorInfo
from olivelike.contracts.outcome import Interval, Measurement, Paired, Undefined, Unpaired, Value
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.timing.generation import Generation, GenerationConfig, time_writing
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.scripted_times import ScriptedContext, named
from tests.evaluate.tiny_models import VOCABULARY, classifier, language_model

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

SHORT = GenerationConfig(prompt=4, new_tokens=3, seconds=0, longest=0)


class TestGeneration(MetricContract):
    metric = Generation

    def artifact(self, folder: Path) -> Artifact:
        return language_model(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)

    def configs(self) -> Sequence[GenerationConfig]:
        return (SHORT,)


class TestGenerationFromData(TestGeneration):
    """Without a cache, in half precision, with prompts from data of which some are padded."""

    def artifact(self, folder: Path) -> Artifact:
        return language_model(folder, cached=False, half=True)

    def context(self, folder: Path) -> MemoryContext:
        tokens = np.arange(30).reshape(5, 6) % VOCABULARY
        return MemoryContext(folder, {"input_ids": tokens, "attention_mask": np.tri(5, 6, 3)})


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Writer:
    """Takes so many seconds for each token that it reads, and writes down what it was given."""

    clock: Clock
    seconds: Iterator[float]
    log: list[list[int]] = field(default_factory=list)
    inputs: tuple[TensorInfo, ...] = (
        TensorInfo("input_ids", "int64", ("n", "length")),
        TensorInfo("past_key_values.0.key", "float32", ("n", 2, "past", 4)),
    )
    outputs: tuple[TensorInfo, ...] = (
        TensorInfo("logits", "float32", ("n", "length", VOCABULARY)),
        TensorInfo("present.0.key", "float32", ("n", 2, "all", 4)),
    )

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        read = [int(token) for token in feeds["input_ids"][0]]
        self.log.append(read)
        self.clock.now += len(read) * next(self.seconds)
        return {
            "logits": np.eye(VOCABULARY, dtype=np.float32)[[read]],
            "present.0.key": np.zeros((1, 2, 0, 4), np.float32),
        }

    def time(self, feeds: Mapping[str, Array]) -> float:
        raise AssertionError("generation needs what a run gives")


@dataclass
class WriterContext(ScriptedContext):
    """Opens a `Writer` on the seconds of the artifact's digest."""

    clock: Clock = field(default_factory=Clock)
    log: list[list[int]] = field(default_factory=list)

    def open(self, artifact: Artifact) -> Session:
        self.manifests.append(artifact.manifest)
        return Writer(self.clock, self.seconds[artifact.digest], self.log)


def written(context: WriterContext, config: GenerationConfig = SHORT) -> dict[str, Value]:
    return time_writing(named("a"), named("b"), config, context, context.clock)


def measured(value: Value) -> Measurement:
    assert isinstance(value, Measurement)
    return value


def ratio(value: Value) -> Interval:
    versus = measured(value).versus
    assert isinstance(versus, Paired)
    return versus.interval


def test_first_token_later_tokens_and_their_ratios_are_known() -> None:
    """10 ms for each token read: the first takes the prompt of 4, a later one 1; the baseline takes 25 ms."""
    found = written(WriterContext({"a": cycle([0.010]), "b": cycle([0.025])}))
    assert measured(found["ttft"]).value == pytest.approx(40)
    assert measured(found["per_token"]).value == pytest.approx(10)
    assert measured(found["tokens_per_second"]).value == pytest.approx(100)
    assert ratio(found["ttft"]).value == ratio(found["per_token"]).value == pytest.approx(0.4)
    assert ratio(found["tokens_per_second"]).value == pytest.approx(2.5), "above 1 for the faster"
    assert measured(found["per_token"]).n == 8 * 2
    assert measured(found["ttft"]).n == 8
    assert measured(found["ttft"]).details["cache"] is True


def test_one_slow_token_moves_the_rate_and_not_the_typical_token() -> None:
    """Each continuation takes 4 tokens of a prompt, then 10 ms, 10 ms and 70 ms: 3 tokens in 90 ms."""
    config = SHORT.model_copy(update={"new_tokens": 4})
    context = WriterContext({"a": cycle([0.01, 0.01, 0.01, 0.07]), "b": cycle([0.01])})
    found = written(context, config)
    assert measured(found["per_token"]).value == pytest.approx(10)
    assert measured(found["tokens_per_second"]).value == pytest.approx(3 / 0.09)


def test_both_read_the_same_prompts_and_nothing_ends_a_text() -> None:
    context = WriterContext({"a": cycle([0.01]), "b": cycle([0.01])})
    written(context)
    prompts = [read for read in context.log if len(read) > 1]
    loads = 2 * 8
    assert len(prompts) == 2 * 8 + loads, "one continuation each in eight rounds, and one after each loading"
    assert all(prompts.count(prompt) % 2 == 0 for prompt in prompts)
    assert len({tuple(prompt) for prompt in prompts}) == 8
    assert len(context.log) == 3 * len(prompts)
    assert all(0 <= token < VOCABULARY for prompt in prompts for token in prompt)


def test_the_baseline_is_timed_beside_its_own_copy() -> None:
    context = WriterContext({"a": cycle([0.01])})
    found = time_writing(named("a"), named("a"), SHORT, context, context.clock)["tokens_per_second"]
    assert measured(found).versus == Unpaired()
    assert measured(found).details["against_its_copy"] == {
        name: pytest.approx(1.0) for name in ("ratio", "low", "high")
    }


def test_a_candidate_that_is_out_writes_no_more_than_that_takes() -> None:
    endless = SHORT.model_copy(update={"seconds": 1e9, "longest": 1e9})
    context = WriterContext({"a": cycle([0.03]), "b": cycle([0.01])}, held_against=lambda values: Prospect.OUT)
    found = measured(written(context, endless)["ttft"])
    assert (found.complete, found.n) == (False, 8)


def test_a_candidate_that_leaves_a_constraint_open_writes_until_that_is_decided() -> None:
    answers = chain([Prospect.OPEN] * 5, repeat(Prospect.CLEAR))
    context = WriterContext({"a": cycle([0.01]), "b": cycle([0.01])}, held_against=lambda values: next(answers))
    found = measured(written(context, SHORT.model_copy(update={"longest": 1e9}))["ttft"])
    assert (found.complete, found.n) == (True, 8 + 5)


def test_so_few_continuations_that_nothing_is_bounded_give_no_number() -> None:
    """At 99.9 % confidence eight continuations bound no median."""
    context = WriterContext({"a": cycle([0.01]), "b": cycle([0.01])}, level=0.999)
    assert all(isinstance(value, Undefined) for value in written(context).values())
    more = written(context, SHORT.model_copy(update={"longest": 1e9}))
    assert measured(more["tokens_per_second"]).n > 8


def test_a_clock_that_does_not_move_is_an_error_and_no_number() -> None:
    with pytest.raises(MeasureError, match="the clock does not move"):
        written(WriterContext({"a": cycle([0.0]), "b": cycle([0.0])}))


def test_idle_threads_of_one_session_do_not_spin_against_the_other() -> None:
    context = WriterContext({"a": cycle([0.01]), "b": cycle([0.01])})
    written(context)
    assert {str(manifest.session.get("session.force_spinning_stop", "")) for manifest in context.manifests[2:]} == {"1"}


def test_a_model_with_a_cache_and_one_without_do_the_same_work(tmp_path: Path) -> None:
    cached, plain = language_model(tmp_path / "a"), language_model(tmp_path / "b", cached=False)
    found = Generation().measure(cached, plain, SHORT, MemoryContext(tmp_path))
    assert all(isinstance(measured(value).versus, Paired) for value in found.values())


def test_a_model_that_is_no_language_model_is_refused(tmp_path: Path) -> None:
    model = classifier(tmp_path)
    with pytest.raises(InputError, match=r"OL206.*the model has no input 'input_ids'"):
        Generation().measure(model, model, SHORT, MemoryContext(tmp_path))


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        (np.ones((3, 3)), "no sample of the data has a prompt of 4 tokens; the longest has 3"),
        (np.full((3, 4), 50), "the data hold the token 50, and the model knows those from 0 to 10"),
    ],
)
def test_data_without_a_prompt_for_the_model_are_refused(
    tmp_path: Path, tokens: np.ndarray[tuple[int, ...], np.dtype[np.float64]], reason: str
) -> None:
    model = language_model(tmp_path, cached=False)
    context = MemoryContext(tmp_path, {"input_ids": tokens, "attention_mask": np.ones(tokens.shape)})
    with pytest.raises(InputError, match=f"OL206.*{reason}"):
        Generation().measure(model, model, SHORT, context)


def test_processors_to_pin_to_must_be_there(tmp_path: Path) -> None:
    model = language_model(tmp_path)
    with pytest.raises(InputError, match="OL105 pin: there is no processor 4095 to pin to"):
        Generation().measure(model, model, SHORT.model_copy(update={"pin": (4095,)}), MemoryContext(tmp_path))


@pytest.mark.parametrize("wrong", [{"new_tokens": 1}, {"prompt": 0}, {"seconds": -1}])
def test_settings_that_would_time_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GenerationConfig.model_validate(wrong)
