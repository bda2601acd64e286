"""Metrics that read a clock."""
