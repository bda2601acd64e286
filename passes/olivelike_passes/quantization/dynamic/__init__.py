"""How each operator is computed on integers whose activations are quantized as the model runs."""
