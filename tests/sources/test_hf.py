"""The data reader `hf`, against folders and a small Hub on this machine."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

import olivelike
from olivelike.contracts.data import FetchedData
from olivelike.digest import Json
from olivelike.engine.rebuild import rebuild
from olivelike.engine.session import Settings
from olivelike.sources.hf import Hf
from olivelike.testing.source_contract import ReaderContract
from tests.sources.hub_server import TinyHub, serving
from tests.sources.reading import read
from tests.sources.refusals import refusal
from tests.sources.tiny_text import save_text_model, save_tokenizer

CONFIGS = b"---\nconfigs:\n- config_name: one\n  data_files: first.jsonl\n- config_name: two\n  data_files: second.jsonl\n---\n"


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyHub]:
    """A running Hub with one commit of a data set of two splits and a program, and empty caches."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    tiny = TinyHub()
    tiny.push(dataset())
    with serving(tiny):
        monkeypatch.setenv("HF_ENDPOINT", tiny.endpoint)
        yield tiny


def table(texts: Sequence[str], labels: Sequence[int]) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": list(texts), "label": list(labels)}), stream)
    return stream.getvalue()


def dataset(first: str = "good film") -> dict[str, bytes]:
    return {
        "README.md": b"# A data set",
        "tiny.py": b"raise SystemExit('the program of the data set ran')",
        "data/train-00000-of-00001.parquet": table(["a film"], [0]),
        "data/test-00000-of-00002.parquet": table([first, "bad film"], [1, 0]),
        "data/test-00001-of-00002.parquet": table(["a very good film"], [1]),
    }


def fetch(folder: Path = Path(), offline: bool = False, **config: Json) -> FetchedData:
    typed = Hf().config.model_validate({"hf": "owner/tiny", "split": "test", **config})
    return Hf().fetch(typed, folder, offline=offline)


def downloads(hub: TinyHub) -> list[str]:
    return sorted({line.rpartition("/")[2] for line in hub.requests if line.startswith("GET") and "/resolve/" in line})


class TestHf(ReaderContract):
    def reader(self) -> Hf:
        return Hf()

    def example(self, folder: Path) -> dict[str, Json]:
        (folder / "saved").mkdir(exist_ok=True)
        (folder / "saved" / "test.parquet").write_bytes(table(["a", "b"], [0, 1]))
        return {"hf": "./saved"}


def test_the_files_of_one_split_are_fetched_and_pinned_to_a_commit(hub: TinyHub) -> None:
    found = fetch()
    assert list(found.files) == ["tiny/data/test-00000-of-00002.parquet", "tiny/data/test-00001-of-00002.parquet"]
    assert found.revision == {"hf": "owner/tiny", "commit": hub.branches["main"], "asked": ""}
    assert downloads(hub) == ["README.md", "test-00000-of-00002.parquet", "test-00001-of-00002.parquet"]


def test_without_a_network_the_cached_commit_is_used(hub: TinyHub) -> None:
    online = fetch()
    hub.push(dataset("changed since"))
    hub.requests.clear()
    assert fetch(offline=True).revision == online.revision
    assert fetch(offline=True).files == online.files
    assert hub.requests == []
    assert fetch().revision != online.revision
    assert fetch(revision=str(online.revision["commit"])).files == online.files


def test_a_split_that_is_not_there_or_not_named_is_refused(hub: TinyHub) -> None:
    del hub
    problem = refusal(lambda: fetch(split="tests"))
    assert (problem.code, problem.hint) == ("OL205", "did you mean test?")
    problem = refusal(lambda: fetch(split=""))
    assert (problem.claim, problem.hint) == ("has 2 splits: train, test", "name one with `split: test`")


def test_a_data_set_or_revision_that_is_not_there_is_refused() -> None:
    assert refusal(lambda: fetch(hf="owner/none")).claim == "there is no such dataset, or it is private"
    assert refusal(lambda: fetch(revision="none")).code == "OL204"
    assert refusal(lambda: fetch(hf="owner/tiny", offline=True)).code == "OL204"


