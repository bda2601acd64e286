"""The way back from integers: a quantized model's graphs with float values where integers stood for them."""
