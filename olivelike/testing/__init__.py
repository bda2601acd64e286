"""Conformance suites for plugin authors, and tiny models built in code."""
