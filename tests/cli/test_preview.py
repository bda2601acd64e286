"""`plan` and `explain` tell recipes apart, and what a run would leave out from what it lacks."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import WORKFLOW, Command


def test_recipes_are_told_apart(command: Command, folder: Path) -> None:
    for name in ("plan", "explain"):
        said = command(name, "workflow.yaml").out
        assert "dynamic_quant(per_channel=true)" in said
        assert "dynamic_quant(per_channel=false)" in said
    del folder


def test_what_a_run_left_out_on_purpose_is_not_needed_the_next_time_either(command: Command, folder: Path) -> None:
    strict = WORKFLOW.replace(
        "constraints:\n", "constraints:\n  - {metric: size, at_most: 10 kB}\n".replace("kB", "KB")
    )
    (folder / "workflow.yaml").write_text(strict)
    assert command("run", "workflow.yaml").code == 0
    said = command("explain", "workflow.yaml").out
    assert "accuracy: not needed: breaks size.bytes at_most 10000 bytes: got" in said
    assert "miss" not in said
    assert said.count("not needed") == 1


def test_a_continuous_range_shows_an_example_and_says_so(command: Command, folder: Path) -> None:
    ranged = WORKFLOW.replace("dynamic_quant: {per_channel: [true, false]}", "round_up: {}").replace(
        "      - round_up: {}\n",
        "      - static_quant: {data: calib, calibration: percentile, percentile: {range: [99, 99.9]}}\n",
    )
    ranged = ranged.replace("metrics:\n", "  calib: {npz: test.npz, inputs: {x: x}, use: [calibration]}\nmetrics:\n", 1)
    (folder / "workflow.yaml").write_text(ranged)
    ended = command("plan", "workflow.yaml", "search.max_trials=8")
    assert "a continuous range of recipes, at most 8 would be tried" in ended.out, ended.err
    assert "one recipe is shown as an example" in ended.out
    assert "static_quant(percentile=99)" in ended.out
