"""What commands answer: exit codes, the two streams, the answer document, listings."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import olivelike
from olivelike.digest import Json
from olivelike.testing import models, odd_models
from tests.cli.conftest import WORKFLOW, Command

HEAVY = {
    *("pydantic", "numpy", "onnx", "onnxruntime", "onnx_ir", "optuna"),
    *("scipy", "torch", "diskcache", "huggingface_hub", "ruamel"),
}


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['olivelike', '--help']\nfrom olivelike.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "print('\\nMODULES', *sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.partition(".")[0] for name in ended.stdout.split("MODULES")[1].split()}
    assert "olivelike" in loaded
    assert not loaded & HEAVY


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, olivelike; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {name.partition(".")[0] for name in ended.stdout.split()} & HEAVY


def test_the_answer_is_one_json_document_and_progress_goes_elsewhere(command: Command, folder: Path) -> None:
    ended = command("run", "workflow.yaml", "--json", "--log-format", "json")
    assert ended.code == 0, ended.err
    answer = json.loads(ended.out)
    assert set(answer) >= {"format", "olivelike", "workflow", "status", "baseline", "chosen", "trials", "cost"}
    events = [json.loads(line)["event"] for line in ended.err.splitlines()]
    assert events[0] == "run_started"
    assert events[-1] == "run_ended"
    assert events.count("trial_ended") == len(answer["trials"]) == 3
    [chosen] = answer["chosen"]
    assert set(chosen) >= {"trial", "steps", "metrics", "kind", "files", "path", "digest", "why"}
    assert (Path(chosen["path"]) / chosen["files"][0]).is_file()
    assert json.loads((folder / "out" / "report.json").read_text()) == answer


GOLDEN = {
    "format": 1,
    "olivelike": "0.1.0",
    "workflow": "small",
    "status": "feasible",
    "baseline": {"name": "input", "metrics": {"size.bytes": "measurement", "accuracy.top1": "measurement"}},
    "chosen": [
        {
            "trial": 0,
            "steps": [{"name": "dynamic_quant", "pass": "dynamic_quant", "config": "mapping"}],
            "metrics": {"size.bytes": "measurement", "accuracy.top1": "measurement"},
            "kind": "onnx",
            "files": ["model.onnx"],
            "path": "text",
            "digest": "text",
            "why": "text",
            "notes": "mapping",
        }
    ],
    "search": {"stopped_by": "all_tried", "tried": 3, "of": 3},
    "cost": {
        "seconds": "number",
        "steps_run": 2,
        "steps_cached": 0,
        "measurements_run": 6,
        "measurements_cached": 2,
        "workers_started": 0,
    },
}


def test_the_answer_document_has_the_settled_shape(command: Command, folder: Path) -> None:
    answer = json.loads(command("run", "workflow.yaml", "--json", "search.measure=all").out)
    for metrics in (answer["baseline"]["metrics"], answer["chosen"][0]["metrics"]):
        for name, found in metrics.items():
            assert {"value", "low", "high", "n", "unit", "better"} <= set(found)
            metrics[name] = "measurement"
    for step in answer["chosen"][0]["steps"]:
        step["config"] = "mapping"
    assert isinstance(answer["chosen"][0]["notes"], dict)
    answer["chosen"][0]["notes"] = "mapping"
    for key in ("path", "digest", "why"):
        assert isinstance(answer["chosen"][0][key], str)
        answer["chosen"][0][key] = "text"
    answer["cost"]["seconds"] = "number"
    answer["chosen"][0]["trial"] = 0
    assert {key: answer[key] for key in GOLDEN} == GOLDEN
    for trial in answer["trials"]:
        assert {"number", "steps", "outcome", "reason", "metrics", "violates", "not_measured"} <= set(trial)
    del folder


@pytest.mark.parametrize(
    ("old", "new", "code", "status"),
    [
        ("{metric: accuracy, max_drop: 0.2}", "{metric: size, at_most: 1 B}", 3, "infeasible"),
        ("max_drop: 0.2", "at_least: 0.25", 4, "undecided"),
    ],
)
def test_an_end_without_a_model_has_its_code_and_writes_the_report_beside(
    command: Command, folder: Path, old: str, new: str, code: int, status: str
) -> None:
    (folder / "workflow.yaml").write_text(WORKFLOW.replace(old, new))
    ended = command("run", "workflow.yaml", "--json")
    answer = json.loads(ended.out)
    assert (ended.code, answer["status"]) == (code, status), answer["why"]
    assert all(choice["path"] is None for choice in answer["chosen"])
    assert not (folder / "out").exists()
    assert json.loads((folder / "out.report.json").read_text())["status"] == status


def test_the_closest_is_shipped_on_request_with_the_same_code(command: Command, folder: Path) -> None:
    (folder / "workflow.yaml").write_text(
        WORKFLOW.replace("{metric: accuracy, max_drop: 0.2}", "{metric: size, at_most: 1 B}")
    )
    ended = command("run", "workflow.yaml", "--ship-closest")
    assert ended.code == 3
    assert (folder / "out" / "model.onnx").is_file()


def test_the_table_names_every_trial_with_its_verdict(command: Command, folder: Path) -> None:
    ended = command("run", "workflow.yaml")
    lines = ended.out.splitlines()
    assert any("baseline" in line and "accuracy" not in line for line in lines)
    assert any("per_channel=true" in line for line in lines)
    assert any(line.startswith("chosen: trial") for line in lines)
    assert any(line.startswith("written to ") for line in lines)
    assert f"small: 3 trials at most\n[1/3] " in ended.err  # noqa: F541
    del folder


def test_a_narrow_terminal_gets_a_list_instead_of_a_table(job: dict[str, Json]) -> None:
    from rich.console import Console

    from olivelike.cli.report_text import report_lines

    report = olivelike.run(job).contract
    narrow = list(report_lines(report, Console(width=80)))
    assert narrow[0].strip() == "baseline (input)"
    assert any(line.startswith("    size.bytes ") for line in narrow)
    wide = list(report_lines(report, Console(width=200)))
    assert wide[0].split() == ["recipe", "size.bytes", "accuracy.top1", "verdict"]


def test_validate_says_how_the_file_was_read(command: Command, folder: Path) -> None:
    ended = command("validate", "workflow.yaml")
    assert (ended.code, ended.out.strip()) == (0, "small is valid: 3 recipes, 2 metrics, 1 constraint")
    assert json.loads(command("validate", "workflow.yaml", "--json").out)["recipes"] == 3
    assert not (folder / "cache" / "index").exists()


def test_plan_lists_the_recipes_and_runs_nothing(command: Command, folder: Path) -> None:
    before = json.loads(command("plan", "workflow.yaml", "--json").out)
    assert (before["count"], before["tried"]) == (3, 3)
    assert {look["found"] for r in before["recipes"] for look in r["step_lookups"]} == {"miss"}
    assert not (folder / "out").exists()
    command("run", "workflow.yaml")
    after = json.loads(command("plan", "workflow.yaml", "--json").out)
    assert {look["found"] for r in after["recipes"] for look in r["step_lookups"]} == {"hit"}
    assert "3 recipes" in command("plan", "workflow.yaml").out


def test_explain_says_which_parameter_makes_a_step_miss(command: Command, folder: Path) -> None:
    assert "dynamic_quant: miss: never done before" in command("explain", "workflow.yaml").out
    (folder / "workflow.yaml").write_text(WORKFLOW.replace("[true, false]", "true"))
    command("run", "workflow.yaml")
    (folder / "workflow.yaml").write_text(WORKFLOW.replace("[true, false]", "false"))
    ended = command("explain", "workflow.yaml")
    assert "dynamic_quant: miss: config.per_channel True -> False" in ended.out
    assert "accuracy: unknown: depends on a step that has to run" in ended.out


def test_apply_makes_a_bundle_or_a_file(command: Command, folder: Path) -> None:
    ended = command("apply", "dynamic_quant", "model.onnx", "-o", "small.onnx", "per_channel=true", "--json")
    assert ended.code == 0, ended.err
    [chosen] = json.loads(ended.out)["chosen"]
    assert (chosen["path"], chosen["files"]) == (str(folder / "small.onnx"), ["small.onnx"])
    assert (folder / "small.onnx").stat().st_size < (folder / "model.onnx").stat().st_size
    assert command("apply", "simplify", "model.onnx", "-o", "bundle").code == 0
    assert (folder / "bundle" / "olivelike.lock.json").is_file()


def test_apply_replaces_a_file_only_on_request_and_its_input_never(command: Command, folder: Path) -> None:
    before = (folder / "model.onnx").read_bytes()
    (folder / "x.onnx").write_text("mine")
    ended = command("apply", "dynamic_quant", "model.onnx", "-o", "x.onnx")
    assert (ended.code, "OL116" in ended.err, (folder / "x.onnx").read_text()) == (2, True, "mine")
    for flags in ((), ("--force",)):
        ended = command("apply", "dynamic_quant", "model.onnx", "-o", "model.onnx", *flags)
        assert (ended.code, "OL116" in ended.err) == (2, True), ended.err
    assert (folder / "model.onnx").read_bytes() == before
    ended = command("apply", "dynamic_quant", "model.onnx", "-o", "x.onnx", "--force")
    assert (ended.code, "written to" in ended.out, "x.onnx" in ended.out) == (0, True, True), ended.err
    assert command("apply", "simplify", "model.onnx", "-o", "bundle", "--force").code == 2


def test_apply_writes_a_model_in_parts_into_a_folder_only(command: Command, folder: Path) -> None:
    ended = command("apply", "split", "model.onnx", "-o", "parts.onnx")
    assert ended.code == 2
    assert "split makes a model in several files" in ended.err
    assert not (folder / "parts.onnx").exists()


@pytest.mark.parametrize("build", [odd_models.sequence_output, models.string_input])
def test_apply_takes_models_whose_values_are_no_numbers(
    command: Command, folder: Path, build: Callable[[], onnx.ModelProto]
) -> None:
    models.save(build(), folder / "odd")
    ended = command("apply", "strip", "odd/model.onnx", "-o", "stripped.onnx")
    assert ended.code == 0, ended.err
    assert (folder / "stripped.onnx").is_file()


def test_apply_does_not_blame_a_pass_for_a_model_that_did_not_load_before(command: Command, folder: Path) -> None:
    models.save(models.unknown_operator(), folder / "odd")
    ended = command("apply", "strip", "odd/model.onnx", "-o", "stripped.onnx")
    assert ended.code == 5
    assert "the runtime cannot load what came into strip either" in ended.err
    assert "model.custom_operators" in ended.err
    assert not (folder / "stripped.onnx").exists()


def test_apply_calibrates_on_the_data_it_is_given(command: Command, folder: Path) -> None:
    ended = command(
        "apply", "static_quant", "model.onnx", "-o", "static.onnx", "--data", "test.npz", "calibration=minmax"
    )
    assert ended.code == 0, ended.err
    assert (folder / "static.onnx").is_file()


def test_apply_says_what_is_wrong_with_a_parameter(command: Command, folder: Path) -> None:
    ended = command("apply", "dynamic_quant", "model.onnx", "-o", "x.onnx", "per_chanel=true")
    assert (ended.code, "did you mean per_channel?" in ended.err) == (2, True)
    assert command("apply", "simplify", "model.onnx", "-o", "x.onnx", "--data", "test.npz").code == 2
    assert not (folder / "x.onnx").exists()


def test_a_rebuild_from_the_lock_gives_the_same_bytes(command: Command, folder: Path) -> None:
    command("run", "workflow.yaml")
    ended = command("run", "--locked", "out/olivelike.lock.json", "-o", "again", "--cache-dir", "fresh")
    assert (ended.code, "nothing differs from the lock" in ended.out) == (0, True), ended.out + ended.err
    assert (folder / "again" / "model.onnx").read_bytes() == (folder / "out" / "model.onnx").read_bytes()


def test_what_does_not_apply_to_a_rebuild_is_refused(command: Command, folder: Path) -> None:
    command("run", "workflow.yaml")
    lock = ("--locked", "out/olivelike.lock.json")
    for arguments in (("search.max_trials=1",), ("workflow.yaml", "search.max_trials=1"), ("--ship-closest",)):
        ended = command("run", *arguments, *lock)
        assert (ended.code, "OL115" in ended.err) == (2, True), ended.err
    del folder


def test_a_moved_bundle_is_rebuilt_with_the_workflow_s_file_and_without_data_that_its_recipe_does_not_read(
    command: Command, folder: Path
) -> None:
    command("run", "workflow.yaml")
    (folder / "far").mkdir()
    (folder / "out").replace(folder / "far" / "away")
    (folder / "test.npz").unlink()
    lock = "far/away/olivelike.lock.json"
    ended = command("run", "--locked", lock)
    assert (ended.code, f"olivelike run WORKFLOW --locked {lock}" in ended.err) == (2, True), ended.err
    ended = command("run", "workflow.yaml", "--locked", lock)
    assert (ended.code, "nothing differs from the lock" in ended.out) == (0, True), ended.err


def test_a_rebuild_that_gives_another_model_is_exit_5_and_writes_none(command: Command, folder: Path) -> None:
    command("run", "workflow.yaml")
    lock = folder / "out" / "olivelike.lock.json"
    lock.write_text(json.dumps({**json.loads(lock.read_text()), "output": "sha256:" + "0" * 64}))
    ended = command("run", "--locked", str(lock), "-o", "again", "--json")
    answer = json.loads(ended.out)
    assert (ended.code, answer["status"], answer["chosen"][0]["path"]) == (5, "failed", None)
    assert any("the model differs" in line for line in answer["differences"])
    assert not (folder / "again").exists()


def test_the_output_flag_goes_before_the_workflow_s_output_path(command: Command, folder: Path) -> None:
    assert command("run", "workflow.yaml", "-o", "my folder: new").code == 0
    assert (folder / "my folder: new" / "model.onnx").is_file()
    assert not (folder / "out").exists()


def test_passes_and_metrics_are_listed_and_described(command: Command) -> None:
    listed = command("passes").out
    assert all(name in listed for name in ("simplify", "static_quant", "float16"))
    described = command("passes", "static_quant").out
    assert "per_channel: true or false" in described
    assert "top" in command("metrics", "accuracy").out
    assert "what its parameters name" in command("metrics", "script").out
    assert {"latency", "size"} <= set(json.loads(command("metrics", "--json").out))
    ended = command("passes", "static_kwant")
    assert (ended.code, "did you mean static_quant?" in ended.err) == (2, True)


def test_listing_passes_imports_none_of_them() -> None:
    code = (
        "import sys\nsys.argv = ['olivelike', 'passes']\nfrom olivelike.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('\\nMODULES', *sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = ended.stdout.split("MODULES")[1].split()
    assert [name for name in loaded if name.startswith("olivelike_passes.")] == []


def test_the_schema_is_json(command: Command) -> None:
    assert json.loads(command("schema").out)["type"] == "object"


def test_the_cache_can_be_looked_at_checked_trimmed_and_cleared(command: Command, folder: Path) -> None:
    assert command("cache", "where").out.strip() == str(folder / "cache")
    command("run", "workflow.yaml")
    listed = json.loads(command("cache", "ls", "--json").out)["artifacts"]
    assert {entry["kind"] for entry in listed} == {"onnx", "data"}
    assert "all good" in command("cache", "verify").out
    assert json.loads(command("cache", "gc", "--max-size", "1GiB", "--json").out)["artifacts"] == 0
    ended = command("cache", "gc", "--max-size", "lots")
    assert (ended.code, "OL115" in ended.err) == (2, True)
    assert command("cache", "clear").code == 0
    assert json.loads(command("cache", "ls", "--json").out)["artifacts"] == []


def test_the_listing_says_where_each_artifact_comes_from(command: Command, folder: Path) -> None:
    command("run", "workflow.yaml")
    said = command("cache", "ls").out
    assert "made by dynamic_quant" in said
    assert "taken in: model.onnx" in said
    assert "taken in: test.npz" in said or "taken in: 0" in said, said
    listed = json.loads(command("cache", "ls", "--json").out)["artifacts"]
    assert {name for entry in listed for name in entry["steps"]} == {"dynamic_quant"}
    del folder


def test_a_cache_that_no_run_uses_is_trimmed_to_the_size_that_was_asked(command: Command, folder: Path) -> None:
    command("run", "workflow.yaml")
    kept = command("cache", "gc", "--max-size", "0", "--min-age", "1h")
    assert "is left: what was used within the last 3,600 s (--min-age), and" in kept.out
    freed = json.loads(command("cache", "gc", "--max-size", "0", "--json").out)
    assert (freed["kept"], freed["artifacts"] > 0) == (0, True)
    assert command("cache", "gc", "--max-size", "0 B", "--min-age", "0s").code == 0
    assert command("cache", "gc", "--max-size", "-1 B").code == 2
    del folder


def test_while_a_run_uses_the_cache_what_was_used_in_the_last_hour_stays(command: Command, folder: Path) -> None:
    command("run", "workflow.yaml")
    code = "import sys\nfrom olivelike.store import open_store\nfrom pathlib import Path\n"
    code += "with open_store(Path('cache')).lease():\n    print('held', flush=True)\n    sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        ended = command("cache", "gc", "--max-size", "1 KB")
        other.communicate("")
    assert "freed 0 bytes" in ended.out
    assert "what a running search uses stays" in ended.out


def test_clearing_says_what_went(command: Command, folder: Path) -> None:
    command("run", "workflow.yaml")
    ended = command("cache", "clear")
    assert ended.out.startswith("removed 4 artifacts, ")
    assert command("cache", "clear").out == "removed 0 artifacts, 0 bytes; the cache is empty\n"
    del folder


def test_a_damaged_cache_is_reported_with_exit_5(command: Command, folder: Path) -> None:
    command("run", "workflow.yaml")
    blob = max((p for p in (folder / "cache" / "blobs").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    ended = command("cache", "verify")
    assert (ended.code, "OL402" in ended.out) == (5, True)


def test_an_error_has_a_traceback_only_on_request(command: Command, folder: Path) -> None:
    assert "Traceback" not in command("run", "nowhere.yaml").err
    assert "Traceback" in command("run", "nowhere.yaml", "--debug").err
    del folder


@pytest.mark.parametrize("arguments", [["bogus"], ["run"], ["run", "--nope"], ["apply", "simplify"], ["cache"]])
def test_a_wrong_command_line_is_exit_2(command: Command, arguments: list[str]) -> None:
    ended = command(*arguments)
    assert (ended.code, "Traceback" in ended.err) == (2, False)


def test_the_version_is_printed(command: Command) -> None:
    from importlib.metadata import version

    import olivelike

    assert command("--version").out.strip() == f"olivelike {version('olivelike')}"
    assert olivelike.__version__ == version("olivelike")


def test_apply_takes_columns_of_another_name(command: Command, folder: Path) -> None:
    with np.load(folder / "test.npz") as archive:
        np.savez(folder / "other.npz", feats=archive["x"], more=archive["x"], kind=archive["labels"])
    asked = ("apply", "static_quant", "model.onnx", "-o", "s.onnx")
    ended = command(*asked)
    assert (ended.code, ended.err) == (2, "OL111: static_quant needs data. hint: add --data FILE\n")
    ended = command(*asked, "--data", "other.npz", "--labels", "kind")
    assert ended.code == 2
    assert ended.err.endswith(
        "OL206 --data: no column feeds the model's input x; columns: feats, more, kind. hint: add --input x=feats\n"
    )
    assert command(*asked, "--data", "other.npz", "--labels", "kind", "--input", "x=feats").code == 0
    assert "expected NAME=COLUMN" in command(*asked, "--data", "other.npz", "--input", "x").err
    assert "add --data FILE" in command(*asked, "--input", "x=feats").err


def test_debug_shows_the_log_of_a_trial_that_failed(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from olivelike_passes.quantization.dynamic_quant import DynamicQuant

    def broken(*_: object) -> None:
        raise ValueError("the planted error")

    monkeypatch.setattr(DynamicQuant, "run", broken)
    plain = command("run", "workflow.yaml")
    assert "trial 0 failed in dynamic_quant: its log is trials[0].log of the report" in plain.out
    assert "Traceback" not in plain.err
    shown = command("run", "workflow.yaml", "--debug", "--json")
    assert "log of trial 0, dynamic_quant:" in shown.err
    assert "ValueError: the planted error" in shown.err
    assert "Traceback" in json.loads(shown.out)["trials"][0]["log"]
    del folder
