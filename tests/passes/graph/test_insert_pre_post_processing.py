"""Tests of the pass `insert_pre_post_processing`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
from pydantic import ValidationError

from olivelike.contracts.extensions import is_installed
from olivelike.contracts.target import Target
from olivelike.digest import Json
from olivelike.evaluate.sessions.session import open_session
from olivelike.onnxfile.read import read_structure, signature
from olivelike.testing import models
from olivelike.testing.building import float_value, model_of, node_of, value_of
from olivelike.testing.context import run_model
from olivelike.testing.graph_contract import GraphPassContract
from olivelike.testing.pass_contract import Refusal
from olivelike_passes.graph.insert_pre_post_processing import InsertPrePostProcessing
from olivelike_passes.graph.processing_config import InsertPrePostProcessingConfig
from tests.passes.running import applied, artifact

Bytes = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
RAW = {"take": "image", "scale": 1.0}


def copies(*shape: int | str, opset: int = 18, kind: str = "FLOAT") -> onnx.ModelProto:
    """A model that gives its images back: `x` to `y`."""
    ends = value_of("x", kind, *shape), value_of("y", kind, *shape)
    return model_of([node_of("Identity", ["x"], ["y"])], ends[:1], ends[1:], opset=opset)


def scores(*shape: int | str, opset: int = 18) -> onnx.ModelProto:
    """A model that gives its scores back: `x` to `y`."""
    return copies(*shape, opset=opset)


def picture(height: int, width: int, channels: int = 3) -> Bytes:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels)).astype(np.uint8)


def through(model: onnx.ModelProto, image: Bytes, folder: Path, **settings: Json) -> Floats:
    """Returns what the model gets of an image, without the batch's axis where there is one image."""
    made = applied(InsertPrePostProcessing, model, folder, **settings)
    got = run_model(made.model, {"x": image})["y"].astype(np.float64)
    return got[0] if settings.get("take") != "images" else got


def first(image: Bytes) -> Floats:
    return image.transpose(2, 0, 1).astype(np.float64)


def weights(size: int, wanted: int, antialias: bool) -> Floats:
    """Returns the matrix [wanted, size] of linear interpolation, its triangle widened where an image shrinks (Pillow)."""
    step = size / wanted
    reach = max(step, 1.0) if antialias else 1.0
    centers = (np.arange(wanted) + 0.5) * step - 0.5
    places = np.arange(size)
    if not antialias:
        centers = centers.clip(0, size - 1)  # beyond the edge its pixel goes on
    matrix = (1 - np.abs(places[None] - centers[:, None]) / reach).clip(0)
    return matrix / matrix.sum(1, keepdims=True)


def resized(image: Bytes, height: int, width: int, antialias: bool) -> Floats:
    rows, columns = weights(image.shape[0], height, antialias), weights(image.shape[1], width, antialias)
    return np.einsum("ih,jw,hwc->cij", rows, columns, image.astype(np.float64))


class TestInsertPrePostProcessing(GraphPassContract):
    pass_type = InsertPrePostProcessing
    configs = (
        {"take": "images", "mean": [0.5], "std": [0.25], "classes": "softmax"},
        {"take": "image", "resize": "stretch", "antialias": False, "classes": "top_k", "k": 2},
    )
    odd_config: ClassVar = {"classes": "softmax"}
    keeps_signature = False
    accepted: ClassVar = {"conv": models.conv_net, "conv11": lambda: models.conv_net(opset=11)}
    refused: ClassVar = {
        "no image": Refusal(models.mlp, "0 inputs of rank 4", {"take": "image"}),
        "no such input": Refusal(models.conv_net, "no input 'imag': did you mean", {"take": "image", "input": "imag"}),
        "words": Refusal(models.string_input, "is string", {"take": "image", "input": "word"}),
        "no channels": Refusal(lambda: copies(1, 8, 8, 8), "no axis is known", {"take": "image"}),
        "colours": Refusal(models.conv_net, "`mean` has 3 numbers", {"take": "image", "mean": MEAN}),
        "another size": Refusal(models.conv_net, "16, declared 8", {"take": "image", "height": 16}),
        "no size": Refusal(lambda: copies(1, 3, "h", "w"), "declares no size", {"take": "image", "resize": "stretch"}),
        "a large crop": Refusal(
            lambda: copies(1, 3, 300, 300), "cannot be cut out of 256", {"take": "image", "resize": "crop"}
        ),
        "old and smooth": Refusal(models.conv_net, "takes opset 18", {"take": "image", "resize": "stretch"}),
        "old": Refusal(
            lambda: copies(1, 3, 8, 8, opset=10),
            "takes opset 11",
            {"take": "image", "resize": "stretch", "antialias": False},
        ),
        "two at once": Refusal(lambda: copies(2, 3, 8, 8), "takes 2 images at once", {"take": "image"}),
        "no such output": Refusal(models.mlp, "no output 'y'", {"classes": "softmax", "output": "y"}),
        "few classes": Refusal(models.mlp, "has 4 classes, fewer", {"classes": "top_k"}),
        "whole numbers": Refusal(
            lambda: model_of(
                [node_of("Identity", ["x"], ["y"])], [value_of("x", "INT64", 2)], [value_of("y", "INT64", 2)]
            ),
            "no scores",
            {"classes": "softmax"},
        ),
    }


