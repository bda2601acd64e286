"""Tests of what static quantization is made of."""
