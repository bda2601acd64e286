"""The model source `hub`, against a small Hub on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from olivelike.contracts.ports import Fetched
from olivelike.digest import Json
from olivelike.sources.hub import Hub
from olivelike.testing.models import mlp, save, save_external
from olivelike.testing.source_contract import SourceContract
from tests.sources.hub_server import TinyHub, serving
from tests.sources.refusals import refusal
from tests.sources.tiny_safetensors import write_safetensors


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyHub]:
    """A running Hub with one commit of an ONNX model, and an empty cache."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    tiny = TinyHub()
    tiny.push({**files_of(save(mlp(), tmp_path / "one")), "README.md": b"#", "tokenizer.json": b"{}"})
    with serving(tiny):
        monkeypatch.setenv("HF_ENDPOINT", tiny.endpoint)
        yield tiny


class TestHub(SourceContract):
    def source(self) -> Hub:
        return Hub()

    def example(self, folder: Path) -> Json:
        return "owner/tiny"


def files_of(model: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in model.parent.iterdir()}


def fetch(value: Json = "owner/tiny", file: str = "", revision: str = "", offline: bool = False) -> Fetched:
    return Hub().fetch(value, file=file, revision=revision, folder=Path(), offline=offline)


def downloads(hub: TinyHub) -> list[str]:
    return sorted({line.rpartition("/")[2] for line in hub.requests if line.startswith("GET") and "/resolve/" in line})


def test_a_model_is_fetched_with_its_companions_and_nothing_else(hub: TinyHub, tmp_path: Path) -> None:
    fetched = fetch()
    assert fetched.kind == "onnx"
    assert fetched.companions == ("tokenizer.json",)
    assert fetched.files["model.onnx"].read_bytes() == (tmp_path / "one" / "model.onnx").read_bytes()
    assert downloads(hub) == ["model.onnx", "tokenizer.json"]


def test_the_lock_holds_the_commit_and_what_was_asked(hub: TinyHub) -> None:
    sha = hub.branches["main"]
    assert fetch().revision == {"hub": "owner/tiny", "commit": sha, "asked": ""}
    assert fetch(revision="main").revision == {"hub": "owner/tiny", "commit": sha, "asked": "main"}


def test_the_cache_lies_where_the_environment_says_at_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetch().files["model.onnx"].is_relative_to((tmp_path / "hf" / "hub").resolve())
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "other"))
    assert fetch().files["model.onnx"].is_relative_to((tmp_path / "other").resolve())


def test_offline_serves_the_cached_commit_without_a_request(hub: TinyHub) -> None:
    first = fetch()
    hub.requests.clear()
    assert fetch(offline=True) == first
    assert hub.requests == []