def test_an_image_is_normalized_by_channel(tmp_path: Path) -> None:
    image = picture(4, 5)
    got = through(copies(1, 3, 4, 5), image, tmp_path, take="image", mean=MEAN, std=STD)
    expected = (first(image) / 255 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    np.testing.assert_allclose(got, expected, atol=1e-6)  # three float32 operations on numbers below 3


@pytest.mark.parametrize("opset", [7, 11, 13, 18, 21])
def test_the_layout_and_type_of_the_model_are_met_in_any_opset(opset: int, tmp_path: Path) -> None:
    image = picture(4, 5)
    got = through(copies(1, 4, 5, 3, opset=opset, kind="FLOAT16"), image, tmp_path, **RAW, reverse_channels=True)
    np.testing.assert_array_equal(got, image[..., ::-1])


def test_several_images_at_once(tmp_path: Path) -> None:
    image = np.stack([picture(4, 5), picture(4, 5)[::-1]])
    got = through(copies("batch", 3, 4, 5), image, tmp_path, take="images", scale=1.0)
    np.testing.assert_array_equal(got, image.transpose(0, 3, 1, 2))
    [value] = signature(tmp_path / "run/out/model.onnx").inputs
    assert (value.name, value.dtype, value.shape) == ("x", "uint8", ("batch", 4, 5, 3))


@pytest.mark.parametrize(("size", "antialias"), [((17, 23), True), ((17, 23), False), ((5, 4), True), ((5, 4), False)])
def test_images_are_stretched_as_numpy_does_it(size: tuple[int, int], antialias: bool, tmp_path: Path) -> None:
    image = picture(*size)
    got = through(copies(1, 3, 8, 9), image, tmp_path, **RAW, resize="stretch", antialias=antialias)
    # Rounded to whole numbers; float32 may fall on the other side of a half.
    assert np.abs(got - np.rint(resized(image, 8, 9, antialias))).max() <= 1
    assert np.abs(got - resized(image, 8, 9, antialias)).max() <= 0.5 + 1e-3
    assert [value.shape for value in signature(tmp_path / "run/out/model.onnx").inputs] == [("height", "width", 3)]


@pytest.mark.parametrize("size", [(17, 24), (24, 17), (10, 33)])
@pytest.mark.parametrize("opset", [11, 18])
def test_the_middle_is_cut_out_of_what_has_the_shorter_side(size: tuple[int, int], opset: int, tmp_path: Path) -> None:
    image, smooth = picture(*size), opset >= 18
    settings: dict[str, Json] = {"resize": "crop", "shorter_side": 12, "antialias": smooth}
    got = through(copies(1, 3, 8, 9, opset=opset), image, tmp_path, **RAW, **settings)
    height, width = (side * 12 // min(size) for side in size)
    top, left = (height - 8) // 2, (width - 9) // 2
    expected = resized(image, height, width, smooth)[:, top : top + 8, left : left + 9]
    assert np.abs(got - expected).max() <= 0.5 + 1e-3


@pytest.mark.parametrize(("interpolation", "largest"), [("linear", 1), ("cubic", 2), ("nearest", 0)])
def test_images_are_stretched_as_pillow_does_it(interpolation: str, largest: int, tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="needs the package Pillow")
    image = picture(37, 50)
    got = through(copies(1, 3, 16, 20), image, tmp_path, **RAW, resize="stretch", interpolation=interpolation)
    way = {"linear": pillow.BILINEAR, "cubic": pillow.BICUBIC, "nearest": pillow.NEAREST}[interpolation]
    expected = np.asarray(pillow.fromarray(image).resize((20, 16), way)).astype(np.float64)
    # Pillow rounds to whole numbers between its two directions.
    assert np.abs(got - expected.transpose(2, 0, 1)).max() <= largest


def softmax(values: Floats) -> Floats:
    powers = np.exp(values - values.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


@pytest.mark.parametrize("opset", [7, 10, 18])
def test_scores_become_probabilities_and_the_best_classes(opset: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((2, 3, 10)).astype(np.float32)
    for classes in ("softmax", "argmax", "top_k", "softmax_top_k"):
        made = applied(
            InsertPrePostProcessing, scores(2, "n", 10, opset=opset), tmp_path / classes, classes=classes, k=3
        )
        got = run_model(made.model, {"x": values})
        best = np.argsort(-values, axis=-1)[..., :3]
        likely = softmax(values.astype(np.float64))
        expected = {
            "softmax": likely,
            "argmax": best[..., 0],
            "top_k": np.take_along_axis(values, best, -1),
            "softmax_top_k": np.take_along_axis(likely, best, -1),
        }[classes]
        np.testing.assert_allclose(got["y"], expected, rtol=1e-5)  # float32 sums of ten terms
        assert "top_k" not in classes or (got["y_classes"] == best).all()
        shape = signature(made.model).outputs[0].shape
        assert shape == ((2, "n") if classes == "argmax" else (2, "n", expected.shape[-1]))


@pytest.mark.parametrize("opset", [9, 18])
def test_classes_may_stand_before_axes_of_size_1(opset: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((2, 10, 1, 1)).astype(np.float32)
    made = applied(InsertPrePostProcessing, scores(2, 10, 1, 1, opset=opset), tmp_path, classes="softmax_top_k", k=3)
    got = run_model(made.model, {"x": values})
    likely = softmax(values.reshape(2, 10).astype(np.float64))
    best = np.argsort(-likely, axis=1)[:, :3]
    assert (got["y_classes"].reshape(2, 3) == best).all()
    np.testing.assert_allclose(got["y"].reshape(2, 3), np.take_along_axis(likely, best, 1), rtol=1e-5)


def test_other_outputs_stay_where_they_are(tmp_path: Path) -> None:
    model = models.mlp()
    model.graph.output.append(float_value("r", "batch", 32))
    made = applied(InsertPrePostProcessing, model, tmp_path, classes="top_k", output="logits", k=2)
    assert [value.name for value in signature(made.model).outputs] == ["logits", "logits_classes", "r"]


def test_what_is_inserted_is_just_what_is_asked_for(tmp_path: Path) -> None:
    made = applied(InsertPrePostProcessing, copies(1, 3, 4, 5), tmp_path, take="image")
    ops = [node.op_type for node in read_structure(made.model).graph.node]
    assert ops == ["Unsqueeze", "Transpose", "Cast", "Mul", "Identity"]


def test_old_formats_have_their_constants_among_the_inputs(tmp_path: Path) -> None:
    model = copies(1, 3, 4, 5, opset=9)
    model.ir_version = 3
    made = read_structure(applied(InsertPrePostProcessing, model, tmp_path, take="image", mean=MEAN).model)
    assert {tensor.name for tensor in made.graph.initializer} < {entry.name for entry in made.graph.input}


@pytest.mark.parametrize("settings", [{}, {"take": "image", "std": [1.0, 0.0, 1.0]}, {"classes": "best"}])
def test_a_configuration_without_work_or_with_a_division_by_0_is_none(settings: dict[str, Json]) -> None:
    with pytest.raises(ValidationError):
        InsertPrePostProcessingConfig.model_validate(settings)


@pytest.mark.skipif(not is_installed(), reason="needs the package onnxruntime-extensions")
def test_a_file_is_decoded_and_the_library_travels_along(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="needs the package Pillow")
    image, file = picture(4, 5), io.BytesIO()
    pillow.fromarray(image).save(file, "png")
    made = applied(InsertPrePostProcessing, copies(1, 3, 4, 5), tmp_path, take="file", scale=1.0)
    [library] = made.manifest.custom_operators
    assert (made.folder / library).is_file()
    session = open_session(made, Target())
    got = session.run({"x": np.frombuffer(file.getvalue(), np.uint8)})["y"][0]
    np.testing.assert_array_equal(got, first(image))


@pytest.mark.skipif(is_installed(), reason="the package onnxruntime-extensions is installed here")
def test_without_the_package_files_are_refused_with_its_name(tmp_path: Path) -> None:
    config = InsertPrePostProcessingConfig(take="file")
    reasons = InsertPrePostProcessing().refuses(artifact(copies(1, 3, 4, 5), tmp_path), config, Target())
    assert "needs the package onnxruntime-extensions" in "; ".join(reasons)
