from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import jiwer
import numpy as np
import onnx
import pytest
import sacrebleu
from onnx import TensorProto, helper
from rouge_score.rouge_scorer import RougeScorer

from olivelike.contracts import extras
from olivelike.contracts.artifact import Artifact
from olivelike.contracts.metric import Prospect
from olivelike.contracts.outcome import Measurement, Paired, Undefined, Value
from olivelike.errors import InputError
from olivelike.evaluate.quality.text import TextConfig, TextMetric, TextValue
from olivelike.evaluate.statistics.corpus_values import missed_share
from olivelike.testing.measure_context import MemoryContext, artifact_at
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.tiny_models import classifier

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

ALL = get_args(TextValue)
SAID = [
    "the cat sat on the mat with a dog",
    "a quick brown fox jumps over the lazy dog",
    "it is raining in the green valley",
    "she reads the morning paper",
] * 3  # an interval needs ten samples at least; values of the whole corpus stay what they are
WANTED = [
    "the cat sat on the mat with the dog",
    "the quick brown fox jumped over the lazy dog",
    "it is raining in the green valley",
    "he reads the evening paper every day",
] * 3
WORSE = ["cat mat", "a quick brown dog", "it is raining", "morning"] * 3


def speaker(folder: Path) -> Artifact:
    """Writes a model that gives back the strings it is given: `said` [n] to `text` [n], through `StringNormalizer`."""
    folder.mkdir(parents=True, exist_ok=True)
    node = helper.make_node("StringNormalizer", ["said"], ["text"], case_change_action="NONE")
    graph = helper.make_graph(
        [node],
        "speaker",
        [helper.make_tensor_value_info("said", TensorProto.STRING, ["n"])],
        [helper.make_tensor_value_info("text", TensorProto.STRING, ["n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "model.onnx")
    return artifact_at(folder)


def context(folder: Path, said: Sequence[str] = SAID, wanted: object = WANTED) -> MemoryContext:
    return MemoryContext(folder, {"said": np.array(said, dtype=object)}, np.array(wanted))


def measure(
    folder: Path, values: Sequence[str], said: Sequence[str] = SAID, wanted: object = WANTED, **options: object
) -> Mapping[str, Value]:
    config = TextConfig.model_validate({"values": values, **options})
    model = speaker(folder / "model")
    return TextMetric().measure(model, model, config, context(folder, said, wanted))


def found(value: Value) -> Measurement:
    assert isinstance(value, Measurement)
    return value


class TestText(MetricContract):
    metric = TextMetric

    def artifact(self, folder: Path) -> Artifact:
        return speaker(folder)

    def context(self, folder: Path) -> MemoryContext:
        return context(folder)

    def configs(self) -> Sequence[TextConfig]:
        return TextConfig(), TextConfig(values=ALL, batch=3), TextConfig(values=("bleu",), tokenize="char")


def test_values_are_those_of_jiwer_sacrebleu_and_rouge_score_on_the_whole_corpus(tmp_path: Path) -> None:
    measured = {name: found(value) for name, value in measure(tmp_path, ALL, batch=3).items()}
    rouge = RougeScorer(["rouge1", "rouge2", "rougeL"])
    pairs = [rouge.score(wanted, said) for wanted, said in zip(WANTED, SAID, strict=True)]
    known = {
        "exact_match": 3 / 12,
        "cer": jiwer.cer(WANTED, SAID),
        "wer": jiwer.wer(WANTED, SAID),
        "bleu": sacrebleu.corpus_bleu(SAID, [WANTED]).score,
        "chrf": sacrebleu.corpus_chrf(SAID, [WANTED]).score,
        **{kind: np.mean([pair[kind].fmeasure for pair in pairs]) for kind in ("rouge1", "rouge2", "rougeL")},
    }
    # Both sides divide the same whole numbers; only the order of floating point operations differs.
    assert {name: each.value for name, each in measured.items()} == pytest.approx(known, rel=1e-12)
    assert {name for name, each in measured.items() if each.better == "lower"} == {"cer", "wer"}
    assert all(each.low <= each.value <= each.high and each.n == 12 for each in measured.values())


def test_a_text_is_read_by_the_users_function(tmp_path: Path) -> None:
    letters = "abc"

    def decode(outputs: Mapping[str, Array], labels: Array) -> object:
        return [letters[index] + " " for index in outputs["logits"].argmax(axis=1)]

    images, labels = np.tile(np.eye(3), (4, 1)), np.array(["a", "b", "b"] * 4)
    given = MemoryContext(tmp_path, {"image": images}, labels, functions={"decode": decode})
    config = TextConfig.model_validate({"postprocess": {"script": "user.py", "call": "decode"}})
    swapped = classifier(tmp_path / "swapped", np.eye(3)[[0, 2, 1]])
    measured = TextMetric().measure(swapped, classifier(tmp_path / "identity"), config, given)
    assert found(measured["exact_match"]).value == 8 / 12, "spaces at the ends do not count"
    assert found(measured["cer"]).value == 4 / 12
    versus = found(measured["cer"]).versus
    assert isinstance(versus, Paired) and versus.interval.value == 0, (
        "each model errs on one letter of three, not on the same"
    )
    assert versus.interval.low < 0 < versus.interval.high


def test_resampling_compares_both_models_on_the_same_texts(tmp_path: Path) -> None:
    def spoil(outputs: Mapping[str, Array], labels: Array, worse: bool) -> object:
        return WORSE if worse and outputs["logits"][0, 0] else SAID

    given = MemoryContext(tmp_path, {"image": np.tile(np.eye(4), (3, 1))}, np.array(WANTED), functions={"spoil": spoil})
    config = TextConfig.model_validate(
        {"values": ["bleu", "wer"], "postprocess": {"script": "user.py", "call": "spoil", "args": {"worse": True}}}
    )
    silent = classifier(tmp_path / "silent", np.zeros((4, 4)))
    measured = TextMetric().measure(classifier(tmp_path / "loud", np.eye(4)), silent, config, given)
    lost, gained = (found(measured[name]).versus for name in ("bleu", "wer"))
    assert isinstance(lost, Paired) and isinstance(gained, Paired)
    expected = sacrebleu.corpus_bleu(WORSE, [WANTED]).score - sacrebleu.corpus_bleu(SAID, [WANTED]).score
    assert lost.interval.value == pytest.approx(expected, rel=1e-9)
    assert lost.interval.high < 0 < gained.interval.low


def test_no_error_in_a_few_texts_promises_nothing_of_others(tmp_path: Path) -> None:
    """Of 12 texts without an error a quarter may have one (rule of three), and at worst nothing is written of those."""
    measured = {name: found(value) for name, value in measure(tmp_path, ALL, WANTED).items()}
    for name, best in {"cer": 0, "wer": 0, "bleu": 100, "chrf": 100}.items():
        assert measured[name].value == pytest.approx(best)
    for name in ("cer", "wer"):
        assert measured[name].high == pytest.approx(missed_share(12), rel=0.15), "lengths of the texts differ"
    assert 0 < measured["bleu"].low < 80 and 0 < measured["chrf"].low < 90


def test_models_that_wrote_the_same_may_differ_on_other_texts(tmp_path: Path) -> None:
    def say(outputs: Mapping[str, Array], labels: Array) -> object:
        return SAID

    given = MemoryContext(tmp_path, {"image": np.tile(np.eye(4), (3, 1))}, np.array(WANTED), functions={"say": say})
    config = TextConfig.model_validate({"values": ALL, "postprocess": {"script": "user.py", "call": "say"}})
    models = classifier(tmp_path / "loud", np.eye(4)), classifier(tmp_path / "silent", np.zeros((4, 4)))
    for value in TextMetric().measure(*models, config, given).values():
        versus = found(value).versus
        assert isinstance(versus, Paired)
        assert versus.interval.low < versus.interval.value == 0 < versus.interval.high


def test_case_counts_unless_told_otherwise(tmp_path: Path) -> None:
    said, wanted = ["Hello World"], ["hello world"]
    assert found(measure(tmp_path / "a", ["exact_match"], said, wanted)["exact_match"]).value == 0
    assert found(measure(tmp_path / "b", ["exact_match"], said, wanted, lowercase=True)["exact_match"]).value == 1


def test_bleu_finds_words_without_blanks_when_told(tmp_path: Path) -> None:
    said, wanted = ["今天天气很好", "我喜欢读书"] * 5, ["今天天气很好", "我们喜欢读书"] * 5
    measured = found(measure(tmp_path, ["bleu"], said, wanted, tokenize="zh")["bleu"])
    assert measured.value == pytest.approx(sacrebleu.corpus_bleu(said, [wanted], tokenize="zh").score, rel=1e-12)


def test_on_an_empty_reference_there_is_no_error_rate(tmp_path: Path) -> None:
    measured = measure(tmp_path, ALL, ["a b", "word"], ["a b", "  "])
    assert found(measured["exact_match"]).value == 1 / 2
    for name in ("cer", "wer", "bleu", "chrf"):
        assert measured[name] == Undefined(
            "the reference of sample 1 is empty, and the value would be a division by zero"
        )
    assert isinstance(measured["rougeL"], Undefined)


def test_rouge_does_not_pretend_to_read_what_it_cannot(tmp_path: Path) -> None:
    value = measure(tmp_path, ["rouge1"], ["今天"], ["今天"])["rouge1"]
    assert isinstance(value, Undefined) and "holds no letter from a to z and no digit" in value.reason


def test_a_candidate_that_is_out_is_left_at_that(tmp_path: Path) -> None:
    model = speaker(tmp_path / "model")
    many = context(tmp_path, SAID * 40, WANTED * 40)
    given = MemoryContext(tmp_path, many.columns, many.labels, held_against=lambda values: Prospect.OUT)
    measured = TextMetric().measure(model, model, TextConfig(values=ALL), given)
    assert all(found(value).n == 256 and not found(value).complete for value in measured.values())


def test_labels_that_are_no_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"OL207: the labels are of type int64 and shape \[12\], not 12 texts"):
        measure(tmp_path, ["cer"], SAID, range(12))
    with pytest.raises(InputError, match="OL207: the data have no labels"):
        measure(tmp_path, ["cer"], SAID, [])


def test_a_model_without_texts_asks_for_a_function(tmp_path: Path) -> None:
    given = MemoryContext(tmp_path, {"image": np.eye(3)}, np.array(["a", "b", "c"]))
    model = classifier(tmp_path)
    with pytest.raises(InputError, match=r"OL206 postprocess: the model has no output of strings\. hint: write"):
        TextMetric().measure(model, model, TextConfig(), given)


def test_an_unknown_output_is_refused_with_the_near_miss(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"OL206 output: .*hint: did you mean text\?"):
        measure(tmp_path, ["cer"], output="texts")


@pytest.mark.parametrize(
    ("returned", "claim"),
    [
        (lambda n: "abc", r"returned 3 items, not 3 texts"),
        (lambda n: ["a"] * (n - 1), r"returned 2 items, not 3 texts"),
        (lambda n: [b"a"] * n, r"returned 3 items, not 3 texts"),
        (np.zeros, r"returned ndarray, not 3 texts"),
        (lambda n: None, r"returned NoneType, not 3 texts"),
        (lambda n: iter("abc"), r"returned \w+iterator, not 3 texts"),
    ],
)
def test_what_is_no_text_for_each_sample_is_refused_with_the_users_file(
    returned: Callable[[int], object], claim: str, tmp_path: Path
) -> None:
    functions = {"decode": lambda outputs, labels: returned(len(labels))}
    given = MemoryContext(tmp_path, {"image": np.eye(3)}, np.array(["a", "b", "c"]), functions=functions)
    config = TextConfig.model_validate({"postprocess": {"script": "user.py", "call": "decode"}})
    model = classifier(tmp_path)
    with pytest.raises(InputError, match=rf"OL209 user\.py: decode\(\) {claim}"):
        TextMetric().measure(model, model, config, given)


def test_a_missing_package_is_refused_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "sacrebleu" else object())
    with pytest.raises(InputError, match=r"OL211: the metric text needs the package sacrebleu.*olivelike\[metrics\]"):
        measure(tmp_path, ["bleu"])
