"""Tests of the metrics and of the session they run in."""
