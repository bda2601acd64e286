"""How tasks reach workers: one file per executor."""