def test_the_environment_may_say_offline(hub: TinyHub, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetch()
    hub.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch() == first
    assert hub.requests == []


def test_a_moved_branch_gives_its_new_commit_and_a_pinned_commit_stays(hub: TinyHub, tmp_path: Path) -> None:
    old = hub.branches["main"]
    fetch()
    new = hub.push(files_of(save(mlp(hidden=8), tmp_path / "two")))
    assert fetch().revision["commit"] == new
    assert fetch().files["model.onnx"].read_bytes() == (tmp_path / "two" / "model.onnx").read_bytes()
    pinned = fetch(revision=old)
    assert pinned.revision["commit"] == old
    assert pinned.files["model.onnx"].read_bytes() == (tmp_path / "one" / "model.onnx").read_bytes()


def test_a_pinned_commit_in_the_cache_needs_no_request(hub: TinyHub) -> None:
    sha = hub.branches["main"]
    fetch(revision=sha)
    hub.requests.clear()
    fetch(revision=sha)
    assert hub.requests == []


def test_external_data_are_fetched_with_the_model_and_other_models_are_not(hub: TinyHub, tmp_path: Path) -> None:
    model = save_external(mlp(), tmp_path / "large")
    hub.push({f"onnx/{name}": content for name, content in files_of(model).items()} | {"onnx/other.onnx": b"?"})
    fetched = fetch(file="onnx/model.onnx")
    assert sorted(fetched.files) == [f"onnx/{path.name}" for path in sorted(model.parent.iterdir())]
    assert downloads(hub) == sorted(path.name for path in model.parent.iterdir())


def test_external_data_that_the_repository_lacks_are_refused(hub: TinyHub, tmp_path: Path) -> None:
    model = save_external(mlp(), tmp_path / "large")
    hub.push({"model.onnx": model.read_bytes()})
    problem = refusal(fetch)
    assert problem.code == "OL203"
    assert "are missing" in problem.claim


def test_a_transformers_model_is_fetched_without_pickles_and_code(hub: TinyHub, tmp_path: Path) -> None:
    weights = write_safetensors(tmp_path / "model.safetensors").read_bytes()
    hub.push({"config.json": b"{}", "model.safetensors": weights, "pytorch_model.bin": b"\x80", "modeling.py": b""})
    fetched = fetch()
    assert (fetched.kind, sorted(fetched.files)) == ("hf", ["config.json", "model.safetensors"])
    assert downloads(hub) == ["config.json", "model.safetensors"]


def test_xet_is_not_used_and_the_librarys_setting_is_as_before(hub: TinyHub) -> None:
    from huggingface_hub import constants

    before = constants.HF_HUB_DISABLE_XET
    fetch()
    assert not any("/xet" in line for line in hub.requests)
    assert constants.HF_HUB_DISABLE_XET is before


def test_no_environment_variable_is_written() -> None:
    before = dict(os.environ)
    fetch()
    assert dict(os.environ) == before


def test_an_unknown_model_is_refused_in_one_line(hub: TinyHub) -> None:
    problem = refusal(lambda: fetch("owner/other"))
    assert (problem.code, problem.place) == ("OL204", "hub owner/other")
    assert "no such model" in problem.claim


def test_an_unknown_revision_is_refused() -> None:
    problem = refusal(lambda: fetch(revision="v9"))
    assert problem.code == "OL204"
    assert "'v9'" in problem.claim


@pytest.mark.parametrize("refused", ["/", "/resolve/"])
def test_a_gated_model_says_what_to_do(hub: TinyHub, refused: str) -> None:
    hub.refusal, hub.refused = (403, "GatedRepo"), refused
    problem = refusal(fetch)
    assert problem.code == "OL204"
    assert "gated" in problem.claim
    assert "hf auth login" in problem.hint


def test_a_hub_that_fails_is_named_with_its_status(hub: TinyHub) -> None:
    hub.refusal = (418, "")
    problem = refusal(fetch)
    assert problem.code == "OL204"
    assert f"{hub.endpoint} answered 418" in problem.claim


def test_a_name_that_is_none_is_refused() -> None:
    problem = refusal(lambda: fetch("a/b/c"))
    assert problem.code == "OL204"
    assert problem.hint == "write owner/name"


def test_nothing_in_the_cache_and_offline_is_refused() -> None:
    problem = refusal(lambda: fetch(offline=True))
    assert problem.code == "OL204"
    assert "only the cache may be used" in problem.claim


def test_a_snapshot_that_lacks_a_file_is_not_served_offline(hub: TinyHub, tmp_path: Path) -> None:
    hub.push({"a.onnx": (tmp_path / "one" / "model.onnx").read_bytes(), "b.onnx": b"?"})
    fetch(file="a.onnx")
    assert fetch(file="a.onnx", offline=True).parts == {"model": "a.onnx"}
    assert refusal(lambda: fetch(file="b.onnx", offline=True)).code == "OL204"


def test_a_cache_without_a_listing_serves_what_it_holds_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch()
    for listing in (tmp_path / "hf").rglob("trees/*.json"):
        listing.unlink()
    (tmp_path / "hf").rename(tmp_path / "moved")  # the library remembers listings by path
    monkeypatch.setenv("HF_HOME", str(tmp_path / "moved"))
    assert list(fetch(offline=True).files) == list(first.files)


def test_names_that_leave_the_repository_are_not_looked_at(hub: TinyHub, tmp_path: Path) -> None:
    model = (tmp_path / "one" / "model.onnx").read_bytes()
    hub.push({"../../evil.onnx": model, "/evil.onnx": model, "a\\evil.onnx": model, "model.onnx": model})
    assert list(fetch().files) == ["model.onnx"]


def test_without_a_network_the_cached_commit_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetch()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")  # nothing listens there
    assert fetch() == first


def test_without_a_network_and_a_cache_the_endpoint_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    problem = refusal(fetch)
    assert problem.code == "OL204"
    assert "http://127.0.0.1:1 cannot be reached" in problem.claim


def test_the_token_is_sent_and_is_in_no_message(
    hub: TinyHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_this_test")
    fetch()
    assert hub.authorizations == {"Bearer hf_secret_of_this_test"}
    hub.refusal = (401, "")
    problem = refusal(fetch)
    assert "hf_secret" not in caplog.text + str(problem)