def test_configurations_are_those_of_the_readme(hub: TinyHub) -> None:
    hub.push({"README.md": CONFIGS, "first.jsonl": b'{"n": 1}\n', "second.jsonl": b'{"n": 2}\n'})
    assert list(fetch(name="two", split="").files) == ["tiny/second.jsonl"]
    problem = refusal(lambda: fetch(split=""))
    assert (problem.code, problem.hint) == ("OL205", "name one with `name: one`")
    problem = refusal(lambda: fetch(name="twoo"))
    assert (problem.code, problem.hint) == ("OL205", "did you mean two?")


def test_the_hubs_own_parquet_copy_has_a_folder_for_each_configuration(hub: TinyHub) -> None:
    copy = {f"{name}/test/0000.parquet": table([name], [0]) for name in ("default", "other")}
    hub.push(copy, branch="refs/convert/parquet")
    assert list(fetch(revision="refs/convert/parquet").files) == ["tiny/default/test/0000.parquet"]
    assert list(fetch(revision="refs/convert/parquet", name="other").files) == ["tiny/other/test/0000.parquet"]


def test_other_formats_are_refused_with_the_branch_that_can_be_read(hub: TinyHub) -> None:
    hub.push({"test.csv": b"a,b\n1,2\n"})
    problem = refusal(fetch)
    assert (problem.code, "refs/convert/parquet" in problem.hint) == ("OL205", True)


def test_a_data_set_saved_to_disk_is_read_from_its_arrow_files(tmp_path: Path) -> None:
    import datasets

    test = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "ids": [[1], [2, 3], []]})
    datasets.DatasetDict({"train": test, "test": test.select([2, 1])}).save_to_disk(tmp_path / "both")
    test.save_to_disk(tmp_path / "one")
    found = fetch(tmp_path, hf="./both")
    assert list(found.files) == ["both/test/data-00000-of-00001.arrow"]
    for name, path in found.files.items():
        (tmp_path / "store" / name).parent.mkdir(parents=True)
        (tmp_path / "store" / name).write_bytes(path.read_bytes())
    columns = read(Hf(), tmp_path / "store", {"hf": "both"})
    assert columns["text"].tolist() == ["c", "b"]
    assert [row.tolist() for row in columns["ids"]] == [[], [2, 3]]
    assert list(fetch(tmp_path, hf="./one", split="").files) == ["one/data-00000-of-00001.arrow"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(lambda: fetch(tmp_path, hf="./none")).code == "OL205"
    (tmp_path / "empty").mkdir()
    assert refusal(lambda: fetch(tmp_path, hf="./empty")).code == "OL205"


def test_a_run_reads_a_data_set_of_the_hub_and_its_lock_names_the_commit(hub: TinyHub, tmp_path: Path) -> None:
    save_tokenizer(tmp_path / "classifier")
    save_text_model(tmp_path / "classifier")
    job: dict[str, Json] = {
        "name": "hub-data",
        "model": {"path": str(tmp_path / "classifier"), "task": "text-classification"},
        "target": {"threads": 1},
        "data": {"test": {"hf": "owner/tiny", "split": "test"}},
        "metrics": {"accuracy": {"type": "accuracy", "data": "test"}},
        "passes": [{"dynamic_quant": {}}],
        "output": {"path": str(tmp_path / "out")},
        "run": {"cache": str(tmp_path / "cache"), "executor": "inline"},
    }
    report = olivelike.run(job)
    assert report.best.metrics["accuracy.top1"].n == 3
    assert hub.branches["main"] in (tmp_path / "out" / "olivelike.lock.json").read_text()
    hub.push(dataset("changed since"))
    rebuilt = rebuild(tmp_path / "out" / "olivelike.lock.json", None, "", Settings())
    assert not any("data entry" in line for line in rebuilt.differences)
    assert olivelike.run(job).contract.cost.measurements_run > 0
