"""One quantizer on one model, in a process of its own: olivelike's passes, and the tools that they are held against.

    python benchmarks/quantizers.py TOOL FORM MODEL.onnx OUT_FOLDER CALIBRATION.npz MEMORY_LIMIT_IN_GIGABYTES

Writes `model.onnx` and prints what it took (`own_process.watched`); `benchmarks/quantization.py` calls it, for each tool with the
interpreter of the environment that holds it. olivelike is imported by its own passes alone. A `FORM` is the same wish to each tool:

- `dynamic`: int8 weights per channel in MatMul and Gemm, activations quantized as the model runs;
- `static`: QDQ, int8 weights per channel and uint8 activations in Conv, MatMul and Gemm, ranges by minimum and maximum;
- `int4`: symmetric blocks of 32, rounded to the nearest, as MatMulNBits (NNCF: as it writes them);
- `int4-fitted`: asymmetric blocks of 32, by the best method without data that the tool has;
- `int4-data`: symmetric blocks of 32, by the best method with data that the tool has;
- `float16`: half precision, inputs and outputs left in float32.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from own_process import watched

Feeds: TypeAlias = "dict[str, Any]"
Quantizer: TypeAlias = "Callable[[Path, Path, Path], Callable[[], object]]"
"""From model, folder and calibration data to what does the work; what is imported before does not count."""
BLOCK, BATCH = 32, 8
INT4_OPSET = 21
STATIC_TYPES, DYNAMIC_TYPES = ["Conv", "MatMul", "Gemm"], ["MatMul", "Gemm"]
DATA = "calibration"


def batches(calibration: Path) -> Iterator[Feeds]:
    """Yields the calibration data, some samples at a time."""
    import numpy as np

    columns = dict(np.load(calibration))
    count = min(map(len, columns.values()))
    for start in range(0, count, BATCH):
        yield {name: column[start : start + BATCH] for name, column in columns.items()}


def weight_bytes(source: Path) -> int:
    """Returns the bytes of the model's files."""
    return sum(path.stat().st_size for path in source.parent.iterdir() if path.name.startswith(source.name))


def is_large(source: Path) -> bool:
    """Whether a model is too large for one protobuf message."""
    return weight_bytes(source) > 1_500_000_000


# olivelike


def ours(name: str, **config: Any) -> Quantizer:
    """A pass, with the auxiliary passes that it needs."""

    def prepared(source: Path, out: Path, calibration: Path) -> Callable[[], object]:
        import numpy as np
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401

        from olivelike.contracts.artifact import Artifact, Manifest
        from olivelike.registry import installed

        registry = installed()
        arrays = {DATA: dict(np.load(calibration))} if calibration.exists() else {}
        artifact = Artifact(source.parent, Manifest("onnx", {"model": source.name}), "0" * 64)
        return lambda: _run(registry, name, config, artifact, out, arrays)

    return prepared


def _run(
    registry: Any, name: str, settings: Mapping[str, Any], artifact: Any, out: Path, arrays: Mapping[str, Any]
) -> Any:
    """Runs a pass into a folder, those that it needs into folders beside it; returns the artifact that it made."""
    from olivelike.contracts.artifact import Artifact
    from olivelike.contracts.target import Target
    from olivelike.errors import RefusedError, fail
    from olivelike.testing.context import MemoryContext

    kind = registry.pass_named(name)
    config = kind.config.model_validate(dict(settings))
    reasons = kind().refuses(artifact, config, Target())
    if reasons:
        raise fail(RefusedError, "OL301", "; ".join(reasons))
    needed = {}
    for key, each in kind().needs(config).items():
        room = out.parent / f"{out.name}-{key}"
        room.mkdir()
        needed[key] = _run(registry, each.pass_name, each.config, artifact, room, arrays)
    scratch = out.parent / f"{out.name}-scratch"
    scratch.mkdir()
    manifest = kind().run(artifact, out, config, MemoryContext(scratch, arrays, needed, seed=0))
    return Artifact(out, manifest, "0" * 64)


# ONNX Runtime


