"""The pass `surgery`: named small rewrites of a graph, one function each."""
