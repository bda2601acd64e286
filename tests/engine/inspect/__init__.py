"""Tests of `olivelike.engine.inspect`."""
