"""Tests of the patterns that `fuse` knows."""
