"""Certifying the winner on data that the search did not see, and a bundle at any later time."""

from __future__ import annotations

import shutil
from pathlib import Path
from textwrap import dedent
from typing import cast

import numpy as np
import pytest

import olivelike
from olivelike.contracts.certificate import Certainty
from olivelike.contracts.data import Column
from olivelike.digest import Json
from olivelike.engine import unseen
from olivelike.engine.certify_bundle import certify_bundle
from olivelike.engine.data_option import DataOption
from olivelike.engine.session import Settings
from olivelike.errors import InputError
from olivelike.testing.context import run_model
from olivelike.testing.models import FEATURES

Job = dict[str, Json]


def samples(job: Job, name: str, count: int, *, seed: int, flipped: float = 0.0) -> Path:
    """Writes samples labelled by the model itself, a share of the labels replaced by what int8 gives instead."""
    model = Path(str(cast("dict[str, Json]", job["model"])["path"]))
    draw = np.random.default_rng(seed)
    features = draw.standard_normal((count, FEATURES)).astype("float32")
    labels = run_model(model, {"x": features})["logits"].argmax(axis=-1)
    labels[: int(flipped * count)] = 3
    path = model.parent / f"{name}.npz"
    np.savez(path, x=features, labels=labels)
    return path


@pytest.fixture
def certified(job: Job) -> Job:
    fresh = samples(job, "fresh", 300, seed=9)
    job["data"] = {
        **cast("Job", job["data"]),
        "fresh": {"npz": str(fresh), "labels": "labels", "use": ["certification"]},
    }
    job["metrics"] = {"accuracy": {"type": "accuracy", "data": "test", "certify": "fresh"}, "size": {"type": "size"}}
    job["constraints"] = [{"metric": "accuracy", "max_drop": 0.2}]
    return job


def test_the_winner_is_certified_on_data_that_the_search_did_not_see(certified: Job) -> None:
    report = olivelike.run(certified)
    [certificate] = report.to_json()["certificates"]  # type: ignore[misc]
    assert certificate["verdict"] == "accept"  # type: ignore[call-overload, index]
    assert certificate["alpha"] == 0.025  # type: ignore[call-overload, index]
    assert certificate["metrics"]["accuracy.top1"]["n"] == 300  # type: ignore[call-overload, index]
    assert report.status == "feasible"


def test_a_winner_that_does_not_hold_on_them_gives_way_to_the_second_best(certified: Job) -> None:
    """Ten samples cannot show that at most a fifth is lost; the baseline loses nothing by itself, whatever they are."""
    samples(certified, "fresh", 10, seed=9)
    report = olivelike.run(certified)
    first, second, last = report.contract.certificates
    assert first.verdict is Certainty.UNDECIDED
    assert "not accepted on the certification data" in next(
        t.verdict for t in report.contract.trials if t.number == first.trial
    )
    assert second.trial != first.trial
    assert (last.trial, last.verdict) == (-1, Certainty.ACCEPT)


TWO_KINDS: Json = [{"name": "quantize", "one_of": [{"dynamic_quant": {"per_channel": [True, False]}}]}]


def test_the_baseline_is_handed_out_where_neither_of_the_two_best_is_accepted(certified: Job) -> None:
    samples(certified, "fresh", 10, seed=9)
    report = olivelike.run(certified | {"passes": TWO_KINDS})
    assert report.status == "feasible"
    assert len(report.contract.certificates) == 3
    [chosen] = report.contract.chosen
    assert chosen.trial == -1
    assert "not accepted on data that the search did not see; the baseline loses nothing against itself" in chosen.why


@pytest.fixture
def bounded(certified: Job) -> Job:
    """With a bound on the accuracy itself, which a baseline does not hold by definition."""
    return certified | {"passes": TWO_KINDS, "constraints": [{"metric": "accuracy", "at_least": 0.8}]}


def test_nothing_is_handed_out_where_nothing_is_accepted(bounded: Job, tmp_path: Path) -> None:
    samples(bounded, "fresh", 10, seed=9)
    report = olivelike.run(bounded)
    assert report.status == "undecided"
    assert [c.alpha for c in report.contract.certificates] == [pytest.approx(0.05 / 3)] * 3
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "out.report.json").exists()


