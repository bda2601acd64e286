"""What is measured, one file per metric, and the session it is measured in."""
