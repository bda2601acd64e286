"""Loading workflow files, sound and wrong ones."""

from __future__ import annotations

import json
import math
from pathlib import Path, PurePosixPath

import pytest

from olivelike.contracts.space import Limits
from olivelike.workflow.load import Loaded, Unusable, from_mapping, load
from olivelike.workflow.schema import Amount, ModelSection, Workflow
from tests.workflow.quickstart import QUICKSTART

MODEL = "model: {path: m.onnx}\n"


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(text: str | bytes, *overrides: str, name: str = "w.yaml") -> Loaded:
    path = Path(name)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, overrides)


def sound(text: str, *overrides: str) -> Workflow:
    result = loaded(text, *overrides)
    assert result.problems == ()
    assert isinstance(result.workflow, Workflow)
    return result.workflow


def said(text: str | bytes, name: str = "w.yaml") -> list[str]:
    return [str(problem) for problem in loaded(text, name=name).problems]


def test_the_quickstart_is_sound() -> None:
    workflow = sound(QUICKSTART)
    assert workflow.name == "fashion-cpu"
    assert workflow.model == ModelSection(own={"path": "quickstart/fashion.onnx"})
    assert workflow.data["test"].own == {"npz": "quickstart/test.npz"}
    assert workflow.data["test"].inputs == {"image": "images"}
    assert workflow.data["test"].use == ("selection",)
    assert workflow.metrics["latency"].own == {"batch": 1}
    assert workflow.constraints[0].rule == "max_drop"
    assert workflow.constraints[0].amount == Amount(0.01)
    assert (workflow.objectives[0].direction, workflow.objectives[0].metric) == ("minimize", "latency.p50")
    assert [step.name for step in workflow.passes] == ["simplify", "quantize"]
    assert [[step.pass_name for step in chain] for chain in workflow.passes[1].one_of] == [
        ["dynamic_quant"],
        ["static_quant"],
        ["float16"],
        [],
    ]
    assert workflow.search.time_limit == 300.0


def test_the_same_as_json_gives_an_equal_workflow() -> None:
    from olivelike.workflow.write import written

    workflow = sound(QUICKSTART)
    again = loaded(json.dumps(written(workflow), indent="\t"), name="w.json")
    assert again.problems == ()
    assert again.workflow == workflow
    assert again.places.at(("search", "max_trials")).startswith("w.json:")


def test_places_name_the_line_of_a_path_or_of_its_closest_ancestor() -> None:
    places = loaded(QUICKSTART).places
    assert places.at(("passes", 1, "one_of", 1, "static_quant", "format")) == "w.yaml:21"
    assert places.at(("passes", 1, "one_of", 1, "static_quant", "no_such")) == "w.yaml:21"
    assert places.at(("search",)) == "w.yaml:24"


def test_the_folder_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    assert loaded(QUICKSTART, name="inner/w.yaml").folder == Path("inner")


def test_defaults_are_those_of_the_schema() -> None:
    workflow = sound(MODEL)
    assert workflow == Workflow(model=ModelSection(own={"path": "m.onnx"}))
    assert workflow.target.providers[0].name == "CPUExecutionProvider"  # type: ignore[union-attr]
    assert math.isinf(workflow.search.time_limit)
    assert workflow.run.limits == Limits()


def test_keys_of_the_users_own_hold_anchors_and_are_dropped() -> None:
    text = MODEL + "x-quant: &q {per_channel: true}\npasses:\n  - static_quant: {<<: *q, format: qdq}\n"
    assert sound(text).passes[0].config == {"per_channel": True, "format": "qdq"}


def test_empty_sections_are_defaults() -> None:
    assert sound(MODEL + "data:\nmetrics:\npasses:\nsearch:\n") == sound(MODEL)


def test_a_byte_order_mark_is_no_content() -> None:
    assert loaded(b"\xef\xbb\xbf" + MODEL.encode()).problems == ()


def test_a_step_may_be_a_bare_name_or_have_no_configuration() -> None:
    workflow = sound(MODEL + "passes:\n  - simplify\n  - float16:\n")
    assert [(step.name, step.config) for step in workflow.passes] == [("simplify", {}), ("float16", {})]