class Reader:
    """Hands batches out one by one, as the runtime's calibrators and those made after them ask for it."""

    def __init__(self, calibration: Path) -> None:
        self.calibration = calibration
        self.rewind()

    def get_next(self) -> Feeds | None:
        """Returns the next batch, or nothing."""
        self.at += 1
        return next(islice(batches(self.calibration), self.at - 1, None), None)

    def __iter__(self) -> Iterator[Feeds]:
        """Returns all batches."""
        return batches(self.calibration)

    def rewind(self) -> None:
        """Begins again."""
        self.at = 0  # a number, because some tools copy their reader


def runtime_dynamic(source: Path, out: Path, calibration: Path) -> Callable[[], object]:
    """The runtime's `quantize_dynamic`."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    return lambda: quantize_dynamic(
        source,
        out / "model.onnx",
        op_types_to_quantize=DYNAMIC_TYPES,
        per_channel=True,
        weight_type=QuantType.QInt8,
        use_external_data_format=is_large(source),
    )


def runtime_static(source: Path, out: Path, calibration: Path) -> Callable[[], object]:
    """The runtime's `quantize_static`."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    return lambda: quantize_static(
        source,
        out / "model.onnx",
        Reader(calibration),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=STATIC_TYPES,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        use_external_data_format=is_large(source),
    )


def runtime_nbits(method: str, symmetric: bool) -> Quantizer:
    """The runtime's `MatMulNBitsQuantizer` with one of its algorithms."""

    def prepared(source: Path, out: Path, calibration: Path) -> Callable[[], object]:
        import onnx
        from onnxruntime.quantization import matmul_nbits_quantizer as tool

        def work() -> None:
            match method:
                case "gptq":
                    algorithm = tool.GPTQWeightOnlyQuantConfig(Reader(calibration), block_size=BLOCK)
                case "k_quant":
                    algorithm = tool.KQuantWeightOnlyQuantConfig()
                case _:
                    algorithm = tool.DefaultWeightOnlyQuantConfig(block_size=BLOCK, is_symmetric=symmetric)
            model = str(source) if method == "gptq" else onnx.load(source)
            quantizer = tool.MatMulNBitsQuantizer(
                model, block_size=BLOCK, is_symmetric=symmetric, algo_config=algorithm
            )
            quantizer.process()
            quantizer.model.save_model_to_file(str(out / "model.onnx"), is_large(source))

        return work

    return prepared


def runtime_float16(source: Path, out: Path, calibration: Path) -> Callable[[], object]:
    """The runtime's converter."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    def work() -> None:
        converted = convert_float_to_float16(onnx.load(source), keep_io_types=True, disable_shape_infer=True)
        onnx.save(converted, out / "model.onnx", save_as_external_data=is_large(source), location="model.onnx.data")

    return work


# onnx-neural-compressor


def compressor_dynamic(source: Path, out: Path, calibration: Path) -> Callable[[], object]:
    """onnx-neural-compressor's dynamic quantization."""
    from onnx_neural_compressor.quantization import config, quantize

    settings = config.DynamicQuantConfig(
        op_types_to_quantize=["MatMul"],  # it does not know Gemm
        per_channel=True,
        use_external_data_format=is_large(source),
        execution_provider="CPUExecutionProvider",
    )
    return lambda: quantize(str(source), str(out / "model.onnx"), settings)


def compressor_static(source: Path, out: Path, calibration: Path) -> Callable[[], object]:
    """onnx-neural-compressor's static quantization."""
    from onnx_neural_compressor.quantization import config, quantize
    from onnxruntime.quantization import QuantFormat

    settings = config.StaticQuantConfig(
        Reader(calibration),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=STATIC_TYPES,
        per_channel=True,
        use_external_data_format=is_large(source),
        execution_provider="CPUExecutionProvider",
    )
    return lambda: quantize(str(source), str(out / "model.onnx"), settings)


