"""Tests of ONNX on disk."""
