"""The default space: one search for every model, of the quantization passes as a user would write it."""

from __future__ import annotations

from pathlib import Path

from cases.case import Case, Prepared

DEFAULT_SPACE = """\
passes:
  - simplify: {}
  - fold_scales: {}
  - name: fusion
    one_of: [none, {fuse: {}}]
  - convert_opset: {target: 21}
  - name: quantize
    one_of:
      - dynamic_quant:
          per_channel: [true, false]
          op_types: {choice: [[MatMul, Gemm, LSTM, Attention], [MatMul, Gemm, LSTM, Attention, Gather, Transpose]]}
          most_sensitive_kept: [0, 10, 30]
          data: calibration
      - static_quant:
          format: [qdq, qoperator]
          per_channel: true
          calibration: [minmax, percentile, entropy]
          most_sensitive_kept: [0, 4]
          op_types: {choice: [[Conv, MatMul, Gemm], [Conv, MatMul, Gemm, Add, Mul, GlobalAveragePool, Concat, Gather]]}
          data: calibration
      - weight_only:
          bits: [4, 8]
          block_size: [32, 64, 128]
          method: [rtn, k_quant, gptq]
          most_sensitive: [0, 30]
          embedding_bits: 8
          accuracy_level: 4
          data: calibration
      - float16: {}
      - none
"""
"""The passes of every case's workflow. They hold no name of a model's nodes: what is good for one model alone is no default.
Convolutions are not quantized dynamically, because that makes every convolutional network slower that was tried."""
BUDGET = {"strategy": "auto", "max_trials": 150, "seed": 0}


def workflow_text(case: Case, prepared: Prepared, passes: str = DEFAULT_SPACE, time_limit: str = "60 min") -> str:
    """Returns a workflow file: the case's parts, and the passes.

    Args:
        case: names the workflow.
        prepared: what the case has prepared.
        passes: the section `passes` as YAML; without it the model is only measured.
        time_limit: of the search.
    """
    import io

    from ruamel.yaml import YAML

    parts: dict[str, object] = {
        "format": 1,
        "name": case.name,
        "model": dict(prepared.model),
        "target": {"device": "cpu", "providers": ["CPUExecutionProvider"], "threads": 1},
        "data": dict(prepared.data),
        "metrics": {**prepared.metrics, "size": {"type": "size"}},
    }
    if passes:
        parts |= {
            "constraints": list(prepared.constraints),
            "objectives": list(prepared.objectives),
            "search": {**BUDGET, "time_limit": time_limit},
            "output": {"path": f"out/{case.name}"},
        }
    yaml = YAML()
    yaml.width = 120
    stream = io.StringIO()
    yaml.dump(parts, stream)
    return stream.getvalue() + passes


def write_workflow(room: Path, text: str) -> Path:
    """Writes a workflow file into a case's folder."""
    path = room / "workflow.yaml"
    path.write_text(text, encoding="utf-8")
    return path
