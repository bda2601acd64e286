from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from olivelike.contracts.artifact import Artifact
from olivelike.contracts.data import ScriptCall
from olivelike.contracts.outcome import Measurement, Paired, Undefined, Value
from olivelike.errors import InputError, MeasureError
from olivelike.evaluate.quality.detection import Detection, DetectionConfig
from olivelike.testing.measure_context import MemoryContext
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.tiny_models import write

IMAGES, FOUND, CLASSES = 20, 5, 3


def scene(seed: int = 0) -> tuple[Any, Any]:
    """Returns what a detector finds, `[images, found, 6]`, and labels `[images, boxes, 5]` filled up with class -1."""
    generator = np.random.default_rng(seed)
    corner = generator.uniform(0, 80, (IMAGES, FOUND, 2))
    labels = np.concatenate([corner, corner + generator.uniform(10, 20, corner.shape)], axis=2)
    classes = generator.integers(0, CLASSES, (IMAGES, FOUND, 1))
    moved = labels + generator.normal(0, 1.5, labels.shape)
    wrong = generator.random((IMAGES, FOUND, 1)) < 0.2
    scores = generator.random((IMAGES, FOUND, 1))
    found = np.concatenate([moved, np.where(wrong, (classes + 1) % CLASSES, classes), scores], axis=2)
    filled = np.where(generator.random((IMAGES, FOUND, 1)) < 0.3, -1, classes)
    return found.astype(np.float32), np.concatenate([labels, filled], axis=2)


SCENE, LABELS = scene()


def detector(folder: Path, shift: float = 0.0) -> Artifact:
    """Writes a detector that hands its input through as boxes (moved), classes and scores."""
    weights = {
        "shift": np.array(shift, np.float32),
        "four": np.arange(4),
        "five": np.array(4),
        "six": np.array(5),
    }
    nodes = [
        helper.make_node("Gather", ["image", "four"], ["plain"], axis=2),
        helper.make_node("Add", ["plain", "shift"], ["boxes"]),
        helper.make_node("Gather", ["image", "five"], ["labels"], axis=2),
        helper.make_node("Gather", ["image", "six"], ["scores"], axis=2),
    ]
    outputs = {"boxes": ("n", "k", 4), "labels": ("n", "k"), "scores": ("n", "k")}
    return write(folder, nodes, {"image": ("n", "k", 6)}, outputs, weights)


class TestDetection(MetricContract):
    metric = Detection

    def artifact(self, folder: Path) -> Artifact:
        return detector(folder)

    def context(self, folder: Path) -> MemoryContext:
        return context(folder)

    def configs(self) -> Sequence[DetectionConfig]:
        return (DetectionConfig(), DetectionConfig(values=("map50",), batch=7))


def context(folder: Path, found: object = SCENE, labels: object = LABELS, **more: Any) -> MemoryContext:
    return MemoryContext(folder, {"image": np.asarray(found)}, np.asarray(labels), **more)


def measure(given: MemoryContext, shift: float = 0.0, base: float = 0.0, **config: Any) -> Mapping[str, Value]:
    candidate, reference = (detector(given.scratch / str(each), each) for each in (shift, base))
    return Detection().measure(candidate, reference, DetectionConfig(**config), given)


def defined(value: Value) -> Measurement:
    assert isinstance(value, Measurement), value
    return value


def coco(found: Any, labels: Any) -> list[float]:
    """Returns what pycocotools itself makes of it: mAP, mAP50, mAP75."""
    known, answered = COCO(), COCO()
    for store, tables in ((known, labels), (answered, found)):
        boxes = []
        for image, table in enumerate(tables.astype(float).tolist()):
            for row in table:
                if row[4] >= 0:
                    width, height = row[2] - row[0], row[3] - row[1]
                    box = {"bbox": [row[0], row[1], width, height], "area": width * height, "iscrowd": 0}
                    boxes.append({**box, "image_id": image, "category_id": int(row[4]), "id": len(boxes) + 1})
                    boxes[-1]["score"] = row[-1]
        store.dataset = {
            "images": [{"id": k} for k in range(len(tables))],
            "categories": [{"id": k} for k in range(CLASSES)],
            "annotations": boxes,
        }
    with redirect_stdout(StringIO()):
        known.createIndex()
        answered.createIndex()
        evaluation = COCOeval(known, answered, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats[:3]]


@pytest.mark.parametrize("seed", range(4))
def test_values_are_those_of_pycocotools(tmp_path: Path, seed: int) -> None:
    found, labels = scene(seed)
    got = measure(context(tmp_path, found, labels))
    assert [defined(value).value for value in got.values()] == pytest.approx(coco(found, labels), abs=1e-9)
    assert all(defined(value).low < defined(value).value < defined(value).high for value in got.values())


