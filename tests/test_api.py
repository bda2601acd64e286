"""The Python API: a report that reads well, in a terminal and in a notebook."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import olivelike
from olivelike.digest import Json
from olivelike.errors import InputError

Job = dict[str, Json]


@pytest.fixture
def report(job: Job) -> olivelike.Report:
    return olivelike.run(job)


def test_a_workflow_built_in_code_runs_like_the_mapping(job: Job, report: olivelike.Report) -> None:
    built = olivelike.Workflow.model_validate(job)
    again = olivelike.run(built)
    assert again.best.chosen.digest == report.best.chosen.digest
    assert again.contract.cost.steps_run == 0


def test_a_file_runs_like_the_mapping(job: Job, report: olivelike.Report, tmp_path: Path) -> None:
    import json

    path = tmp_path / "job.json"
    path.write_text(json.dumps(job))
    assert olivelike.run(str(path)).best.chosen.digest == report.best.chosen.digest


def test_overrides_apply_to_a_mapping_and_not_to_a_workflow(job: Job) -> None:
    report = olivelike.run(job, overrides=["passes.dynamic_quant.per_channel=true"])
    assert len(report.contract.trials) == 2
    with pytest.raises(InputError, match="OL113"):
        olivelike.run(olivelike.Workflow.model_validate(job), overrides=["name=x"])


def test_the_report_reads_as_text(report: olivelike.Report) -> None:
    text = repr(report)
    assert text.startswith("<Report small-job: feasible, trial 1 (dynamic_quant(per_channel=false))")
    assert "size.bytes: " in text
    assert "3 trials" in text
    assert repr(report.best).startswith("<Best trial 1 (dynamic_quant(per_channel=false)): size.bytes ")


def test_the_report_is_a_flat_table_for_a_data_frame(report: olivelike.Report) -> None:
    rows = report.to_dicts()
    assert [row["number"] for row in rows] == [0, 1, 2]
    assert all(isinstance(value, str | int | float) for row in rows for value in row.values())
    assert {"steps", "outcome", "verdict", "size.bytes"} <= set(rows[0])


class Tags(HTMLParser):
    """Collects the tags and the text of a fragment, and checks that every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_is_a_well_formed_table_in_a_notebook(job: Job) -> None:
    job["name"] = "<script>alert(1)</script>"
    html = olivelike.run(job)._repr_html_()
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert tags.seen.count("tr") == 1 + 1 + 3
    assert "script" not in tags.seen
    assert "<script>alert(1)</script>" in tags.text


def test_the_best_model_lies_where_the_report_says(report: olivelike.Report, tmp_path: Path) -> None:
    assert report.best.path == tmp_path / "out" / "model.onnx"
    assert report.best.path.is_file()


def test_without_an_output_path_the_best_model_lies_in_the_store(job: Job) -> None:
    del job["output"]
    assert olivelike.run(job).best.path.is_file()


def test_a_listener_hears_of_every_trial(job: Job) -> None:
    heard: list[str] = []
    olivelike.run(job, listener=lambda event: heard.append(type(event).__name__))
    assert heard.count("TrialEnded") == 3
    assert (heard[0], heard[-1]) == ("RunStarted", "RunEnded")


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'optimise'"):
        _ = olivelike.optimise  # type: ignore[attr-defined]
    assert set(dir(olivelike)) >= {"Report", "Workflow", "run"}


def test_one_override_may_be_a_text_and_nothing_else_is_taken_for_overrides(job: Job) -> None:
    report = olivelike.run(job, overrides="passes.dynamic_quant.per_channel=true")
    assert len(report.contract.trials) == 2
    wrongs: list[Any] = [{"search.max_trials": 3}, 3, [3]]
    for wrong in wrongs:
        with pytest.raises(InputError, match="OL113: overrides are KEY=VALUE texts, got"):
            olivelike.run(job, overrides=wrong)


@pytest.mark.parametrize("wrong", [3, None, b"w.yaml", ["w.yaml"]])
def test_what_is_no_workflow_is_an_input_error(wrong: Any) -> None:
    with pytest.raises(InputError, match="OL101: a workflow is a file, a mapping or a Workflow, got"):
        olivelike.run(wrong)


def test_every_public_name_can_be_loaded() -> None:
    assert all(getattr(olivelike, name) is not None for name in olivelike.__all__)
    assert set(dir(olivelike)) == set(olivelike.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        getattr(olivelike, "nope")  # noqa: B009


def test_an_infeasible_report_says_why_once(job: Job) -> None:
    report = olivelike.run({**job, "constraints": [{"metric": "size", "at_most": "1 B"}]})
    assert report.status == "infeasible"
    assert repr(report).count("comes closest") == 1


def test_the_best_reads_with_the_figures_of_the_report(report: olivelike.Report) -> None:
    assert "size.bytes 7.2 kB" in repr(report.best)
    assert "size.bytes: 7.2 kB" in repr(report)
