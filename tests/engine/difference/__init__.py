"""Tests of `olivelike.engine.difference`."""