def test_it_is_infeasible_only_where_every_feasible_candidate_was_rejected(bounded: Job) -> None:
    samples(bounded, "fresh", 300, seed=9, flipped=0.9)
    assert olivelike.run(bounded, overrides=["search.measure=all"]).status == "infeasible"
    choices: Json = [True, False]
    bounded["passes"] = [{"dynamic_quant": {"per_channel": choices, "reduce_range": choices}}]
    report = olivelike.run(bounded, overrides=["search.measure=all"])
    assert report.status == "undecided"
    assert "2 more hold on the data that the search saw, and were not certified" in report.contract.why


def test_a_candidate_that_was_left_at_one_that_is_then_rejected_is_lost_and_said_to_be(bounded: Job) -> None:
    """Trial 0 is smaller; `none`, trial 1, is not measured further, as it cannot win against that."""
    samples(bounded, "fresh", 300, seed=9, flipped=0.9)
    bounded |= {"passes": [{"name": "quantize", "one_of": [{"dynamic_quant": {}}, "none"]}], "baseline": "none"}
    report = olivelike.run(bounded, overrides=["search.strategy=grid"])
    assert report.status == "undecided"
    assert "run with search.measure=all" in report.contract.why


def test_models_that_are_all_handed_out_share_the_error_rate(certified: Job) -> None:
    certified["output"] = {**cast("Job", certified["output"]), "keep": "all"}
    report = olivelike.run(certified)
    costly = [c for c in report.contract.certificates if c.trial >= 0]
    assert len(costly) == 3
    assert {c.alpha for c in costly} == {0.05 / 3}


def test_data_that_the_search_sees_certify_nothing(certified: Job) -> None:
    data = cast("Job", certified["data"])
    shutil.copy(str(cast("Job", data["test"])["npz"]), str(cast("Job", data["fresh"])["npz"]))
    with pytest.raises(InputError, match=r"OL112 metrics.accuracy.certify: .*hold the same file"):
        olivelike.run(certified)


