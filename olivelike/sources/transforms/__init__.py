"""Named transforms: what `prepare` and a model's task make of columns, one file each."""
