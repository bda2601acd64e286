"""Tests of how a report is drawn."""
