"""The workflow file: its schema, how it is read with line numbers, and how its errors are told."""
