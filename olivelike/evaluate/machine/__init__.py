"""The machine that is measured on: what identifies it, what limits it, and how it is kept quiet."""
