"""The engine: run a plan, select the winner, write the report."""
