"""Tests of the pass `surgery`."""
