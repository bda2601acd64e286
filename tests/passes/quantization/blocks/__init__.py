"""Tests of the arithmetic of weights in blocks."""