def test_a_chain_of_alternatives_keeps_how_it_was_written() -> None:
    fork = sound(MODEL + "passes: [{name: q, one_of: [[a: {}, b: {}], [c: {}], d, none]}]\n").passes[0]
    assert [[step.name for step in chain] for chain in fork.one_of] == [["a", "b"], ["c"], ["d"], []]
    assert fork.chain_written == (True, True, False, False)
    paths = [fork.alternative_path(("passes", 0), number, 0) for number in (1, 2)]
    assert paths == [("passes", 0, "one_of", 1, 0), ("passes", 0, "one_of", 2)]


def test_engine_keys_of_a_step_are_read() -> None:
    text = (
        "  - {simplify: {}, name: s, when: {q: [a, none], r: b}, verify: full, limits: {time: 2 min, memory: 1 GiB}}\n"
    )
    step = sound(MODEL + "passes:\n" + text).passes[0]
    assert (step.name, step.pass_name, step.verify) == ("s", "simplify", "full")
    assert step.when == {"q": ("a", "none"), "r": ("b",)}
    assert step.limits == Limits(120.0, 2.0**30)


def test_split_and_columns_also_reach_the_reader() -> None:
    entry = sound(MODEL + "data: {t: {hf: org/set, split: test, columns: [image]}}\n").data["t"]
    assert (entry.split, entry.columns) == ("test", ("image",))
    assert entry.own == {"hf": "org/set", "split": "test", "columns": ["image"]}


def test_users_python_prepares_data() -> None:
    entry = sound(MODEL + "data: {t: {npz: t.npz, prepare: {script: u.py, call: f}}}\n").data["t"]
    assert getattr(entry.prepare, "script", "") == "u.py"
    assert sound(MODEL + "data: {t: {npz: t.npz, prepare: image}}\n").data["t"].prepare == "image"


def test_short_provider_names_become_full_ones_and_unknown_ones_stay() -> None:
    text = "target: {providers: [{openvino: {device_type: GPU}}, cpu, MyExecutionProvider]}\n"
    target = sound(MODEL + text).target
    assert not isinstance(target, str)
    assert [(provider.name, provider.options) for provider in target.providers] == [
        ("OpenVINOExecutionProvider", {"device_type": "GPU"}),
        ("CPUExecutionProvider", {}),
        ("MyExecutionProvider", {}),
    ]


def test_one_named_target_is_fine() -> None:
    text = "targets: {laptop: {threads: 4}}\ntarget: laptop\nmetrics: {l: {type: latency, target: laptop}}\n"
    workflow = sound(MODEL + text)
    assert workflow.target == "laptop"
    assert workflow.targets["laptop"].threads == 4


def test_the_cache_may_be_written_in_two_ways() -> None:
    assert sound(MODEL + "run: {cache: here}\n") == sound(MODEL + "run: {cache: {path: here}}\n")


def test_mappings_are_read_like_files_without_places() -> None:
    mapping = {
        "model": {"path": PurePosixPath("m.onnx")},
        "passes": ({"simplify": None}, "float16"),
        "search": {"sed": 1},
    }
    result = from_mapping(mapping)
    assert isinstance(result.workflow, Workflow)
    assert [step.name for step in result.workflow.passes] == ["simplify", "float16"]
    assert [str(problem) for problem in result.problems] == ["OL104 search.sed: unknown key. hint: did you mean seed?"]


def test_values_that_are_no_json_are_named() -> None:
    result = from_mapping({"model": {"path": object}, "search": {"time_limit": math.nan}})
    assert [problem.path for problem in result.problems if problem.code == "OL105"][:2] == [
        "model.path",
        "search.time_limit",
    ]


