"""A target: device, execution providers in order, threads, session options. Also the table of provider short names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from olivelike.digest import Json, JsonObject

PROVIDERS: dict[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "nv_tensorrt_rtx": "NvTensorRTRTXExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "qnn": "QNNExecutionProvider",
    "dml": "DmlExecutionProvider",
    "webgpu": "WebGpuExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
    "vitisai": "VitisAIExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "azure": "AzureExecutionProvider",
    "js": "JsExecutionProvider",
}


@dataclass(frozen=True, slots=True)
class Provider:
    """One execution provider by its full ONNX Runtime name, with its options."""

    name: str
    options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a model is to run.

    Attributes:
        device: `cpu`, `gpu` or `npu`.
        providers: in order of preference.
        threads: the most intra-operator threads a session may use; 0 leaves it to the runtime.
        session: session options and config entries, name to value; a tuning pass sets only what is left open here.
        present: whether this machine has it; a target that is not present is built for and never run on.
    """

    device: str = "cpu"
    providers: tuple[Provider, ...] = (Provider("CPUExecutionProvider"),)
    threads: int = 0
    session: Mapping[str, Json] = field(default_factory=dict)
    present: bool = True

    def to_json(self) -> JsonObject:
        """Returns the target as it stands in keys and tasks."""
        return {
            "device": self.device,
            "providers": [{"name": p.name, "options": dict(p.options)} for p in self.providers],
            "threads": self.threads,
            "session": dict(self.session),
            "present": self.present,
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> Target:
        """Reads what `to_json` wrote."""
        providers = cast("list[dict[str, Json]]", value["providers"])
        return cls(
            device=str(value["device"]),
            providers=tuple(Provider(str(p["name"]), cast("dict[str, Json]", p["options"])) for p in providers),
            threads=cast("int", value["threads"]),
            session=cast("dict[str, Json]", value["session"]),
            present=bool(value["present"]),
        )
