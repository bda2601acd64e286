"""Models in the browser: Netron, served on this machine alone, with nothing that could call home."""
