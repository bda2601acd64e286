"""The tests of olivelike; they mirror the tree."""
