"""The store: content-addressed artifacts and the index of what was computed."""