def compressor_nbits(method: str) -> Quantizer:
    """onnx-neural-compressor's weight-only quantization."""

    def prepared(source: Path, out: Path, calibration: Path) -> Callable[[], object]:
        import onnx
        from onnx_neural_compressor.quantization import matmul_nbits_quantizer as tool

        def work() -> None:
            match method:
                case "awq":
                    algorithm = tool.AWQWeightOnlyQuantConfig(Reader(calibration))
                case "gptq":
                    algorithm = tool.GPTQWeightOnlyQuantConfig(Reader(calibration), block_size=BLOCK)
                case _:
                    algorithm = tool.RTNWeightOnlyQuantConfig()
            quantizer = tool.MatMulNBitsQuantizer(
                str(source), n_bits=4, block_size=BLOCK, is_symmetric=True, algo_config=algorithm
            )
            quantizer.process()
            model = quantizer.model
            onnx.save(
                getattr(model, "model", model),
                out / "model.onnx",
                save_as_external_data=True,
                location="model.onnx.data",
            )

        return work

    return prepared


# NNCF


def nncf_static(source: Path, out: Path, calibration: Path) -> Callable[[], object]:
    """NNCF's `quantize`."""
    import nncf
    import onnx

    def work() -> None:
        found = list(batches(calibration))
        model = nncf.quantize(onnx.load(source), nncf.Dataset(found), subset_size=len(found))
        onnx.save(model, out / "model.onnx", save_as_external_data=is_large(source), location="model.onnx.data")

    return work


def nncf_weights(with_data: bool) -> Quantizer:
    """NNCF's `compress_weights` to 4 bits; with data, by AWQ and scale estimation."""

    def prepared(source: Path, out: Path, calibration: Path) -> Callable[[], object]:
        import nncf
        import onnx

        def work() -> None:
            found = list(batches(calibration)) if with_data else []
            options = {"dataset": nncf.Dataset(found), "awq": True, "scale_estimation": True} if with_data else {}
            model = nncf.compress_weights(
                _raised(source),
                mode=nncf.CompressWeightsMode.INT4_SYM,
                group_size=BLOCK,
                **options,
            )
            onnx.save(model, out / "model.onnx", save_as_external_data=True, location="model.onnx.data")

        return work

    return prepared


def _raised(source: Path) -> Any:
    """Returns the model in opset 21, the first with 4-bit tensors: NNCF writes them into a model of any opset."""
    import onnx
    import onnx.version_converter

    model = onnx.load(source)
    version = next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    return onnx.version_converter.convert_version(model, INT4_OPSET) if version < INT4_OPSET else model


NBITS = {"bits": 4, "block_size": BLOCK}
TOOLS: Mapping[str, Mapping[str, Quantizer]] = {
    "olivelike": {
        "dynamic": ours("dynamic_quant", per_channel=True, op_types=DYNAMIC_TYPES),
        "static": ours("static_quant", per_channel=True, op_types=STATIC_TYPES, data=DATA),
        "int4": ours("weight_only", **NBITS, method="rtn"),
        "int4-fitted": ours("weight_only", **NBITS, method="k_quant", symmetric=False),
        "int4-data": ours("weight_only", **NBITS, method="gptq", data=DATA),
        "float16": ours("float16"),
    },
    "runtime": {
        "dynamic": runtime_dynamic,
        "static": runtime_static,
        "int4": runtime_nbits("default", symmetric=True),
        "int4-fitted": runtime_nbits("k_quant", symmetric=False),
        "int4-data": runtime_nbits("gptq", symmetric=True),
        "float16": runtime_float16,
    },
    "onnx-neural-compressor": {
        "dynamic": compressor_dynamic,
        "static": compressor_static,
        "int4": compressor_nbits("rtn"),
        "int4-data": compressor_nbits("gptq"),
    },
    "nncf": {"static": nncf_static, "int4": nncf_weights(with_data=False), "int4-data": nncf_weights(with_data=True)},
}


def bound_memory(gigabytes: float) -> None:
    """Lets what needs more memory fail, instead of the machine."""
    import resource

    most = int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def main() -> None:
    """Runs the quantizer."""
    tool, form = sys.argv[1:3]
    source, out, calibration = map(Path, sys.argv[3:6])
    work = TOOLS[tool][form](source, out, calibration)
    bound_memory(float(sys.argv[6]))
    watched(work)


if __name__ == "__main__":
    main()
