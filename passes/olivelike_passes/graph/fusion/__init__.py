"""What `fuse` knows: patterns of transformers and the fused operators of ONNX Runtime that compute the same."""
