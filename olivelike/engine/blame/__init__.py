"""Blame: which nodes of a quantized model cost its quality, found by putting nodes back in float and measuring again."""
