"""Bad input is exit 2 with a code, a place and a hint; nothing ran, nothing is lost, no traceback."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.cli.conftest import WORKFLOW, Command

EDITS = {
    "an unknown key": ("objectives:", "objektives:", "OL104", "did you mean objectives?"),
    "a wrong type": ("threads: 1", "threads: many", "OL105", "workflow.yaml:3"),
    "an unknown pass": ("dynamic_quant:", "dynamic_kwant:", "OL107", "did you mean dynamic_quant?"),
    "an unknown metric": ("type: size", "type: sise", "OL107", "did you mean size?"),
    "an unknown provider": ("[cpu]", "[gpuu]", "OL107", "workflow.yaml:3"),
    "a missing data entry": ("data: test}", "data: tset}", "OL108", "did you mean test?"),
    "a constraint on what is not measured": ("metric: accuracy,", "metric: f1,", "OL108", "workflow.yaml:10"),
    "an unknown value of a metric": ("minimize: size", "minimize: size.byts", "OL108", "did you mean bytes?"),
    "an unknown parameter": ("per_channel:", "per_chanel:", "OL104", "did you mean per_channel?"),
    "an empty list of choices": ("[true, false]", "[]", "OL114", "at least one value"),
    "a choice of the wrong type": ("[true, false]", "[maybe, false]", "OL105", "workflow.yaml:15"),
    "a metric that needs data": ("type: accuracy, data: test", "type: accuracy", "OL111", "data"),
    "a missing model": ("path: model.onnx", "path: modle.onnx", "OL201", "did you mean model.onnx?"),
    "a missing data file": ("npz: test.npz", "npz: tset.npz", "OL205", "did you mean test.npz?"),
    "a missing label column": ("labels: labels", "labels: lables", "OL207", "did you mean labels?"),
    "a provider that is not offered": ("[cpu]", "[cuda]", "OL210", "CPUExecutionProvider"),
    "an improvement forbidden": ("max_drop: 0.2", "max_increase: 0.2", "OL112", "max_drop"),
    "an objective the wrong way": ("minimize: size", "maximize: size", "OL112", "write minimize"),
    "what is not built yet": ("objectives:", "environments: {gpu: {}}\nobjectives:", "OL109", "not built yet"),
    "a capability to come in a step": (
        "name: quantize",
        "name: quantize\n    parts: [encoder]",
        "OL109",
        "not built yet",
    ),
    "two targets": ("target:", "targets: {a: {}, b: {}}\ntarget:", "OL109", "more than one target"),
    "an unknown strategy": ("output:", "search: {strategy: anealing}\noutput:", "OL107", "strategy"),
    "a baseline that does not exist": ("output:", "baseline: simplfy\noutput:", "OL108", "simplfy"),
    "a baseline behind a choice": ("output:", "baseline: quantize\noutput:", "OL112", "choice"),
}


@pytest.mark.parametrize(("old", "new", "code", "words"), EDITS.values(), ids=EDITS.keys())
def test_a_mistake_in_the_file_is_exit_2_and_named(
    command: Command, folder: Path, old: str, new: str, code: str, words: str
) -> None:
    assert old in WORKFLOW
    (folder / "workflow.yaml").write_text(WORKFLOW.replace(old, new, 1))
    ended = command("run", "workflow.yaml")
    assert ended.code == 2, ended.err
    assert code in ended.err
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""
    assert not (folder / "out").exists()


def test_every_mistake_is_said_at_once(command: Command, folder: Path) -> None:
    text = WORKFLOW
    for old, new, _, _ in list(EDITS.values())[:5]:
        text = text.replace(old, new, 1)
    (folder / "workflow.yaml").write_text(text)
    ended = command("validate", "workflow.yaml")
    assert ended.code == 2
    assert {"OL104", "OL105", "OL107"} <= {line.split(" ")[0] for line in ended.err.splitlines()}
    assert len(ended.err.splitlines()) >= 5


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "OL102"),
        (b"- a\n- b\n", "OL102"),
        (b"\xff\xfe\x00model", "OL101"),
        (b"model: {path: [", "OL101"),
        (b"name: a\nname: b\nmodel: {path: m.onnx}\n", "OL103"),
        (b"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
         b"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n", "OL106"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_workflow_is_exit_2(command: Command, folder: Path, content: bytes, code: str) -> None:
    (folder / "workflow.yaml").write_bytes(content)
    ended = command("run", "workflow.yaml")
    assert (ended.code, code in ended.err, "Traceback" in ended.err) == (2, True, False), ended.err


def test_a_workflow_that_is_missing_or_a_folder_is_exit_2(command: Command, folder: Path) -> None:
    for name in ("nowhere.yaml", str(folder)):
        ended = command("run", name)
        assert (ended.code, "OL101" in ended.err) == (2, True)


def test_a_model_file_that_is_no_model_is_exit_2(command: Command, folder: Path) -> None:
    whole = (folder / "model.onnx").read_bytes()
    for content in (
        b"",
        whole[: len(whole) // 2],
        b"<html>404</html>",
        b"version https://git-lfs.github.com/spec/v1\n",
    ):
        (folder / "model.onnx").write_bytes(content)
        ended = command("run", "workflow.yaml")
        assert (ended.code, "OL202" in ended.err) == (2, True), ended.err


def test_external_data_that_is_missing_or_outside_is_exit_2(command: Command, folder: Path) -> None:
    model = onnx.load(folder / "model.onnx")
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    (folder / "weights.bin").unlink()
    ended = command("run", "workflow.yaml")
    assert (ended.code, "OL203" in ended.err, "weights.bin" in ended.err) == (2, True, True)
    structure = onnx.load(folder / "model.onnx", load_external_data=False)
    for tensor in structure.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../../secret.bin"
    (folder / "model.onnx").write_bytes(structure.SerializeToString())
    ended = command("run", "workflow.yaml")
    assert (ended.code, "OL203" in ended.err) == (2, True), ended.err


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        (np.arange(63) % 4, "OL207"),
        (np.full(64, 99), "OL207"),
        (np.full(64, 0.5), "OL207"),
        (np.full(64, np.nan), "OL208"),
    ],
)
def test_labels_that_do_not_fit_are_named(command: Command, folder: Path, labels: object, code: str) -> None:
    with np.load(folder / "test.npz") as archive:
        features = archive["x"]
    np.savez(folder / "test.npz", x=features, labels=labels)  # type: ignore[arg-type]
    ended = command("run", "workflow.yaml")
    assert ended.code == 2, (ended.code, ended.out, ended.err)
    assert code in ended.err


def test_a_folder_given_as_a_data_file_is_exit_2(command: Command, folder: Path) -> None:
    (folder / "folder").mkdir()
    (folder / "folder" / "x.bin").write_bytes(b"x")
    for reader in ("npz", "csv"):
        (folder / "workflow.yaml").write_text(WORKFLOW.replace("npz: test.npz", f"{reader}: folder"))
        ended = command("run", "workflow.yaml")
        assert (ended.code, "OL205" in ended.err, "is a folder" in ended.err) == (2, True, True), ended.err


def test_a_mistake_in_the_user_s_python_names_the_user_s_own_file(command: Command, folder: Path) -> None:
    (folder / "user.py").write_text("def load():\n    raise ValueError('planted')\n")
    text = WORKFLOW.replace("{npz: test.npz, labels: labels,", "{script: user.py, call: load, labels: labels,")
    (folder / "workflow.yaml").write_text(text)
    ended = command("run", "workflow.yaml")
    assert (ended.code, "OL209" in ended.err, "user.py:2" in ended.err) == (2, True, True), ended.err
    assert "trees" not in ended.err


def test_nan_in_the_data_is_named_with_its_column(command: Command, folder: Path) -> None:
    features = np.zeros((64, 16), "float32")
    features[5, 3] = np.nan
    np.savez(folder / "test.npz", x=features, labels=np.zeros(64, "int64"))
    ended = command("run", "workflow.yaml")
    assert (ended.code, "OL208" in ended.err) == (2, True), (ended.out, ended.err)


BOTH = pytest.mark.parametrize("name", ["run", "validate"])


@BOTH
def test_run_and_validate_say_everything_that_is_wrong_at_once(command: Command, folder: Path, name: str) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "notes.txt").write_text("mine")
    np.savez(folder / "test.npz", x=np.zeros((64, 9), "float32"), labels=np.zeros(64, "int64"))
    (folder / "workflow.yaml").write_text(WORKFLOW.replace("[cpu]", "[cuda]"))
    ended = command(name, "workflow.yaml")
    assert ended.code == 2
    assert {"OL116", "OL206", "OL210"} <= {line.partition(" ")[0].strip(":") for line in ended.err.splitlines()}
    assert not (folder / "cache" / "blobs").exists() or not any((folder / "cache" / "blobs").iterdir())


@BOTH
def test_an_output_path_below_a_file_is_exit_2(command: Command, folder: Path, name: str) -> None:
    (folder / "workflow.yaml").write_text(WORKFLOW.replace("path: out", "path: test.npz/out"))
    ended = command(name, "workflow.yaml")
    assert (ended.code, "OL116" in ended.err, "test.npz is a file" in ended.err) == (2, True, True), ended.err


@BOTH
def test_a_model_that_nothing_captures_is_exit_2(command: Command, folder: Path, name: str) -> None:
    from tests.engine.test_run import hugging_face_folder

    hugging_face_folder(folder / "hf")
    (folder / "workflow.yaml").write_text(WORKFLOW.replace("path: model.onnx", "path: hf"))
    ended = command(name, "workflow.yaml")
    assert (ended.code, "OL112" in ended.err, "cannot be measured" in ended.err) == (2, True, True), ended.err


@pytest.mark.parametrize("arguments", [["run", "workflow.yaml"], ["cache", "ls"], ["plan", "workflow.yaml"]])
def test_a_cache_that_cannot_be_used_is_exit_2(command: Command, folder: Path, arguments: list[str]) -> None:
    ended = command(*arguments, "--cache-dir", "workflow.yaml")
    assert (ended.code, "OL401" in ended.err) == (2, True), ended.err
    del folder


def test_an_override_that_fits_nothing_is_exit_2(command: Command, folder: Path) -> None:
    ended = command("run", "workflow.yaml", "search.max_trails=5")
    assert (ended.code, "did you mean max_trials?" in ended.err) == (2, True), ended.err
    assert (folder / "workflow.yaml").is_file()


def test_an_output_path_that_is_not_ours_is_kept(command: Command, folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "notes.txt").write_text("mine")
    ended = command("run", "workflow.yaml")
    assert (ended.code, "OL116" in ended.err) == (2, True)
    assert (folder / "out" / "notes.txt").read_text() == "mine"


def test_a_lock_that_is_none_is_exit_2(command: Command, folder: Path) -> None:
    (folder / "lock.json").write_text("{}")
    ended = command("run", "--locked", "lock.json")
    assert (ended.code, "OL118" in ended.err) == (2, True)


def test_a_bad_run_leaves_an_older_bundle_as_it_was(command: Command, folder: Path) -> None:
    assert command("run", "workflow.yaml").code == 0
    kept = folder / "kept"
    shutil.copytree(folder / "out", kept)
    (folder / "workflow.yaml").write_text(WORKFLOW.replace("npz: test.npz", "npz: gone.npz"))
    assert command("run", "workflow.yaml").code == 2
    assert {p.name: p.read_bytes() for p in kept.iterdir()} == {
        p.name: p.read_bytes() for p in (folder / "out").iterdir()
    }
