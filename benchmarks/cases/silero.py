"""The case `silero`: voice activity, frame by frame, on recordings mixed from real voices and noise.

    pip install --no-deps silero-vad==6.2.3 && apt-get install asterisk-core-sounds-en-wav

The model reads a sequence of frames, 512 new samples at 16 kHz behind 64 of the frame before, and its LSTM's state. Here every
sequence begins in silence, as the package's own reader begins it: the state's inputs become zeros inside the model, which is
all that is changed. A sample of the data is a frame, and a batch of `FRAMES` of them, in their order, is a recording.

The voice is one woman's (Debian's package of the Asterisk telephone system, CC-BY-SA), at 8 kHz: telephone speech, resampled.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cases.case import Case, MissingError, Prepared, at_least, packaged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

INSTALL = "pip install --no-deps silero-vad==6.2.3 && apt-get install asterisk-core-sounds-en-wav"
MODEL = "data/silero_vad_16k_sequence.onnx"
VOICES = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
RATE, NEW, BEFORE = 16_000, 512, 64
FRAMES = 128
"""Frames of a recording: 4.1 seconds."""
RECORDINGS, CALIBRATED = 120, 16
QUIET = 10 ** (-30 / 20)
"""A frame is speech where its loudness is no further than 30 dB below the loudest frame of its phrase."""


def prepare(room: Path) -> Prepared:
    """Fixes the state, mixes the recordings, writes their frames with a label each."""
    source = packaged("silero_vad", MODEL, INSTALL)
    phrases = _phrases(voices())
    if not (room / "silero.onnx").exists():
        _fix_state(source, room / "silero.onnx")
    write_frames(room / "test.npz", phrases[::2], RECORDINGS, seed=2)
    write_frames(room / "calibration.npz", phrases[1::2], CALIBRATED, seed=1)
    return Prepared(
        model={"path": str(room / "silero.onnx")},
        data={
            "calibration": {"npz": str(room / "calibration.npz"), "batch": FRAMES, "use": ["calibration"]},
            "test": {"npz": str(room / "test.npz"), "labels": "label", "use": ["selection"]},
        },
        metrics={
            "voice": {"type": "classification", "data": "test", "values": ["auroc"], "batch": FRAMES},
            "latency": {"type": "latency", "data": "test", "batch": FRAMES},
        },
        constraints=({"metric": "voice.auroc", "max_drop": 0.003},),
        objectives=({"minimize": "latency.p50"},),
    )


def voices() -> Path:
    """Returns the folder of the voices.

    Raises:
        MissingError: it is not there.
    """
    if not VOICES.exists():
        raise MissingError(f"{VOICES} is not there: {INSTALL}")
    return VOICES


def _phrases(folder: Path) -> list[Floats]:
    """Returns all phrases, from -1 to 1 at 16 kHz, in the order of their files' names."""
    return [_read(path) for path in sorted(folder.glob("*.wav"))]


def _read(path: Path) -> Floats:
    import numpy as np
    from scipy.signal import resample_poly

    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32_768
        rate = file.getframerate()
    return np.asarray(resample_poly(samples, RATE // rate, 1), np.float32)


def write_frames(path: Path, phrases: list[Floats], recordings: int, seed: int) -> None:
    """Writes `input` float32 [recordings * FRAMES, 576] and `label`, 1 for speech."""
    import numpy as np

    draw = np.random.default_rng(seed)
    inputs, labels = zip(*(_recording(phrases, draw) for _ in range(recordings)), strict=True)
    np.savez(path, input=np.concatenate(inputs), label=np.concatenate(labels))


def _recording(phrases: list[Floats], draw: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """Mixes phrases with pauses between them, and noise 0 to 20 dB below the speech; a fifth is noise alone."""
    import numpy as np

    length = FRAMES * NEW
    clean, speech = np.zeros(length, np.float32), np.zeros(FRAMES, np.int64)
    if draw.random() > 0.2:
        for start, phrase in _placed(phrases, draw, length):
            clean[start : start + len(phrase)] = phrase
            loud = np.sqrt((_frames_of(clean) ** 2).mean(axis=1))
            inside = slice(start // NEW, -(-(start + len(phrase)) // NEW))
            speech[inside] |= loud[inside] > QUIET * loud[inside].max()
    level = 0.1 if not speech.any() else float(np.sqrt((_frames_of(clean)[speech == 1] ** 2).mean()))
    noise = _noise(draw, length) * level * 10 ** (-draw.uniform(0, 20) / 20)
    mixed = np.clip(clean + noise, -1, 1).astype(np.float32)
    before = np.concatenate([np.zeros(BEFORE, np.float32), mixed])
    return np.stack([before[at * NEW : at * NEW + BEFORE + NEW] for at in range(FRAMES)]), speech


def _placed(phrases: list[Floats], draw: np.random.Generator, length: int) -> Iterator[tuple[int, Floats]]:
    """Yields phrases, scaled to one loudness or another, and where they begin, until the recording is full."""
    import numpy as np

    at = int(draw.uniform(0, RATE))
    while at < length:
        phrase = phrases[draw.integers(len(phrases))][: length - at]
        peak = float(np.abs(phrase).max())
        if peak > 0:
            yield at, np.asarray(phrase / peak * draw.uniform(0.1, 0.8), np.float32)
        at += len(phrase) + int(draw.uniform(0.3, 1.5) * RATE)


def _noise(draw: np.random.Generator, length: int) -> Floats:
    """Returns noise of unit deviation, white or falling by 3 or 6 dB an octave."""
    import numpy as np

    spectrum = np.fft.rfft(draw.standard_normal(length))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** draw.choice([0.0, 0.5, 1.0])
    noise = np.fft.irfft(spectrum, length)
    return np.asarray(noise / noise.std(), np.float32)


def _frames_of(samples: Floats) -> Floats:
    return samples.reshape(FRAMES, NEW)


def _fix_state(source: Path, path: Path) -> None:
    """Writes the model with zeros for the inputs `h` and `c`, and `speech_probs` as its one output."""
    import numpy as np
    import onnx

    model = onnx.load(source)
    graph = model.graph
    for value in [value for value in graph.input if value.name in ("h", "c")]:
        zeros = np.zeros([dim.dim_value for dim in value.type.tensor_type.shape.dim], np.float32)
        graph.initializer.append(onnx.numpy_helper.from_array(zeros, value.name))
        graph.input.remove(value)
    for value in [value for value in graph.output if value.name != "speech_probs"]:
        graph.output.remove(value)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


CASE = Case(
    name="silero",
    told="Silero's voice activity detector, 4.1 seconds",
    prepare=prepare,
    quality="voice.auroc",
    speed="latency.p50",
    by_hand="only LSTM and MatMul in dynamic int8: .981 (from .981), 1.5 x slower",
    goals=(at_least("voice.auroc", 0.978),),
)
