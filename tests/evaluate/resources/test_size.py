import io
import zipfile
from pathlib import Path

from olivelike.contracts.artifact import Artifact, Manifest
from olivelike.evaluate.resources.size import Size, SizeConfig
from olivelike.testing.measure_context import MemoryContext, artifact_at
from olivelike.testing.metric_contract import MetricContract
from tests.evaluate.tiny_models import classifier


class TestSize(MetricContract):
    metric = Size

    def artifact(self, folder: Path) -> Artifact:
        return classifier(folder)

    def context(self, folder: Path) -> MemoryContext:
        return MemoryContext(folder)

    def configs(self) -> tuple[SizeConfig, ...]:
        return (SizeConfig(), SizeConfig(compressed=True))


def test_model_and_external_data_count_and_companions_and_description_do_not(tmp_path: Path) -> None:
    sizes = {"model.onnx": 100, "data/weights.bin": 1000, "tokenizer.json": 7}
    for name, size in sizes.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    model = artifact_at(tmp_path, Manifest("onnx", {"model": "model.onnx"}, companions=("tokenizer.json",)))
    measured = Size().measure(model, model, SizeConfig(), MemoryContext(tmp_path))["bytes"]
    assert (measured.value, measured.low, measured.high, measured.n) == (1100, 1100, 1100, 1)


def test_compressed_is_what_a_zip_archive_holds_of_each_file(tmp_path: Path) -> None:
    noise = bytes(range(256)) * 40 + Path(__file__).read_bytes()
    for name, content in {"model.onnx": noise, "weights.bin": b"\0" * 3_000_000}.items():
        (tmp_path / name).write_bytes(content)
    model = artifact_at(tmp_path, Manifest("onnx", {"model": "model.onnx"}))
    measured = Size().measure(model, model, SizeConfig(compressed=True), MemoryContext(tmp_path))["compressed"]
    with zipfile.ZipFile(io.BytesIO(), "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in ("model.onnx", "weights.bin"):
            archive.write(tmp_path / name, name)
        assert measured.value == sum(entry.compress_size for entry in archive.infolist())
    assert measured.value < 10_000 < model.model_bytes
