"""Readers of other tools' workflow files."""
