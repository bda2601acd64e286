"""Tests of the built-in passes."""
