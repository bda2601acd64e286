"""The quickstart's workflow file, as text."""

QUICKSTART = """\
# yaml-language-server: $schema=schema.json
format: 1
name: fashion-cpu
model: {path: quickstart/fashion.onnx}
target: {device: cpu, providers: [CPUExecutionProvider], threads: 1}
data:
  calibration: {npz: quickstart/calibration.npz, use: [calibration]}
  test: {npz: quickstart/test.npz, inputs: {image: images}, labels: labels, use: [selection]}
metrics:
  accuracy: {type: accuracy, data: test}
  latency: {type: latency, data: test, batch: 1}
  size: {type: size}
constraints:
  - {metric: accuracy, max_drop: 0.01}            # absolute, against the baseline; "1%" is relative
objectives: [{minimize: latency.p50}]
passes:
  - simplify: {}
  - name: quantize
    one_of:
      - dynamic_quant: {per_channel: [true, false]}
      - static_quant: {format: [qdq, qoperator], per_channel: [true, false], calibration: [minmax, entropy], data: calibration}
      - float16: {}
      - none
search: {strategy: auto, max_trials: 20, time_limit: 5 min, seed: 0}
output: {path: out/fashion}
"""
