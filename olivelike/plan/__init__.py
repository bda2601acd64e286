"""Plans: a workflow with every name a class, every config typed, every choice a domain."""
