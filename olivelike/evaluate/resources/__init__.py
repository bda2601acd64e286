"""Metrics of what a model takes: bytes, memory, operations, energy, and where its nodes run."""
