"""Tests of `olivelike.engine.view`."""
