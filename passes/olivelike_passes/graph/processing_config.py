"""What `insert_pre_post_processing` can be asked for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from olivelike.contracts.passes import PassConfig


class InsertPrePostProcessingConfig(PassConfig):
    """What the model is to take and give."""

    take: Literal["nothing_new", "image", "images", "file"] = "nothing_new"
    """`image`: one image as uint8 [height, width, channels], red first. `images`: several of one size, [batch, height, width,
    channels]. `file`: the bytes of a JPEG or PNG file, uint8 [bytes]. `nothing_new`: the inputs stay."""
    input: str = ""
    """The input that the image is for. Empty: the only one of rank 4."""
    resize: Literal["none", "stretch", "crop"] = "none"
    """`none`: images come in the model's size. `stretch`: they are resized to it. `crop`: they are resized so that the shorter
    side has `shorter_side` pixels, and the middle is cut out."""
    height: int = Field(default=0, ge=0)
    """The height that the model gets; 0 for the one it declares."""
    width: int = Field(default=0, ge=0)
    """The width that the model gets; 0 for the one it declares."""
    shorter_side: int = Field(default=256, ge=1)
    """For `crop`: pixels of the shorter side before the middle is cut out."""
    interpolation: Literal["linear", "cubic", "nearest"] = "linear"
    """How pixels are interpolated."""
    antialias: bool = True
    """Whether an image that shrinks is smoothed, as Pillow does and OpenCV does not. Takes opset 18."""
    scale: float = Field(default=1 / 255, gt=0)
    """What a pixel, 0 to 255, is multiplied with first."""
    mean: tuple[float, ...] = Field(default=(), examples=[[0.485, 0.456, 0.406]])
    """What is subtracted then: one number, or one for each channel. Empty: nothing."""
    std: tuple[float, ...] = Field(default=(), examples=[[0.229, 0.224, 0.225]])
    """What it is divided by at last: one number, or one for each channel. Empty: nothing."""
    reverse_channels: bool = False
    """Whether the model takes blue first. `mean` and `std` are in the model's order."""
    classes: Literal["scores", "softmax", "argmax", "top_k", "softmax_top_k"] = "scores"
    """What becomes of a classifier's scores, along their last axis that is not of size 1. `softmax`: probabilities. `argmax`:
    the best class's number, int64. `top_k`: the `k` best scores, and the numbers of their classes as a second output, called
    `NAME_classes`. `softmax_top_k`: the same of probabilities. `scores`: they stay."""
    output: str = ""
    """The output that holds the scores. Empty: the only output."""
    k: int = Field(default=5, ge=1)
    """How many classes `top_k` gives."""

    @model_validator(mode="after")
    def _check(self) -> InsertPrePostProcessingConfig:
        if self.take == "nothing_new" and self.classes == "scores":
            raise ValueError("there is nothing to insert: set `take`, `classes` or both")
        if any(value == 0 for value in self.std):
            raise ValueError("`std` holds 0, and pixels are divided by it")
        return self
