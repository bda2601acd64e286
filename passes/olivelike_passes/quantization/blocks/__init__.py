"""The arithmetic of weights in blocks: so many that are summed up one after another share a scale, and perhaps a zero point."""
