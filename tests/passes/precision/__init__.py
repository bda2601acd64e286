"""Tests of the passes that change the floating-point precision."""
