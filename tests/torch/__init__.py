"""Tests that need torch; without it they are skipped by name."""
