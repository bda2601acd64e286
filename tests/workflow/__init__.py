"""Tests of the workflow file."""
