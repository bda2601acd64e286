"""Tests of model sources and data readers."""
