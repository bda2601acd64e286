"""The data reader `audio` and the transform `waveform`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from olivelike.contracts.data import Dataset, DataSpec
from olivelike.contracts.metric import TensorInfo
from olivelike.digest import Json
from olivelike.sources.audio import Audio
from olivelike.sources.dataset import open_dataset
from olivelike.sources.preparation import Named
from olivelike.sources.transforms.waveform import Waveform
from olivelike.testing.source_contract import ReaderContract
from tests.sources.reading import read
from tests.sources.refusals import refusal

WAVE = TensorInfo("input_values", "float32", ("n", "t"))


def tone(path: Path, seconds: float = 0.1, rate: int = 8000, channels: int = 1, pitch: float = 100.0) -> Path:
    """Writes a sine of amplitude 0.5; of two channels the second is silent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.zeros((round(seconds * rate), channels))
    samples[:, 0] = 0.5 * np.sin(2 * np.pi * pitch * np.arange(len(samples)) / rate)
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def opened(folder: Path, *inputs: TensorInfo, options: dict[str, Json] | None = None) -> Dataset:
    transform = Waveform()
    config = transform.config.model_validate(options or {})
    files = {path.name: path for path in folder.glob("*.json")}
    prepare = Named(transform, config, files)
    return open_dataset(DataSpec("t", "audio", {"audio": "clips"}), Audio(), folder, inputs or (WAVE,), prepare=prepare)


class TestAudio(ReaderContract):
    def reader(self) -> Audio:
        return Audio()

    def example(self, folder: Path) -> dict[str, Json]:
        tone(folder / "data" / "clips" / "a" / "1.wav")
        tone(folder / "data" / "clips" / "b" / "1.flac")
        return {"audio": "data/clips"}


def test_recordings_are_mono_floats_of_their_own_length_and_folders_are_labels(tmp_path: Path) -> None:
    tone(tmp_path / "clips" / "yes" / "1.wav", channels=2)
    tone(tmp_path / "clips" / "no" / "1.flac", seconds=0.2)
    columns = read(Audio(), tmp_path, {"audio": "clips"})
    assert [len(clip) for clip in columns["audio"]] == [1600, 800]
    assert columns["audio"][1].dtype == np.float32
    assert np.abs(columns["audio"][1]).max() == pytest.approx(0.25, abs=1e-4)  # half of 0.5; 16 bits resolve 3e-5
    assert columns["label"].tolist() == [0, 1]


def test_resampling_keeps_pitch_and_loudness(tmp_path: Path) -> None:
    tone(tmp_path / "clips" / "a.wav", seconds=1.0)
    (clip,) = read(Audio(), tmp_path, {"audio": "clips", "rate": 16000})["audio"]
    assert len(clip) == 16000
    expected = 0.5 * np.sin(2 * np.pi * 100 * np.arange(16000) / 16000)
    middle = slice(1000, -1000)  # the filter needs a run-in at both ends
    assert np.allclose(clip[middle], expected[middle], atol=2e-3)  # the pass band's ripple


def test_recordings_of_another_rate_ask_for_one(tmp_path: Path) -> None:
    tone(tmp_path / "clips" / "a.wav")
    tone(tmp_path / "clips" / "b.wav", rate=11025)
    problem = refusal(lambda: read(Audio(), tmp_path, {"audio": "clips"}))
    assert (problem.code, problem.hint) == ("OL206", "resample all with `rate: 8000`")


def test_what_is_no_recording_is_refused_by_name(tmp_path: Path) -> None:
    tone(tmp_path / "clips" / "a.wav")
    (tmp_path / "clips" / "b.wav").write_bytes(b"RIFF but nothing else")
    problem = refusal(lambda: read(Audio(), tmp_path, {"audio": "clips"}))
    assert (problem.code, problem.place.endswith("b.wav")) == ("OL205", True)
    tone(tmp_path / "clips" / "b.wav", seconds=0)
    assert refusal(lambda: read(Audio(), tmp_path, {"audio": "clips"})).claim == "holds no sound"


def test_a_folder_without_recordings_and_a_loose_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    assert refusal(lambda: read(Audio(), tmp_path, {"audio": "clips"})).code == "OL205"
    tone(tmp_path / "clips" / "yes" / "1.wav")
    tone(tmp_path / "clips" / "2.wav")
    assert refusal(lambda: read(Audio(), tmp_path, {"audio": "clips"})).code == "OL207"


def test_recordings_are_prepared_as_the_file_beside_the_model_says(tmp_path: Path) -> None:
    tone(tmp_path / "clips" / "a.wav")
    tone(tmp_path / "clips" / "b.wav", seconds=0.2)
    said = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "sampling_rate": 16000,
        "do_normalize": True,
        "feature_size": 1,
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    mask = TensorInfo("attention_mask", "int64", ("n", "t"))
    (batch,) = opened(tmp_path, WAVE, mask).batches(2)
    assert batch.feeds["input_values"].shape == (2, 3200)
    assert batch.feeds["attention_mask"].sum(axis=1).tolist() == [1600, 3200]
    sounding = batch.feeds["input_values"][0, :1600]
    assert (sounding.mean(), sounding.var()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-4))
    assert not batch.feeds["input_values"][0, 1600:].any()


def test_a_fixed_length_is_filled_up_to_and_longer_recordings_are_cut_only_on_request(tmp_path: Path) -> None:
    tone(tmp_path / "clips" / "a.wav")
    fixed = TensorInfo("x", "float32", ("n", 900))
    assert next(iter(opened(tmp_path, fixed, options={"rate": 8000}).batches(1))).feeds["x"].shape == (1, 900)
    short = TensorInfo("x", "float32", ("n", 500))
    assert refusal(lambda: opened(tmp_path, short, options={"rate": 8000})).code == "OL206"
    data = opened(tmp_path, short, options={"rate": 8000, "max_length": 500})
    assert next(iter(data.batches(1))).feeds["x"].shape == (1, 500)


def test_a_spectrogram_and_nothing_said_are_refused(tmp_path: Path) -> None:
    tone(tmp_path / "clips" / "a.wav")
    problem = refusal(lambda: opened(tmp_path))
    assert (problem.code, "`prepare: none`" in problem.hint) == ("OL205", True)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"feature_size": 80, "sampling_rate": 16000}))
    assert "spectrogram" in refusal(lambda: opened(tmp_path)).claim
