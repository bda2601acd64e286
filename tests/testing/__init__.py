"""Tests of what olivelike offers for testing plugins."""