def test_everything_wrong_is_said_at_once_in_the_order_of_the_file() -> None:
    text = """\
model: {path: m.onnx, load: {a: 1}}
serach: {}
data:
  test: {npz: t.npz, use: [selektion], samples: many, shuffle: off}
passes:
  - {simplify: {}, verfy: full}
  - name: q
    one_of:
      - [{a: {}}, {b: {}, verify: fulll}]
      - {c: {}, limits: {tme: 5 min}}
environments: {}
search: {max_trials: 0, seed: x, seeed: 1}
outptu: {}
"""
    result = loaded(text)
    assert [str(problem) for problem in result.problems] == [
        "OL109 w.yaml:1 model.load: `load` is not built yet. hint: remove it",
        "OL104 w.yaml:2 serach: unknown key. hint: did you mean search?",
        "OL105 w.yaml:4 data.test.samples: got the text 'many', expected a whole number. hint: for example samples: 8",
        "OL105 w.yaml:4 data.test.shuffle: got the text 'off', expected true or false. hint: for example shuffle: true",
        "OL105 w.yaml:4 data.test.use.0: got the text 'selektion', expected train or calibration or selection or "
        "certification. hint: did you mean selection?",
        "OL104 w.yaml:6 passes.0.verfy: unknown key. hint: did you mean verify?",
        "OL105 w.yaml:9 passes.1.one_of.0.1.verify: got the text 'fulll', expected off or fast or full. "
        "hint: did you mean full?",
        "OL104 w.yaml:10 passes.1.one_of.1.limits.tme: unknown key. hint: did you mean time?",
        "OL105 w.yaml:12 search.max_trials: got 0, expected more than 0. hint: for example max_trials: 100",
        "OL105 w.yaml:12 search.seed: got the text 'x', expected a whole number. hint: for example seed: 8",
        "OL104 w.yaml:12 search.seeed: unknown key. hint: did you mean seed?",
        "OL104 w.yaml:13 outptu: unknown key. hint: did you mean output?",
    ]
    assert isinstance(result.workflow, Workflow)
    assert result.workflow.data["test"].own == {"npz": "t.npz"}


def test_a_workflow_is_still_made_of_what_is_right() -> None:
    result = loaded(MODEL + "search: {max_trails: 3, seed: 4}\nnme: x\n")
    assert len(result.problems) == 2
    assert isinstance(result.workflow, Workflow)
    assert result.workflow.search.seed == 4


