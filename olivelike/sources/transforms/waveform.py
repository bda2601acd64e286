"""The transform `waveform`: recordings at the rate, length and loudness that an audio model takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import Field

from olivelike.contracts.data import Columns, Pad
from olivelike.contracts.transform import Surroundings, Transform, TransformConfig, Transformed
from olivelike.errors import InputError, fail
from olivelike.sources.audio import AUDIO, Clips
from olivelike.sources.batching import is_fixed
from olivelike.sources.ragged import ragged
from olivelike.sources.transforms.preprocessor import PREPROCESSOR, preprocessor, unprepared

if TYPE_CHECKING:
    from olivelike.contracts.data import Array

VALUES = "input_values"
SMALLEST = 1e-7
"""Added to the variance, as `Wav2Vec2FeatureExtractor` of Transformers does."""


class WaveformConfig(TransformConfig):
    """Options of `waveform`; what is not given, the `preprocessor_config.json` beside the model says."""

    rate: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Samples a second."""
    max_length: Annotated[int, Field(ge=0)] = 0
    """Longer recordings are cut to so many samples; 0 cuts none."""
    normalize: bool | None = None
    """Whether each recording is brought to mean 0 and variance 1."""


class Waveform(Transform):
    """Resamples recordings of the reader `audio`, normalizes each by itself and fills batches up to their longest.

    The column is called `input_values` where the model has such an input, else `audio`. Models that take a spectrogram are
    refused: make it in a function of your own (`prepare: {script: ...}`).
    """

    config: ClassVar[type[TransformConfig]] = WaveformConfig
    companions: ClassVar[tuple[str, ...]] = (PREPROCESSOR,)
    readers: ClassVar[frozenset[str]] = frozenset({"audio"})
    tools: ClassVar[tuple[str, ...]] = ("scipy", "soundfile")

    def open(self, config: TransformConfig, columns: Columns, around: Surroundings) -> Transformed:
        """Reads how the model wants its recordings.

        Raises:
            InputError: OL205, nothing says how; OL206, no recordings, or a model that takes a spectrogram.
        """
        typed, said = cast("WaveformConfig", config), preprocessor(around)
        if not said and not typed.rate:
            raise unprepared(around, "waveform", "rate: 16000, normalize: true")
        clips = columns.arrays.get(AUDIO)
        if not isinstance(clips, Clips):
            claim = "`waveform` prepares the recordings of the reader `audio`, and there are none"
            raise fail(
                InputError, "OL206", claim, path=f"{around.place}.prepare", hint="read them with `audio: FOLDER`"
            )
        if said.get("feature_size", 1) != 1 or "num_mel_bins" in said:
            claim = f"the model's {PREPROCESSOR} asks for a spectrogram ({said.get('feature_extractor_type', '')})"
            hint = "make it in a function of your own: `prepare: {script: ..., call: ...}`"
            raise fail(InputError, "OL206", claim, path=f"{around.place}.prepare", hint=hint)
        rate = typed.rate or int(str(said.get("sampling_rate", clips.rate)))
        normalize = bool(said.get("do_normalize", False)) if typed.normalize is None else typed.normalize
        name = VALUES if any(info.name == VALUES for info in around.inputs) else AUDIO
        kept = {**columns.arrays, AUDIO: replace(clips, rate=rate, resample=True)}
        each = Leveled(name, typed.max_length, normalize)
        return Transformed(Columns(kept), each, around.label, {name: _pad(name, said, around)})


@dataclass(frozen=True, slots=True)
class Leveled:
    """Maps a batch of recordings to what a model hears: cut, and each of mean 0 and variance 1."""

    name: str
    max_length: int
    normalize: bool

    def __call__(self, columns: Mapping[str, Array]) -> Mapping[str, Array]:
        """Returns the batch."""
        made = ragged([self._one(samples) for samples in columns[AUDIO].tolist()])
        return {**{name: values for name, values in columns.items() if name != AUDIO}, self.name: made}

    def _one(self, samples: Array) -> Array:
        import numpy as np

        cut = np.asarray(samples[: self.max_length or len(samples)], dtype=np.float32)
        return (cut - cut.mean()) / np.sqrt(cut.var() + SMALLEST) if self.normalize else cut


def _pad(name: str, said: Mapping[str, object], around: Surroundings) -> Pad:
    value = float(str(said.get("padding_value", 0.0)))
    for info in around.inputs:
        fed = around.asked.get(info.name, info.name) == name or len(around.inputs) == 1
        if fed and len(info.shape) == 2 and is_fixed(info.shape[1]):
            return Pad(to=int(info.shape[1]), value=value)
    return Pad(value=value)
