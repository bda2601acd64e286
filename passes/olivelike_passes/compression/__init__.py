"""Passes that make a model smaller by what its weights have in common: shared values, zeros, few directions."""
