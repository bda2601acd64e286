"""Writing a workflow and reading it again."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from olivelike.contracts.data import ScriptCall
from olivelike.contracts.space import Limits
from olivelike.contracts.target import PROVIDERS
from olivelike.workflow.document import expand
from olivelike.workflow.load import Unusable, from_mapping, load
from olivelike.workflow.schema import (
    Amount,
    ConstraintSection,
    DataSection,
    MetricSection,
    ModelSection,
    ObjectiveSection,
    OutputSection,
    ProviderSection,
    RunSection,
    SearchSection,
    StepSection,
    TargetSection,
    Workflow,
)
from olivelike.workflow.write import to_yaml, written
from olivelike.workflow.yaml_text import parse_yaml
from tests.workflow.quickstart import QUICKSTART

names = st.from_regex(r"[a-z][a-z0-9_-]{0,6}", fullmatch=True)
LONG = "word " * 60
ODD = [
    "off",
    "no",
    "null",
    "~",
    "1e5",
    "0x10",
    "5",
    "12:30",
    "a: b",
    "#",
    "",
    " x ",
    "é",
    "a\nb",
    "<<",
    "- a",
    "...",
    ":0",
]
words = st.sampled_from([*ODD, LONG, LONG + "end"])
texts = words | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
filled = texts.filter(bool)
json_values = st.recursive(
    st.booleans() | st.none() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
options = st.dictionaries(names.map("o_{}".format), json_values, max_size=2)
shares = st.floats(0, 10)
amounts = st.builds(Amount, shares, st.booleans()) | st.builds(Amount, shares, unit=st.sampled_from(["ms", "bytes"]))
limits = st.builds(Limits, st.floats(0.001, 1e6), st.floats(1, 1e12)) | st.just(Limits())
sources = st.fixed_dictionaries({"path": filled})

models = st.builds(ModelSection, own=sources, file=texts, revision=texts)
scripts = st.builds(ScriptCall, script=filled, call=names, args=options)
entries = st.builds(
    DataSection,
    own=st.builds(lambda source, rest: {"npz": source, **rest}, filled, options),
    inputs=st.dictionaries(texts, filled, max_size=2),
    labels=texts,
    split=texts,
    columns=st.lists(filled, max_size=2).map(tuple),
    prepare=texts | scripts,
    samples=st.integers(0, 9),
    shuffle=st.booleans(),
    use=st.lists(st.sampled_from(["train", "selection"]), max_size=2, unique=True).map(tuple),
)
metrics = st.builds(MetricSection, type=filled, data=texts, own=options)
constraints = st.builds(
    ConstraintSection, metric=filled, rule=st.sampled_from(["at_most", "at_least", "max_drop"]), amount=amounts
)
objectives = st.builds(
    ObjectiveSection, metric=filled, direction=st.sampled_from(["minimize", "maximize"]), within=amounts
)
providers = st.builds(ProviderSection, name=st.sampled_from(sorted(PROVIDERS)), options=options)
targets = st.builds(
    TargetSection,
    device=st.sampled_from(["cpu", "gpu", "npu"]),
    providers=st.lists(providers, min_size=1, max_size=2).map(tuple),
    threads=st.integers(0, 8),
    session=options,
    present=st.booleans(),
)
searches = st.builds(
    SearchSection,
    strategy=filled,
    max_trials=st.integers(1, 99),
    time_limit=st.floats(0.001, 1e9) | st.just(float("inf")),
    seed=st.integers(0, 9),
    measure=st.sampled_from(["until_decided", "all"]),
)
runs = st.builds(RunSection, cache=texts, workers=st.integers(1, 9), limits=limits, offline=st.booleans())
outputs = st.builds(OutputSection, path=texts, kind=texts, keep=st.sampled_from(["best", "pareto", "all"]))


@st.composite
def steps(draw: st.DrawFn, label: str = "s", depth: int = 2) -> StepSection:
    """Draws a step whose names are unique, because each holds its own place in the tree."""
    engine = {
        "when": draw(st.dictionaries(names, st.lists(filled, min_size=1, max_size=2).map(tuple), max_size=1)),
        "limits": draw(limits),
        "verify": draw(st.sampled_from(["off", "fast", "full"])),
    }
    if depth == 0 or draw(st.booleans()):
        pass_name = draw(names.map("p_{}".format))
        return StepSection(name=label, pass_name=pass_name, config=draw(options), **engine)
    chains, as_lists = [], []
    for number in range(draw(st.integers(1, 3))):
        length = draw(st.integers(0, 2))
        chains.append(tuple(draw(steps(f"{label}_{number}_{at}", depth - 1)) for at in range(length)))
        as_lists.append(length > 1 or draw(st.booleans()))
    return StepSection.model_validate({"name": label, "one_of": chains, "chain_written": as_lists, **engine})


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    named = draw(st.booleans())
    return Workflow(
        name=draw(filled),
        model=draw(models),
        targets={"here": draw(targets)} if named else {},
        target="here" if named else draw(targets),
        data=draw(st.dictionaries(names, entries, max_size=2)),
        metrics=draw(st.dictionaries(names, metrics, max_size=2)),
        baseline=draw(filled),
        constraints=tuple(draw(st.lists(constraints, max_size=2))),
        objectives=tuple(draw(st.lists(objectives, max_size=2))),
        passes=tuple(draw(steps(f"s{number}")) for number in range(draw(st.integers(0, 2)))),
        search=draw(searches),
        output=draw(outputs),
        run=draw(runs),
    )


@settings(max_examples=60, deadline=None)
@given(workflows())
def test_a_written_workflow_reads_back_equal(workflow: Workflow) -> None:
    mapping = written(workflow)
    text = to_yaml(workflow)
    assert expand(parse_yaml(text, "w.yaml"), "w.yaml").value == mapping
    again = from_mapping(mapping)
    assert again.problems == ()
    assert again.workflow == workflow


def test_the_quickstart_is_written_as_a_person_would(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(QUICKSTART)
    workflow = load(first).workflow
    assert not isinstance(workflow, Unusable)
    text = to_yaml(workflow)
    assert text == WRITTEN
    second.write_text(text)
    assert load(second).workflow == workflow


WRITTEN = """\
format: 1
name: fashion-cpu
model: {path: quickstart/fashion.onnx}
target: {threads: 1}
data:
  calibration:
    npz: quickstart/calibration.npz
    use: [calibration]
  test:
    npz: quickstart/test.npz
    inputs: {image: images}
    labels: labels
    use: [selection]
metrics:
  accuracy: {type: accuracy, data: test}
  latency: {type: latency, data: test, batch: 1}
  size: {type: size}
constraints:
  - {metric: accuracy, max_drop: 0.01}
objectives:
  - {minimize: latency.p50}
passes:
  - {simplify: {}}
  - name: quantize
    one_of:
      - dynamic_quant:
          per_channel: [true, false]
      - static_quant:
          format: [qdq, qoperator]
          per_channel: [true, false]
          calibration: [minmax, entropy]
          data: calibration
      - {float16: {}}
      - none
search: {max_trials: 20, time_limit: 300 s}
output: {path: out/fashion}
"""
