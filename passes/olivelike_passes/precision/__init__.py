"""Passes that change the floating-point precision."""