BAD: list[tuple[str, str]] = [
    ("", "OL102 w.yaml:1: the file is empty. hint: for example model: {path: model.onnx}"),
    (
        "- a\n",
        "OL102 w.yaml:1: the file is not a mapping: it is a list of 1. hint: for example model: {path: model.onnx}",
    ),
    (
        "hello",
        "OL102 w.yaml:1: the file is not a mapping: it is the text 'hello'. hint: for example model: {path: model.onnx}",
    ),
    (
        "format: 1\nworkflow: w\nstatus: feasible\ntrials: []\ncost: {}\n",
        "OL102 w.yaml:1: this is the report of a run, not a workflow. hint: name the workflow file that the run was started with",
    ),
    (
        "format: 1\nworkflow: {}\nsource: x\nsteps: []\nversions: {}\n",
        "OL102 w.yaml:1: this is the lock of a bundle, not a workflow. hint: rebuild what it describes with olivelike run "
        "--locked FILE",
    ),
    (
        "model: {path: m.onnx}\nmetrics: {a: {typ: size}}\n",
        "OL111 w.yaml:2 metrics.a.type: `type` is missing. hint: did you mean type by `typ`?",
    ),
    ("name: x\n", "OL111 w.yaml:1 model: `model` is missing. hint: for example model: {path: model.onnx}"),
    ("model:\n", "OL111 w.yaml:1 model: `model` is missing. hint: for example model: {path: model.onnx}"),
    (
        "model: m.onnx\n",
        "OL105 w.yaml:1 model: got the text 'm.onnx', expected a mapping. hint: for example model: {path: model.onnx}",
    ),
    ("model: {}\n", "OL111 w.yaml:1 model: the model has no source. hint: for example path: model.onnx"),
    (
        "model: {path: m, path: n}\n",
        "OL103 w.yaml:1 model.path: `path` stands twice, first on line 1. hint: remove one of the two",
    ),
    (MODEL + "format: 2\n", "OL105 w.yaml:2 format: got 2, expected 1. hint: for example format: 1"),
    (MODEL + "name: 5\n", "OL105 w.yaml:2 name: got 5, expected text. hint: for example name: workflow"),
    (MODEL + "models: {}\n", "OL109 w.yaml:2 models: `models` is not built yet. hint: remove it"),
    (MODEL + "include: a\n", "OL109 w.yaml:2 include: `include` is not built yet. hint: remove it"),
    (MODEL + "vars: {a: 1}\n", "OL109 w.yaml:2 vars: `vars` is not built yet. hint: remove it"),
    (
        MODEL + "environments: {a: {}}\n",
        "OL109 w.yaml:2 environments: `environments` is not built yet. hint: remove it",
    ),
    ("model: {path: m, parts: {a: {}}}\n", "OL109 w.yaml:1 model.parts: `parts` is not built yet. hint: remove it"),
    ("model: {parts: {a: {}}}\n", "OL109 w.yaml:1 model.parts: `parts` is not built yet. hint: remove it"),
    (
        "model: {path: m, adapters: {a: {}}}\n",
        "OL109 w.yaml:1 model.adapters: `adapters` is not built yet. hint: remove it",
    ),
    (
        "model: {path: m, example_inputs: u.py}\n",
        "OL109 w.yaml:1 model.example_inputs: `example_inputs` is not built yet. hint: remove it",
    ),
    (
        MODEL + "data: {t: {npz: t, pad: short}}\n",
        "OL105 w.yaml:2 data.t.pad: got 'short', expected a whole number above 0, or longest. "
        "hint: for example pad: {input_ids: 128}",
    ),
    (
        MODEL + "data: {t: {npz: t, pad: {ids: {too: 8}}}}\n",
        "OL104 w.yaml:2 data.t.pad.ids.too: unknown key. hint: did you mean to?",
    ),
    (
        MODEL + "data: {t: {npz: t, prepare: {tokenize: {}, causal_lm: {}}}}\n",
        "OL112 w.yaml:2 data.t.prepare: `prepare` takes one transform, got tokenize, causal_lm. "
        "hint: keep one; chain others in a function of your own with `script`",
    ),
    (
        MODEL + "metrics: {l: {type: latency, part: a}}\n",
        "OL109 w.yaml:2 metrics.l.part: `part` is not built yet. hint: remove it",
    ),
    (
        MODEL + "metrics: {l: {type: latency, environment: a}}\n",
        "OL109 w.yaml:2 metrics.l.environment: `environment` is not built yet. hint: remove it",
    ),
    (
        MODEL + "metrics: {l: {type: latency, target: edge}}\n",
        "OL109 w.yaml:2 metrics.l.target: measuring on `edge`, which is not the workflow's target, is not built yet. "
        "hint: remove it",
    ),
    (
        MODEL + "targets: {a: {}, b: {}}\ntarget: a\n",
        "OL109 w.yaml:2 targets: more than one target is not built yet, got a, b. hint: write one workflow for each target",
    ),
    (MODEL + "targets: {a: {}}\n", "OL112 w.yaml:2 targets.a: `target` does not name `a`. hint: write target: a"),
    (
        MODEL + "targets: {a: {environment: e}}\ntarget: a\n",
        "OL109 w.yaml:2 targets.a.environment: `environment` is not built yet. hint: remove it",
    ),
    (
        MODEL + "passes: [{a: {}, environment: e}]\n",
        "OL109 w.yaml:2 passes.0.environment: `environment` is not built yet. hint: remove it",
    ),
    (
        MODEL + "passes: [{a: {}, parts: [b]}]\n",
        "OL109 w.yaml:2 passes.0.parts: `parts` is not built yet. hint: remove it",
    ),
    (
        MODEL + "passes: [{a: {}, target: e}]\n",
        "OL109 w.yaml:2 passes.0.target: `target` is not built yet. hint: remove it",
    ),
    (
        MODEL + "output: {package: zip}\n",
        "OL109 w.yaml:2 output.package: `package` is not built yet. hint: remove it",
    ),
    (
        MODEL + "output: {external_data: true}\n",
        "OL109 w.yaml:2 output.external_data: `external_data` is not built yet. hint: remove it",
    ),
    (
        MODEL + "run: {cache: {remote: x}}\n",
        "OL109 w.yaml:2 run.cache.remote: `remote` is not built yet. hint: remove it",
    ),
    (MODEL + "run: {cache: {pth: x}}\n", "OL104 w.yaml:2 run.cache.pth: unknown key. hint: known: path"),
    (
        MODEL + "target: {providers: cpu}\n",
        "OL105 w.yaml:2 target.providers: got the text 'cpu', expected a list. hint: for example providers: [cpu]",
    ),
    (
        MODEL + "target: {providers: []}\n",
        "OL105 w.yaml:2 target.providers: got an empty list, expected a list that is not empty. "
        "hint: for example providers: [cpu]",
    ),
    (
        MODEL + "target: {providers: [{a: {}, b: {}}]}\n",
        "OL105 w.yaml:2 target.providers.0: got {'a': {}, 'b': {}}, expected a provider. "
        "hint: for example cpu or {openvino: {device_type: GPU}}",
    ),
    (
        MODEL + "target: {device: cuda}\n",
        "OL105 w.yaml:2 target.device: got the text 'cuda', expected cpu or gpu or npu. hint: for example device: cpu",
    ),
    (MODEL + "target: {thread: 4}\n", "OL104 w.yaml:2 target.thread: unknown key. hint: did you mean threads?"),
    (
        MODEL + "target: {threads: true}\n",
        "OL105 w.yaml:2 target.threads: got true, expected a whole number. hint: for example threads: 8",
    ),
    (
        MODEL + "data: {t: {use: [train]}}\n",
        "OL111 w.yaml:2 data.t: the data have no source. hint: for example npz: data.npz",
    ),
    (
        MODEL + "data: {a.b: {npz: x}}\n",
        "OL105 w.yaml:2 data.a.b: got 'a.b', expected a name. hint: use letters, digits, _ and -",
    ),
    (
        MODEL + "data: {t: {npz: x, prepare: {script: u.py}}}\n",
        "OL111 w.yaml:2 data.t.prepare.call: `call` is missing. hint: add `call`",
    ),
    (
        MODEL + "data: {t: {npz: x, prepare: {script: u.py, cal: f}}}\n",
        "OL111 w.yaml:2 data.t.prepare.call: `call` is missing. hint: add `call`",
    ),
    (
        MODEL + "metrics: {a: {data: t}}\n",
        "OL111 w.yaml:2 metrics.a.type: `type` is missing. hint: for example type: accuracy",
    ),
    (
        MODEL + "metrics: {a: accuracy}\n",
        "OL105 w.yaml:2 metrics.a: got the text 'accuracy', expected a mapping. hint: for example a: {key: value}",
    ),
    (
        MODEL + "constraints: {metric: a}\n",
        "OL105 w.yaml:2 constraints: got a mapping with metric, expected a list. "
        "hint: for example constraints: [{metric: accuracy, max_drop: 0.01}]",
    ),
    (
        MODEL + "constraints: [{metric: a}]\n",
        "OL111 w.yaml:2 constraints.0: a constraint needs one of at_most, at_least, max_drop, max_increase, min_improvement",
    ),
    (
        MODEL + "constraints: [{metric: a, max_dorp: 1}]\n",
        "OL104 w.yaml:2 constraints.0.max_dorp: unknown key. hint: did you mean max_drop?",
    ),
    (
        MODEL + "constraints: [{metrc: a, max_drop: 1}]\n",
        "OL111 w.yaml:2 constraints.0.metric: `metric` is missing. hint: for example metric: accuracy",
    ),
    (
        MODEL + "constraints: [{metric: a, at_most: 1, max_drop: 1}]\n",
        "OL112 w.yaml:2 constraints.0: a constraint holds one of at_most, at_least, max_drop, max_increase, "
        "min_improvement, got at_most and max_drop. hint: make it 2 entries",
    ),
    (
        MODEL + "constraints: [{metric: a, at_most: 20 parsec}]\n",
        "OL105 w.yaml:2 constraints.0.at_most: unknown unit in '20 parsec'. "
        "hint: known units: ms, s, min, h, B, KB, MB, GB, KiB, MiB, GiB, dB, %",
    ),
    (
        MODEL + "constraints: [{metric: a, max_drop: -1%}]\n",
        "OL105 w.yaml:2 constraints.0.max_drop: got -0.01, expected zero or more. "
        "hint: to ask for an improvement, use min_improvement",
    ),
    (
        MODEL + "objectives: [{minimise: a}]\n",
        "OL104 w.yaml:2 objectives.0.minimise: unknown key. hint: did you mean minimize?",
    ),
    (
        MODEL + "objectives: [{minimize: a, maximize: b}]\n",
        "OL112 w.yaml:2 objectives.0: an objective holds one of minimize, maximize, got minimize and maximize. "
        "hint: make it 2 entries",
    ),
    (
        MODEL + "objectives: [{minimize: 5}]\n",
        "OL105 w.yaml:2 objectives.0.minimize: got 5, expected text. hint: for example minimize: latency.p50",
    ),
    (
        MODEL + "objectives: [{minimize: a, within: -1}]\n",
        "OL105 w.yaml:2 objectives.0.within: got -1, expected zero or more. hint: for example within: 2%",
    ),
    (
        MODEL + "passes: {simplify: {}}\n",
        "OL105 w.yaml:2 passes: got a mapping with simplify, expected a list. hint: for example passes: [{simplify: {}}]",
    ),
    (MODEL + "passes: [{name: a}]\n", "OL111 w.yaml:2 passes.0: a step names no pass. hint: for example simplify: {}"),
    (
        MODEL + "passes: [{a: {}, b: {}}]\n",
        "OL112 w.yaml:2 passes.0: a step holds one pass, got a and b. hint: make them two steps, each with its own dash",
    ),
    (
        MODEL + "passes: [{a: {}, whne: {q: r}}]\n",
        "OL104 w.yaml:2 passes.0.whne: unknown key. hint: did you mean when?",
    ),
    (
        MODEL + "passes: [{name: q, one_off: [a, b]}]\n",
        "OL104 w.yaml:2 passes.0.one_off: unknown key. hint: did you mean one_of?",
    ),
    (
        MODEL + "passes: [{name: q, one_of: [a], b: {}}]\n",
        "OL112 w.yaml:2 passes.0.b: a step holds one pass or one `one_of`, got both `b` and `one_of`. "
        "hint: make them two steps",
    ),
    (
        MODEL + "passes: [{one_of: [a, none]}]\n",
        "OL111 w.yaml:2 passes.0: a step with `one_of` needs a name. hint: for example name: quantize",
    ),
    (
        MODEL + "passes: [{name: q, one_of: []}]\n",
        "OL105 w.yaml:2 passes.0.one_of: got [], expected a list of alternatives. "
        "hint: for example [{dynamic_quant: {}}, none]",
    ),
    (
        MODEL + "passes: [{name: q, one_of: [a, null]}]\n",
        "OL105 w.yaml:2 passes.0.one_of.1: got None, expected an alternative. hint: a step, a list of steps, or none",
    ),
    (
        MODEL + "passes: [none]\n",
        "OL112 w.yaml:2 passes.0: `none` stands outside the alternatives of a `one_of`. hint: remove it",
    ),
    (
        MODEL + "passes: [5]\n",
        "OL105 w.yaml:2 passes.0: got 5, expected a mapping. hint: for example {key: value}",
    ),
    (
        MODEL + "passes: [{a: 5}]\n",
        "OL105 w.yaml:2 passes.0.a: got 5, expected a mapping. hint: for example a: {key: value}",
    ),
    (
        MODEL + "passes:\n- a\n- {name: q, one_of: [{b: {}}, [{c: {}}, {a: {}}]]}\n",
        "OL110 w.yaml:4 passes.1.one_of.1.1: a second step is called `a`. hint: for example name: a_2",
    ),
    (
        MODEL + "passes: [{a: {}, name: input}]\n",
        "OL110 w.yaml:2 passes.0: no step may be called `input`. hint: give it another name",
    ),
    (
        MODEL + "passes: [{a: {}, name: a.b}]\n",
        "OL105 w.yaml:2 passes.0.name: got 'a.b', expected a name. hint: use letters, digits, _ and -",
    ),
    (
        MODEL + "passes: [{a: {}, limits: {time: 5}}]\n",
        "OL105 w.yaml:2 passes.0.limits.time: got 5 without a unit, expected a duration. hint: write the unit: 5 min",
    ),
    (
        MODEL + "passes: [{a: {}, limits: 5 min}]\n",
        "OL105 w.yaml:2 passes.0.limits: got '5 min', expected limits. hint: for example {time: 5 min, memory: 2 GiB}",
    ),
    (
        MODEL + "search: {time_limit: 300}\n",
        "OL105 w.yaml:2 search.time_limit: got 300 without a unit, expected a duration. hint: write the unit: 5 min",
    ),
    (
        MODEL + "search: {time_limit: 3.5}\n",
        "OL105 w.yaml:2 search.time_limit: got 3.5 without a unit, expected a duration. hint: write the unit: 5 min",
    ),
    (
        MODEL + "search: {max_trials: 5.0}\n",
        "OL105 w.yaml:2 search.max_trials: got 5.0, expected a whole number. hint: for example max_trials: 100",
    ),
    (
        MODEL + "search: auto\n",
        "OL105 w.yaml:2 search: got the text 'auto', expected a mapping. hint: for example search: {key: value}",
    ),
    (
        MODEL + "output: {keep: bset}\n",
        "OL105 w.yaml:2 output.keep: got the text 'bset', expected best or pareto or all. hint: did you mean best?",
    ),
    (MODEL + "output: {own: 1}\n", "OL104 w.yaml:2 output.own: unknown key. hint: known: keep, kind, path"),
    (
        "model: {path: !mine m}\n",
        "OL105 w.yaml:1: the tag !mine does not stand for what follows, or is not read. hint: remove the tag",
    ),
    (
        "model: {path: [}\n",
        "OL101 w.yaml:1: not YAML: expected the node content, but found '}', while parsing a flow node",
    ),
]


