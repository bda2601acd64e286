"""What is measured: one file per metric, in a folder for each family, and what they stand on."""
