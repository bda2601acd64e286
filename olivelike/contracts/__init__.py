"""All that a plugin author sees: the types that passes, metrics, sources, strategies and executors are written against."""