@pytest.mark.parametrize(
    ("text", "first"), BAD, ids=[f"{number}-{text[:40]!r}" for number, (text, _) in enumerate(BAD)]
)
def test_the_first_line_of_what_is_said_about_a_wrong_file(text: str, first: str) -> None:
    assert said(text)[0] == first


def test_names_of_attributes_are_no_keys_of_the_file() -> None:
    assert said(MODEL + "passes: [{pass_name: {}, config: {}}]\n")[0].startswith(
        "OL112 w.yaml:2 passes.0: a step holds one pass"
    )
    assert said(MODEL + "constraints: [{metric: a, rule: max_drop, amount: 1}]\n")[0].startswith("OL104")
    metric = sound(MODEL + "metrics: {a: {type: t, own: {b: 1}}}\n").metrics["a"]
    assert metric.own == {"own": {"b": 1}}


def test_a_wrong_constraint_leaves_no_workflow_to_judge() -> None:
    assert loaded(MODEL + "constraints: [{metric: a, at_most: soon}]\n").workflow == Unusable()


def test_a_missing_file_is_a_problem_with_its_path() -> None:
    assert [str(problem) for problem in load(Path("no.yaml")).problems] == [
        "OL101 no.yaml: cannot be read: No such file or directory. hint: check the path"
    ]


def test_a_folder_is_no_workflow(tmp_path: Path) -> None:
    [problem] = load(tmp_path).problems
    assert problem.code == "OL101"
    assert problem.hint == "it must be a readable file"


def test_text_in_another_encoding_is_named_with_its_line() -> None:
    assert said("model: {}\nname: Käse\n".encode("latin-1")) == [
        "OL101 w.yaml:2: not UTF-8: byte 0xe4. hint: save the file as UTF-8"
    ]


def test_a_file_far_too_large_is_not_parsed() -> None:
    assert said(b"a: 1\n" * 300_000) == ["OL101 w.yaml: larger than 1 MiB, which is no workflow. hint: check the path"]
