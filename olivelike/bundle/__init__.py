"""The deliverable: its layout on disk and the lock that reproduces it."""
