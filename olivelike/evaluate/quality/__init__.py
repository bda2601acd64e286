"""Metrics that look at a model's answers."""
