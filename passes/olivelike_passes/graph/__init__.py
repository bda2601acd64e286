"""Passes that reshape the graph."""