def test_an_image_drawn_twice_counts_as_two(tmp_path: Path) -> None:
    from olivelike.evaluate.quality.box_matches import IOUS, average_precision, match
    from olivelike.evaluate.quality.boxes import as_column

    counts = np.random.default_rng(5).integers(0, 4, IMAGES)
    tables = [[table[table[:, 4] >= 0] for table in source.astype(float)] for source in (SCENE, LABELS)]
    classes = match(as_column(tables[0]), as_column(tables[1]))
    weighted = np.mean(
        [average_precision(each, range(len(IOUS)), counts[:, None].astype(float))[0] for each in classes]
    )
    rows = np.repeat(np.arange(IMAGES), counts)
    assert weighted == pytest.approx(coco(SCENE[rows], LABELS[rows])[0], abs=1e-9)


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The truth is that of 3,000 images. 95 % of 60 replicates are 57, with a standard error of 1.7; percentiles reach 45."""
    monkeypatch.setitem(globals(), "IMAGES", 3000)
    truth = defined(measure(context(tmp_path, *scene(999)), values=("map50",))["map50"]).value
    monkeypatch.setitem(globals(), "IMAGES", 80)
    held = 0
    for seed in range(60):
        found = defined(measure(context(tmp_path, *scene(seed), seed=seed), values=("map50",))["map50"])
        held += found.low <= truth <= found.high
    assert held >= 52, held


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    measure(context(tmp_path))
    assert capfd.readouterr().out == ""


def test_moved_boxes_lose_and_the_difference_says_so(tmp_path: Path) -> None:
    versus = defined(measure(context(tmp_path), shift=3.0)["map"]).versus
    assert isinstance(versus, Paired)
    assert versus.interval.high < 0


def test_a_perfect_detector_is_not_certain(tmp_path: Path) -> None:
    perfect = np.concatenate([LABELS, np.ones((IMAGES, FOUND, 1))], axis=2)
    labels = perfect[:, :, :5].astype(np.float32)
    got = defined(measure(context(tmp_path, perfect, labels), shift=0.0, base=1e-6)["map50"])
    assert got.value == 1
    assert got.low < 0.98
    assert isinstance(got.versus, Paired)
    assert got.versus.interval.low < -0.02 < 0 == got.versus.interval.value < 0.02 < got.versus.interval.high


def test_postprocess_returns_boxes_of_each_image(tmp_path: Path) -> None:
    def boxes(outputs: Mapping[str, Any], labels: Any) -> object:
        return [
            {"boxes": outputs["boxes"][k], "scores": outputs["scores"][k], "labels": outputs["labels"][k].astype(int)}
            for k in range(len(labels))
        ]

    given = context(tmp_path, functions={"f": boxes})
    assert measure(given, postprocess=ScriptCall(script="user.py", call="f")) == measure(given)


def test_a_detector_that_finds_nothing_is_measured(tmp_path: Path) -> None:
    given = context(tmp_path, functions={"f": lambda outputs, labels: [_empty()] * len(labels)})
    got = measure(given, postprocess=ScriptCall(script="user.py", call="f"))
    assert defined(got["map"]).value == 0
    assert defined(got["map"]).high > 0


def _empty() -> dict[str, list[float]]:
    return {"boxes": [], "scores": [], "labels": []}


def test_images_without_boxes_leave_the_values_undefined(tmp_path: Path) -> None:
    nothing = LABELS.copy()
    nothing[:, :, 4] = -1
    got = measure(context(tmp_path, labels=nothing))
    assert got["map"] == Undefined("none of the 20 images has a labelled box")


@pytest.mark.parametrize("images", [1, 2])
def test_too_few_images_give_a_reason_and_no_number(tmp_path: Path, images: int) -> None:
    for value in measure(context(tmp_path, SCENE[:images], LABELS[:images])).values():
        assert isinstance(value, Undefined)
        assert value.reason.startswith(f"{images} samples are too few")


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (np.ones((IMAGES, 2, 4)), r"OL207: the boxes of an image have the shape \[2, 4\]"),
        (np.tile([5, 5, 2, 2, 0], (IMAGES, 1, 1)), "OL207: the labelled box .* has its second corner above or left"),
        (np.full((IMAGES, 1, 5), np.nan), "OL208: labelled boxes hold NaN"),
        (np.full((IMAGES, 1, 5), "a"), "OL207: the boxes of an image are no table"),
        ([], "OL207: the data have no labels"),
    ],
)
def test_labels_of_no_use_are_refused(tmp_path: Path, labels: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        measure(context(tmp_path, labels=labels))


@pytest.mark.parametrize(
    ("returned", "error", "says"),
    [
        (None, InputError, "OL209: what f returned is a NoneType"),
        ([_empty()], InputError, "OL209: what f returned holds 1 images where the batch holds 8"),
        ([3.0] * 8, InputError, "OL209: what f returned holds a float for an image"),
        ([{"boxes": []}] * 8, InputError, "OL209: what f returned holds the keys boxes for an image"),
        ([_empty() | {"scores": [1.0]}] * 8, InputError, "OL209: .* do not fit each other"),
        ([_empty() | {"scores": ["high"]}] * 8, InputError, "OL209: .* holds no numbers for an image"),
        (
            [{"boxes": [[0, 0, 1, np.nan]], "scores": [1.0], "labels": [0]}] * 8,
            MeasureError,
            "OL504: what f returned holds boxes, scores or labels that are not finite",
        ),
    ],
)
def test_what_a_user_function_returns_of_no_use_is_named(
    tmp_path: Path, returned: object, error: type[Exception], says: str
) -> None:
    given = context(tmp_path, functions={"f": lambda outputs, labels: returned})
    with pytest.raises(error, match=says):
        measure(given, postprocess=ScriptCall(script="user.py", call="f"))


def test_an_unknown_output_is_refused_with_the_near_miss(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"OL206 boxes: .*'box'.*did you mean boxes"):
        measure(context(tmp_path), boxes="box")