def test_samples_once_compared_are_read_again_only_when_they_change(
    certified: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    olivelike.run(certified)
    read: list[str] = []

    def note(entry: unseen.Entry, inputs: object) -> dict[str, Column]:
        read.append(entry.told)
        return {}

    monkeypatch.setattr(unseen, "_columns", note)
    olivelike.run(certified)
    assert read == []
    samples(certified, "fresh", 300, seed=21)
    olivelike.run(certified)
    assert "data.fresh" in read


def test_a_script_that_the_search_calls_too_certifies_with_another_seed_only(certified: Job, tmp_path: Path) -> None:
    (tmp_path / "drawn.py").write_text(
        dedent(f"""\
            import numpy as np

            def drawn(seed):
                features = np.random.default_rng(seed).standard_normal((50, {FEATURES})).astype("float32")
                return {{"x": features}}, features.argmax(axis=1) % 2
            """)
    )
    data = cast("Job", certified["data"])
    call: Job = {"script": str(tmp_path / "drawn.py"), "call": "drawn", "labels": "label"}
    data["test"] = {**call, "args": {"seed": 1}, "use": ["selection"]}
    data["fresh"] = {**call, "args": {"seed": 1}, "use": ["certification"]}
    with pytest.raises(InputError, match=r"OL112 metrics.accuracy.certify: .* hold the same file"):
        olivelike.run(certified)
    data["fresh"] = {**call, "args": {"seed": 2}, "use": ["certification"]}
    assert olivelike.run(certified).contract.certificates


@pytest.mark.parametrize(
    ("entry", "code"),
    [({"use": ["certification", "selection"]}, "OL112"), ({"use": []}, "OL112"), (None, "OL108")],
)
def test_data_to_certify_on_must_be_apart_by_construction(certified: Job, entry: Json, code: str) -> None:
    data = cast("Job", certified["data"])
    if entry is None:
        data.pop("fresh")
    else:
        data["fresh"] = {**cast("Job", data["fresh"]), **cast("Job", entry)}
    with pytest.raises(InputError, match=rf"{code} metrics.accuracy.certify"):
        olivelike.run(certified)


def test_without_such_data_the_report_says_that_the_choice_is_not_certified(job: Job) -> None:
    report = olivelike.run(job)
    assert any("name data that the search does not see (`certify:`)" in note for note in report.contract.notes)
    assert report.contract.certificates == ()


@pytest.fixture
def bundle(certified: Job, tmp_path: Path) -> Path:
    assert olivelike.run(certified).status == "feasible"
    return tmp_path / "out"


def judged(bundle: Path, fresh: Path, alpha: float = 0.05) -> tuple[str, str]:
    found = certify_bundle(bundle, DataOption(str(fresh)), alpha, None, Settings(str(bundle.parent / "cache")))
    [finding] = found.findings
    return found.verdict.value, finding.found


def test_a_bundle_is_accepted_on_samples_on_which_it_holds(bundle: Path, certified: Job) -> None:
    verdict, found = judged(bundle, samples(certified, "later", 400, seed=11))
    assert verdict == "accept"
    assert found.startswith("got ")


def test_few_samples_leave_it_undecided_and_say_how_many_would_decide(bundle: Path, certified: Job) -> None:
    verdict, found = judged(bundle, samples(certified, "later", 8, seed=11))
    assert verdict == "undecided"
    assert "more samples would decide" in found


def test_a_smaller_error_rate_asks_for_more(bundle: Path, certified: Job) -> None:
    later = samples(certified, "later", 30, seed=11)
    assert [judged(bundle, later, alpha)[0] for alpha in (0.2, 1e-9)] == ["accept", "undecided"]


def test_data_that_the_search_has_seen_are_refused(bundle: Path, certified: Job) -> None:
    seen = Path(str(cast("Job", cast("Job", certified["data"])["test"])["npz"]))
    with pytest.raises(InputError, match=r"OL112.* and data.test hold the same file: the search has seen it"):
        judged(bundle, seen)


def test_they_are_refused_under_whatever_name(bundle: Path, certified: Job, tmp_path: Path) -> None:
    seen = Path(str(cast("Job", cast("Job", certified["data"])["test"])["npz"]))
    shutil.copy(seen, tmp_path / "never-seen.npz")
    seen.unlink()  # the lock knows what the search saw, wherever that is now
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(InputError, match=r"OL112.* and data.test hold the same file: the search has seen it"):
        judged(bundle, tmp_path / "never-seen.npz")


def half_seen(job: Job, path: Path, share: float) -> Path:
    """Writes 200 samples of which a share are rows of the data that the search sees, in another file and order."""
    with np.load(str(cast("Job", cast("Job", job["data"])["test"])["npz"])) as seen:
        rows = np.random.default_rng(4).standard_normal((200, FEATURES)).astype("float32")
        rows[: int(200 * share)] = seen["x"][: int(200 * share)]
    np.savez_compressed(path, x=rows[::-1], labels=np.zeros(200, dtype="int64"))
    return path


def test_samples_that_the_search_has_seen_are_refused_in_another_file(
    bundle: Path, certified: Job, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"OL112.*: 200 of 200 samples are among those of data.test"):
        judged(bundle, half_seen(certified, tmp_path / "mixed.npz", 1.0))


def test_a_few_of_them_are_told(bundle: Path, certified: Job, tmp_path: Path) -> None:
    fresh = DataOption(str(half_seen(certified, tmp_path / "mixed.npz", 0.1)))
    found = certify_bundle(bundle, fresh, 0.05, None, Settings(str(tmp_path / "cache")))
    [note] = found.notes
    assert "20 of 200 samples are among those of data.test" in note


def test_a_run_refuses_samples_that_the_search_sees_in_another_file(certified: Job) -> None:
    half_seen(certified, Path(str(cast("Job", cast("Job", certified["data"])["fresh"])["npz"])), 0.6)
    with pytest.raises(InputError, match=r"OL112 metrics.accuracy.certify: data.fresh: 120 of 200 samples are among"):
        olivelike.run(certified)


def test_samples_that_have_certified_the_bundle_before_are_told(bundle: Path, certified: Job, tmp_path: Path) -> None:
    fresh = DataOption(str(cast("Job", cast("Job", certified["data"])["fresh"])["npz"]))
    found = certify_bundle(bundle, fresh, 0.05, None, Settings(str(tmp_path / "cache")))
    assert found.notes == ("these samples have certified this bundle before: what they say now is no new evidence",)


def test_a_model_that_is_not_the_locked_one_is_refused(bundle: Path, certified: Job) -> None:
    later = samples(certified, "later", 40, seed=11)
    model = bundle / "model.onnx"
    changed = model.read_bytes() + b"x"
    model.unlink()
    model.write_bytes(changed)
    with pytest.raises(InputError, match=r"OL118.*is not the one that its lock describes"):
        judged(bundle, later)


def test_a_folder_that_is_no_bundle_and_an_impossible_error_rate_are_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"OL118.*is no bundle"):
        judged(tmp_path / "empty", tmp_path)
    with pytest.raises(InputError, match=r"OL105.*--alpha 0.5"):
        judged(bundle, tmp_path, 0.5)
