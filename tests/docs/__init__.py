"""Tests that the documentation is true: its commands run, its code works, its links lead somewhere."""
