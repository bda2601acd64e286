"""ONNX on disk, safely and at any size."""
