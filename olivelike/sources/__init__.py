"""Where models and data come from: one file per source and per data reader."""
