"""Tests of the passes that reshape the graph."""
